// The archive volume as both workers keep it: opened when it is there, let go when it fails, opened again when it is back.
// While it is not there the worker stays up, is not ready, says why, and claims nothing.
import Logging
import ServiceKit
import Volume

/// Keeps one archive volume open.
public actor ArchiveVolume {
    /// Told about every change: ready, or the reason why not.
    public typealias Report = @Sendable (_ isReady: Bool, _ reason: String) -> Void

    private let path: String
    private let access: VolumeAccess
    private let thread: BlockingLane
    private let logger: Logger
    private let report: Report
    private let prepare: @Sendable (VolumeRoot) throws -> Void
    private var volume: VolumeRoot?
    private var isPrepared = false
    private var reported: String?
    /// After a write found no room: room that must be there before work is claimed again.
    private var neededBytes: Int64 = 0

    /// Room that is left unused for the marker's neighbours (sidecars, manifests) when an item did not fit.
    static let marginBytes: Int64 = 1 << 20

    /// A volume at `path`. `prepare` runs once, blocking, when it is open for the first time.
    public init(
        path: String, access: VolumeAccess, logger: Logger, report: @escaping Report,
        prepare: @escaping @Sendable (VolumeRoot) throws -> Void = { _ in }
    ) {
        self.path = path
        self.access = access
        self.logger = logger
        self.report = report
        self.prepare = prepare
        thread = BlockingLane("archive-volume")
    }

    /// The volume, opened if need be; nil while it cannot be used.
    public func current() async -> VolumeRoot? {
        do {
            let volume = try await opened()
            try await thread.runUnlessCancelled { try volume.checkStillThere() }
            if neededBytes > 0 {
                let space = try await thread.runUnlessCancelled { try volume.freeSpace() }
                guard space.availableBytes >= neededBytes else {
                    tell("\(path): it is full (\(space.availableBytes) bytes left); make room on it")
                    return nil
                }
                neededBytes = 0
            }
            tell(nil)
            return volume
        } catch let error as VolumeError {
            failed(error)
            return nil
        } catch {
            return nil
        }
    }

    /// Says that work on the volume failed. What concerns the volume, and not one file of it, makes the worker open it anew.
    public func failed(_ error: VolumeError, neededBytes needed: Int64 = 0) {
        switch error.kind {
        case .full:
            neededBytes = needed + Self.marginBytes
            tell("\(error)")
        case .exists, .invalidName, .corrupted, .unusable: break
        case .missing where volume != nil: volume = nil
        default:
            volume = nil
            tell("\(error)")
        }
    }

    private func opened() async throws -> VolumeRoot {
        if let volume { return volume }
        let (path, access, prepare, isFirst) = (path, access, prepare, !isPrepared)
        let opened = try await thread.runUnlessCancelled {
            let volume = try VolumeRoot.open(at: path, role: .archive, access: access)
            if isFirst { try prepare(volume) }
            return volume
        }
        volume = opened
        isPrepared = true
        logger.info("archive volume open", metadata: ["path": "\(path)", "volume": "\(opened.volumeID)"])
        return opened
    }

    private func tell(_ problem: String?) {
        guard reported != (problem ?? "") else { return }
        reported = problem ?? ""
        report(problem == nil, problem ?? "")
    }
}
