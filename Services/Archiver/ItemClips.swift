// An item of kind clip: what one camera showed in a window, as one MP4. Shared/Clips makes it; here an item's wish becomes one of
// Clips, and its problems become ours.
import Claims
import Clips
import ServiceKit
import Wire

/// Makes the clips of items.
struct ItemClips: Sendable {
    let maker: ClipMaker

    /// Finds the segments and reads what they hold. Throws ArchiveProblem.
    func recipe(_ plan: ArchivePlan, on thread: BlockingLane) async throws -> Clip {
        guard case .window(let source, let window) = plan.origin, let startUs = window.startUs,
            let endUs = window.endUs
        else { throw ArchiveProblem(reason: "\(plan.path): it has no window", isRetryable: false) }
        let clips = try await asOurs {
            try await maker.clips(ClipWish(.source(source), startUs: startUs, endUs: endUs), on: thread)
        }
        guard let clip = clips.first, clips.count == 1 else {
            let next = clips.dropFirst().first?.content.startUs ?? 0
            throw ArchiveProblem(
                reason:
                    "\(plan.sourceName): the camera's codec changes at \(next) us; ask for the time before and for the "
                    + "time behind it, or for files instead of a clip", isRetryable: false)
        }
        return clip
    }

    /// Hands on the clip's bytes in their order. Throws ArchiveProblem, and what `append` throws.
    func write(
        _ clip: Clip, on thread: BlockingLane, to append: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void
    ) async throws {
        try await asOurs { try await maker.write(clip, on: thread, to: append) }
    }

    private func asOurs<T>(_ body: () async throws -> T) async throws -> T {
        do { return try await body() } catch let problem as ClipProblem { throw ArchiveProblem.onClip(problem) }
    }
}

extension ArchiveProblem {
    /// A failure while a clip was made.
    static func onClip(_ problem: ClipProblem) -> ArchiveProblem {
        let isLost = problem.kind == .nothing || problem.kind == .gone
        return ArchiveProblem(
            reason: problem.reason + (isLost ? "; nothing is left to archive" : ""), isRetryable: problem.isRetryable,
            retryAfter: problem.retryAfter)
    }
}
