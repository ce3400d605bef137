// NNG: the boundary to nng's sockets and endpoints. NNGMessage.swift has messages; ReplySlot, CallSlot and HintSubscriber
// own one nng_aio each and say how they use it.
//
// Sockets, contexts, dialers and listeners are ids to nng, safe to use from any thread, and a stale id is an error code,
// never a crash. Pointers are messages (one owner at a time) and aios (freed by their one owner, after its context was
// closed, on a thread that is not nng's, because freeing waits for the callback).

import CNNG
import CNNGRepair
import Foundation
import Glibc
import Synchronization

/// A result code of nng that is not 0.
struct NNGError: Error, Equatable, CustomStringConvertible {
    let code: Int32

    init(_ code: Int32) { self.code = code }

    init(_ code: nng_errno_enum) { self.code = Int32(code.rawValue) }

    var description: String {
        self == .unrepaired
            ? "nng's sendmsg is not the one of CNNGRepair; link that into the executable"
            : String(cString: nng_strerror(code))
    }

    static let timedOut = NNGError(NNG_ETIMEDOUT)
    static let closed = NNGError(NNG_ECLOSED)
    static let cancelled = NNGError(NNG_ECANCELED)
    static let connectionReset = NNGError(NNG_ECONNRESET)
    static let addressInUse = NNGError(NNG_EADDRINUSE)
    /// Ours, not nng's.
    static let unrepaired = NNGError(-1)
}

/// Throws what nng reports.
func nngCheck(_ result: Int32) throws(NNGError) {
    if result != 0 { throw NNGError(result) }
}

/// Runs what may block on a thread of its own, so that none of Swift's few threads waits in C.
func onOwnThread<R: Sendable>(_ body: @escaping @Sendable () -> R) async -> R {
    await withCheckedContinuation { continuation in
        Thread.detachNewThread { continuation.resume(returning: body()) }
    }
}

/// Knows the connections of a socket; nng calls it on its threads as they come and go.
final class ConnectionWatch: Sendable {
    /// Each by its id, because nng tells also of the end of connections that never came to be (a peer of another protocol).
    private let pipes = Mutex<Set<UInt32>>([])
    /// Called after each change, on nng's thread: must not block.
    private let changed: @Sendable (_ pipe: UInt32, _ isAdded: Bool) -> Void

    init(changed: @escaping @Sendable (_ pipe: UInt32, _ isAdded: Bool) -> Void = { _, _ in }) {
        self.changed = changed
    }

    var connections: Int { pipes.withLock { $0.count } }

    func report(pipe: UInt32, isAdded: Bool) {
        let isNews = pipes.withLock { pipes in
            isAdded ? pipes.insert(pipe).inserted : pipes.remove(pipe) != nil
        }
        if isNews { changed(pipe, isAdded) }
    }
}

/// Whether the repair of nng's sendmsg is in force. It is, unless an executable was linked in an unusual way; reading this
/// also keeps the linker from leaving it out.
let nngIsRepaired = cnngrepair_is_in_force()

/// Keeps malloc from giving the memory of every message back to the kernel, only to fault it in again for the next: with its
/// defaults a message of 64 KiB costs eight page faults on each side, a third of its throughput. 4 MiB stay with the process,
/// which is what eight messages in flight take; up to 2 MiB, twice the largest message but a picture, come from there.
private let messageMemoryIsKept: Bool =
    mallopt(M_TRIM_THRESHOLD, 4 << 20) == 1 && mallopt(M_MMAP_THRESHOLD, 2 << 20) == 1

/// One nng socket. Closing is explicit, because it waits for nng's threads.
final class NNGSocket: Sendable {
    let id: nng_socket
    private let watch: ConnectionWatch

    /// - Parameter open: `nng_rep0_open` and its kin.
    init(_ open: (UnsafeMutablePointer<nng_socket>?) -> Int32, watch: ConnectionWatch) throws(NNGError) {
        guard nngIsRepaired else { throw .unrepaired }
        _ = messageMemoryIsKept
        var made = nng_socket()
        try nngCheck(open(&made))
        id = made
        self.watch = watch
        // The watch outlives every callback: the socket keeps it, and whoever holds the socket keeps that until `close`,
        // after which nng calls no more.
        let argument = Unmanaged.passUnretained(watch).toOpaque()
        nng_pipe_notify(id, NNG_PIPE_EV_ADD_POST, connectionChanged, argument)
        nng_pipe_notify(id, NNG_PIPE_EV_REM_POST, connectionChanged, argument)
    }

    /// How many connections it has.
    var connections: Int { watch.connections }

    func set(_ option: String, milliseconds: Int32) throws(NNGError) {
        try nngCheck(nng_socket_set_ms(id, option, milliseconds))
    }

    func set(_ option: String, bytes: Int) throws(NNGError) { try nngCheck(nng_socket_set_size(id, option, bytes)) }

