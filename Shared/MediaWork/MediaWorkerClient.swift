// Asks media-workers for pictures: keeps a few of them, hands each one request at a time, replaces those that die, hang or talk
// nonsense. The decisions are in WorkerMachine.swift, a process and its socket in WorkerChild.swift.
import Glibc

/// What a client did, for status and tests.
public struct MediaWorkerCounters: Sendable, Hashable {
    /// Requests that wait for a worker.
    public var waiting = 0
    /// Requests that a worker has.
    public var underWay = 0
    /// Workers started since the beginning.
    public var started: UInt64 = 0
    /// Workers that ended without being told to, or said nonsense.
    public var died: UInt64 = 0
    /// Workers that were ended because they took too long.
    public var overdue: UInt64 = 0
    /// The processes that run now.
    public var processIDs: Set<Int32> = []
}

/// A few media-workers, started when first needed. Ends them when it is closed or let go.
public final class MediaWorkerClient: Sendable {
    /// The time for one picture where nothing is said. On a busy core a 4K picture takes 0.3 to 1.3 s with the worker's start
    /// (pure noise as PNG 3.5), one of 64 megapixels 1 to 6 s: who takes longer hangs, or the machine has no time for pictures.
    public static let defaultLimit: Duration = .seconds(10)
    /// Requests that may wait: one per task and camera of the largest site comes to less. Further ones fail at once.
    public static let maximumWaiting = 1024

    private let queue: Gate<WorkQueue>

    /// - Parameters:
    ///   - executable: path of the media-worker.
    ///   - workers: how many at most. By default as many as there are cores, since they do nothing but compute; at least two,
    ///     so that one picture that hangs does not hold up the other cameras.
    public init(executable: String, workers: Int = max(2, sysconf(Int32(_SC_NPROCESSORS_ONLN)))) {
        queue = Gate(WorkQueue())
        for _ in 0..<max(1, workers) {
            let thread = WorkerThread(executable, queue)
            // The kernel ends a worker with the thread that started it, so each thread lives as long as the client.
            if startWorkThread({ thread.run() }) { queue.change { $0.threads += 1 } }
        }
    }

    deinit { close() }

    /// Path of the media-worker beside the running executable.
    public static func besideThisProgram() -> String {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let length = readlink("/proc/self/exe", &buffer, buffer.count)
        let path = String(decoding: buffer.prefix(max(length, 0)), as: UTF8.self)
        let folder = path.lastIndex(of: "/").map { path[...$0] } ?? "./"
        return folder + "media-worker"
    }

    /// What it did and does.
    public var counters: MediaWorkerCounters {
        queue.change { queue in
            var counters = queue.counters
            counters.waiting = queue.waiting.count
            return counters
        }
    }

    /// Makes a picture. Blocks the calling thread, never longer than `limit`: call it on a thread that may wait. Errors: those of
    /// the worker (`corrupt`, `limit`, `internal`), `overdue` once `limit` is over, `unavailable` when no worker can do it.
    public func picture(
        of request: PictureRequest, within limit: Duration = defaultLimit
    ) throws(PictureError) -> Picture {
        let job = WorkJob(request, limit: limit)
        if let refusal = queue.change({ $0.put(job) }) { throw refusal }
        guard let result = job.result.wait(atMost: limit, { $0 }) else {
            job.abandon()
            throw PictureError(.overdue, "no picture within \(limit): the media-workers are busy, or hang on this one")
        }
        return try result.get()
    }

    /// Ends the workers. What waits, and every later request, fails.
    public func close() {
        for job in queue.change({ $0.close() }) { job.finish(.failure(WorkQueue.closed)) }
    }
}

/// One request on its way.
final class WorkJob: Sendable {
    let request: PictureRequest
    /// How long a worker may have it. The time in the queue is not the worker's fault, so it does not count; it counts for
    /// whoever waits.
    let limit: Duration
    let result = Gate<Result<Picture, PictureError>?>(nil)
    private let abandoned = Gate(false)

    init(_ request: PictureRequest, limit: Duration) {
        self.request = request
        self.limit = limit
    }

    /// Nobody waits for it any more.
    func abandon() { abandoned.change { $0 = true } }
    var isWanted: Bool { abandoned.change { !$0 } }
    func finish(_ outcome: Result<Picture, PictureError>) { result.change { $0 = outcome } }
}

/// What the threads of a client share.
struct WorkQueue {
    static let closed = PictureError(.unavailable, "no picture is made any more: the service is stopping")

    var waiting: [WorkJob] = []
    var counters = MediaWorkerCounters()
    var threads = 0
    private(set) var isClosed = false
    private var children: [WorkerChild] = []

    /// Adds a request, or says why not.
    mutating func put(_ job: WorkJob) -> PictureError? {
        if isClosed { return Self.closed }
        if threads == 0 { return PictureError(.unavailable, "the system has no thread for a media-worker") }
        // Those that nobody waits for are taken by no worker.
        if waiting.count >= MediaWorkerClient.maximumWaiting { waiting.removeAll { !$0.isWanted } }
        if waiting.count >= MediaWorkerClient.maximumWaiting {
            return PictureError(.unavailable, "\(waiting.count) pictures wait to be made already; try again later")
        }
        waiting.append(job)
        return nil
    }

    /// The next request that somebody waits for.
    mutating func take() -> WorkJob? {
        waiting.removeAll { !$0.isWanted }
        guard !waiting.isEmpty else { return nil }
        counters.underWay += 1
        return waiting.removeFirst()
    }

    mutating func add(_ child: WorkerChild) {
        children.append(child)
        counters.started += 1
        counters.processIDs.insert(child.processID)
        if isClosed { child.interrupt() }
    }

    /// Before the child's end, so that nobody interrupts a descriptor that is another's by then.
    mutating func remove(_ child: WorkerChild) {
        children.removeAll { $0 === child }
        counters.processIDs.remove(child.processID)
    }

    mutating func close() -> [WorkJob] {
        isClosed = true
        for child in children { child.interrupt() }
        defer { waiting = [] }
        return waiting
    }
}
