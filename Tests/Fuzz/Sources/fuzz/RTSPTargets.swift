// Text of cameras: messages, header fields, challenges, descriptions; and a whole session that answers them.

import Media

@testable import RTSP

enum RTSPTargets {
    /// A connection's bytes: whatever pieces they come in, the same is found, and all of it.
    @Sendable static func stream(_ bytes: UnsafeRawBufferPointer) {
        guard let first = bytes.first else { return }
        let whole = UnsafeRawBufferPointer(rebasing: bytes.dropFirst())
        let steps = read(whole, pieceBytes: whole.count)
        must(read(whole, pieceBytes: 1 + Int(first)) == steps, "a stream in pieces is the same stream")
    }

    /// The messages, frames and errors of a stream. Noise is left out: where it is cut depends on the pieces.
    private static func read(_ bytes: UnsafeRawBufferPointer, pieceBytes: Int) -> [RTSPStreamParser.Step] {
        var parser = RTSPStreamParser()
        var steps: [RTSPStreamParser.Step] = []
        var start = 0
        var end = 0
        while end < bytes.count {
            end = min(end + max(1, pieceBytes), bytes.count)
            reading: while start < end {
                let left = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
                let step = parser.next(in: left)
                let consumed: Int
                switch step {
                case .needsMore: break reading
                case .failed: return steps + [step]
                case .skip(let count, _): consumed = count
                case .response(_, let count), .request(_, let count):
                    consumed = count
                    steps.append(step)
                case .frame(_, let payload, let count):
                    must(payload.lowerBound == 4 && payload.upperBound == count, "a frame is its payload")
                    consumed = count
                    steps.append(step)
                }
                must(consumed > 0 && consumed <= left.count, "every step goes on, within what is there")
                start += consumed
            }
        }
        return steps
    }

    /// The answers of a camera that has only HTTP: the same in whatever pieces they come; and a session that takes them.
    @Sendable static func httpCamera(_ bytes: UnsafeRawBufferPointer) {
        guard let first = bytes.first, let url = HTTPURL("http://camera/pic") else { return }
        let answers = UnsafeRawBufferPointer(rebasing: bytes.dropFirst())
        let whole = readAnswers(answers, pieceBytes: answers.count)
        must(readAnswers(answers, pieceBytes: 1 + Int(first)) == whole, "answers in pieces are the same answers")
        for picture in fetch(url, answers, pieceBytes: 1 + Int(first)) {
            must(picture.withUnsafeBytes(JPEGHeader.isWhole), "what is handed on is a whole picture")
        }
    }

    /// Status, body and end of each answer; the last, with an error's, as far as it came.
    private static func readAnswers(_ bytes: UnsafeRawBufferPointer, pieceBytes: Int) -> [[UInt8]] {
        var reader = HTTPResponseReader()
        var seen: [[UInt8]] = []
        var body: [UInt8] = []
        var start = 0
        var end = 0
        while end < bytes.count {
            end = min(end + max(1, pieceBytes), bytes.count)
            do {
                let left = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
                let consumed = try reader.take(left) { part in
                    switch part {
                    case .head(let head): body = Array("\(head.status):".utf8)
                    case .body(let bytes): body += bytes
                    case .end:
                        seen.append(body)
                        body = []
                    }
                }
                must(consumed <= left.count, "no more is done with than came")
                start += consumed
            } catch {
                return seen + [body, Array("\(error)".utf8)]
            }
        }
        return seen + [body]
    }

    /// The pictures that a session makes of a camera's bytes.
    private static func fetch(_ url: HTTPURL, _ bytes: UnsafeRawBufferPointer, pieceBytes: Int) -> [[UInt8]] {
        var machine = HTTPCameraMachine(url: url, pollNs: 1, silenceNs: 1_000_000_000_000, clientNonce: { "n" })
        var seen: [[UInt8]] = []
        var isOver = false
        func carryOut(_ actions: [HTTPCameraMachine.Action]) {
            for action in actions where !isOver {
                switch action {
                case .connect: carryOut(machine.connected(nowNs: 1))
                case .needsUser: carryOut(machine.answer(as: RTSPUser(name: "u", password: "p"), nowNs: 1))
                case .pollAt: carryOut(machine.poll(nowNs: 1))
                case .picture(let picture, _): seen.append(picture.array)
                case .send: break
                case .over: isOver = true
                }
            }
        }
        carryOut(machine.begin(nowNs: 0))
        var start = 0
        var end = 0
        while end < bytes.count, !isOver {
            end = min(end + max(1, pieceBytes), bytes.count)
            let (consumed, actions) = machine.received(UnsafeRawBufferPointer(rebasing: bytes[start..<end]), nowNs: 1)
            must(consumed <= end - start, "no more is done with than came")
            start += consumed
            carryOut(actions)
        }
        return seen
    }

