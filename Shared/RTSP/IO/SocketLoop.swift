// SocketLoop: one thread that carries the connections of many cameras. It waits for all of them at once (epoll), reads as
// much as came in one call, and shows it to the connection's owner; nothing is copied in between.
//
// Wake-ups are the cost of recording, not bytes: with a low-water mark on a socket (Connection.setLowWater) the kernel does not
// wake the thread for each packet. The thread reads all such sockets in one round each 100 ms, and a socket in between only
// where it holds as much as the mark says.

import CEpoll
import Glibc
import Synchronization

/// Carries connections on a thread of its own until `stop`.
final class SocketLoop: Sendable {
    /// How often owners are ticked.
    static let tickNs: Int64 = 50_000_000
    /// Each so many ticks, what stays below a low-water mark is read: after 100 ms, so that a killed process loses no more.
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

/// What other threads ask of the loop; wakes it.
final class LoopPosts: Sendable {
    typealias Post = @Sendable (LoopCore) -> Void
    /// Readable when something waits.
    let wakeDescriptor: Int32
    private let writeDescriptor: Int32
    private let waiting = Mutex<[Post]>([])

    init() throws(SocketError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw SocketError(code: errno) }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        (wakeDescriptor, writeDescriptor) = (ends[0], ends[1])
    }

    deinit {
        close(wakeDescriptor)
        close(writeDescriptor)
    }

    func post(_ post: @escaping Post) {
        let isFirst = waiting.withLock { waiting in
            waiting.append(post)
            return waiting.count == 1
        }
        // One wake-up brings all that wait, so that the pipe never holds more than a byte or two.
        if isFirst { _ = write(writeDescriptor, [1], 1) }
    }

    func take() -> [Post] {
        var byte: UInt8 = 0
        while read(wakeDescriptor, &byte, 1) > 0 {}
        return waiting.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
    }
}
