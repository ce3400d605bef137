// RTSPPublisherMachine: one publication at a media server, from OPTIONS to TEARDOWN (RFC 2326, sections 10.3 and 10.11). Pure:
// messages and times go in, actions come out; RTSPConversation knows what every session has in common.
//
//   connected ─ OPTIONS ─ ANNOUNCE ─ SETUP for each track ─ RECORD ─ publishing ─ … stop ─ TEARDOWN

/// A publication at one media server.
struct RTSPPublisherMachine: Sendable {
    /// The interleaved channels of a track.
    struct Channels: Sendable, Equatable {
        let rtp: UInt8
        let rtcp: UInt8
    }

    /// What is to be done, in this order.
    enum Action: Sendable, Equatable {
        case send([UInt8])
        /// The server asks for a user: `answer(as:)`, or `stop` where there is none.
        case needsUser
        /// From now on packets are taken, on these channels of the tracks.
        case publishing([Channels])
        case failed(RTSPFailure)
        /// Nothing more is to be said on this connection.
        case close
    }

    /// A live stream that waits longer for its server is better begun anew.
    static let answerNs: Int64 = 5_000_000_000

    private enum Step: Sendable {
        case options, announce, setUp(Int), record
    }

    private typealias Question = RTSPConversation<Step>.Question

    private let url: RTSPURL
    private let announcement: RTSPAnnouncement
    private var conversation: RTSPConversation<Step>
    private var channels: [Channels] = []

    /// - Parameters:
    ///   - url: where the stream is to be.
    ///   - announcement: the tracks; at least one.
    ///   - clientNonce: gives new random letters with each call.
    init(url: RTSPURL, announcement: RTSPAnnouncement, clientNonce: @escaping @Sendable () -> String) {
        self.url = url
        self.announcement = announcement
        conversation = RTSPConversation(
            url: url, peer: .mediaServer, answerNs: Self.answerNs, clientNonce: clientNonce)
    }

    // MARK: From the owner

    /// The connection stands.
    mutating func connected(nowNs: Int64) -> [Action] {
        ask(.options, Question(method: "OPTIONS", uri: url.text), nowNs)
    }

    /// The user that `needsUser` asked for. Kept until the connection ends.
    mutating func answer(as user: RTSPUser, nowNs: Int64) -> [Action] {
        conversation.answer(as: user, nowNs: nowNs).map { [.send($0)] } ?? []
    }

    /// Ends the publication, so that the path is free for the next one.
    mutating func stop() -> [Action] {
        guard !conversation.isOver else { return [] }
        return goodbye() + [.close]
    }

    /// Ends the publication for a reason that the server does not know.
    mutating func fail(_ failure: RTSPFailure) -> [Action] {
        guard !conversation.isOver else { return [] }
        return goodbye() + [.failed(failure), .close]
    }

    /// To be called several times a second.
    mutating func tick(nowNs: Int64) -> [Action] { carryOut(conversation.tick(nowNs: nowNs), nowNs) }

    // MARK: From the server

    /// A response came.
    mutating func received(_ response: RTSPResponse, nowNs: Int64) -> [Action] {
        carryOut(conversation.heard(response, nowNs: nowNs), nowNs)
    }

    /// A request of the server came; it gets an answer.
    mutating func received(_ request: RTSPRequest) -> [Action] {
        conversation.answer(to: request).map { [.send($0)] } ?? []
    }

    private mutating func carryOut(_ outcome: RTSPConversation<Step>.Outcome, _ nowNs: Int64) -> [Action] {
        switch outcome {
        case .nothing: return []
        case .send(let bytes): return [.send(bytes)]
        case .needsUser: return [.needsUser]
        case .redirected(let target):
            // A stream is shown where its operator says, not where a server says.
            let reason = "the media server wants the stream at \(target); if that is right, configure this address"
            return fail(RTSPFailure(.protocolError, reason))
        case .failed(let failure): return fail(failure)
        case .answered(.options, let response):
            // It only tells what else can be asked: a server that refuses it may record all the same.
            conversation.learn(response)
            let question = Question(
                method: "ANNOUNCE", uri: url.text, headers: [("Content-Type", "application/sdp")],
                body: announcement.encoded)
            return ask(.announce, question, nowNs)
        case .answered(.announce, let response):
            guard response.isSuccess else { return fail(.refused("ANNOUNCE", response, by: .mediaServer)) }
            return setUp(0, nowNs)
        case .answered(.setUp(let index), let response): return setUpAnswered(index, response, nowNs)
        case .answered(.record, let response):
            guard response.isSuccess else { return fail(.refused("RECORD", response, by: .mediaServer)) }
            conversation.keepAlive(nowNs: nowNs)
            return [.publishing(channels)]
        }
    }

    private mutating func setUp(_ index: Int, _ nowNs: Int64) -> [Action] {
        let channels = RTSPTransport.channels(ofTrack: index)
        let transport = "RTP/AVP/TCP;unicast;interleaved=\(channels.0)-\(channels.1);mode=record"
        let question = Question(
            method: "SETUP", uri: url.joining(control: RTSPAnnouncement.control(of: index), base: nil),
            headers: [("Transport", transport)])
        return ask(.setUp(index), question, nowNs)
    }

    private mutating func setUpAnswered(_ index: Int, _ response: RTSPResponse, _ nowNs: Int64) -> [Action] {
        guard response.isSuccess else { return fail(.refused("SETUP", response, by: .mediaServer)) }
        let told = response.headers["Transport"].map(RTSPTransport.init)
        if let told, !told.isInterleaved {
            let reason = "the media server does not take packets inside the connection of the requests (TCP)"
            return fail(RTSPFailure(.protocolError, reason))
        }
        // The server's channels count; one that names none took ours.
        let found = told?.channels ?? RTSPTransport.channels(ofTrack: index)
        channels.append(Channels(rtp: found.0, rtcp: found.1))
        guard index + 1 == announcement.formats.count else { return setUp(index + 1, nowNs) }
        let question = Question(
            method: "RECORD", uri: conversation.aggregateURI, headers: [("Range", "npt=0.000-")])
        return ask(.record, question, nowNs)
    }

    private mutating func ask(_ step: Step, _ question: Question, _ nowNs: Int64) -> [Action] {
        [.send(conversation.ask(step, question, nowNs: nowNs))]
    }

    private mutating func goodbye() -> [Action] { conversation.goodbye().map { [.send($0)] } ?? [] }
}
