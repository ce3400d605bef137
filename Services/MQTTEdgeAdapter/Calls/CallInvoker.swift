// The other side of mRPC: requests of ours to services of Azure IoT Operations, over the session that publishes. One request
// has one answer or none in its time.

import Foundation
import JSON
import Metrics
import ServiceKit
import Synchronization

/// Why a request has no answer that can be used.
enum CallFailure: Error, Sendable, Equatable, CustomStringConvertible {
    /// Nobody answered in time, or it could not be sent. The same can work later.
    case unanswered(String)
    /// The other side said no.
    case refused(status: Int, message: String)

    /// For a person.
    var description: String {
        switch self {
        case .unanswered(let reason): reason
        case .refused(let status, let message): "\(message) (status \(status))"
        }
    }
}

/// Sends requests and hands their answers to who asked.
final class CallInvoker: Sendable {
    private typealias Waiter = CheckedContinuation<Result<InboundMessage, CallFailure>, Never>

    private let outbound: OutboundSession
    private let correspondence: Correspondence
    private let clientID: String
    private let waiters = Mutex<[[UInt8]: Waiter]>([:])

    init(outbound: OutboundSession, correspondence: Correspondence, clientID: String) {
        (self.outbound, self.correspondence, self.clientID) = (outbound, correspondence, clientID)
    }

    /// Where answers to requests on topics below `prefix` come.
    func responseFilter(_ prefix: String) -> String { "\(responseTopic(prefix))/#" }

    /// AIO's default: below the name of who asks.
    private func responseTopic(_ topic: String) -> String { "clients/\(clientID)/\(topic)" }

    /// Sends a request and waits for its answer: the payload, or nil where it has none.
    func call(_ topic: String, _ payload: JSONValue?, timeout: Duration) async throws(CallFailure) -> JSONValue? {
        let correlation = withUnsafeBytes(of: UUID().uuid) { Array($0) }
        var message = OutboundMessage(topic: topic, payload: payload?.encoded() ?? [])
        message.properties = .json
        message.properties.responseTopic = responseTopic(topic)
        message.properties.correlationData = correlation
        message.properties.expiryS = UInt32(clamping: (timeout.wholeMilliseconds + 999) / 1_000)
        message.properties.userProperties =
            [UserProperty(name: "$partition", value: clientID), UserProperty(name: "$high_priority", value: "")]
            + correspondence.sender()
        let timer = Task {
            try? await Task.sleep(for: timeout)
            settle(correlation, .failure(.unanswered("\(topic) was not answered within \(timeout)")))
        }
        defer { timer.cancel() }
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                waiters.withLock { $0[correlation] = continuation }
                if Task.isCancelled {
                    settle(correlation, .failure(.unanswered("\(topic) was given up")))
                } else if case .failure(let reason) = outbound.post(message) {
                    settle(correlation, .failure(.unanswered("\(topic) could not be sent: \(reason)")))
                }
            }
        } onCancel: {
            settle(correlation, .failure(.unanswered("\(topic) was given up")))
        }
        return try Self.content(of: result.get(), topic)
    }

    /// An answer came. Those that nobody waits for are passed over.
    func take(_ message: InboundMessage) {
        guard let correlation = message.correlationData, settle(correlation, .success(message)) else {
            Counter(label: "sightglass_adapter_answers_unexpected_total").increment()
            return
        }
        if let text = message.first("__ts"), let stamp = HybridStamp(text) { correspondence.follow(stamp) }
    }

    @discardableResult
    private func settle(_ correlation: [UInt8], _ result: Result<InboundMessage, CallFailure>) -> Bool {
        guard let waiter = waiters.withLock({ $0.removeValue(forKey: correlation) }) else { return false }
        waiter.resume(returning: result)
        return true
    }

    private static func content(of message: InboundMessage, _ topic: String) throws(CallFailure) -> JSONValue? {
        let status = message.first("__stat").flatMap(Int.init) ?? 0
        let payload = message.payload.isEmpty ? nil : try? JSONReader.read(message.payload, .messages)
        guard status == 200 || status == 204 else {
            let said = payload?[given: "message"]?.string ?? message.first("__stMsg") ?? "no reason is given"
            throw .refused(status: status, message: "\(topic): \(said.prefixed(1_024))")
        }
        guard message.payload.isEmpty || payload != nil else {
            throw .refused(status: status, message: "\(topic): the answer is not JSON")
        }
        return payload
    }
}
