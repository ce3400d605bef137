// TLSUpkeep: ends the TLS connections that nng 1.5 has lost without noticing, and connects anew where it has stopped to.
//
// nng's TLS layer reads ahead. When a TCP connection ends while nobody waits for a message on it, in the instants between two
// reads of the layer above, TLS closes the TCP connection, finds nobody to tell, and never completes a read after that
// (tls_tcp_error in its tls_common.c ends what is in the queue, and forgets). The connection above looks alive for good. A
// client calls nobody any more, since its dialer waits for that connection to end; a listener keeps the memory. While a
// connection is still being negotiated it is the dialer that waits for good. A peer that is killed while it answers does
// this to one connection in ten, one that is restarted to one in a hundred.
//
// So once a second every TLS connection is asked for its peer's address, which a TCP connection that has ended has no more.
// One that has none for two turns is closed: by then nothing is left in it that could be half read, which nng must not be
// made to close (Shared/CNNGRepair). A dialer that has had no connection for a while is made anew; where the neighbour is
// just away, that costs nothing.

import CNNG
import Foundation
import Synchronization

/// The TLS connections and dialers of the process, and the thread that looks after them.
final class TLSUpkeep: Sendable {
    /// Makes a dialer once more; nil where its socket is closed.
    typealias Redial = @Sendable () -> nng_dialer?

    private struct Dialer {
        let socket: UInt32
        let redial: Redial
    }

    private struct State {
        var table = TLSUpkeepTable()
        var dialers: [UInt32: Dialer] = [:]
        var hasThread = false
    }

    static let shared = TLSUpkeep()

    /// Between two looks. One asks the kernel for an address per connection.
    private static let pause: TimeInterval = 1

    private let state = Mutex(State())

    /// Follows a dialer of a socket. `redial` is called on a thread where it may block.
    func dials(_ dialer: nng_dialer, of socket: nng_socket, _ redial: @escaping Redial) {
        follow { state in
            state.dialers[dialer.id] = Dialer(socket: socket.id, redial: redial)
            state.table.dialerAdded(dialer.id, at: .now)
        }
    }

    /// Takes in a connection; others than those over TLS are passed over. May be called on nng's threads.
    func connected(_ pipe: nng_pipe) {
        var isVerified = false
        guard nng_pipe_get_bool(pipe, NNG_OPT_TLS_VERIFIED, &isVerified) == 0 else { return }
        let dialer = nng_pipe_dialer(pipe).id
        follow { $0.table.connected(pipe.id, by: dialer) }
    }

    /// Forgets a connection that nng has ended.
    func disconnected(_ pipe: nng_pipe) {
        state.withLock { $0.table.disconnected(pipe.id, at: .now) }
    }

    /// Forgets the dialers of a socket that is being closed.
    func forget(_ socket: nng_socket) {
        state.withLock { state in
            for (id, dialer) in state.dialers where dialer.socket == socket.id {
                state.dialers[id] = nil
                state.table.dialerRemoved(id)
            }
        }
    }

    /// One look. Blocks; on the upkeep's thread.
    func turn() {
        let pipes = state.withLock { $0.table.connections }
        let dead = pipes.filter { !Self.hasPeer($0) }
        let actions = state.withLock { $0.table.turn(dead: Set(dead), at: .now) }
        for action in actions {
            switch action {
            case .close(let pipe):
                // One that nng does not know has ended before it was reported.
                if nng_pipe_close(nng_pipe(id: pipe)) != 0 { disconnected(nng_pipe(id: pipe)) }
            case .redial(let dialer): redial(dialer)
            }
        }
    }

    private func redial(_ id: UInt32) {
        let old = state.withLock { state in
            state.table.dialerRemoved(id)
            return state.dialers.removeValue(forKey: id)
        }
        guard let old else { return }
        nng_dialer_close(nng_dialer(id: id))
        guard let new = old.redial() else { return }
        dials(new, of: nng_socket(id: old.socket), old.redial)
    }

    private func follow(_ change: (inout State) -> Void) {
        let isFirst = state.withLock { state in
            change(&state)
            defer { state.hasThread = true }
            return !state.hasThread
        }
        guard isFirst else { return }
        // For the rest of the process: who has one TLS address keeps it.
        Thread.detachNewThread { [self] in
            while true {
                Thread.sleep(forTimeInterval: Self.pause)
                turn()
            }
        }
    }

    private static func hasPeer(_ pipe: UInt32) -> Bool {
        var address = nng_sockaddr()
        return nng_pipe_get_addr(nng_pipe(id: pipe), NNG_OPT_REMADDR, &address) == 0
    }
}

/// What is to be ended or begun anew. Pure.
struct TLSUpkeepTable: Sendable {
    enum Action: Equatable, Sendable {
        case close(pipe: UInt32)
        case redial(dialer: UInt32)
    }

    /// Longest time that a dialer goes without a connection: nng gives up a negotiation after 10 s, if it does.
    static let patience = Duration.seconds(12)

    private struct Connection {
        let dialer: UInt32
        /// Whether the last look found no peer.
        var wasDead = false
    }

    private var pipes: [UInt32: Connection] = [:]
    /// Since when a dialer has had no connection; nil while it has one.
    private var dialers: [UInt32: ContinuousClock.Instant?] = [:]

    var connections: [UInt32] { pipes.keys.sorted() }

    mutating func dialerAdded(_ id: UInt32, at now: ContinuousClock.Instant) {
        // Its connection may have been reported before it was.
        let isConnected = pipes.values.contains { $0.dialer == id }
        dialers.updateValue(isConnected ? nil : now, forKey: id)
    }

    mutating func dialerRemoved(_ id: UInt32) { dialers[id] = nil }

    /// - Parameter dialer: one that is not followed means a listener.
    mutating func connected(_ pipe: UInt32, by dialer: UInt32) {
        pipes[pipe] = Connection(dialer: dialer)
        if dialers.keys.contains(dialer) { dialers.updateValue(nil, forKey: dialer) }
    }

    mutating func disconnected(_ pipe: UInt32, at now: ContinuousClock.Instant) {
        guard let dialer = pipes.removeValue(forKey: pipe)?.dialer, dialers.keys.contains(dialer) else { return }
        dialers.updateValue(now, forKey: dialer)
    }

    /// - Parameter dead: those of `connections` that have no peer.
    mutating func turn(dead: Set<UInt32>, at now: ContinuousClock.Instant) -> [Action] {
        var actions: [Action] = []
        for (pipe, connection) in pipes.sorted(by: { $0.key < $1.key }) {
            let isDead = dead.contains(pipe)
            if isDead, connection.wasDead { actions.append(.close(pipe: pipe)) }
            pipes[pipe]?.wasDead = isDead
        }
        for (dialer, since) in dialers.sorted(by: { $0.key < $1.key }) {
            guard let since, now - since >= Self.patience else { continue }
            actions.append(.redial(dialer: dialer))
        }
        return actions
    }
}