    /// The header fields with a form of their own, and URLs.
    @Sendable static func fields(_ bytes: UnsafeRawBufferPointer) {
        let text = String(decoding: bytes, as: UTF8.self)
        _ = RTSPTransport(text).channels
        if let session = RTSPSessionID(text) { must((2...86_400).contains(session.timeoutS), "a time-out is bounded") }
        must(RTSPKeepalive.ways(publicMethods: text).contains(.options), "OPTIONS is always possible")
        _ = Base64.decode(text)
        guard let camera = RTSPURL("rtsps://camera/main?channel=1") else { return }
        let halves = text.split(separator: "\n", maxSplits: 1).map(String.init)
        _ = camera.joining(control: halves.first, base: halves.last)
        must(camera.redirected(to: text)?.isSecure != false, "no redirect leads from rtsps to rtsp")
        guard let url = RTSPURL(text) else { return }
        must(!url.host.isEmpty && url.port > 0, "a URL has a host and a port")
        must(RTSPURL(url.text) == url, "a URL that is sent is read as the same")
    }

    /// 401 after 401: values of WWW-Authenticate, divided by line feeds; an empty line begins the next response.
    @Sendable static func challenge(_ bytes: UnsafeRawBufferPointer) {
        var authenticator = RTSPAuthenticator()
        let user = RTSPUser(name: "us\"er", password: "pass")
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        for response in lines.split(separator: "") {
            var headers = RTSPHeaders()
            for line in response { headers.add("WWW-Authenticate", String(line)) }
            guard authenticator.challenged(headers) == .answer else { continue }
            let answer = authenticator.header(method: "PLAY", uri: "rtsp://camera/", user: user, clientNonce: "n")
            must(answer != nil, "a challenge that was taken is answered")
        }
    }

    /// A description, and all that a track reader asks of it.
    @Sendable static func description(_ bytes: UnsafeRawBufferPointer) {
        let description = SessionDescription(Array(bytes))
        must(description.media.count <= SessionDescription.maximumMedia, "the streams are bounded")
        for media in description.media {
            _ = media.parameterSets
            must(media.clockRateHz.map { (1...1_000_000).contains($0) } ?? true, "a clock rate is bounded")
            must((1...16).contains(media.channels), "channels are bounded")
            _ = AACFormat(formatParameters: media.formatParameters)
            _ = TrackFeed.canRead(media)
        }
    }

    /// A whole session: the input is what the camera sends, from its first answer on, packets included.
    @Sendable static func client(_ bytes: UnsafeRawBufferPointer) {
        guard let url = RTSPURL("rtsp://camera/main") else { return }
        var session = Session(machine: RTSPClientMachine(url: url) { "nonce" })
        session.carryOut(session.machine.connected(nowNs: 0))
        var parser = RTSPStreamParser()
        var left = bytes[...]
        while !left.isEmpty, !session.isClosed {
            let view = UnsafeRawBufferPointer(rebasing: left)
            session.nowNs += 700_000_000
            let count: Int
            switch parser.next(in: view) {
            case .needsMore, .failed: return session.end()
            case .skip(let consumed, _): count = consumed
            case .response(let response, let consumed):
                session.carryOut(session.machine.received(response, nowNs: session.nowNs))
                count = consumed
            case .request(let request, let consumed):
                session.carryOut(session.machine.received(request))
                count = consumed
            case .frame(let channel, let payload, let consumed):
                session.take(UnsafeRawBufferPointer(rebasing: view[payload]), channel: channel)
                count = consumed
            }
            session.carryOut(session.machine.tick(nowNs: session.nowNs))
            left = left.dropFirst(count)
        }
        session.end()
    }

