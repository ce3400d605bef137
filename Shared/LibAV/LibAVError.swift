// Errors of the door to libav: a cause for programs, a sentence for people, never a credential.
import CLibAV

/// Why an operation of libav ended.
public struct LibAVError: Error, Sendable, Equatable, CustomStringConvertible {
    /// One word for programs. The raw values are those of SourceStatus.cause.
    public enum Cause: String, Sendable, CaseIterable {
        /// The other side wants a user name and password, or refuses the ones it got.
        case unauthorized
        /// Nobody listens on the port.
        case refused
        /// No way to the host, or its name is not known.
        case unreachable
        /// The other side answers, but has no such path.
        case notFound = "not_found"
        /// Nothing came, or nothing was taken, for as long as allowed.
        case silent
        /// What the other side says is not RTSP, or not something that we can use.
        case `protocol`
        /// The other side ended the connection.
        case ended
        /// We were told to stop.
        case interrupted
        /// The certificate of an rtsps server cannot be checked here.
        case unverifiable
        /// Data that no picture can be made of.
        case corrupt
        /// Larger than allowed.
        case limit
        /// libav itself failed: no memory, no such encoder.
        case `internal`
    }

    /// For programs.
    public let cause: Cause
    /// For a person.
    public let description: String

    /// An error with a text for a person, which must not hold credentials.
    public init(_ cause: Cause, _ description: String) {
        self.cause = cause
        self.description = description
    }
}

/// User name and password for a camera or media server. Prints without either.
public struct RTSPCredentials: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    let userName: String
    let password: String

    /// Both as the other side knows them, not escaped.
    public init(userName: String, password: String) {
        self.userName = userName
        self.password = password
    }

    /// Never the content.
    public var description: String { "(credentials)" }
    /// Never the content.
    public var debugDescription: String { description }
    /// Never the content.
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}
