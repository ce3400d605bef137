// Conversation: the camera's side of RTSP. Requests go in, answers come out; nothing here knows of sockets.

import Foundation

/// A request as it was found in the bytes of a connection.
struct RequestText {
    var method: String
    var uri: String
    /// Names in lower case.
    var headers: [String: String]
}

/// The session of one connection.
struct Conversation {
    /// What becomes of a request.
    struct Reply {
        /// Empty: nothing is answered.
        var bytes: [UInt8] = []
        var status: Int?
        /// The streams that begin to be sent, by their places, with their channels.
        var plays: [(place: Int, channel: UInt8)]?
        /// The connection is closed when the bytes are sent.
        var closes = false
    }

    private let scenario: Scenario
    private let host: String
    private let path: String
    private var gate: Gatekeeper?
    private var setUps: [(place: Int, channel: UInt8)] = []
    private var session: String?
    private var refused: Set<String> = []
    private var heard: Set<String> = []

    init(_ scenario: Scenario, host: String, path: String) {
        (self.scenario, self.host, self.path) = (scenario, host, path)
        gate = scenario.authentication.map(Gatekeeper.init)
    }

    private var dialect: Dialect { scenario.dialect }
    private var url: String { "rtsp://\(host)\(path)" }

    mutating func answer(_ request: RequestText) -> Reply {
        for fault in scenario.faults {
            switch fault {
            case .neverAnswers(request.method): return Reply()
            case .closesOn(request.method): return Reply(closes: true)
            case .answersHalf(request.method):
                let whole = decided(request)
                return Reply(
                    bytes: Array(whole.bytes.prefix(whole.bytes.count / 2)), status: whole.status, closes: true)
            default: break
            }
        }
        return decided(request)
    }

    private mutating func decided(_ request: RequestText) -> Reply {
        if let status = dialect.refuses[request.method] { return reply(request, status) }
        if let status = dialect.refusesOnce[request.method], refused.insert(request.method).inserted {
            return reply(request, status)
        }
        if let status = dialect.refusesLater[request.method], !heard.insert(request.method).inserted {
            return reply(request, status)
        }
        if let challenges = gate?.refuse(request) {
            return reply(request, 401, challenges.map { "WWW-Authenticate: \($0)" })
        }
        switch request.method {
        case "OPTIONS": return reply(request, 200, dialect.publicMethods.map { ["Public: \($0)"] } ?? [])
        case "DESCRIBE": return described(request)
        case "SETUP": return setUp(request)
        case "PLAY": return play(request)
        case "TEARDOWN":
            var answer = reply(request, isKnown(request) ? 200 : 454)
            answer.closes = answer.status == 200
            return answer
        case "GET_PARAMETER", "SET_PARAMETER":
            return reply(request, isKnown(request) ? 200 : 454, session.map { ["Session: \($0)"] } ?? [])
        default: return reply(request, 501)
        }
    }

    private func described(_ request: RequestText) -> Reply {
        if let redirect = dialect.redirect {
            return reply(request, redirect.status, ["Location: \(filled(redirect.location))"])
        }
        var lines: [String] = dialect.statesContentType ? ["Content-Type: application/sdp"] : []
        switch dialect.contentBase {
        case .absolute: lines.append("Content-Base: \(url)/")
        case .missing: break
        case .withoutScheme: lines.append("Content-Base: \(path)/")
        case .other(let text): lines.append("Content-Base: \(filled(text))")
        case .contentLocation: lines.append("Content-Location: \(url)/")
        }
        let text = dialect.description.map(filled) ?? scenario.description
        return reply(request, 200, lines, body: text)
    }

    private mutating func setUp(_ request: RequestText) -> Reply {
        guard let place = scenario.streams.indices.first(where: { isMeant(request.uri, $0) }) else {
            return reply(request, 404)
        }
        if let status = dialect.refusesSetUp[place] { return reply(request, status) }
        let asked = request.headers["transport"] ?? ""
        guard asked.contains("RTP/AVP/TCP"), let channels = asked.components(separatedBy: "interleaved=").last,
            let first = UInt8(channels.prefix { $0.isNumber })
        else { return reply(request, 461) }
        let channel = first + dialect.channelShift
        session = dialect.sessions[min(setUps.count, dialect.sessions.count - 1)]
        setUps.append((place, channel))
        var lines = ["Session: \(session ?? "")\(dialect.sessionTail)"]
        let answer = Dialect.Asked(channel: channel, ssrc: scenario.streams[place].rtp.ssrc)
        if let transport = dialect.transport(answer) { lines.append("Transport: \(transport)") }
        return reply(request, 200, lines)
    }

