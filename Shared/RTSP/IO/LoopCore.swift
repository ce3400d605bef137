// LoopCore: what SocketLoop's thread does. Belongs to that thread alone.

import CEpoll
import Foundation
import Glibc

func startLoopThread(_ name: String, _ body: @escaping @Sendable () -> Void) {
    let thread = Thread(block: body)
    thread.name = name
    thread.start()
}

/// The connections of one loop.
final class LoopCore {
    private struct Entry {
        let connection: Connection
        let owner: any ConnectionOwner
    }

    /// The part of an event's number that names its connection; above it stands 0 for the stream, or one more than the place of
    /// the port among the connection's datagrams.
    private static let connectionNumbers: UInt64 = (1 << 48) - 1
    /// Datagrams read before others have their turn: a burst of a keyframe at 4 Mbit/s.
    private static let datagramsInARow = 128
    /// Events taken from the kernel in one call.
    private static let eventsAtOnce = 64
    /// A reader that lags is shown no more than this before the others have their turn; the kernel keeps the rest.
    private static let readsInARow = 4

    /// What comes encrypted is read here, before it is decrypted into its connection's buffer.
    private let wire = UnsafeMutableRawBufferPointer.allocate(
        byteCount: ReceiveBuffer.firstCapacityBytes, alignment: 64)
    private let poll: Int32
    private let posts: LoopPosts
    private let round = LoopRound()
    private var entries: [ConnectionID: Entry] = [:]
    private let forbidden: [NetworkRange]
    /// What is to be done at a time, the next first.
    private var alarms: [(atNs: Int64, body: @Sendable (Int64) -> Void)] = []
    private var nextTickNs: Int64 = 0
    /// The shortest pace of a connection that has one; 0: none has.
    private var paceNs: Int64 = 0
    private var ticks = 0
    private var stopped = false

    /// When this round began, in nanoseconds of the monotonic clock.
    private(set) var nowNs: Int64 = 0

    init(poll: Int32, posts: LoopPosts, forbidden: [NetworkRange] = []) {
        self.poll = poll
        self.forbidden = forbidden
        self.posts = posts
        watch(posts.wakeDescriptor, EPOLL_CTL_ADD, reading: true, writing: false, number: 0)
        nowNs = Self.monotonicNs()
    }

    deinit {
        close(poll)
        wire.deallocate()
    }

    func run() {
        var events = [epoll_event](repeating: epoll_event(), count: Self.eventsAtOnce)
        round.begin()
        while !stopped {
            round.end()
            pause()
            let count = epoll_wait(poll, &events, Int32(events.count), waitMs())
            nowNs = Self.monotonicNs()
            for event in events.prefix(Int(max(0, count))) {
                // Linux packs the struct: the number is read through a copy.
                let number = event.data.u64
                if number == 0 {
                    for post in posts.take() { post(self) }
                } else {
                    ready(ConnectionID(number: number & Self.connectionNumbers), datagramPort: Int(number >> 48))
                }
            }
            if nowNs >= nextTickNs { tick() }
            while let first = alarms.first, first.atNs <= nowNs { alarms.removeFirst().body(nowNs) }
        }
        for id in entries.keys { end(id, .closed) }
        round.end()
    }

    /// Lets events gather where connections said that they may.
    private func pause() {
        guard paceNs > 0 else { return }
        let restNs = nowNs + paceNs - Self.monotonicNs()
        guard restNs > 0 else { return }
        var rest = timespec(tv_sec: 0, tv_nsec: Int(min(restNs, SocketLoop.tickNs)))
        nanosleep(&rest, nil)
    }

    private func waitMs() -> Int32 {
        let next = min(entries.isEmpty ? .max : nextTickNs, alarms.first?.atNs ?? .max)
        guard next < .max else { return -1 }
        return Int32(clamping: max(0, (next - Self.monotonicNs() + 999_999) / 1_000_000))
    }

    private static func monotonicNs() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    // MARK: From other threads

    func add(_ connection: Connection, _ owner: any ConnectionOwner) {
        entries[connection.id] = Entry(connection: connection, owner: owner)
        if entries.count == 1 { nextTickNs = nowNs + SocketLoop.tickNs }
    }

    func resolved(_ id: ConnectionID, _ found: Result<[HostAddress], LookUpFailure>) {
        guard let entry = entries[id], case .resolving = entry.connection.state else { return }
        switch found {
        case .failure(let failure): end(id, .unknownHost(failure.reason))
        case .success(let addresses):
            let allowed = addresses.filter { address in !forbidden.contains { $0.contains(address) } }
            connect(entry.connection, allowed[...], after: addresses.isEmpty ? .unreachable("no address") : .forbidden)
        }
    }

