// One session with the broker on a thread of its own: connect, work, reconnect with back-off, stop. What the session does
// is its `SessionWork` (InboundSession.swift, OutboundSession.swift). libmosquitto blocks, so it never runs on Swift's
// cooperative threads.

import Dispatch
import Foundation
import Glibc
import ServiceKit
import Synchronization

/// What a session does with its connection. All calls come on the session's thread.
protocol SessionWork: AnyObject, Sendable {
    /// The broker took us; `sessionPresent` tells whether it still knew the session.
    func connected(_ connection: MosquittoConnection, sessionPresent: Bool, maximumPacketBytes: Int?)
        throws(BrokerError)
    /// Something came; throwing ends the connection.
    func take(_ event: BrokerEvent, _ connection: MosquittoConnection) throws(BrokerError)
    /// Hand over what waits to be sent.
    func pump(_ connection: MosquittoConnection) throws(BrokerError)
    /// The connection is gone.
    func lost()
    /// True when nothing is left to do before a planned end.
    var isDrained: Bool { get }
}

/// What a session says about its connection.
enum SessionReport: Sendable, Equatable {
    case up
    case down(reason: String)
    /// A message waits in the broker for a neighbour of ours; the broker is well.
    case held(reason: String)
}

/// The thread of one session.
final class SessionLoop: Sendable {
    /// CONNACK has to come in this time; AIO's session clients wait as long.
    private static let connectBound = Duration.seconds(30)
    /// How long a planned stop may take to send what waits. The service as a whole has five seconds.
    private static let drainBound = Duration.seconds(1)

    private let name: String
    private let settings: @Sendable () throws(BrokerError) -> BrokerSettings
    private let work: any SessionWork
    private let report: @Sendable (SessionReport) -> Void
    private let stopping = Atomic(false)
    private let ended = DispatchSemaphore(value: 0)
    private let bell: Bell

    /// - Parameters:
    ///   - name: for the thread, so that a debugger shows it.
    ///   - settings: asked before each connection, so that a new password or certificate needs no restart.
    ///   - report: told of each change; called on the session's thread.
    init(
        name: String, settings: @escaping @Sendable () throws(BrokerError) -> BrokerSettings, work: any SessionWork,
        bell: Bell,
        report: @escaping @Sendable (SessionReport) -> Void
    ) {
        self.name = name
        self.settings = settings
        self.work = work
        self.bell = bell
        self.report = report
    }

    /// Starts the thread.
    func start() {
        let thread = Thread { self.run() }
        thread.name = name
        thread.start()
    }

    /// Asks for a planned end: what waits is sent, then DISCONNECT. Does not wait.
    func stop() {
        stopping.store(true, ordering: .releasing)
        bell.ring()
    }

