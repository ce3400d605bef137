// CameraLink: one connection of a camera. Bytes in, bytes out; CameraCore has the socket.

import Foundation

/// One connection.
final class CameraLink {
    /// Units are made as long as fewer bytes than this wait to be sent.
    static let ahead = 256 << 10
    /// Units that are made before what they are is sent, and requests are read.
    static let atOnce = 32

    let descriptor: Int32
    let session: Int
    let scenario: Scenario
    /// What waits to be sent, from `sent` on.
    private(set) var outbox: [UInt8] = []
    private var sent = 0
    private var inbox: [UInt8] = []
    private var conversation: Conversation
    private var senders: [StreamSender] = []
    private(set) var units = 0
    private var beganS: Double?
    /// Nothing more is said.
    private(set) var isMute = false
    /// The end, once all is sent.
    private(set) var ending: Ending?
    /// The order to end was carried out; what comes is only read.
    var isHalfClosed = false
    private var requests = 0

    enum Ending { case close, reset }

    init(_ descriptor: Int32, session: Int, _ scenario: Scenario, host: String, path: String) {
        (self.descriptor, self.session, self.scenario) = (descriptor, session, scenario)
        conversation = Conversation(scenario, host: host, path: path)
        outbox = scenario.dialect.prelude
    }

    var hasUnsent: Bool { sent < outbox.count }
    private var waiting: Int { outbox.count - sent }

    /// Ends the connection once all is sent.
    func end(_ how: Ending) { ending = ending ?? how }

    /// Gives what waits to `write`, which tells how much of it went.
    func flush(_ write: (UnsafeRawBufferPointer) -> Int) {
        guard hasUnsent else { return }
        let count = outbox.withUnsafeBytes { write(UnsafeRawBufferPointer(rebasing: $0[sent...])) }
        sent += max(0, count)
        if sent == outbox.count {
            outbox.removeAll(keepingCapacity: true)
            sent = 0
        }
    }

    // MARK: Requests

    /// Bytes came. `bytewise` sends an answer a byte at a time.
    func received(_ bytes: ArraySlice<UInt8>, _ record: inout CameraRecord, bytewise: ([UInt8]) -> Void) {
        inbox += bytes
        while let first = inbox.first {
            if first == 0x24 {
                guard inbox.count >= 4 else { return }
                let end = 4 + Int(inbox[2]) << 8 + Int(inbox[3])
                guard inbox.count >= end else { return }
                record.reports.append(SeenReport(channel: inbox[1], bytes: Array(inbox[4..<end])))
                inbox.removeFirst(end)
                continue
            }
            guard let end = headerEnd() else { return }
            let text = String(decoding: inbox[..<end], as: UTF8.self)
            inbox.removeFirst(end)
            take(text.components(separatedBy: "\r\n").filter { !$0.isEmpty }, &record, bytewise)
        }
    }

    private func headerEnd() -> Int? {
        guard inbox.count >= 4 else { return nil }
        let end: [UInt8] = [13, 10, 13, 10]
        return (4...inbox.count).first { Array(inbox[$0 - 4..<$0]) == end }
    }

