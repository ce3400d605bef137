// RequestTable: the requests that a server is working on: whether one more may run, when the next deadline is, which are
// over it, whether all are done. No I/O and no clock: times come in.

/// The requests in hand of one server. `Work` is what the server needs to stop or answer one.
struct RequestTable<Work: Sendable>: Sendable {
    typealias ID = UInt64

    /// What becomes of a request that arrived.
    enum Admission: Equatable, Sendable {
        case run
        /// A bound is reached; only what is answered under any load may run.
        case overloaded
        case stopping
    }

    /// A request in hand.
    struct Entry: Sendable {
        var work: Work
        let pipe: UInt32
        let sizeBytes: Int
        let countsAgainstLimits: Bool
        let deadline: ContinuousClock.Instant
        /// True once it was answered without waiting for its handler.
        var isAbandoned = false
    }

    let maximumRequests: Int
    let maximumBytes: Int
    private(set) var isStopping = false
    private(set) var countedRequests = 0
    private(set) var countedBytes = 0
    private var entries: [ID: Entry] = [:]
    /// Counted requests of each connection that has any.
    private var countedByPipe: [UInt32: Int] = [:]
    private var lastID: ID = 0

    init(maximumRequests: Int, maximumBytes: Int) {
        self.maximumRequests = maximumRequests
        self.maximumBytes = maximumBytes
    }

    var isEmpty: Bool { entries.isEmpty }

    /// The most requests that one connection may have in hand: three quarters, so that a caller that asks for all it can leaves
    /// room for the others.
    private var maximumOfOnePipe: Int { maximumRequests - maximumRequests / 4 }

    /// Decides about a request that arrived. One request always fits, however large the server lets it be.
    func admission(ofBytes sizeBytes: Int, pipe: UInt32) -> Admission {
        if isStopping { return .stopping }
        let isFull = countedRequests >= maximumRequests
        let isGreedy = countedByPipe[pipe, default: 0] >= maximumOfOnePipe
        let isHeavy = countedRequests > 0 && countedBytes + sizeBytes > maximumBytes
        return isFull || isGreedy || isHeavy ? .overloaded : .run
    }

    /// Enters a request. What is answered under any load does not count.
    mutating func enter(
        _ work: Work, sizeBytes: Int, pipe: UInt32, countsAgainstLimits: Bool, deadline: ContinuousClock.Instant
    ) -> ID {
        lastID &+= 1
        entries[lastID] = Entry(
            work: work, pipe: pipe, sizeBytes: sizeBytes, countsAgainstLimits: countsAgainstLimits, deadline: deadline)
        if countsAgainstLimits {
            countedRequests += 1
            countedBytes += sizeBytes
            countedByPipe[pipe, default: 0] += 1
        }
        return lastID
    }

    /// Adds to the work of a request what is known only after it was entered. True where it was given up meanwhile: whoever
    /// gave it up did not see what is added.
    mutating func update(_ id: ID, _ change: (inout Work) -> Void) -> Bool {
        guard var entry = entries[id] else { return false }
        change(&entry.work)
        entries[id] = entry
        return entry.isAbandoned
    }

    /// A request's task has ended.
    mutating func leave(_ id: ID) {
        guard let entry = entries.removeValue(forKey: id), entry.countsAgainstLimits else { return }
        countedRequests -= 1
        countedBytes -= entry.sizeBytes
        let left = countedByPipe[entry.pipe, default: 1] - 1
        countedByPipe[entry.pipe] = left > 0 ? left : nil
    }

    /// Requests whose deadline has passed, each given once. They stay in hand until their tasks end.
    mutating func expire(now: ContinuousClock.Instant) -> [Work] {
        abandon { $0.deadline <= now }
    }

    /// Requests of a connection that is gone: nobody waits for their answer.
    mutating func connectionLost(_ pipe: UInt32) -> [Work] { abandon { $0.pipe == pipe } }

    /// Requests of a connection whose caller gave them up.
    mutating func cancelled(_ pipe: UInt32, where isMeant: (Work) -> Bool) -> [Work] {
        abandon { $0.pipe == pipe && isMeant($0.work) }
    }

    /// From now on nothing is admitted.
    mutating func stop() { isStopping = true }

    /// All requests that have not been given up yet, to be cancelled.
    mutating func abandonAll() -> [Work] { abandon { _ in true } }

    /// The earliest deadline among the requests that have not been given up.
    var nextDeadline: ContinuousClock.Instant? {
        entries.values.lazy.filter { !$0.isAbandoned }.map(\.deadline).min()
    }

    private mutating func abandon(where isMeant: (Entry) -> Bool) -> [Work] {
        var abandoned: [Work] = []
        for (id, entry) in entries where !entry.isAbandoned && isMeant(entry) {
            entries[id]?.isAbandoned = true
            abandoned.append(entry.work)
        }
        return abandoned
    }
}
