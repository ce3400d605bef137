// From what a probe saw to what is wrong, and what to do about it. Pure.
//
//   name ─ connection ─ login ─ session ─ pictures ─ keyframes ─ clock
//
// The first that is wrong ends the list: what lies behind it cannot be seen.

import RTSP

struct ProbeDiagnosis {
    let address: ProbeAddress
    let record: ProbeRecord
    /// A user was given.
    let hasUser: Bool
    /// How long the camera may take to the next step.
    let patience: Duration

    /// A longer way between keyframes makes footage begin that much too early or too late.
    static let attentionIntervalUs: Int64 = 4_000_000
    static let wrongIntervalUs: Int64 = 10_000_000
    /// Camera and host may differ by so much before somebody who compares their pictures wonders.
    static let clockToleranceUs: Int64 = 2_000_000

    var checks: CheckList {
        var list = CheckList(checks: [])
        for step in [name, connection, login, session] {
            guard let check = step() else { continue }
            list.checks.append(check)
            if check.verdict == .wrong { return list }
        }
        list.checks += pictures()
        return list
    }

    private var whole: String { address.isSecure ? "connection, TLS" : "connection" }
    private var words: String { record.failure?.description ?? "" }
    private var waited: String { DurationText.show(us: patience.microseconds) }

    // MARK: To the session

    private func name() -> Check? {
        if case .unknownHost(let words)? = record.connectionEnd {
            return .wrong(
                "name", "name_unknown", "the name \(address.host) is not known: \(words)", do: CameraAdvice.unknownName)
        }
        guard let found = record.address else { return nil }
        return found == address.hostAndPort ? nil : .good("name", "\(address.host) is \(found)")
    }

    private func connection() -> Check? {
        if record.address != nil { return .good(whole, "\(address.hostAndPort) answers") }
        let place = address.hostAndPort
        switch record.connectionEnd {
        case .refused: return .wrong(whole, "refused", "connection refused at \(place)", do: CameraAdvice.refused)
        case .distrusted(let words):
            let isTrust = words.contains("certificate") || words.contains("trust list")
            return .wrong(
                whole, isTrust ? "untrusted" : "no_tls", "\(place): \(words)",
                do: isTrust ? CameraAdvice.untrusted : CameraAdvice.noTLS)
        case .unreachable(let words):
            return .wrong(whole, "no_answer", "\(place) does not answer: \(words)", do: CameraAdvice.noAnswer)
        case .closedByPeer, .broken:
            return .wrong(whole, "hangs_up", "\(place) ends the connection at once", do: CameraAdvice.hangsUp)
        default:
            return .wrong(whole, "no_answer", "\(place) does not answer within \(waited)", do: CameraAdvice.noAnswer)
        }
    }

    private func login() -> Check? {
        guard record.failure?.cause == .unauthorized else {
            guard record.asksForUser else { return nil }
            // Of a session that got no further it is not known.
            return record.isPlaying ? .good("login", "the camera asks for a user and takes this one") : nil
        }
        if record.asksForUser, !hasUser {
            return .wrong(
                "login", "no_user", "the camera asks for a user, and none was given", do: CameraAdvice.noUser)
        }
        return .wrong("login", "unauthorized", words, do: CameraAdvice.unauthorized)
    }

    private func session() -> Check? {
        guard !record.isPlaying else { return offer.map { .good("session", $0) } }
        if let check = stranger { return check }
        switch record.failure?.cause {
        case .notFound: return .wrong("session", "not_found", words, do: CameraAdvice.notFound)
        case .busy: return .wrong("session", "busy", words, do: CameraAdvice.busy)
        case .protocolError where record.description != nil && !offersPictures:
            let offered = offer.map { "it offers \($0)" } ?? "it offers nothing"
            return .wrong("session", "codec", "no pictures that can be recorded: \(offered)", do: CameraAdvice.codec)
        case .silent where record.connectionEnd == .closedByPeer && record.description == nil:
            return .wrong(
                "session", "hangs_up", "\(address.hostAndPort) takes the connection and ends it without an answer",
                do: CameraAdvice.hangsUp)
        case .silent: return .wrong("session", "silent", words, do: CameraAdvice.silent)
        case nil:
            let how = record.description == nil ? "takes the connection" : "describes its streams"
            return .wrong(
                "session", "silent", "\(address.hostAndPort) \(how) and does not answer then within \(waited)",
                do: CameraAdvice.silent)
        default: return .wrong("session", "protocol", words, do: CameraAdvice.other)
        }
    }

    /// Something that speaks another protocol.
    private var stranger: Check? {
        let place = address.hostAndPort
        guard !record.noise.isEmpty, record.description == nil else { return nil }
        if record.noise.starts(with: Array("HTTP/".utf8)) {
            return .wrong("session", "http", "a web server answers at \(place), not RTSP", do: CameraAdvice.web)
        }
        let shown = String(decoding: record.noise.prefix { (0x20..<0x7F).contains($0) }.prefix(40), as: UTF8.self)
        let said = shown.isEmpty ? "\(record.noise.count) bytes that are no text" : "\"\(shown)\""
        return .wrong(
            "session", "not_rtsp", "what answers at \(place) speaks no \(address.protocolName): it says \(said)",
            do: CameraAdvice.notRTSP)
    }

