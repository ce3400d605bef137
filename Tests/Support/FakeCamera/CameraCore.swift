// CameraCore: a camera's thread. Waits for listener, connections and orders at once (poll); belongs to that thread alone.

import Foundation
import Glibc

/// The server.
final class CameraCore {
    private var listener: Int32
    /// Holds the port while nobody listens on it, so that no other camera of the process gets it.
    private var placeholder: Int32 = -1
    private let port: UInt16
    private let address: String
    private let scenarios: [Scenario]
    private let host: String
    private let path: String
    private let shared: CameraShared
    private var links: [CameraLink] = []
    private var accepted = 0
    private var allowed = 0
    private var isStopped = false
    private var room = [UInt8](repeating: 0, count: 64 << 10)

    init(_ listener: Int32, _ scenarios: [Scenario], host: String, path: String, _ shared: CameraShared) {
        (self.listener, self.scenarios, self.host, self.path, self.shared) = (listener, scenarios, host, path, shared)
        port = UInt16(host.split(separator: ":").last ?? "") ?? 0
        address = host.split(separator: ":").first.map(String.init) ?? ""
    }

    deinit {
        // One that was closed in the last round would be closed twice, and its number may be another's by then.
        drop()
        for link in links { Glibc.close(link.descriptor) }
        if listener >= 0 { Glibc.close(listener) }
        if placeholder >= 0 { Glibc.close(placeholder) }
    }

    /// A socket that listens on an address of this host.
    static func listen(
        port: UInt16, address: String = "127.0.0.1"
    ) throws(CameraError) -> (descriptor: Int32, port: UInt16) {
        try open(port: port, address: address, listens: true)
    }

    /// A socket that has the port; connections are refused where it does not listen.
    private static func open(
        port: UInt16, address host: String, listens: Bool
    ) throws(CameraError) -> (descriptor: Int32, port: UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var one: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        // Placeholder and listener have it together for a moment.
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &one, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        guard inet_pton(AF_INET, host, &address.sin_addr) == 1 else {
            Glibc.close(descriptor)
            throw CameraError(description: "\(host) is no address")
        }
        address.sin_port = port.bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && (!listens || Glibc.listen(descriptor, 64) == 0)
                    && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard isBound else {
            let words = String(cString: strerror(errno))
            Glibc.close(descriptor)
            throw CameraError(description: "cannot listen on \(host):\(port): \(words)")
        }
        return (descriptor, UInt16(bigEndian: address.sin_port))
    }

    func run() {
        while !isStopped {
            // A connection that was closed in the last round first: its descriptor's number may be another's by now.
            drop()
            let waitS = links.compactMap { serve($0) }.min()
            drop()
            var polled = [pollfd(fd: shared.wakeDescriptor, events: Int16(POLLIN), revents: 0)]
            polled.append(pollfd(fd: listener, events: Int16(POLLIN), revents: 0))
            for link in links {
                let events = POLLIN | (link.hasUnsent ? POLLOUT : 0)
                polled.append(pollfd(fd: link.descriptor, events: Int16(events), revents: 0))
            }
            poll(&polled, nfds_t(polled.count), waitS.map { Int32(($0 * 1_000).rounded(.up)) } ?? -1)
            for (link, event) in zip(links, polled.dropFirst(2)) where event.revents & ~Int16(POLLOUT) != 0 {
                receive(link)
            }
            drop()
            if polled[0].revents != 0 { obey() }
            if polled[1].revents & Int16(POLLIN) != 0 { accept() }
        }
    }

    private static var nowS: Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private func obey() {
        for order in shared.takeOrders() {
            switch order {
            case .allow(let count): allowed += count
            case .reset:
                for link in links { close(link, byReset: true) }
            case .close:
                for link in links { link.end(.close) }
            case .listen(let isListening):
                if !isListening, listener >= 0 {
                    placeholder = (try? Self.open(port: port, address: address, listens: false).descriptor) ?? -1
                    Glibc.close(listener)
                    listener = -1
                } else if isListening, listener < 0, let again = try? Self.listen(port: port, address: address) {
                    listener = again.descriptor
                    if placeholder >= 0 { Glibc.close(placeholder) }
                    placeholder = -1
                }
                let isUp = listener >= 0
                shared.note { $0.isListening = isUp }
            case .stop: isStopped = true
            }
        }
    }

    private func accept() {
        let descriptor = Glibc.accept(listener, nil, nil)
        guard descriptor >= 0 else { return }
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        let scenario = scenarios[min(accepted, scenarios.count - 1)]
        links.append(CameraLink(descriptor, session: accepted, scenario, host: host, path: path))
        accepted += 1
        shared.note { $0.connections += 1 }
    }

    /// Makes and sends what there is to send. Gives the seconds until there is more; nil: an event says so.
    private func serve(_ link: CameraLink) -> Double? {
        guard !link.isHalfClosed else { return nil }
        let (allowed, nowS) = (allowed, Self.nowS)
        let waitS = shared.note { link.fill(nowS: nowS, allowed: allowed, &$0) }
        let hadUnsent = link.hasUnsent
        link.flush { send(link.descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        // What was sent makes room for more.
        if hadUnsent, !link.hasUnsent { return 0 }
        guard let ending = link.ending, !link.hasUnsent else { return waitS }
        if ending == .close {
            // What the other side still says is read, so that the kernel does not reset.
            shutdown(link.descriptor, Int32(SHUT_WR))
            link.isHalfClosed = true
            return nil
        }
        // The kernel resets without sending the rest: first all must be on the other side.
        var unacknowledged: Int32 = 0
        guard ioctl(link.descriptor, UInt(TIOCOUTQ), &unacknowledged) == 0, unacknowledged > 0 else {
            close(link, byReset: true)
            return nil
        }
        return 0.001
    }

    private func receive(_ link: CameraLink) {
        let count = recv(link.descriptor, &room, room.count, 0)
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        guard count > 0 else { return close(link, byReset: false) }
        guard !link.isHalfClosed else { return }
        let bytes = room[..<count]
        shared.note { record in
            link.received(bytes, &record) { bytes in
                for byte in bytes { _ = send(link.descriptor, [byte], 1, Int32(MSG_NOSIGNAL)) }
            }
        }
    }

    private var closed: Set<Int> = []

    private func close(_ link: CameraLink, byReset: Bool) {
        guard closed.insert(link.session).inserted else { return }
        if byReset {
            var now = linger(l_onoff: 1, l_linger: 0)
            setsockopt(link.descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
        }
        Glibc.close(link.descriptor)
        shared.note { $0.ended += 1 }
    }

    /// Forgets connections that are closed.
    private func drop() { links.removeAll { closed.contains($0.session) } }
}
