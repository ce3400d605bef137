// StatusListener: StatusPages.swift over plain HTTP, on a thread of its own. One connection after the other, each with two seconds: a
// scrape takes some milliseconds, and whoever sends nothing holds up nobody but other scrapes.
import Foundation
import Glibc
import RPC
import Synchronization
import Wire

/// Serves the status pages from `init` until `stop`.
final class StatusListener: Sendable {
    /// A request has some hundred bytes.
    static let maximumRequestBytes = 8 << 10
    /// For a request to come, and for its answer to go.
    static let patienceSeconds = 2

    /// The port, which the kernel chose where the setting says 0.
    let port: UInt16
    private let socket: Int32
    /// Closing its writing end ends the thread.
    private let end: (reading: Int32, writing: Int32)
    private let isStopped = Atomic(false)
    private let health: @Sendable () -> HealthReply

    /// - Parameter address: "127.0.0.1:9464", "[::]:9464". Throws SettingsError for what is no address, and Unavailable for one
    ///   that cannot be had.
    init(_ address: String, health: @escaping @Sendable () -> HealthReply) throws {
        self.health = health
        socket = try Self.listen(address)
        port = Self.port(of: socket)
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else {
            close(socket)
            throw Unavailable(description: "http-listen: no pipe: \(errorText(errno))")
        }
        for one in ends { Self.keepFromChildren(one) }
        end = (ends[0], ends[1])
        let thread = Thread { [self] in run() }
        thread.name = "status"
        thread.start()
    }

    /// An address that cannot be had at present.
    struct Unavailable: Error, CustomStringConvertible { let description: String }

    /// Ends the thread; what is being answered is.
    func stop() {
        if !isStopped.exchange(true, ordering: .relaxed) { close(end.writing) }
    }

    private func run() {
        defer {
            close(socket)
            close(end.reading)
        }
        while true {
            var waits = [
                pollfd(fd: socket, events: Int16(POLLIN), revents: 0),
                pollfd(fd: end.reading, events: Int16(POLLIN), revents: 0),
            ]
            guard poll(&waits, nfds_t(waits.count), -1) >= 0 || errno == EINTR else { return }
            if waits[1].revents != 0 { return }
            guard waits[0].revents != 0 else { continue }
            let connection = accept(socket, nil, nil)
            // It is gone, or descriptors are short for a moment; then the one who asked asks again.
            guard connection >= 0 else {
                usleep(10_000)
                continue
            }
            Self.keepFromChildren(connection)
            serve(connection)
            close(connection)
        }
    }

    private func serve(_ connection: Int32) {
        var patience = timeval(tv_sec: Self.patienceSeconds, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, size)
        setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &patience, size)
        guard let head = requestHead(connection) else { return }
        let answer = StatusPage.answer(to: head, health()).text(isHead: head.hasPrefix("HEAD "))
        var left = Array(answer.utf8)[...]
        while !left.isEmpty {
            let count = left.withUnsafeBytes { send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return }
            left = left.dropFirst(count)
        }
    }

    /// Up to its empty line; nil where it does not come in time, or is longer than any request for a page.
    private func requestHead(_ connection: Int32) -> String? {
        let until = ContinuousClock.now + .seconds(Self.patienceSeconds)
        var bytes: [UInt8] = []
        var room = [UInt8](repeating: 0, count: 1024)
        while bytes.count < Self.maximumRequestBytes, .now < until {
            let count = recv(connection, &room, room.count, 0)
            guard count > 0 else { return nil }
            bytes += room[..<count]
            let text = String(decoding: bytes, as: UTF8.self)
            if text.contains("\r\n\r\n") || text.contains("\n\n") { return text }
        }
        return nil
    }

    // MARK: The socket

    private static func listen(_ address: String) throws -> Int32 {
        guard let (place, port) = RPCAddress.hostAndPort(address) else {
            throw SettingsError(
                "setting 'http-listen': '\(address)' is no address; write host:port, such as 127.0.0.1:9464")
        }
        let host = place.trimmingCharacters(in: CharacterSet(charactersIn: "[]"))
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &found) == 0, let first = found?.pointee else {
            throw SettingsError(
                "setting 'http-listen': '\(host)' is no numeric address; names are not looked up. Write 0.0.0.0 or [::] for all"
            )
        }
        // getaddrinfo made the list for us; nothing of it is kept.
        defer { freeaddrinfo(found) }
        // Not blocking: whoever knocked may be gone again when it is accepted.
        let kind = first.ai_socktype | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let socket = Glibc.socket(first.ai_family, kind, 0)
        guard socket >= 0 else { throw Unavailable(description: "http-listen \(address): \(errorText(errno))") }
        var yes: Int32 = 1
        // A restart must not wait for connections of the process before.
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        guard bind(socket, first.ai_addr, first.ai_addrlen) == 0, Glibc.listen(socket, 16) == 0 else {
            let why = errorText(errno)
            close(socket)
            throw Unavailable(description: "http-listen \(address): \(why)")
        }
        return socket
    }

    private static func port(of socket: Int32) -> UInt16 {
        var address = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &address) { pointer in
            // The port stands at the same place in the addresses of both families.
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(socket, $0, &size) == 0 }
                ? pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                    UInt16(bigEndian: $0.pointee.sin_port)
                }
                : 0
        }
    }

    /// A media-worker that is started meanwhile must not hold the connection open.
    private static func keepFromChildren(_ descriptor: Int32) { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
}