    private func take(_ lines: [String], _ record: inout CameraRecord, _ bytewise: ([UInt8]) -> Void) {
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
            headers[line[..<colon].lowercased()] = value
        }
        let words = (lines.first ?? "").split(separator: " ", maxSplits: 2).map(String.init)
        guard words.count >= 2 else { return }
        if words[0].hasPrefix("RTSP/") {
            record.answers.append(SeenAnswer(status: Int(words[1]) ?? 0, cseq: headers["cseq"]))
            return
        }
        let request = RequestText(method: words[0], uri: words[1], headers: headers)
        let reply = isMute ? Conversation.Reply() : conversation.answer(request)
        record.requests.append(
            SeenRequest(
                session: session, method: request.method, uri: request.uri, headers: headers, afterUnits: units,
                status: reply.status))
        if let plays = reply.plays, senders.isEmpty {
            senders = plays.map {
                StreamSender(scenario.streams[$0.place], place: $0.place, session: session, channel: $0.channel)
            }
            for _ in 0..<scenario.dialect.unitsBeforePlayAnswer { sendUnit(&record) }
        }
        if scenario.dialect.delivery == .bytewise, !hasUnsent { bytewise(reply.bytes) } else { outbox += reply.bytes }
        if reply.closes { ending = .close }
    }

    // MARK: Units

    /// The stream that is next, and when it is due in seconds since the beginning.
    private var next: (index: Int, dueS: Double)? {
        senders.indices.compactMap { index in senders[index].dueS.map { (index, $0) } }.min { $0.1 < $1.1 }
    }

    /// Makes units as far as there is room, time, and leave. Gives the seconds until there is something to do; nil: an event brings it.
    func fill(nowS: Double, allowed: Int, _ record: inout CameraRecord) -> Double? {
        guard !senders.isEmpty, !isMute, ending == nil else { return nil }
        let end = units + Self.atOnce
        while waiting < Self.ahead, units < end {
            if let ending = faultDue() {
                self.ending = ending
                return nil
            }
            guard !isMute, let next else { break }
            if scenario.pace == .allowed, units >= allowed { return nil }
            if scenario.pace == .realTime {
                let beganS = beganS ?? nowS
                self.beganS = beganS
                let leftS = beganS + next.dueS - nowS
                if leftS > 0 { return leftS }
            }
            sendUnit(&record)
        }
        if next == nil, scenario.atEnd == .closes { ending = .close }
        return nil
    }

    private func faultDue() -> Ending? {
        for fault in scenario.faults {
            switch fault {
            case .closesAfter(let count) where units >= count: return .close
            case .resetsAfter(let count) where units >= count: return .reset
            case .fallsSilentAfter(let count) where units >= count: isMute = true
            default: break
            }
        }
        return nil
    }

    private func sendUnit(_ record: inout CameraRecord) {
        guard let (index, _) = next else { return }
        for interjection in scenario.interjections where interjection.comes(before: units) {
            interject(interjection.content)
        }
        if scenario.faults.contains(.tearsFrameBefore(unit: units)) {
            let announced = [UInt8](repeating: 0x41, count: 1_000)
            outbox += Array(frame(senders[index].channel, announced).prefix(400))
        }
        let batch = senders[index].next()
        for packet in batch.packets { outbox += frame(senders[index].channel, packet) }
        if scenario.keepsRecord { record.units += batch.units }
        units += batch.units.count
    }

    private func interject(_ content: Interjection.Content) {
        switch content {
        case .bytes(let bytes): outbox += bytes
        case .frame(let channel, let payload): outbox += frame(channel, payload)
        case .packet(let type, let payload):
            outbox += frame(senders[0].channel, [0x80, type] + big16(units) + big32(0) + big32(0xBAD) + payload)
        case .request(let method, let body):
            requests += 1
            let length = body.isEmpty ? "" : "Content-Length: \(body.utf8.count)\r\n"
            outbox += Array("\(method) * RTSP/1.0\r\nCSeq: \(requests)\r\n\(length)\r\n\(body)".utf8)
        case .senderReport(let ntp): report(senders[0], ntp: ntp, timestamp: senders[0].lastTimestamp)
        case .senderReports(let wallS, let aheadS):
            for sender in senders {
                let nowS = wallS + (aheadS[sender.place] ?? 0) + (sender.dueS ?? 0)
                let seconds = nowS.rounded(.down)
                let fraction = UInt64((nowS - seconds) * 4_294_967_296)
                report(sender, ntp: UInt64(seconds) << 32 | fraction, timestamp: sender.nextTimestamp)
            }
        case .goodbye: outbox += frame(senders[0].channel + 1, [0x81, 203, 0, 1] + big32(senders[0].stream.rtp.ssrc))
        }
    }

    private func report(_ sender: StreamSender, ntp: UInt64, timestamp: UInt32) {
        let words = big32(UInt32(truncatingIfNeeded: ntp >> 32)) + big32(UInt32(truncatingIfNeeded: ntp))
        let counts = big32(UInt32(truncatingIfNeeded: units)) + big32(0)
        let head = [0x80, 200, 0, 6] + big32(sender.stream.rtp.ssrc)
        outbox += frame(sender.channel + 1, head + words + big32(timestamp) + counts)
    }

    private func frame(_ channel: UInt8, _ payload: [UInt8]) -> [UInt8] {
        [0x24, channel] + big16(payload.count) + payload
    }
}
