// A TCP server on loopback that answers nothing, or the same to every RTSP request.
import Foundation
import Synchronization

final class Listener: Sendable {
    struct Failure: Error {
        let code = errno
    }

    let port: UInt16
    private let descriptor: Int32
    private let isClosed = Atomic(false)

    init() throws {
        let opened = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                bind(opened, raw, length) == 0 && listen(opened, 8) == 0
                    && getsockname(opened, raw, &length) == 0
            }
        }
        guard bound else { throw Failure() }
        descriptor = opened
        port = UInt16(bigEndian: address.sin_port)
    }

    deinit {
        close()
    }

    /// Once only: a second close would end what another test opened under the same number since.
    func close() {
        guard !isClosed.exchange(true, ordering: .relaxed) else { return }
        shutdown(descriptor, Int32(SHUT_RDWR))
        Glibc.close(descriptor)
    }

    func waitForConnection() throws {
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&waiting, 1, 10_000) == 1 else { throw Failure() }
    }

    /// Serves until the listener is closed.
    func answerAll(with status: String) {
        serveConnections { Self.serve($0, status, until: nil) }
    }

    /// Takes a publication up to RECORD, and from then on reads nothing more.
    func takePublicationAndFallSilent() {
        serveConnections { Self.serve($0, "RTSP/1.0 200 OK", until: "RECORD") }
    }

    private func serveConnections(_ serve: @escaping @Sendable (Int32) -> Void) {
        let listening = descriptor
        Thread {
            while true {
                let connection = accept(listening, nil, nil)
                guard connection >= 0 else { return }
                Thread { serve(connection) }.start()
            }
        }.start()
    }

    private static func serve(_ connection: Int32, _ status: String, until last: String?) {
        var received: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(connection, &chunk, chunk.count, 0)
            guard count > 0 else { break }
            received += chunk[..<count]
            // A request ends with an empty line; bodies are not needed to answer.
            while let end = received.firstRange(of: Array("\r\n\r\n".utf8)) {
                let request = String(decoding: received[..<end.lowerBound], as: UTF8.self)
                received.removeSubrange(..<end.upperBound)
                let lines = request.split(separator: "\r\n")
                let echoed = lines.filter { $0.hasPrefix("CSeq:") || $0.hasPrefix("Transport:") }
                guard !echoed.isEmpty else { continue }
                let challenge = status.contains("401") ? "WWW-Authenticate: Basic realm=\"r\"\r\n" : ""
                let answer = Array(
                    "\(status)\r\n\(echoed.joined(separator: "\r\n"))\r\nSession: 1\r\n\(challenge)\r\n".utf8)
                _ = send(connection, answer, answer.count, Int32(MSG_NOSIGNAL))
                if let last, request.hasPrefix(last) {
                    // Until the client goes (POLLRDHUP): only its end is of interest, not what it sends.
                    var gone = pollfd(fd: connection, events: 0x2000, revents: 0)
                    poll(&gone, 1, 30_000)
                    Glibc.close(connection)
                    return
                }
            }
        }
        Glibc.close(connection)
    }
}
