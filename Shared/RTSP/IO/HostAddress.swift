// HostAddress: where a connection goes, from the name in a URL. Looking a name up may take the resolver's time-outs (30 s), so
// it has a thread of its own; an address in numbers needs none.

import Foundation
import Glibc

/// One address of a host, with a port. IPv4 or IPv6.
struct HostAddress: Sendable {
    private var storage = sockaddr_storage()
    private var length: socklen_t

    /// AF_INET or AF_INET6.
    var family: Int32 { Int32(storage.ss_family) }

    private init?(_ info: addrinfo) {
        guard let address = info.ai_addr, Int(info.ai_addrlen) <= MemoryLayout<sockaddr_storage>.size else {
            return nil
        }
        length = info.ai_addrlen
        let count = Int(length)
        withUnsafeMutableBytes(of: &storage) { room in
            room.copyMemory(from: UnsafeRawBufferPointer(start: address, count: count))
        }
    }

    /// All addresses of this host, for a socket that shall hear on each.
    static func any(family: Int32, port: UInt16) -> HostAddress {
        var made = HostAddress(family: family)
        made.port = port
        return made
    }

    /// The zero address of a family; lengths differ.
    private init(family: Int32) {
        storage.ss_family = sa_family_t(family)
        length = socklen_t(
            family == AF_INET6 ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size)
    }

    /// The address that a socket has itself; nil where the kernel does not say.
    init?(nameOf descriptor: Int32) {
        var found: HostAddress?
        guard HostAddress.filled(&found, { getsockname(descriptor, $0, $1) }) == 0, let found else { return nil }
        self = found
    }

    /// Lets a socket call fill an address in.
    static func filled<R>(
        _ address: inout HostAddress?, _ call: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> R
    ) -> R {
        var made = HostAddress(family: AF_INET6)
        made.length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutablePointer(to: &made.storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { call($0, &made.length) }
        }
        address = made
        return result
    }

    /// In the host's order.
    var port: UInt16 {
        get { bytes { UInt16($0[2]) << 8 | UInt16($0[3]) } }
        set {
            // Both families have the port behind the family (ip(7), ipv6(7)).
            withUnsafeMutableBytes(of: &storage) { room in
                room[2] = UInt8(newValue >> 8)
                room[3] = UInt8(newValue & 0xFF)
            }
        }
    }

    /// "192.0.2.10:554", "[2001:db8::1]:554".
    var text: String {
        var room = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let found = addressBytes.withUnsafeBytes {
            inet_ntop(Int32(family), $0.baseAddress, &room, socklen_t(room.count))
        }
        let end = room.firstIndex(of: 0) ?? 0
        let host = found == nil ? "?" : String(decoding: room[..<end].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return URLParts.hostAndPort(host, port)
    }

    /// The same host, whatever the ports.
    func isSameHost(as other: HostAddress) -> Bool {
        family == other.family && addressBytes == other.addressBytes
    }

    /// 4 bytes of IPv4, 16 of IPv6.
    var addressBytes: [UInt8] {
        // Where the address itself stands.
        bytes { Array($0[family == AF_INET6 ? 8..<24 : 4..<8]) }
    }

    private func bytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R { withUnsafeBytes(of: storage, body) }

    /// The address as the socket calls take it, for the duration of `body`.
    func withSocketAddress<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        withUnsafePointer(to: storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }

    /// The addresses that `host` stands for, in the resolver's order (RFC 6724); at most `maximumCount`.
    ///
    /// - Parameters:
    ///   - host: a name, or an address without brackets.
    ///   - onlyNumeric: refuse names; never waits.
    static func lookUp(_ host: String, port: UInt16, onlyNumeric: Bool) -> Result<[HostAddress], LookUpFailure> {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_NUMERICSERV | (onlyNumeric ? AI_NUMERICHOST : AI_ADDRCONFIG)
        var found: UnsafeMutablePointer<addrinfo>?
        let result = getaddrinfo(host, String(port), &hints, &found)
        guard result == 0 else { return .failure(LookUpFailure(reason: String(cString: gai_strerror(result)))) }
        defer { freeaddrinfo(found) }
        var addresses: [HostAddress] = []
        var next = found
        while let info = next?.pointee, addresses.count < maximumCount {
            if let address = HostAddress(info) { addresses.append(address) }
            next = info.ai_next
        }
        return addresses.isEmpty ? .failure(LookUpFailure(reason: "the name has no address")) : .success(addresses)
    }

    /// Each address that does not answer costs a part of the connection's time; no camera has more than a few.
    static let maximumCount = 4

    /// Looks a name up without making the caller wait. `done` is called on another thread, or at once for numbers.
    static func lookUp(
        _ host: String, port: UInt16, done: @escaping @Sendable (Result<[HostAddress], LookUpFailure>) -> Void
    ) {
        if case .success(let numeric) = lookUp(host, port: port, onlyNumeric: true) { return done(.success(numeric)) }
        let thread = Thread { done(lookUp(host, port: port, onlyNumeric: false)) }
        thread.name = "look up"
        thread.start()
    }
}

/// A name that could not be looked up.
struct LookUpFailure: Error, Sendable {
    /// In the resolver's words.
    let reason: String
}