    private var offersPictures: Bool {
        record.description?.media.contains { ["H264", "H265", "HEVC", "JPEG"].contains($0.encoding ?? "") } ?? false
    }

    /// "video H264, audio PCMU".
    private var offer: String? {
        guard let media = record.description?.media, !media.isEmpty else { return nil }
        return media.map { "\($0.kind) \($0.encoding ?? "of an unknown kind")" }.joined(separator: ", ")
    }

    // MARK: In the session

    private func pictures() -> [Check] {
        let seen = record.pictures
        guard seen.count > 0 else {
            guard record.hasMedia || record.failure?.cause == .protocolError else {
                let how = words.isEmpty ? "the camera accepted the session and sent no media within \(waited)" : words
                return [.wrong("pictures", "no_media", how, do: CameraAdvice.noMedia)]
            }
            let how = words.isEmpty ? "packets come, and no picture that can be used within \(waited)" : words
            return [.wrong("pictures", "no_pictures", how, do: CameraAdvice.unusable)]
        }
        var checks: [Check] = []
        if record.hasEnded, record.failure != nil {
            checks.append(
                .wrong(
                    "pictures", "breaks", "\(shown); after \(DurationText.show(us: seen.spanUs)): \(words)",
                    do: CameraAdvice.breaks))
        } else {
            checks.append(.good("pictures", shown))
        }
        if record.counters.packetsLost > 0 || record.counters.unitsTorn > 0 {
            checks.append(
                .attention(
                    "line", "loss",
                    "\(counted(record.counters.packetsLost, "packet")) lost, "
                        + "\(counted(record.counters.unitsTorn, "picture")) torn",
                    do: CameraAdvice.loss))
        }
        return checks + [keyframes(seen), clock(seen)]
    }

    /// "h264 1280x720, 25.0 pictures/s, 1.9 Mbit/s, sound pcmu".
    private var shown: String {
        let seen = record.pictures
        let size = seen.configuration.map { "\($0.codec.rawValue) \($0.widthPx)x\($0.heightPx)" } ?? ""
        let rate =
            seen.count > 1 ? ", \(tenths(seen.perSecond)) pictures/s, \(tenths(seen.bitsPerSecond / 1e6)) Mbit/s" : ""
        return size + rate + (seen.sound.map { ", sound \($0.rawValue)" } ?? "")
    }

    private func keyframes(_ seen: PictureRecord) -> Check {
        guard seen.keyframes > 0 else {
            return .wrong(
                "keyframes", "no_keyframe", "none came in \(DurationText.show(us: seen.spanUs)) of pictures",
                do: CameraAdvice.noKeyframe)
        }
        // The one that is still open counts as far as it was seen.
        let longestUs = max(seen.longestIntervalUs, seen.keyframes == 1 ? seen.sinceKeyframeUs : 0)
        let longest = DurationText.show(us: longestUs)
        if seen.keyframes == 1 {
            guard seen.jumps > 0 || record.hasEnded && record.failure != nil else {
                return .wrong(
                    "keyframes", "keyframe_interval", "one came, and no second in \(longest)",
                    do: CameraAdvice.longInterval)
            }
            return .good("keyframes", "one came in \(longest)")
        }
        let what = "each \(longest) at the longest"
        if longestUs > Self.wrongIntervalUs {
            return .wrong("keyframes", "keyframe_interval", what, do: CameraAdvice.longInterval)
        }
        return longestUs > Self.attentionIntervalUs
            ? .attention("keyframes", "keyframe_interval", what, do: CameraAdvice.longInterval)
            : .good("keyframes", what)
    }

    private func clock(_ seen: PictureRecord) -> Check {
        if seen.jumps > 0 {
            return .wrong(
                "clock", "clock_jumps",
                "the pictures' times jumped \(seen.jumps == 1 ? "once" : "\(seen.jumps) times")",
                do: CameraAdvice.clockJumps)
        }
        if let pace = seen.pace, !(0.8...1.25).contains(pace) {
            return .wrong(
                "clock", "clock_pace", "the pictures' times go \(tenths(pace)) times as fast as time",
                do: CameraAdvice.clockPace)
        }
        guard let ahead = record.clockAheadUs else { return .good("clock", "the pictures' times go on evenly") }
        let off = DurationText.show(us: abs(ahead))
        guard abs(ahead) > Self.clockToleranceUs else {
            return .good("clock", "within \(off) of this machine's")
        }
        return .attention(
            "clock", "clock_wrong", "the camera's clock is \(off) \(ahead > 0 ? "ahead of" : "behind") this machine's",
            do: CameraAdvice.clockWrong)
    }
}

extension Duration {
    /// Whole microseconds.
    var microseconds: Int64 { components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000 }
}