    func with(_ id: ConnectionID, _ body: (Connection, any ConnectionOwner) -> Void) {
        guard let entry = entries[id] else { return }
        body(entry.connection, entry.owner)
        carryOut(entry)
    }

    func stop() { stopped = true }

    func at(_ atNs: Int64, _ body: @escaping @Sendable (Int64) -> Void) {
        let place = alarms.firstIndex { $0.atNs > atNs } ?? alarms.endIndex
        alarms.insert((atNs, body), at: place)
    }

    // MARK: Connecting

    /// Tries the next address; with none left the connection ended as the last attempt did.
    private func connect(_ connection: Connection, _ addresses: ArraySlice<HostAddress>, after last: ConnectionEnd) {
        var last = last
        var left = addresses
        while let address = left.popFirst() {
            do throws(SocketError) {
                let socket = try StreamSocket(connectingTo: address)
                // What is left of the time, shared among the addresses that are left.
                let untilNs = nowNs + max(0, connection.connectUntilNs - nowNs) / Int64(left.count + 1)
                connection.state = .connecting(socket, left: left, untilNs: untilNs)
                connection.peer = address
                watch(socket.descriptor, EPOLL_CTL_ADD, reading: false, writing: true, number: connection.id.number)
                return
            } catch {
                last = Self.end(connecting: error)
            }
        }
        end(connection.id, last)
    }

    private static func end(connecting error: SocketError) -> ConnectionEnd {
        error.code == ECONNREFUSED ? .refused : .unreachable(error.description)
    }

    private func finishConnecting(_ entry: Entry, _ socket: StreamSocket, _ left: ArraySlice<HostAddress>) {
        if let error = socket.connectError {
            return connect(entry.connection, left, after: Self.end(connecting: error))
        }
        watch(socket.descriptor, EPOLL_CTL_MOD, reading: true, writing: false, number: entry.connection.id.number)
        if let tls = entry.connection.tls {
            entry.connection.state = .securing(socket)
            secure(entry, socket, tls)
        } else {
            stands(entry, socket)
        }
    }

    private func stands(_ entry: Entry, _ socket: StreamSocket) {
        entry.connection.state = .standing(socket)
        entry.owner.connected(entry.connection, nowNs: nowNs)
        carryOut(entry)
    }

    /// A step of the TLS handshake.
    private func secure(_ entry: Entry, _ socket: StreamSocket, _ tls: TLSSession) {
        let connection = entry.connection
        do throws(TLSFailure) {
            let isDone = try tls.handshake()
            connection.queue(tls.takeOutgoing())
            carryOut(entry)
            if isDone, case .securing = connection.state { stands(entry, socket) }
        } catch {
            // The alert that says what is wrong goes out as far as the kernel takes it.
            connection.queue(tls.takeOutgoing())
            connection.wishesEnd = .distrusted(error.description)
            carryOut(entry)
        }
    }

    // MARK: Reading and writing

    private func ready(_ id: ConnectionID, datagramPort: Int) {
        // Not there: it ended earlier in this round.
        guard let entry = entries[id] else { return }
        if datagramPort > 0 {
            guard datagramPort <= entry.connection.datagrams.count else { return }
            return read(entry, entry.connection.datagrams[datagramPort - 1])
        }
        switch entry.connection.state {
        case .connecting(let socket, let left, _): finishConnecting(entry, socket, left)
        case .securing(let socket), .standing(let socket):
            if !entry.connection.unsent.isEmpty { carryOut(entry) }
            read(entry, socket)
        case .resolving, .over: break
        }
    }

    private func read(_ entry: Entry, _ socket: StreamSocket) {
        let connection = entry.connection
        for _ in 0..<Self.readsInARow where connection.isOpen {
            guard let room = connection.tls == nil ? connection.buffer.room() : wire else {
                return overflow(connection)
            }
            switch socket.read(into: room) {
            case .nothingThere: return
            case .ended: return end(connection.id, .closedByPeer)
            case .failed(let error): return end(connection.id, .broken(error.description))
            case .bytes(let count):
                connection.bytesReceived += UInt64(count)
                if let tls = connection.tls {
                    tls.received(UnsafeRawBufferPointer(rebasing: room[..<count]))
                    if case .securing = connection.state { secure(entry, socket, tls) }
                    if case .standing = connection.state { decrypt(entry, tls) }
                } else {
                    show(entry, count)
                }
                // A read that did not fill its room took all there was.
                if count < room.count { return }
            }
        }
    }

