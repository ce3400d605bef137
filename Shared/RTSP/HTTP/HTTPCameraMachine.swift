// HTTPCameraMachine: the pictures of one camera over HTTP. Pure: bytes, ends of connections and times go in, actions come out.
// HTTPPlayback.swift carries them.
//
//   begin ─ connect ─ GET ┬ image/jpeg: a picture; the next GET when it is time, on the same connection where it stays open
//                         ├ multipart/x-mixed-replace: pictures until the camera ends the answer, then GET again
//                         ├ 401: the same again with an answer to the challenge
//                         └ 301, 302, 303, 307, 308: connect there, at most `maximumRedirects` times
//
// A session outlives its connections: many cameras close theirs after each picture. It ends when no picture came for
// `silenceNs`, when the camera refuses, or when it is not there.

import Media

/// A session with one camera.
struct HTTPCameraMachine: Sendable {
    /// What is to be done, in this order.
    enum Action: Sendable {
        /// A new connection; the one there is, is closed.
        case connect(HTTPURL)
        case send([UInt8])
        /// The camera asks for a user: `answer(as:)`, or `failed` where there is none.
        case needsUser
        /// A whole JPEG picture. `beganNs`: when its first bytes came, which is closer to its capture than its end.
        case picture(PacketBytes, beganNs: Int64)
        /// `poll` is to be called then.
        case pollAt(ns: Int64)
        /// The session is over; nil: it was stopped.
        case over(RTSPFailure?)
    }

    /// From the address to where a camera serves its pictures it is a step or two.
    static let maximumRedirects = 3
    /// The fastest that a camera is asked: what a picture task can want at most.
    static let fastestPollNs: Int64 = 1_000_000_000 / 60

    private enum Phase: Equatable {
        /// No connection, and none wanted before the next poll.
        case apart
        case connecting
        /// A connection without a request.
        case open
        /// `isReused`: the connection carried a request before; the camera may close it just as this one comes.
        case asking(isReused: Bool)
        case over
    }

    private enum Content: Sendable {
        /// Nothing of it is wanted.
        case ignored
        case still(bytes: [UInt8], beganNs: Int64?)
        case stream(MultipartJPEGReader)
    }

    private enum Next: Equatable {
        case poll, askAgain, identify
        case redirect(HTTPURL)
        case fail(RTSPFailure)
    }

    private let home: HTTPURL
    private let clientNonce: @Sendable () -> String
    private let silenceNs: Int64
    private var url: HTTPURL
    private var phase = Phase.apart
    private var reader = HTTPResponseReader()
    private var content = Content.ignored
    /// What follows the answer that is under way.
    private var next = Next.poll
    private var authenticator = RTSPAuthenticator()
    private var user: RTSPUser?
    private var redirects = 0
    private var pollNs: Int64
    private var lastPollNs: Int64 = 0
    /// A call of `poll` is awaited.
    private var isPollAsked = false
    private var hasPictures = false
    private var picturesOfAnswer = 0
    /// Since when no picture came.
    private var darkSinceNs = Int64.max

    /// Pictures that are none, or not whole, and answers that the camera was too busy for.
    private(set) var torn: UInt64 = 0

    /// - Parameters:
    ///   - pollNs: time between two requests of a still picture; at least `fastestPollNs`.
    ///   - silenceNs: longest time without a picture, larger than `pollNs`.
    init(url: HTTPURL, pollNs: Int64, silenceNs: Int64, clientNonce: @escaping @Sendable () -> String) {
        home = url
        self.url = url
        self.pollNs = max(pollNs, Self.fastestPollNs)
        self.silenceNs = silenceNs
        self.clientNonce = clientNonce
    }

    // MARK: From the owner

    mutating func begin(nowNs: Int64) -> [Action] {
        lastPollNs = nowNs
        return connect()
    }

    /// Ends the session.
    mutating func stop() -> [Action] { finish(nil) }

    /// Pictures are wanted so often from the next one on.
    mutating func setPoll(ns: Int64) { pollNs = max(ns, Self.fastestPollNs) }

    /// The user that `needsUser` asked for.
    mutating func answer(as user: RTSPUser, nowNs: Int64) -> [Action] {
        self.user = user
        return phase == .open ? ask(isReused: true) : connect()
    }

    /// There is none, or the connection cannot be.
    mutating func failed(_ failure: RTSPFailure) -> [Action] { finish(failure) }

    /// The time of a `pollAt` has come.
    mutating func poll(nowNs: Int64) -> [Action] {
        isPollAsked = false
        guard phase == .open || phase == .apart else { return [] }
        lastPollNs = nowNs
        return phase == .open ? ask(isReused: true) : connect()
    }

