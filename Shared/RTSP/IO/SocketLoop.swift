// SocketLoop: one thread that carries the connections of many cameras. It waits for all of them at once (epoll), reads as
// much as came in one call, and shows it to the connection's owner; nothing is copied in between.
//
// Wake-ups are the cost of recording, not bytes: with a low-water mark on a socket (Connection.setLowWater) the kernel does not
// wake the thread for each packet. The thread reads all such sockets in one round each 100 ms, and a socket in between only
// where it holds as much as the mark says. Connections that are wanted sooner than that say how long they can wait
// (Connection.paceNs): then rounds begin at least so far apart, and bring whatever came meanwhile, of all connections.

import CEpoll
import Glibc
import Synchronization

/// Carries connections on a thread of its own until `stop`.
final class SocketLoop: Sendable {
    /// How often owners are ticked.
    static let tickNs: Int64 = 50_000_000
    /// Each so many ticks, what stays below a low-water mark or waits for a paced round is read, and owners hear that it was: after 100 ms, so that a killed process loses no more.
    static let ticksToDrain = 2

    private let posts: LoopPosts
    private let numbers = Atomic<UInt64>(0)

    /// Starts the thread. It connects to no address that lies in one of `forbidden`.
    init(name: String, forbidden: [NetworkRange] = []) throws(SocketError) {
        posts = try LoopPosts()
        let posts = posts
        let poll = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard poll >= 0 else { throw SocketError(code: errno) }
        startLoopThread(name) { LoopCore(poll: poll, posts: posts, forbidden: forbidden).run() }
    }

    /// Connects to a host. The owner is made on the loop's thread and stays there.
    ///
    /// - Parameters:
    ///   - host: a name, or an address without brackets.
    ///   - tls: what its certificate must be; nil: plain text.
    ///   - connectNs: how long all its addresses together may take, and TLS after that.
    ///   - maximumMessageBytes: the longest message that the owner must see whole.
    @discardableResult
    func connect(
        host: String, port: UInt16, tls trust: TLSTrust? = nil, connectNs: Int64, maximumMessageBytes: Int,
        owner: @escaping @Sendable () -> any ConnectionOwner
    ) -> ConnectionID {
        let id = ConnectionID(number: numbers.add(1, ordering: .relaxed).newValue)
        let posts = posts
        posts.post { core in
            let untilNs = core.nowNs + connectNs
            let owner = owner()
            let session: TLSSession?
            do throws(TLSFailure) {
                session = try trust.map { (trust) throws(TLSFailure) in try TLSSession(trust: trust, host: host) }
            } catch {
                return owner.ended(.distrusted(error.description), nowNs: core.nowNs)
            }
            core.add(
                Connection(id: id, maximumMessageBytes: maximumMessageBytes, connectUntilNs: untilNs, tls: session),
                owner)
            HostAddress.lookUp(host, port: port) { found in posts.post { core in core.resolved(id, found) } }
        }
        return id
    }

    /// Runs `body` on the loop's thread with a connection and its owner, if it still is.
    func with(_ id: ConnectionID, _ body: @escaping @Sendable (Connection, any ConnectionOwner) -> Void) {
        posts.post { core in core.with(id, body) }
    }

    /// Runs `body` on the loop's thread once it is `atNs` by the monotonic clock, within a millisecond; not after `stop`.
    func at(_ atNs: Int64, _ body: @escaping @Sendable (_ nowNs: Int64) -> Void) {
        posts.post { core in core.at(atNs, body) }
    }

    /// Ends all connections and the thread. Their owners are told.
    func stop() { posts.post { core in core.stop() } }
}

/// The round that a loop's thread is in. What it asks of other loops meanwhile (packets of many cameras, pushed to media servers)
/// wakes each of them once, at its end.
final class LoopRound {
    /// Failing, every post wakes its loop by itself.
    private static let key: pthread_key_t? = {
        var key = pthread_key_t()
        return pthread_key_create(&key, nil) == 0 ? key : nil
    }()
    private var waiting: [LoopPosts] = []

    /// Of the thread that calls.
    static var current: LoopRound? {
        // Sound: only `begin` sets it, to an object that its thread's core owns until the thread ends.
        key.flatMap { pthread_getspecific($0) }.map { Unmanaged<LoopRound>.fromOpaque($0).takeUnretainedValue() }
    }

    /// This is the round of the thread that calls, from now on.
    func begin() {
        if let key = Self.key { pthread_setspecific(key, Unmanaged.passUnretained(self).toOpaque()) }
    }

    func wakeLater(_ posts: LoopPosts) { waiting.append(posts) }

    /// Wakes whoever was asked for something.
    func end() {
        guard !waiting.isEmpty else { return }
        for posts in waiting { posts.wake() }
        waiting.removeAll(keepingCapacity: true)
    }
}

/// What other threads ask of the loop; wakes it.
final class LoopPosts: Sendable {
    typealias Post = @Sendable (LoopCore) -> Void
    /// Readable when something waits.
    let wakeDescriptor: Int32
    private let waiting = Mutex<[Post]>([])

    init() throws(SocketError) {
        wakeDescriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard wakeDescriptor >= 0 else { throw SocketError(code: errno) }
    }

    deinit { close(wakeDescriptor) }

    func post(_ post: @escaping Post) {
        let isFirst = waiting.withLock { waiting in
            waiting.append(post)
            return waiting.count == 1
        }
        // One wake-up brings all that wait.
        guard isFirst else { return }
        if let round = LoopRound.current { round.wakeLater(self) } else { wake() }
    }

    func wake() { _ = eventfd_write(wakeDescriptor, 1) }

    func take() -> [Post] {
        var count: eventfd_t = 0
        _ = eventfd_read(wakeDescriptor, &count)
        return waiting.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
    }
}
