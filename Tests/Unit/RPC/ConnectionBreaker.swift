// Accepts TCP connections and closes each after a few bytes: a server that dies in the handshake.

import Foundation
import Glibc
import Synchronization
import Testing

final class ConnectionBreaker: Sendable {
    let port: UInt16
    private let descriptor: Int32
    private let count = Atomic<Int>(0)

    var broken: Int { count.load(ordering: .acquiring) }

    init() throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        try #require(descriptor >= 0)
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && listen(descriptor, 16) == 0
                    && getsockname(descriptor, $0, &length) == 0
            }
        }
        try #require(isListening)
        self.descriptor = descriptor
        port = UInt16(bigEndian: address.sin_port)
        Thread.detachNewThread { [self] in
            while true {
                let accepted = accept(descriptor, nil, nil)
                if accepted < 0 { return }
                // Once with an end after the client's hello, once with a reset.
                var bytes = [UInt8](repeating: 0, count: 64)
                _ = recv(accepted, &bytes, bytes.count, 0)
                if count.load(ordering: .acquiring) % 2 == 0 { shutdown(accepted, Int32(SHUT_RDWR)) }
                close(accepted)
                count.add(1, ordering: .acquiringAndReleasing)
            }
        }
    }

    /// Ends the accepting thread and frees the port.
    func stop() {
        shutdown(descriptor, Int32(SHUT_RDWR))
        close(descriptor)
    }
}