    /// Returns when the thread has ended, or after `limit`: a host that swallows packets holds connect() for minutes, and
    /// the process may end without it.
    func finished(within limit: Duration) async {
        let ended = self.ended
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                if ended.wait(timeout: .now() + .milliseconds(limit.wholeMilliseconds)) == .success { ended.signal() }
                continuation.resume()
            }
        }
    }

    private var isStopping: Bool { stopping.load(ordering: .acquiring) }

    private func run() {
        // A broker is near and wanted: ten seconds at most until it is found again.
        var backOff = BackOff(first: .milliseconds(250), maximum: .seconds(10))
        while !isStopping {
            var upSince: ContinuousClock.Instant?
            do throws(BrokerError) {
                let connection = try MosquittoConnection(try settings())
                try connection.connect()
                try converse(connection) { upSince = .now }
            } catch {
                work.lost()
                guard !isStopping else { break }
                report(error.isOurDoing ? .held(reason: error.description) : .down(reason: error.description))
                // A connection that lasted was a success; one that is ended at once each time is not.
                if let upSince, ContinuousClock.now - upSince > .seconds(3) { backOff.reset() }
                pause(backOff.next())
            }
        }
        work.lost()
        ended.signal()
    }

    /// Waits, but not for longer than a stop allows.
    private func pause(_ duration: Duration) {
        let end = ContinuousClock.now + duration
        while !isStopping, ContinuousClock.now < end { bell.wait(milliseconds: (end - .now).wholeMilliseconds) }
    }

    /// From CONNECT on; returns after a planned end, throws when the connection is lost.
    private func converse(_ connection: MosquittoConnection, onUp: () -> Void) throws(BrokerError) {
        let connectDeadline = ContinuousClock.now + Self.connectBound
        var drainDeadline: ContinuousClock.Instant?
        var nextTick = ContinuousClock.now + .seconds(1)
        var isUp = false
        while true {
            if isStopping {
                let deadline = drainDeadline ?? (.now + Self.drainBound)
                drainDeadline = deadline
                if !isUp || work.isDrained || ContinuousClock.now >= deadline {
                    connection.disconnect()
                    // The goodbye is a courtesy: a connection that breaks now changes nothing.
                    try? connection.write()
                    return
                }
            }
            if isUp { try work.pump(connection) }
            if connection.wantsWrite { try connection.write() }
            let isReadable = bell.wait(
                milliseconds: isStopping ? 50 : 500, socket: connection.socket, forWriting: connection.wantsWrite)
            if isReadable {
                do throws(BrokerError) { try connection.read() } catch {
                    // The broker's last word explains more than the library's error.
                    try takeEvents(connection, isUp: &isUp, onUp: onUp)
                    throw error
                }
            }
            try takeEvents(connection, isUp: &isUp, onUp: onUp)
            if ContinuousClock.now >= nextTick {
                nextTick = .now + .seconds(1)
                try connection.tick()
            }
            if !isUp, ContinuousClock.now >= connectDeadline {
                throw BrokerError(description: "the broker does not answer CONNECT")
            }
        }
    }

    private func takeEvents(
        _ connection: MosquittoConnection, isUp: inout Bool, onUp: () -> Void
    ) throws(BrokerError) {
        for event in connection.takeEvents() {
            switch event {
            case .connected(let sessionPresent, let maximumPacketBytes):
                isUp = true
                onUp()
                try work.connected(connection, sessionPresent: sessionPresent, maximumPacketBytes: maximumPacketBytes)
                report(.up)
            case .refused(let error): throw error
            case .disconnected(let reason):
                throw BrokerError(description: "the connection to the broker was lost: \(reason)")
            case .message, .published, .subscribed: try work.take(event, connection)
            }
        }
    }
}

/// Wakes a session's thread while it waits for its socket.
final class Bell: Sendable {
    private let readEnd: Int32
    private let writeEnd: Int32

    /// Nil where the process has no file descriptor left.
    init?() {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        for end in ends {
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        readEnd = ends[0]
        writeEnd = ends[1]
    }

    deinit {
        close(readEnd)
        close(writeEnd)
    }

    /// Wakes the thread, now or when it waits next. A full pipe is as good: it wakes too.
    func ring() {
        var byte: UInt8 = 1
        _ = write(writeEnd, &byte, 1)
    }

    /// Waits for the bell or the socket. True where the socket has something to read, or an error to tell.
    @discardableResult
    func wait(milliseconds: Int, socket: Int32 = -1, forWriting: Bool = false) -> Bool {
        // A negative descriptor is passed over by poll.
        var descriptors = [
            pollfd(fd: readEnd, events: Int16(POLLIN), revents: 0),
            pollfd(fd: socket, events: Int16(POLLIN) | (forWriting ? Int16(POLLOUT) : 0), revents: 0),
        ]
        guard poll(&descriptors, nfds_t(descriptors.count), Int32(clamping: max(0, milliseconds))) > 0 else {
            return false
        }
        if descriptors[0].revents != 0 {
            var bytes = [UInt8](repeating: 0, count: 256)
            while read(readEnd, &bytes, bytes.count) == bytes.count {}
        }
        return descriptors[1].revents & Int16(POLLIN | POLLHUP | POLLERR | POLLNVAL) != 0
    }
}

extension Duration {
    /// Rounded up, so that a wait for it does not end early and spin.
    var wholeMilliseconds: Int {
        let (seconds, attoseconds) = components
        return Int(clamping: seconds) * 1_000 + Int((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}
