// Why there is no clip: what archiver and command line make their own errors of.
import RPC
import Volume

/// What is in the way of a clip.
public struct ClipProblem: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind of obstacle.
    public enum Kind: Sendable, Hashable {
        /// No segment touches the window.
        case nothing
        /// A segment that the catalogue named is not there any more.
        case gone
        /// A volume or a service cannot be reached at present.
        case unreachable
        /// What is wanted or what is there cannot be used.
        case unusable
    }

    /// What kind of obstacle.
    public let kind: Kind
    /// For a person: names the thing, what was wrong, what to do.
    public let reason: String
    /// What is in the way stays so for a while; nil where nothing is known of that.
    public let retryAfter: Duration?

    /// The same may be possible later.
    public var isRetryable: Bool { kind == .unreachable }
    /// The reason.
    public var description: String { reason }

    /// A disk that is gone or broken stays so for a while.
    static let volumePause = Duration.seconds(30)

    init(_ kind: Kind, _ reason: String, retryAfter: Duration? = nil) {
        (self.kind, self.reason, self.retryAfter) = (kind, reason, retryAfter)
    }

    /// A failure while reading from a mounted volume. `name`: the segment, as a person knows it.
    static func mounted(_ error: VolumeError, _ name: String) -> ClipProblem {
        error.kind == .missing
            ? ClipProblem(.gone, "\(name): the file is gone")
            : ClipProblem(.unreachable, "\(name): \(error)", retryAfter: volumePause)
    }

    /// A failure while its owner read it for us.
    static func remote(_ error: RPCError, _ name: String, _ address: String) -> ClipProblem {
        error.code == .notFound
            ? ClipProblem(.gone, "\(name): \(address) no longer has the file")
            : ClipProblem(.unreachable, "\(name): reading from \(address): \(error)")
    }

    static func becameShorter(_ name: String) -> ClipProblem {
        ClipProblem(.unreachable, "\(name): the file became shorter while it was read; it is tried again")
    }
}
