// Why a session with a camera ended or never began, in the words that its operator reads.

/// The end of a session that was not asked for.
public struct RTSPFailure: Error, Sendable, Equatable, CustomStringConvertible {
    /// What it takes to get further; the reconnect rules go by it.
    public enum Cause: Sendable, Equatable {
        /// The user name or the password is wrong, missing, or may not do this. Asking again soon locks the account.
        case unauthorized
        /// The URL names nothing there.
        case notFound
        /// The camera serves as many as it can, for now.
        case busy
        /// It answers, but not as we understand it.
        case protocolError
        /// It stopped answering.
        case silent
        /// Its host is there, and nothing listens.
        case refused
        /// Nothing answers at its address.
        case unreachable
    }

    /// What it takes to get further.
    public let cause: Cause
    /// A sentence without credentials.
    public let description: String

    /// A failure in words that a person reads, which must not hold credentials.
    public init(_ cause: Cause, _ description: String) {
        self.cause = cause
        self.description = description
    }

    /// The failure that a response's status means.
    static func refused(_ method: String, _ response: RTSPResponse) -> RTSPFailure {
        let words = "\(response.status) \(response.reason)".trimmed
        switch response.status {
        case 401, 403:
            return RTSPFailure(.unauthorized, "camera answers but refuses the user name or password (\(words))")
        case 404, 410: return RTSPFailure(.notFound, "the camera knows no stream at this path (\(words))")
        case 453, 503:
            return RTSPFailure(
                .busy, "the camera has no room for another session (\(words)); an old one ends by its time-out")
        case 454: return RTSPFailure(.protocolError, "the camera lost the session (\(words))")
        default: return RTSPFailure(.protocolError, "the camera refuses \(method) (\(words))")
        }
    }
}