    /// A publication: the input is what the media server answers.
    @Sendable static func publisher(_ bytes: UnsafeRawBufferPointer) {
        guard let url = RTSPURL("rtsp://server/live"),
            let sound = try? CodecConfiguration.pcm(.l16, sampleRateHz: 8_000, channels: 1),
            let alaw = try? CodecConfiguration.pcm(.pcma, sampleRateHz: 8_000, channels: 1)
        else { return }
        var machine = RTSPPublisherMachine(url: url, announcement: RTSPAnnouncement([sound, alaw], number: 7)) { "n" }
        var parser = RTSPStreamParser()
        var nowNs: Int64 = 0
        var actions = machine.connected(nowNs: nowNs)
        var left = bytes[...]
        while true {
            while let action = actions.first {
                actions.removeFirst()
                switch action {
                case .send(let bytes): check(bytes)
                case .needsUser: actions += machine.answer(as: RTSPUser(name: "user", password: "pass"), nowNs: nowNs)
                case .publishing(let channels): must(channels.count == 2, "each track has its channels")
                case .failed(let why): must(why.description.count < 4_000, "a failure is told in some words")
                case .close: return must(actions.isEmpty, "nothing is said after the end")
                }
            }
            nowNs += 700_000_000
            let count: Int
            switch parser.next(in: UnsafeRawBufferPointer(rebasing: left)) {
            case .needsMore, .failed: return
            case .skip(let consumed, _), .frame(_, _, let consumed): count = consumed
            case .response(let response, let consumed):
                actions = machine.received(response, nowNs: nowNs)
                count = consumed
            case .request(let request, let consumed):
                actions = machine.received(request)
                count = consumed
            }
            actions += machine.tick(nowNs: nowNs)
            left = left.dropFirst(count)
        }
    }

    /// No value of the other side's becomes a line of ours. A body has lines of its own.
    private static func check(_ bytes: [UInt8]) {
        let text = String(decoding: bytes, as: UTF8.self)
        let lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }
        let header = lines.prefix { !$0.isEmpty }
        must(header.dropFirst().allSatisfy { $0.contains(": ") }, "each line has a name")
        let hasBody = header.contains { $0.hasPrefix("Content-Length: ") }
        must(hasBody || lines.count == header.count + 2, "without a body the blank line is the last one")
    }

    /// What `RTSPSession` does with a machine's actions, without a connection.
    private struct Session {
        var machine: RTSPClientMachine
        var nowNs: Int64 = 0
        var isClosed = false
        private var tracks: [RTSPTrack] = []
        private var readable: [Int] = []
        private var feeds: [UInt8: TrackFeed] = [:]
        private var video: RTSPVideoTime?

        init(machine: RTSPClientMachine) { self.machine = machine }

        mutating func carryOut(_ actions: [RTSPClientMachine.Action]) {
            for action in actions {
                must(!isClosed, "nothing is said after the end")
                switch action {
                case .send(let bytes): RTSPTargets.check(bytes)
                case .needsUser:
                    carryOut(machine.answer(as: RTSPUser(name: "user", password: "pass"), nowNs: nowNs))
                case .described(let description):
                    readable = description.media.indices.filter { TrackFeed.canRead(description.media[$0]) }
                    carryOut(machine.setUp(media: readable, nowNs: nowNs))
                case .needsDatagrams:
                    carryOut(machine.setUp(media: readable, ports: readable.map { _ in (5_000, 5_001) }, nowNs: nowNs))
                case .beginning(let starts): for channel in feeds.keys { feeds[channel]?.note(starts) }
                case .playing: break
                case .expecting(let tracks):
                    self.tracks = tracks
                    for track in tracks { feeds[track.rtpChannel] = TrackFeed(track.media, isInOrder: true) }
                case .redirected(let target): must(!target.host.isEmpty, "a redirect leads to a host")
                case .failed(let why): must(why.description.count < 4_000, "a failure is told in some words")
                case .close: isClosed = true
                }
            }
        }

        mutating func take(_ bytes: UnsafeRawBufferPointer, channel: UInt8) {
            if let track = tracks.first(where: { $0.rtcpChannel == channel }) {
                feeds[track.rtpChannel]?.takeControl(bytes, arrivalNs: nowNs)
            } else {
                feeds[channel]?.take(bytes, arrivalNs: nowNs, video: &video)
            }
        }

        mutating func end() {
            if !isClosed { carryOut(machine.stop()) }
            for channel in feeds.keys { feeds[channel]?.end(arrivalNs: nowNs, video: &video) }
        }
    }
}
