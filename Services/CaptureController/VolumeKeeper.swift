// The recording volume: opened when it is there and right, refused and reported when it is not, tried again every few
// seconds. The process stays up without it: cameras stay connected, rings stay filled, and nothing is written.
import Foundation
import Logging
import ServiceKit
import Synchronization
import Volume

final class VolumeKeeper: Sendable {
    let path: String
    private let health: @Sendable (_ ready: Bool, _ reason: String) -> Void
    private let logger: Logger
    private let calls: FileSystemCalls

    private struct State {
        var volume: VolumeRoot?
        var error: String?
        /// Once opened, only the same volume is taken again at this path: a swapped disk is refused.
        var knownID: String?
    }
    private let state = Mutex(State())
    /// Signalled when the volume refused bytes because it is full.
    let roomNeeded = Wakeup()

    init(
        path: String, logger: Logger, calls: FileSystemCalls = .live,
        health: @escaping @Sendable (_ ready: Bool, _ reason: String) -> Void
    ) {
        self.path = path
        self.logger = logger
        self.calls = calls
        self.health = health
    }

    /// The volume while it can be written.
    var current: VolumeRoot? { state.withLock { $0.volume } }
    /// Why there is none, and what to do.
    var error: String? { state.withLock { $0.error } }

    /// Opens the volume where it is not open. True where it became usable now. Blocks: call it on an own thread.
    func tryOpen() -> Bool {
        guard current == nil else { return false }
        let known = state.withLock { $0.knownID }
        do {
            let volume = try VolumeRoot.open(at: path, role: .recording, volumeID: known, calls: calls)
            state.withLock { $0 = State(volume: volume, error: nil, knownID: volume.volumeID) }
            health(true, "")
            logger.info("recording volume open", metadata: ["path": "\(path)", "volume": "\(volume.volumeID)"])
            return true
        } catch {
            let text = "recording volume: \(error)"
            let isNew = state.withLock { state in
                defer { state.error = text }
                return state.error != text
            }
            health(false, text)
            if isNew { logger.error("\(text)") }
            return false
        }
    }

    /// An operation on the volume failed: where the volume itself is the cause, it is given up until it opens again.
    /// Gives the text for people. A full volume is told without the file's name: each second's attempt has another one, and
    /// the status would change each second.
    @discardableResult
    func failed(_ error: VolumeError) -> String {
        let shown = error.kind == .full ? VolumeError(.full, path: path, error.detail, errno: error.errno) : error
        let text = "recording volume: \(shown)"
        let isNew = self.error != text
        switch error.kind {
        case .readOnly, .inputOutput, .identityDiffers, .notAdopted, .missing, .notPermitted:
            state.withLock {
                $0.volume = nil
                $0.error = text
            }
            health(false, text)
        case .full:
            // A full volume stays open: deletion makes room on it.
            state.withLock { $0.error = text }
            roomNeeded.signal()
        default: break
        }
        if isNew { logger.error("\(text)") }
        return text
    }

    /// Something was written well: a volume that was full has room again.
    func succeeded() { state.withLock { if $0.volume != nil { $0.error = nil } } }
}