    func set(_ option: String, count: Int32) throws(NNGError) { try nngCheck(nng_socket_set_int(id, option, count)) }

    func openContext() throws(NNGError) -> nng_ctx {
        var context = nng_ctx()
        try nngCheck(nng_ctx_open(&context, id))
        return context
    }

    /// Listens, and gives the address with the port that was taken. May block on resolving the host's name.
    func listen(_ address: RPCAddress, tls: TLSMaterial?, socketMode: Int) throws(RPCError) -> RPCAddress {
        if case .ipc(let path) = address.transport { try Self.checkSocketFile(path, address) }
        var listener = nng_listener()
        try check(nng_listener_create(&listener, id, "\(address)"), address, "listen on")
        var isStarted = false
        defer { if !isStarted { nng_listener_close(listener) } }
        switch address.transport {
        case .ipc:
            try check(
                nng_listener_set_int(listener, NNG_OPT_IPC_PERMISSIONS, Int32(socketMode)), address, "set the mode of")
        case .tls(let host, _):
            try Self.material(tls, address).withConfiguration(NNG_TLS_MODE_SERVER, host: host) {
                nng_listener_set_ptr(listener, NNG_OPT_TLS_CONFIG, UnsafeMutableRawPointer($0))
            }
        case .tcp: break
        }
        try check(nng_listener_start(listener, 0), address, "listen on")
        isStarted = true
        var port: Int32 = 0
        let hasPort = nng_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &port) == 0
        guard hasPort, let bound = UInt16(exactly: port) else { return address }
        switch address.transport {
        case .ipc: return address
        case .tcp(let host, _): return RPCAddress(.tcp(host: host, port: bound))
        case .tls(let host, _): return RPCAddress(.tls(host: host, port: bound))
        }
    }

    /// Connects in the background, again and again. Returns at once.
    func dial(_ address: RPCAddress, tls: TLSMaterial?) throws(RPCError) {
        let dialer = try startDialer(address, tls)
        guard address.needsTLS else { return }
        TLSUpkeep.shared.dials(dialer, of: id) { [weak self] in try? self?.startDialer(address, tls) }
    }

    private func startDialer(_ address: RPCAddress, _ tls: TLSMaterial?) throws(RPCError) -> nng_dialer {
        var dialer = nng_dialer()
        try check(nng_dialer_create(&dialer, id, "\(address)"), address, "connect to")
        var isStarted = false
        defer { if !isStarted { nng_dialer_close(dialer) } }
        if case .tls(let host, _) = address.transport {
            try Self.material(tls, address).withConfiguration(NNG_TLS_MODE_CLIENT, host: host) {
                nng_dialer_set_ptr(dialer, NNG_OPT_TLS_CONFIG, UnsafeMutableRawPointer($0))
            }
        }
        try check(nng_dialer_start(dialer, Int32(NNG_FLAG_NONBLOCK)), address, "connect to")
        isStarted = true
        return dialer
    }

    /// Ends all connections and operations; their callbacks see `.closed`. Blocks until nng is done.
    func close() {
        TLSUpkeep.shared.forget(id)
        nng_close(id)
    }

    private static func material(_ tls: TLSMaterial?, _ address: RPCAddress) throws(RPCError) -> TLSMaterial {
        guard let tls else {
            throw .invalidArgument(
                "address",
                "\(address) needs certificates: set tls-authorities, tls-certificate and tls-key, or use ipc://")
        }
        return tls
    }

    /// nng removes a socket file that nobody answers on, which is what a killed process leaves. It would remove any other
    /// kind of file just so.
    private static func checkSocketFile(_ path: String, _ address: RPCAddress) throws(RPCError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw .invalidArgument("address", "\(path) exists and is not a socket: move it away or choose another path")
        }
    }

    private func check(_ result: Int32, _ address: RPCAddress, _ verb: String) throws(RPCError) {
        guard result != 0 else { return }
        let error = NNGError(result)
        if error == .addressInUse {
            throw .alreadyExists("cannot \(verb) \(address): another process answers there")
        }
        throw .unavailable("cannot \(verb) \(address): \(error)")
    }
}

private func connectionChanged(_ pipe: nng_pipe, _ event: nng_pipe_ev, _ argument: UnsafeMutableRawPointer?) {
    if event == NNG_PIPE_EV_ADD_POST { TLSUpkeep.shared.connected(pipe) } else { TLSUpkeep.shared.disconnected(pipe) }
    guard let argument else { return }
    // Sound: `NNGSocket.init` passed a ConnectionWatch that lives until the socket is closed.
    Unmanaged<ConnectionWatch>.fromOpaque(argument).takeUnretainedValue()
        .report(pipe: pipe.id, isAdded: event == NNG_PIPE_EV_ADD_POST)
}