    private mutating func play(_ request: RequestText) -> Reply {
        guard isKnown(request), !setUps.isEmpty else { return reply(request, 454) }
        var lines = ["Session: \(session ?? "")"]
        if dialect.statesRange {
            let streams = setUps.map { setUp in
                let stream = scenario.streams[setUp.place]
                return
                    "url=\(uri(of: setUp.place));seq=\(stream.rtp.firstSequence);rtptime=\(stream.rtp.firstTimestamp)"
            }
            lines += ["Range: npt=0.000-", "RTP-Info: \(dialect.rtpInfo ?? streams.joined(separator: ","))"]
        }
        var answer = reply(request, 200, lines)
        answer.plays = setUps
        return answer
    }

    private func isKnown(_ request: RequestText) -> Bool { session != nil && request.headers["session"] == session }

    // MARK: URLs

    private func filled(_ text: String) -> String {
        text.replacingOccurrences(of: "{host}", with: host)
            .replacingOccurrences(of: "{sets}", with: scenario.streams.first?.spropSets ?? "")
    }

    private func uri(of place: Int) -> String {
        guard let control = scenario.streams[place].control else { return url }
        return control.hasPrefix("rtsp://") ? filled(control) : "\(url)/\(control)"
    }

    private func isMeant(_ uri: String, _ place: Int) -> Bool {
        if let only = scenario.streams[place].setupURI { return uri == filled(only) }
        func bare(_ text: String) -> Substring { text.hasSuffix("/") ? text.dropLast() : text[...] }
        return bare(uri) == bare(self.uri(of: place))
    }

    // MARK: Text

    private func reply(_ request: RequestText, _ status: Int, _ lines: [String] = [], body: String = "") -> Reply {
        var all = ["RTSP/1.0 \(status) \(Self.reasons[status] ?? "Whatever")"]
        if dialect.statesCSeq, let cseq = request.headers["cseq"] { all.append("CSeq: \(cseq)") }
        all += dialect.extraHeaders + lines
        if !body.isEmpty { all.append("Content-Length: \(body.utf8.count)") }
        let text = all.map { $0 + dialect.lineEnd }.joined() + dialect.lineEnd + body
        return Reply(bytes: Array(text.utf8), status: status)
    }

    private static let reasons = [
        200: "OK", 302: "Found", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed",
        453: "Not Enough Bandwidth", 454: "Session Not Found", 461: "Unsupported Transport", 501: "Not Implemented",
        503: "Service Unavailable",
    ]
}

extension Scenario {
    /// The description of the streams.
    var description: String {
        var lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=fake camera", "c=IN IP4 0.0.0.0", "t=0 0"]
        if let control = dialect.aggregateControl { lines.append("a=control:\(control)") }
        for stream in streams { lines += stream.lines }
        return lines.map { $0 + "\r\n" }.joined()
    }
}

extension CameraStream {
    /// sprop-parameter-sets of H.264.
    var spropSets: String {
        guard format == .h264 else { return "" }
        return sets(0).map { Data($0).base64EncodedString() }.joined(separator: ",")
    }

    fileprivate var lines: [String] {
        let kind = isVideo ? "video" : format == .metadata ? "application" : "audio"
        var lines = ["m=\(kind) 0 RTP/AVP \(payloadType)"]
        lines.append("a=rtpmap:\(payloadType) \(encoding)/\(clockRateHz)\(format == .aac ? "/1" : "")")
        if let parameters { lines.append("a=fmtp:\(payloadType) \(parameters)") }
        if let control { lines.append("a=control:\(control)") }
        return lines
    }

    private var encoding: String {
        switch format {
        case .h264: "H264"
        case .h265: "H265"
        case .mjpeg: "JPEG"
        case .aac: "mpeg4-generic"
        case .pcmu: "PCMU"
        case .pcma: "PCMA"
        case .metadata: "vnd.onvif.metadata"
        }
    }

    private var parameters: String? {
        let isDescribed = parameterSets.contains(.description)
        switch format {
        case .h264:
            return "packetization-mode=1" + (isDescribed ? ";sprop-parameter-sets=\(spropSets)" : "")
        case .h265:
            let sets = self.sets(0).map { Data($0).base64EncodedString() }
            return isDescribed ? "sprop-vps=\(sets[0]);sprop-sps=\(sets[1]);sprop-pps=\(sets[2])" : nil
        case .aac:
            let rates = [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000]
            let config = 2 << 11 | (rates.firstIndex(of: clockRateHz) ?? 8) << 7 | 1 << 3
            return "streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config="
                + String(format: "%04X", config)
        case .mjpeg, .pcmu, .pcma, .metadata: return nil
        }
    }
}
