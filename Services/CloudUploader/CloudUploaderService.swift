// The uploader's loops: the line to the storage, the worker, the hints that wake it, and a look at the volume so that its loss
// shows in health.
import Claims
import RPC
import ServiceLifecycle

/// Runs until graceful shutdown; then stops uploads, hands claims back and ends.
struct CloudUploaderService: Service {
    let worker: ClaimWorker
    let archive: ArchiveVolume
    let target: any UploadTarget
    let line: PacedLine
    let hints: HintSubscriber
    /// Nil where the volume uploads by itself: it evicts by itself too.
    let eviction: Eviction?

    private static let watchInterval = Duration.seconds(2)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await line.run() }
                group.addTask { await worker.run() }
                group.addTask { await eviction?.run() }
                group.addTask { for await _ in hints.hints { worker.wake() } }
                group.addTask {
                    while !Task.isCancelled {
                        _ = await archive.current()
                        try? await Task.sleep(for: Self.watchInterval)
                    }
                }
            }
        }
        await target.close()
    }
}
