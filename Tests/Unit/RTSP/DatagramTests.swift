// Packets as UDP datagrams: ports, order, strangers, and the way back into the connection.

import Foundation
import Media
import Synchronization
import Testing

@testable import RTSP

/// A camera with one H.264 stream that sends its pictures as datagrams, or only inside the connection. It serves one connection
/// after the other.
private final class DatagramCamera: Sendable {
    let listener: Listener
    private let pictures: [[UInt8]]
    /// The address that the datagrams come from.
    private let sourceHost: UInt32
    /// Answers 461 to one kind of transport.
    private let refusesDatagrams: Bool
    private let refusesConnection: Bool
    /// Asks for datagrams are accepted, and none is sent.
    private let sendsNone: Bool
    private let transports = Mutex<[String]>([])

    init(
        pictures: [[UInt8]], sourceHost: UInt32 = 0x7F00_0001, refusesDatagrams: Bool = false,
        refusesConnection: Bool = false, sendsNone: Bool = false
    ) throws {
        listener = try Listener()
        self.pictures = pictures
        self.sourceHost = sourceHost
        self.refusesDatagrams = refusesDatagrams
        self.refusesConnection = refusesConnection
        self.sendsNone = sendsNone
        Thread.detachNewThread { while self.serve() {} }
    }

    deinit { close(listener.descriptor) }

    /// What was asked for, in order.
    var asked: [String] { transports.withLock { $0 } }

    private func serve() -> Bool {
        let connection = listener.accepted()
        guard connection >= 0 else { return false }
        var waiting: [UInt8] = []
        var parser = RTSPStreamParser()
        var clientPort: UInt16?
        while true {
            var room = [UInt8](repeating: 0, count: 4_096)
            let count = recv(connection, &room, room.count, 0)
            guard count > 0 else { break }
            waiting += room.prefix(count)
            let consumed = waiting.withUnsafeBytes { bytes in
                parser.all(in: bytes) { step, _ in
                    guard case .request(let request, _) = step else { return }
                    if request.method == "SETUP" {
                        let text = request.headers["Transport"] ?? ""
                        transports.withLock { $0.append(text.contains("client_port") ? "datagrams" : "connection") }
                        clientPort = text.split(separator: "client_port=").dropFirst().first
                            .flatMap { UInt16($0.prefix { $0.isNumber }) }
                    }
                    write(answer(request, isDatagrams: clientPort != nil).encoded, to: connection)
                    if request.method == "PLAY" { send(to: clientPort, connection) }
                }
            }
            waiting.removeFirst(consumed)
        }
        close(connection)
        return true
    }

    private func answer(_ request: RTSPRequest, isDatagrams: Bool) -> RTSPResponse {
        var headers = RTSPHeaders()
        headers.add("CSeq", request.headers["CSeq"] ?? "")
        switch request.method {
        case "DESCRIBE":
            let sdp =
                "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 sprop-parameter-sets=Z0LADdkBQfsBEAAAAwAQAAADAyDxQqSA,aMuDyyA=\r\n"
            return RTSPResponse(status: 200, reason: "OK", headers: headers, body: Array(sdp.utf8))
        case "SETUP":
            guard !(isDatagrams ? refusesDatagrams : refusesConnection) else {
                return RTSPResponse(status: 461, reason: "Unsupported Transport", headers: headers)
            }
            headers.add("Session", "1")
            let ports = "RTP/AVP;unicast;client_port=1-2;server_port=1-2"
            headers.add("Transport", isDatagrams ? ports : "RTP/AVP/TCP;unicast;interleaved=0-1")
        default: break
        }
        return RTSPResponse(status: 200, reason: "OK", headers: headers)
    }

    private func packet(_ index: Int) -> [UInt8] {
        let timestamp = UInt32(index * 3_600)
        return [0x80, 0xE0, UInt8(index >> 8), UInt8(index & 0xFF)]
            + (0..<4).map { UInt8(truncatingIfNeeded: timestamp >> (24 - 8 * UInt32($0))) } + [1, 2, 3, 4]
            + pictures[index]
    }

