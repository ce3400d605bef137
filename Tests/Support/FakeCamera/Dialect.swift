// How a camera speaks RTSP, and whom it lets in.

/// How a camera speaks RTSP.
public struct Dialect: Sendable {
    /// What Content-Base says.
    public enum ContentBase: Sendable, Hashable {
        /// The URL of the request with a slash.
        case absolute
        case missing
        /// Only the path, which names no server.
        case withoutScheme
        /// Something else, with "{host}" for the camera's host and port.
        case other(String)
        /// The header is Content-Location.
        case contentLocation
    }

    /// How answers come.
    public enum Delivery: Sendable, Hashable {
        case whole
        /// Each byte by itself.
        case bytewise
    }

    /// What a SETUP asked for, for `transport`.
    public struct Asked: Sendable {
        /// The channel of RTP that is used; RTCP has the next one.
        public var channel: UInt8
        /// The stream's source.
        public var ssrc: UInt32
    }

    /// The Public header; nil: there is none.
    public var publicMethods: String? = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER"
    /// Methods that are always answered with this status.
    public var refuses: [String: Int] = [:]
    /// Methods that are answered with this status the first time, in each connection.
    public var refusesOnce: [String: Int] = [:]
    /// Methods that are answered with this status from the second time on.
    public var refusesLater: [String: Int] = [:]
    /// What Content-Base says.
    public var contentBase = ContentBase.absolute
    /// DESCRIBE says that its body is a description.
    public var statesContentType = true
    /// Answers say which request they answer.
    public var statesCSeq = true
    /// Ends of lines in headers.
    public var lineEnd = "\r\n"
    /// The session as each SETUP names it; the last one goes on. Later requests must name the newest one.
    public var sessions = ["5EED1234"]
    /// Behind the session's name.
    public var sessionTail = ";timeout=60"
    /// Added to the channels that are asked for.
    public var channelShift: UInt8 = 0
    /// The Transport header of an answer.
    public var transport: @Sendable (Asked) -> String? = { asked in
        "RTP/AVP/TCP;unicast;interleaved=\(asked.channel)-\(asked.channel + 1);ssrc=\(String(asked.ssrc, radix: 16))"
    }
    /// PLAY's answer has Range and RTP-Info.
    public var statesRange = true
    /// RTP-Info of PLAY's answer, instead of the right one.
    public var rtpInfo: String?
    /// The description, with "{host}" for host and port, and "{sets}" for the first stream's sprop-parameter-sets; nil: a right one.
    public var description: String?
    /// `a=control` of the whole; nil: the line is missing.
    public var aggregateControl: String? = "*"
    /// How answers come.
    public var delivery = Delivery.whole
    /// Units that are sent before PLAY is answered.
    public var unitsBeforePlayAnswer = 0
    /// Where DESCRIBE is redirected to, and with which status.
    public var redirect: (status: Int, location: String)?
    /// Sent as soon as the connection stands.
    public var prelude: [UInt8] = []
    /// Streams, by their places, whose SETUP is answered with this status.
    public var refusesSetUp: [Int: Int] = [:]
    /// Lines of the header of every answer.
    public var extraHeaders: [String] = []

    /// A good camera's.
    public init() {}
}

/// Whom a camera lets in.
public struct Authentication: Sendable {
    /// How a hash is made.
    public enum Algorithm: Sendable, Hashable {
        case md5, sha256
        var name: String { self == .md5 ? "MD5" : "SHA-256" }
    }

    /// One way to prove who one is.
    public enum Scheme: Sendable, Hashable {
        case basic
        /// `named`: the challenge says which algorithm it is.
        case digest(Algorithm, qop: Bool, named: Bool = true)
        /// A scheme that nobody knows.
        case other(String)
    }

    /// The user's name.
    public var user = "admin"
    /// The password.
    public var password = "pass:word \"1\""
    /// The challenges, in this order.
    public var offers: [Scheme]
    /// Those that are let in; nil: what is offered.
    public var accepts: Set<Scheme>?
    /// All challenges in one header.
    public var isOneHeader = false
    /// OPTIONS too.
    public var guardsOptions = false
    /// The first request of each of these methods finds its nonce too old.
    public var staleAt: Set<String> = []
    /// A challenge after a nonce that was too old says so.
    public var saysStale = true

    /// Asks for one of `offers`.
    public init(_ offers: [Scheme], _ change: (inout Authentication) -> Void = { _ in }) {
        self.offers = offers
        change(&self)
    }
}
