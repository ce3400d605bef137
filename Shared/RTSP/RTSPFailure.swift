// Why a session with a camera ended or never began, in the words that its operator reads.

/// Whom a session is with.
enum RTSPPeer: Sendable {
    /// Its streams are taken.
    case camera
    /// It takes ours.
    case mediaServer

    /// As it stands in a sentence.
    var words: String {
        switch self {
        case .camera: "the camera"
        case .mediaServer: "the media server"
        }
    }
}

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
    static func refused(_ method: String, _ response: RTSPResponse, by peer: RTSPPeer) -> RTSPFailure {
        let words = "\(response.status) \(response.reason)".trimmed
        let who = peer.words
        switch response.status {
        case 401, 403:
            return RTSPFailure(.unauthorized, "\(who) answers but refuses the user name or password (\(words))")
        case 404, 410: return RTSPFailure(.notFound, "\(who) knows no stream at this path (\(words))")
        case 453, 503:
            return RTSPFailure(
                .busy, "\(who) has no room for another session (\(words)); an old one ends by its time-out")
        case 454: return RTSPFailure(.protocolError, "\(who) lost the session (\(words))")
        default: return RTSPFailure(.protocolError, "\(who) refuses \(method) (\(words))")
        }
    }

    /// The failure that the end of a connection means; none where it was ended here.
    static func of(_ end: ConnectionEnd, with peer: RTSPPeer, at url: some PeerURL) -> RTSPFailure? {
        let who = peer.words
        switch end {
        case .closed: return nil
        case .closedByPeer: return RTSPFailure(.silent, "\(who) ended the connection")
        case .forbidden:
            return RTSPFailure(
                .protocolError, "\(url.host) leads to a network that this site does not allow for cameras")
        case .unknownHost(let words): return RTSPFailure(.unreachable, "the name \(url.host) is not known: \(words)")
        case .distrusted(let words): return RTSPFailure(.protocolError, "\(url.hostAndPort): \(words)")
        case .refused: return RTSPFailure(.refused, "connection refused at \(url.hostAndPort)")
        case .unreachable(let words):
            return RTSPFailure(.unreachable, "\(url.hostAndPort) does not answer: \(words)")
        case .broken(let words): return RTSPFailure(.silent, "the connection to \(who) broke: \(words)")
        case .overflow(let bytes): return RTSPFailure(.protocolError, "\(who) sent \(bytes) bytes that are no message")
        case .notRead: return RTSPFailure(.silent, "\(who) reads nothing of what is sent to it")
        }
    }
}