    private func send(to clientPort: UInt16?, _ connection: Int32) {
        guard let clientPort else {
            for index in pictures.indices {
                write(RTSPStreamParser.frame(packet(index), channel: 0), to: connection)
            }
            return
        }
        guard !sendsNone else { return }
        let sender = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(sender) }
        func address(_ host: UInt32, _ port: UInt16) -> sockaddr_in {
            var made = sockaddr_in()
            made.sin_family = sa_family_t(AF_INET)
            made.sin_addr.s_addr = host.bigEndian
            made.sin_port = port.bigEndian
            return made
        }
        func with<R>(_ address: sockaddr_in, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
            withUnsafePointer(to: address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
        _ = with(address(sourceHost, 0)) { bind(sender, $0, $1) }
        // Behind the first ones each third overtakes the two before it.
        let order = pictures.indices.map { $0 < 3 ? $0 : $0 - $0 % 3 + (2 - $0 % 3) }
        for index in order {
            let bytes = packet(index)
            _ = with(address(0x7F00_0001, clientPort)) { sendto(sender, bytes, bytes.count, 0, $0, $1) }
        }
    }
}

@Suite(.timeLimit(.minutes(1))) struct DatagramTests {
    private let pictures = (0..<30).map { number in
        [UInt8(0x65), 0x80, UInt8(number)] + [UInt8](repeating: UInt8(number), count: 900)
    }

    /// Plays until so many pictures came, or the session ended.
    private func play(_ camera: DatagramCamera, until count: Int, prefersDatagrams: Bool = true) async throws -> [Int] {
        let client = try RTSPClient(name: "test")
        defer { client.stop() }
        let (events, tell) = AsyncStream.makeStream(of: SourceEvent.self)
        let url = try #require(RTSPURL("rtsp://127.0.0.1:\(camera.listener.port)/main"))
        var settings = RTSPSessionSettings.patient
        settings.prefersDatagrams = prefersDatagrams
        let playback = client.play(url, settings: settings, user: { () throws(RTSPFailure) in nil }) { event in
            tell.yield(event)
            if case .ended = event { tell.finish() }
        }
        var numbers: [Int] = []
        for await event in events {
            guard case .packet(let packet) = event else { continue }
            numbers.append(Int(packet.bytes.array[6]))
            if numbers.count == count { playback.stop() }
        }
        return numbers
    }

    @Test func datagramsThatOvertookOthersArePutInOrder() async throws {
        let camera = try DatagramCamera(pictures: pictures)
        #expect(try await play(camera, until: 30) == Array(0..<30))
        #expect(camera.asked == ["datagrams"])
    }

    @Test func whereNoDatagramComesThroughTheConnectionIsUsed() async throws {
        let camera = try DatagramCamera(pictures: pictures, sendsNone: true)
        #expect(try await play(camera, until: 30) == Array(0..<30))
        #expect(camera.asked == ["datagrams", "connection"])
    }

    /// Anybody can send to a port: 127.0.0.2 is not the camera.
    @Test func datagramsOfAnotherHostAreNotTheCameras() async throws {
        let camera = try DatagramCamera(pictures: pictures, sourceHost: 0x7F00_0002)
        #expect(try await play(camera, until: 30) == Array(0..<30))
        #expect(camera.asked == ["datagrams", "connection"])
    }

    @Test func aCameraThatSendsOnlyOneWayIsTakenThatWay() async throws {
        let stubborn = try DatagramCamera(pictures: pictures, refusesConnection: true)
        #expect(try await play(stubborn, until: 30, prefersDatagrams: false) == Array(0..<30))
        #expect(stubborn.asked == ["connection", "datagrams"])
        let modern = try DatagramCamera(pictures: pictures, refusesDatagrams: true)
        #expect(try await play(modern, until: 30) == Array(0..<30))
        #expect(modern.asked == ["datagrams", "connection"])
    }

    @Test(arguments: [AF_INET, AF_INET6]) func aPairOfPortsBeginsEven(family: Int32) throws {
        let (first, second) = try DatagramSocket.pair(family: family, channel: 4)
        #expect(first.port % 2 == 0 && second.port == first.port + 1)
        #expect([first.channel, second.channel] == [4, 5])
    }
}