    /// To be called several times a second.
    mutating func tick(nowNs: Int64) -> [Action] {
        guard phase != .over, nowNs - darkSinceNs >= silenceNs else { return [] }
        let time = "for \(silenceNs / 1_000_000) ms"
        return finish(
            RTSPFailure(
                .silent,
                hasPictures
                    ? "no picture came \(time)" : "the camera answers, and no picture that can be used came \(time)"
            ))
    }

    // MARK: From the camera

    mutating func connected(nowNs: Int64) -> [Action] {
        guard phase == .connecting else { return [] }
        if darkSinceNs == .max { darkSinceNs = nowNs }
        reader = HTTPResponseReader()
        return ask(isReused: false)
    }

    /// Gives how many bytes are done with.
    mutating func received(_ bytes: UnsafeRawBufferPointer, nowNs: Int64) -> (consumed: Int, actions: [Action]) {
        var actions: [Action] = []
        var reader = reader
        do throws(HTTPResponseReader.Failure) {
            let consumed = try reader.take(bytes) { part in
                // What comes behind an answer that ended the session, or unasked for, is nothing.
                guard case .asking = phase else { return }
                actions += take(part, nowNs)
            }
            self.reader = reader
            return (consumed, actions)
        } catch {
            return (bytes.count, finish(RTSPFailure(.protocolError, "the camera sent \(error.description)")))
        }
    }

    /// The connection is no more.
    mutating func disconnected(_ end: ConnectionEnd, nowNs: Int64) -> [Action] {
        switch phase {
        case .over, .apart: return []
        case .open:
            phase = .apart
            return pollLater(nowNs)
        case .connecting: break
        case .asking(let isReused):
            var actions: [Action] = []
            var reader = reader
            let isWhole = reader.connectionEnded { actions += take($0, nowNs) }
            self.reader = reader
            if !actions.isEmpty || phase == .over { return actions }
            // Nothing of an answer came on a connection that was idle: the camera closed it when the request was on its way.
            if isReused, isWhole { return connect() }
            if case .stream = content, picturesOfAnswer > 0 { return connect() }
        }
        return finish(
            RTSPFailure.of(end, with: .camera, at: url) ?? RTSPFailure(.silent, "the connection was ended"))
    }

    private mutating func take(_ part: HTTPResponseReader.Part, _ nowNs: Int64) -> [Action] {
        switch part {
        case .head(let head):
            judge(head)
            return []
        case .body(let bytes): return take(body: bytes, nowNs)
        case .end(let keepsOpen): return end(keepsOpen: keepsOpen, nowNs)
        }
    }

    private mutating func judge(_ head: RTSPResponse) {
        content = .ignored
        picturesOfAnswer = 0
        switch head.status {
        case 200..<300:
            authenticator.accepted()
            next = .poll
            let type = head.headers["Content-Type"] ?? ""
            if let stream = MultipartJPEGReader(contentType: type) {
                content = .stream(stream)
                next = .askAgain
            } else if Self.isText(type) {
                next = .fail(
                    RTSPFailure(
                        .protocolError,
                        "the camera answers with \(type.prefix(60)), which is no JPEG picture: is the path right?"))
            } else {
                content = .still(bytes: [], beganNs: nil)
            }
        case 401: next = challenged(head)
        case 301, 302, 303, 307, 308:
            authenticator.accepted()
            next = redirected(head)
        // A camera that is too busy for one picture may have the next.
        case let status where hasPictures && (status == 429 || status >= 500):
            torn += 1
            next = .poll
        default: next = .fail(.refused("GET", head, by: .camera))
        }
    }

    private static func isText(_ type: String) -> Bool {
        let type = type.lowercased().trimmed
        return ["text/", "application/json", "application/xml"].contains { type.hasPrefix($0) }
    }

    private mutating func challenged(_ head: RTSPResponse) -> Next {
        guard url.host == home.host else {
            return .fail(
                RTSPFailure(
                    .unauthorized,
                    "the camera leads to \(url.hostAndPort), which asks for a user; it is not told to others"
                ))
        }
        switch authenticator.challenged(head.headers) {
        case .answer: return .identify
        case .refused: return .fail(.refused("GET", head, by: .camera))
        case .notUnderstood(let words):
            return .fail(
                RTSPFailure(.unauthorized, "the camera asks for a way to log in that is not known here: \(words)"))
        }
    }

