// What mRPC asks of a request (rpc-protocol, message-metadata, command-errors of the AIO SDKs), as one pure function. A message
// with neither response topic nor correlation data is no mRPC request but a plain publish, for people with mosquitto_pub.

import ServiceKit

/// The rules of a request.
enum CallRules {
    /// What came of looking at a message.
    enum Outcome: Sendable, Equatable {
        /// A plain publish.
        case plain
        /// To be carried out, and answered until then.
        case call(Call)
        /// To be answered with what is wrong.
        case refused(Call, CallAnswer)
        /// Nobody can be answered: acknowledged, and not carried out.
        case silent(reason: String)
    }

    /// A request that can be answered.
    struct Call: Sendable, Equatable {
        let responseTopic: String
        let correlation: [UInt8]
        /// When nobody waits any more.
        var deadline: ContinuousClock.Instant

        /// Two copies of one request have one key. Response topic and correlation: the strictest of what AIO's SDKs use.
        var key: String { "\(responseTopic)\u{0}\(hex(correlation))" }
    }

    static let majorVersion = "1"
    /// A command that takes longer is given up; AIO's default.
    static let executionTimeoutS = 10
    /// For an answer to a request that says nothing of its expiry: who asked has gone by then.
    private static let fallbackS: UInt32 = 10

    /// - Parameters:
    ///   - takenFilters: where an answer must not go.
    ///   - follow: moves the process's clock.
    static func check(
        _ message: InboundMessage, takenFilters: [TopicFilter],
        follow: (HybridStamp) throws(HybridClock.Refusal) -> Void
    ) -> Outcome {
        guard message.responseTopic != nil || message.correlationData != nil else { return .plain }
        guard let topic = message.responseTopic, TopicName.isPublishable(topic),
            !takenFilters.contains(where: { $0.matches(topic) })
        else { return .silent(reason: "its response topic is missing or cannot be used") }
        let expiryS = message.expiryS ?? fallbackS
        let call = Call(
            responseTopic: topic, correlation: message.correlationData ?? [],
            deadline: message.receivedAt + .seconds(Int64(expiryS)))
        if let wrong = fault(message, follow) { return .refused(call, wrong) }
        return .call(call)
    }

    private static func fault(
        _ message: InboundMessage, _ follow: (HybridStamp) throws(HybridClock.Refusal) -> Void
    ) -> CallAnswer? {
        guard let correlation = message.correlationData else {
            return .refused(400, "correlation data is missing", property: "Correlation Data")
        }
        guard correlation.count == 16 else {
            return .refused(
                400, "correlation data has \(correlation.count) bytes; a GUID has 16", property: "Correlation Data",
                value: hex(correlation))
        }
        guard message.expiryS != nil else {
            return .refused(400, "the message expiry interval is missing", property: "Message Expiry")
        }
        if let type = message.contentType, !isJSON(type) {
            return .refused(
                415, "content type \(type) is not supported; use application/json", property: "Content Type",
                value: type)
        }
        if let indicator = message.formatIndicator, indicator > 1 {
            return .refused(
                415, "payload format indicator \(indicator) is not 0 or 1", property: "Payload Format Indicator",
                value: String(indicator))
        }
        let version = message.first("__protVer")
        if let version, !isSupported(version) {
            var answer = CallAnswer.refused(505, "protocol version \(version) is not supported; supported is 1.0")
            answer.requestedVersion = version
            return answer
        }
        return stampFault(message, follow)
    }

    private static func stampFault(
        _ message: InboundMessage, _ follow: (HybridStamp) throws(HybridClock.Refusal) -> Void
    ) -> CallAnswer? {
        guard let text = message.first("__ts") else { return nil }
        guard let stamp = HybridStamp(text) else {
            return .refused(400, "__ts is no hybrid logical time", property: "__ts", value: text)
        }
        do throws(HybridClock.Refusal) {
            try follow(stamp)
            return nil
        } catch {
            switch error {
            case .drift:
                return .refused(
                    503, "__ts lies more than \(HybridClock.maximumDriftMs / 1_000) s ahead of this host's clock",
                    property: "MaxClockDrift", value: "PT\(HybridClock.maximumDriftMs / 1_000)S")
            case .counter:
                return .refused(
                    500, "too many stamps in one millisecond", property: "Counter", value: String(stamp.counter))
            }
        }
    }

    /// "1.0" and any later minor version; "1" alone is taken too.
    private static func isSupported(_ version: String) -> Bool {
        let parts = version.split(separator: ".", omittingEmptySubsequences: false)
        return (1...2).contains(parts.count) && parts.allSatisfy { UInt16($0) != nil } && parts[0] == majorVersion
    }

    private static func isJSON(_ type: String) -> Bool {
        let essence = type.split(separator: ";", omittingEmptySubsequences: false).first ?? ""
        return essence.lowercased().filter { $0 != " " } == "application/json"
    }
}
