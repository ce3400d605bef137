// EnsureFootage: keeps the footage of a window, from the rings and the disk for what is past, by recording for what comes.
// Answers at once. The windows are kept in the state directory, so that a promise survives a restart.
import RPC
import ServiceKit
import Wire

struct FootageCalls: Sendable {
    let engine: CaptureEngine
    let inventory: Inventory

    static let defaultHoldMs = 900_000
    static let mostSources = 1000
    /// Windows of one source at a time: every packet looks at each. With holds of 15 minutes that is four new ones a second.
    static let mostWindows = 4096

    func ensure(_ request: EnsureFootageRequest) async throws -> EnsureFootageReply {
        let key = try FieldCheck.someText(request.key, "key")
        try FieldCheck.entries(request.sources, "sources", 1...Self.mostSources)
        let range = try FieldCheck.window(request.window, "window")
        let span = Span(startUs: range.lowerBound, endUs: range.upperBound)
        let holdMs = try FieldCheck.bounded(
            request.holdMs, "hold_ms", default: Self.defaultHoldMs, 1000...86_400_000)
        let sources = try request.sources.enumerated().map { try SourceKey(checking: $1, "sources[\($0)]") }
        let nowUs = wallClockUs()
        // The hold counts from now, or from the window's end where that lies ahead.
        let windows = sources.map {
            FootageWindow(
                key: key, source: $0, span: span, holdUntilUs: max(nowUs, span.endUs) + Int64(holdMs) * 1000)
        }
        for window in windows {
            let known = engine.sessions[window.source]?.remains.windows ?? []
            guard known.count < Self.mostWindows || known.contains(where: { $0.key == key }) else {
                throw RPCError.resourceExhausted(
                    "\(known.count) windows of \(window.source) are held already; try again when some have run out")
            }
        }
        // Recording first, promise second: the ring forgets while a disk syncs.
        var results: [(FootageWindow, SourcePipeline.EnsureResult?)] = []
        for window in windows { results.append((window, engine.sessions[window.source]?.ensure(window))) }
        let held = results.filter { $0.1 != nil }.map(\.0)
        do { try await inventory.keep(held) } catch {
            throw RPCError.unavailable("the hold could not be stored in the state directory: \(error)")
        }
        var reply = EnsureFootageReply()
        for (window, result) in results {
            let covered = result == nil ? [] : try await covered(window)
            reply.sources.append(Self.answer(window, result, covered: covered, nowUs: nowUs))
        }
        return reply
    }

    private func covered(_ window: FootageWindow) async throws -> [Span] {
        do { return try await inventory.covered(window.source, window.span) } catch {
            throw RPCError.unavailable("the footage inventory cannot be read: \(error)")
        }
    }

    /// The state by the contract. Pure.
    static func answer(
        _ window: FootageWindow, _ result: SourcePipeline.EnsureResult?, covered: [Span], nowUs: Int64
    ) -> EnsuredSource {
        guard let result else {
            return EnsuredSource(
                source: window.source.wire, state: .notHeld, reason: "this controller does not hold the camera")
        }
        let onDisk = covered.first.map { max($0.startUs, window.span.startUs) }
        let available = [onDisk, result.availableFromUs].compactMap { $0 }.min()
        let state: FootageState
        var reason: String?
        if result.isReached, !result.isRecording {
            // A file that was written out a moment ago may not be sealed yet; then the disk does not know it.
            if onDisk != nil {
                state = .sealed
            } else {
                state = available == nil ? .notRecorded : .recording
                if available == nil {
                    reason = "nothing was recorded in the window, and the ring does not reach back to it"
                }
            }
        } else if window.span.endUs <= nowUs, available == nil, !result.isRecording || !result.isStreaming {
            state = .notRecorded
            reason = "nothing was recorded in the window, and the ring does not reach back to it"
        } else if result.isStreaming {
            state = .recording
        } else {
            state = .dark
            reason = "the camera gives nothing at present; what comes inside the window is recorded"
        }
        return EnsuredSource(
            source: window.source.wire, state: state, availableFromUs: available, reason: reason)
    }
}