    private func read(_ entry: Entry, _ socket: DatagramSocket) {
        let connection = entry.connection
        for _ in 0..<Self.datagramsInARow where connection.isOpen {
            guard let (count, from) = socket.read(into: wire) else { break }
            // Anybody can send to a port; only the camera's own host counts.
            guard let peer = connection.peer, from.isSameHost(as: peer) else { continue }
            connection.bytesReceived += UInt64(count)
            entry.owner.received(
                datagram: UnsafeRawBufferPointer(rebasing: wire[..<count]), channel: socket.channel, nowNs: nowNs)
        }
        carryOut(entry)
    }

    /// Shows the owner what was added to the buffer.
    private func show(_ entry: Entry, _ count: Int) {
        entry.connection.buffer.received(count)
        entry.connection.buffer.consume(entry.owner.received(entry.connection.buffer.bytes, nowNs: nowNs))
        carryOut(entry)
    }

    private func decrypt(_ entry: Entry, _ tls: TLSSession) {
        let connection = entry.connection
        do throws(TLSFailure) {
            while connection.isOpen {
                guard let room = connection.buffer.room() else { return overflow(connection) }
                guard let count = try tls.read(into: room) else { return end(connection.id, .closedByPeer) }
                if count == 0 { return }
                show(entry, count)
            }
        } catch {
            end(connection.id, .broken(error.description))
        }
    }

    private func overflow(_ connection: Connection) {
        end(connection.id, .overflow(bytes: connection.buffer.bytes.count))
    }

    /// What the owner wished for during its call: bytes to send, or the end.
    private func carryOut(_ entry: Entry) {
        let connection = entry.connection
        while connection.datagramsWatched < connection.datagrams.count {
            let port = connection.datagramsWatched
            connection.datagramsWatched += 1
            watch(
                connection.datagrams[port].descriptor, EPOLL_CTL_ADD, reading: true, writing: false,
                number: connection.id.number | UInt64(port + 1) << 48)
        }
        if let socket = connection.socket, !connection.unsent.isEmpty {
            do throws(SocketError) {
                connection.unsent = connection.unsent.dropFirst(try socket.write(connection.unsent))
            } catch {
                return end(connection.id, .broken(error.description))
            }
            let isWaiting = !connection.unsent.isEmpty
            if isWaiting != connection.isWatchedForWriting {
                connection.isWatchedForWriting = isWaiting
                watch(socket.descriptor, EPOLL_CTL_MOD, reading: true, writing: isWaiting, number: connection.id.number)
            }
        }
        if let wish = connection.wishesEnd { end(connection.id, wish) }
    }

    private func end(_ id: ConnectionID, _ why: ConnectionEnd) {
        guard let entry = entries.removeValue(forKey: id) else { return }
        // Closing the descriptor takes it out of the poll.
        entry.connection.state = .over
        entry.owner.ended(why, nowNs: nowNs)
    }

    private func tick() {
        nextTickNs = nowNs + SocketLoop.tickNs
        ticks &+= 1
        let drains = ticks % SocketLoop.ticksToDrain == 0
        paceNs = entries.values.lazy.map(\.connection.paceNs).filter { $0 > 0 }.min() ?? 0
        for (id, entry) in entries {
            switch entry.connection.state {
            case .resolving where nowNs >= entry.connection.connectUntilNs:
                end(id, .unknownHost("the name server does not answer"))
                continue
            case .connecting(_, let left, let untilNs) where nowNs >= untilNs:
                connect(entry.connection, left, after: .unreachable("no answer"))
            case .securing where nowNs >= entry.connection.connectUntilNs:
                end(id, .distrusted("it does not finish the TLS handshake"))
                continue
            case .standing(let socket)
            where drains && (entry.connection.lowWaterBytes > 1 || entry.connection.paceNs > 0):
                read(entry, socket)
                if entries[id] != nil { entry.owner.drained(nowNs: nowNs) }
            default: break
            }
            guard entries[id] != nil else { continue }
            entry.owner.tick(nowNs: nowNs)
            carryOut(entry)
        }
    }

    private func watch(_ descriptor: Int32, _ operation: Int32, reading: Bool, writing: Bool, number: UInt64) {
        var event = epoll_event()
        event.events = (reading ? EPOLLIN.rawValue : 0) | (writing ? EPOLLOUT.rawValue : 0)
        event.data.u64 = number
        // It fails for a bad descriptor or for want of memory; a connection that is not watched is ended by its owner's tick.
        _ = epoll_ctl(poll, operation, descriptor, &event)
    }
}
