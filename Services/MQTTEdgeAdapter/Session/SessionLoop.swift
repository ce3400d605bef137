// One session with the broker on a thread of its own: connect, work, reconnect with back-off, stop. What the session does
// is its `SessionWork` (InboundSession.swift, OutboundSession.swift). libmosquitto blocks, so it never runs on Swift's
// cooperative threads.

import Dispatch
import Foundation
import Glibc
import ServiceKit
import Synchronization

/// What a session does with its connection. All calls come on the session's thread, but for a last `lost` after its end.
protocol SessionWork: AnyObject, Sendable {
    /// The broker took us; `sessionPresent` tells whether it still knew the session.
    func connected(_ connection: MosquittoConnection, sessionPresent: Bool, maximumPacketBytes: Int?)
        throws(BrokerError)
    /// Something came; throwing ends the connection.
    func take(_ event: BrokerEvent, _ connection: MosquittoConnection) throws(BrokerError)
    /// Hand over what waits to be sent; `isLeaving` where this connection is to be exchanged, so that nothing new goes on it.
    func pump(_ connection: MosquittoConnection, isLeaving: Bool) throws(BrokerError)
    /// The connection is gone.
    func lost()
    /// The connection is gone, and the next one follows at once.
    func exchanged()
    /// True while nothing may be written, because acknowledgements would leave with it.
    var holdsWrites: Bool { get }
    /// False while no further message can be taken.
    var wantsRead: Bool { get }
    /// True when nothing is left to do before a planned end.
    var isDrained: Bool { get }
    /// True where a connection can be exchanged for another one without anything being sent twice.
    var isBetween: Bool { get }
}

/// What a session says about its connection.
enum SessionReport: Sendable, Equatable {
    case up
    /// It is there again, and the broker has forgotten the session: what was published meanwhile is lost.
    case upWithoutSession
    case down(reason: String)
    /// A message waits in the broker for a neighbour of ours; the broker is well.
    case held(reason: String)
    /// Another client has our id. The session does not come back: two that take it from each other would never end.
    case takenOver(reason: String)
}

/// The thread of one session.
final class SessionLoop: Sendable {
    /// CONNACK has to come in this time; AIO's session clients wait as long.
    private static let connectBound = Duration.seconds(30)
    /// How long a planned stop may take to send what waits. The service as a whole has five seconds.
    private static let drainBound = Duration.milliseconds(1_800)
    /// How long an exchange of the connection waits for what is under way.
    private static let exchangeBound = Duration.seconds(2)

    private let name: String
    private let settings: @Sendable (_ isFirst: Bool) throws(BrokerError) -> BrokerSettings
    private let work: any SessionWork
    private let report: @Sendable (SessionReport) -> Void
    private let stopping = Atomic(false)
    private let exchanging = Atomic(false)
    private let ended = DispatchSemaphore(value: 0)
    private let bell: Bell

    /// - Parameters:
    ///   - name: for the thread, so that a debugger shows it.
    ///   - settings: asked before each connection, so that a new password, certificate or token needs no restart. It is told
    ///     whether it is the first one: only that may begin with a clean session.
    ///   - report: told of each change; called on the session's thread.
    init(
        name: String, settings: @escaping @Sendable (_ isFirst: Bool) throws(BrokerError) -> BrokerSettings,
        work: any SessionWork, bell: Bell, report: @escaping @Sendable (SessionReport) -> Void
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

    /// Asks for another connection in the place of this one, as a new token needs it: libmosquitto cannot authenticate anew
    /// on the one it has. Waits for a moment between two messages; the session goes on with the new one.
    func exchange() {
        exchanging.store(true, ordering: .releasing)
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
        var wasUp = false
        while !isStopping {
            var upSince: ContinuousClock.Instant?
            do throws(BrokerError) {
                // First: whoever asks for an exchange from now on may mean settings that are read a moment later.
                exchanging.store(false, ordering: .releasing)
                let connection = try MosquittoConnection(try settings(!wasUp))
                try connection.connect()
                try converse(connection, wasUp: wasUp) {
                    upSince = .now
                    wasUp = true
                }
            } catch {
                work.lost()
                guard !isStopping else { break }
                guard !error.isTakenOver else {
                    report(.takenOver(reason: error.description))
                    break
                }
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

    /// From CONNECT on; returns after a planned end or for an exchange, throws when the connection is lost.
    private func converse(
        _ connection: MosquittoConnection, wasUp: Bool, onUp: () -> Void
    ) throws(BrokerError) {
        let connectDeadline = ContinuousClock.now + Self.connectBound
        var drainDeadline: ContinuousClock.Instant?
        var exchangeDeadline: ContinuousClock.Instant?
        var nextTick = ContinuousClock.now + .seconds(1)
        var isUp = false
        while true {
            if isStopping {
                let deadline = drainDeadline ?? (.now + Self.drainBound)
                drainDeadline = deadline
                if !isUp || work.isDrained || ContinuousClock.now >= deadline { return leave(connection) }
            }
            let isLeaving = isUp && exchanging.load(ordering: .acquiring)
            if isLeaving {
                let deadline = exchangeDeadline ?? (.now + Self.exchangeBound)
                exchangeDeadline = deadline
                if work.isBetween || ContinuousClock.now >= deadline { return leave(connection) }
            }
            if isUp { try work.pump(connection, isLeaving: isLeaving) }
            let mayWrite = !work.holdsWrites
            if mayWrite, connection.wantsWrite { try connection.write() }
            let isReadable = bell.wait(
                milliseconds: isStopping || isLeaving ? 50 : 500,
                socket: work.wantsRead || !isUp ? connection.socket : -1,
                forWriting: mayWrite && connection.wantsWrite)
            if isReadable {
                do throws(BrokerError) { try connection.read() } catch {
                    // The broker's last word explains more than the library's error.
                    try takeEvents(connection, wasUp: wasUp, isUp: &isUp, onUp: onUp)
                    throw error
                }
            }
            try takeEvents(connection, wasUp: wasUp, isUp: &isUp, onUp: onUp)
            if ContinuousClock.now >= nextTick {
                nextTick = .now + .seconds(1)
                try connection.tick()
            }
            if !isUp, ContinuousClock.now >= connectDeadline {
                throw BrokerError(description: "the broker does not answer CONNECT")
            }
        }
    }

    /// Says goodbye. A courtesy: a connection that breaks now changes nothing.
    private func leave(_ connection: MosquittoConnection) {
        if !work.holdsWrites {
            // Acknowledgements that are due leave first.
            try? connection.write()
            connection.disconnect()
            try? connection.write()
        }
        if isStopping { work.lost() } else { work.exchanged() }
    }

    private func takeEvents(
        _ connection: MosquittoConnection, wasUp: Bool, isUp: inout Bool, onUp: () -> Void
    ) throws(BrokerError) {
        for event in connection.takeEvents() {
            switch event {
            case .connected(let sessionPresent, let maximumPacketBytes):
                isUp = true
                onUp()
                try work.connected(connection, sessionPresent: sessionPresent, maximumPacketBytes: maximumPacketBytes)
                report(wasUp && !sessionPresent && connection.isPersistent ? .upWithoutSession : .up)
            case .refused(let error): throw error
            case .disconnected(let reason, let isTakenOver):
                throw BrokerError(
                    description: "the connection to the broker was lost: \(reason)", isTakenOver: isTakenOver)
            case .message, .published, .subscribed: try work.take(event, connection)
            }
        }
    }
}
