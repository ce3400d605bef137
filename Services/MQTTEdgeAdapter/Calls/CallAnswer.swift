// The answer to an mRPC request, as values: status, what was wrong with which property, and the MQTT properties that say so
// (message-metadata and command-errors of the AIO SDKs). Pure.

import JSON
import RPC
import Wire

/// What is answered.
struct CallAnswer: Sendable, Equatable {
    /// HTTP-like: 200, 400, 408, 415, 500, 503, 505.
    var status: Int
    /// The command itself failed, as against the request or the way to it.
    var isApplicationError = false
    /// For a person.
    var message: String?
    /// The property of the request that was wrong, and what it was.
    var property: (name: String, value: String?)?
    /// The version that was asked for; only with 505.
    var requestedVersion: String?
    /// Of an application error: what an invoker can tell it by.
    var applicationCode: String?
    var json: JSONValue

    static func == (left: CallAnswer, right: CallAnswer) -> Bool {
        left.properties == right.properties && left.json == right.json
    }

    /// The command was carried out.
    static func done(_ json: JSONValue) -> CallAnswer { CallAnswer(status: 200, json: json) }

    /// It was not. What is wrong with the payload is the request's fault (400); what the suite refuses is the application's
    /// (500); who is away is neither.
    ///
    /// - Parameters:
    ///   - json: for a person who reads the payload.
    ///   - limit: the time that the work had.
    static func failed(
        _ error: RPCError, _ json: JSONValue, limit: Duration = .seconds(Int64(CallRules.executionTimeoutS))
    ) -> CallAnswer {
        var answer = CallAnswer(status: 500, message: error.message, json: json)
        switch error.code {
        case .invalidArgument, .outOfRange: answer.status = 400
        case .notFound, .failedPrecondition, .alreadyExists, .permissionDenied, .unauthenticated, .unimplemented:
            answer.isApplicationError = true
            answer.applicationCode = error.code.name
        case .unavailable, .resourceExhausted, .aborted: answer.status = 503
        case .deadlineExceeded, .cancelled:
            answer.status = 408
            answer.property = ("ExecutionTimeout", "PT\((limit.wholeMilliseconds + 999) / 1_000)S")
        case .internal, .unknown, .dataLoss, .unrecognized, .ok: break
        }
        return answer
    }

    /// The request breaks a rule of the protocol.
    static func refused(
        _ status: Int, _ message: String, property: String? = nil, value: String? = nil
    ) -> CallAnswer {
        CallAnswer(
            status: status, message: message, property: property.map { ($0, value) },
            json: CommandJSON.refused(nil, .invalidArgument(property ?? "", message)))
    }

    /// The user properties, without those that name sender and time.
    var properties: [UserProperty] {
        var properties = [
            UserProperty(name: "__stat", value: String(status)),
            UserProperty(name: "__apErr", value: isApplicationError ? "true" : "false"),
        ]
        func add(_ name: String, _ value: String?) {
            if let value { properties.append(UserProperty(name: name, value: value)) }
        }
        add("__stMsg", message.map { $0.prefixed(1_024) })
        add("__propName", property?.name)
        add("__propVal", property?.value.map { $0.prefixed(1_024) })
        if let requestedVersion {
            add("__supProtMajVer", CallRules.majorVersion)
            add("__requestProtVer", requestedVersion.prefixed(100))
        }
        if let applicationCode {
            add("AppErrCode", applicationCode)
            add("AppErrPayload", (json["error"] ?? json).text())
        }
        // Lets an answer pass the broker's back-pressure that pictures cause (ADR 0031).
        add("$high_priority", "")
        return properties
    }
}