    private mutating func redirected(_ head: RTSPResponse) -> Next {
        guard let location = head.headers["Location"], let target = url.redirected(to: location) else {
            return .fail(
                RTSPFailure(.protocolError, "the camera leads to where it may not be followed (\(head.status))"))
        }
        redirects += 1
        guard redirects <= Self.maximumRedirects else {
            return .fail(RTSPFailure(.protocolError, "the camera leads from address to address in a circle"))
        }
        return .redirect(target)
    }

    private mutating func take(body bytes: UnsafeRawBufferPointer, _ nowNs: Int64) -> [Action] {
        switch content {
        case .ignored: return []
        case .still(var kept, let beganNs):
            // Taken out, so that it grows where it lies.
            content = .ignored
            guard kept.count + bytes.count <= MultipartJPEGReader.maximumPartBytes else {
                return finish(
                    RTSPFailure(
                        .protocolError,
                        "the camera sent a picture of more than \(MultipartJPEGReader.maximumPartBytes >> 20) MiB"))
            }
            kept.append(contentsOf: bytes)
            content = .still(bytes: kept, beganNs: beganNs ?? nowNs)
            return []
        case .stream(var stream):
            content = .ignored
            defer { content = .stream(stream) }
            return pictures(&stream, nowNs) { $0.append(bytes, deliver: $1) }
        }
    }

    private mutating func pictures(
        _ stream: inout MultipartJPEGReader, _ nowNs: Int64,
        _ read: (inout MultipartJPEGReader, (PacketBytes) -> Void) -> Void
    ) -> [Action] {
        let before = stream.counters
        var actions: [Action] = []
        read(&stream) { actions.append(.picture($0, beganNs: nowNs)) }
        let now = stream.counters
        torn += now.torn + now.tooLarge + now.notPictures - before.torn - before.tooLarge - before.notPictures
        count(pictures: actions.count, nowNs)
        return actions
    }

    private mutating func count(pictures: Int, _ nowNs: Int64) {
        guard pictures > 0 else { return }
        picturesOfAnswer += pictures
        hasPictures = true
        darkSinceNs = nowNs
    }

    /// An answer is whole.
    private mutating func end(keepsOpen: Bool, _ nowNs: Int64) -> [Action] {
        var actions: [Action] = []
        switch content {
        case .ignored: break
        case .still(let bytes, let beganNs):
            let picture = PacketBytes(bytes)
            if picture.withUnsafeBytes({ JPEGHeader($0) != nil && JPEGHeader.isWhole($0) }) {
                actions.append(.picture(picture, beganNs: beganNs ?? nowNs))
                count(pictures: 1, nowNs)
            } else {
                torn += 1
            }
        case .stream(var stream): actions += pictures(&stream, nowNs) { $0.finish(deliver: $1) }
        }
        content = .ignored
        phase = keepsOpen ? .open : .apart
        switch next {
        case .poll: actions += pollLater(nowNs)
        case .askAgain:
            guard picturesOfAnswer > 0 else {
                return actions + finish(RTSPFailure(.silent, "the camera ended its stream before the first picture"))
            }
            actions += keepsOpen ? ask(isReused: true) : connect()
        case .identify:
            user = nil
            actions.append(.needsUser)
        case .redirect(let target):
            url = target
            actions += connect()
        case .fail(let failure): actions += finish(failure)
        }
        return actions
    }

    // MARK: What follows

    private mutating func connect() -> [Action] {
        guard phase != .over else { return [] }
        phase = .connecting
        return [.connect(url)]
    }

    private mutating func ask(isReused: Bool) -> [Action] {
        phase = .asking(isReused: isReused)
        next = .poll
        var request = """
            GET \(url.target) HTTP/1.1\r
            Host: \(url.authority)\r
            User-Agent: sightglass\r
            Accept: image/jpeg, multipart/x-mixed-replace\r
            Connection: keep-alive\r

            """
        if let user, url.host == home.host,
            let header = authenticator.header(
                method: "GET", uri: url.target, user: user, clientNonce: clientNonce())
        {
            request += "Authorization: \(header)\r\n"
        }
        return [.send(Array("\(request)\r\n".utf8))]
    }

    /// The pace is that of the requests, not of what the answers take.
    private mutating func pollLater(_ nowNs: Int64) -> [Action] {
        guard !isPollAsked else { return [] }
        isPollAsked = true
        return [.pollAt(ns: max(nowNs, lastPollNs + pollNs))]
    }

    private mutating func finish(_ failure: RTSPFailure?) -> [Action] {
        guard phase != .over else { return [] }
        phase = .over
        content = .ignored
        user = nil
        return [.over(failure)]
    }
}
