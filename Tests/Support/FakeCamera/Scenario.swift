// FakeCamera: an RTSP camera that plays a scenario, and knows every picture and sound that it sent. Of its own making from the
// first byte to the last: it shares no code with the client that it tests.
//
//   Scenario, CameraStream, RTPHabits, Dialect     what the camera is, says and does wrong: values
//   SyntheticVideo, ParameterSetWriter, Payloads   pictures and sounds, made up, and their RTP payloads
//   StreamSender                                   one stream's packets, and the record of its units
//   Conversation, Gatekeeper                       requests to answers; who is let in
//   FakeCamera, CameraCore, CameraLink             the server: one thread, one poll
//   CameraRecord                                   what was asked and sent, for the verdict: received = sent minus declared loss
//   NamedScenarios                                 scenarios for the command `fake-camera`

/// What a camera is, says and does wrong. What is not changed is what a good camera does.
public struct Scenario: Sendable {
    /// What it offers, in the order of its description.
    public var streams: [CameraStream]
    /// How it speaks RTSP.
    public var dialect = Dialect()
    /// Who is let in; nil: everybody.
    public var authentication: Authentication?
    /// What goes wrong, and when.
    public var faults: [Fault] = []
    /// What comes between the units.
    public var interjections: [Interjection] = []
    /// How fast it sends.
    public var pace = Pace.free
    /// What follows the last unit.
    public var atEnd = AtEnd.closes
    /// Units are noted; false for a camera that goes on for days without anybody asking.
    public var keepsRecord = true

    /// A camera with these streams, changed by `change`.
    public init(_ streams: [CameraStream], _ change: (inout Scenario) -> Void = { _ in }) {
        self.streams = streams
        change(&self)
    }
}

/// How fast a camera sends. "Units" are pictures and packets of sound, of all streams of a session together.
public enum Pace: Sendable, Equatable {
    /// As fast as they are read.
    case free
    /// As many as the test allows (`FakeCamera.allow(units:)`).
    case allowed
    /// By the clock, as a camera does.
    case realTime
}

/// What a camera does after the last unit.
public enum AtEnd: Sendable, Equatable {
    /// Closes the connection, in order.
    case closes
    /// Keeps it, and answers.
    case stays
}

/// What goes wrong.
public enum Fault: Sendable, Hashable {
    /// The connection is closed in order after so many units.
    case closesAfter(units: Int)
    /// The connection is reset after so many units, which the other side's kernel has by then.
    case resetsAfter(units: Int)
    /// Nothing is sent any more after so many units, no answer either; the connection stays.
    case fallsSilentAfter(units: Int)
    /// A method is never answered.
    case neverAnswers(String)
    /// A method's answer breaks off in its middle, and the connection is closed.
    case answersHalf(String)
    /// A method closes the connection.
    case closesOn(String)
    /// Before this unit, a frame announces more bytes than are written of it: a short write that was not noticed.
    case tearsFrameBefore(unit: Int)
}

/// What comes between units.
public struct Interjection: Sendable {
    /// What.
    public enum Content: Sendable {
        /// As it is.
        case bytes([UInt8])
        /// An interleaved frame on this channel.
        case frame(channel: UInt8, [UInt8])
        /// An RTP packet of another payload type on the channel of the first stream, with a numbering of its own.
        case packet(payloadType: UInt8, [UInt8])
        /// A request of the camera.
        case request(String, body: String)
        /// An RTCP sender report of the first stream, with this wall clock in NTP's 64 bits.
        case senderReport(ntp: UInt64)
        /// Sender reports of all streams. The wall clock shows `wallS` (seconds since 1900) at the first unit of each stream, plus
        /// what stands in `aheadS` for the stream's place.
        case senderReports(wallS: Double, aheadS: [Int: Double])
        /// The first stream is over (RTCP BYE).
        case goodbye
    }

    /// What comes.
    public var content: Content
    /// Before each unit whose number in the session is `firstUnit` plus a multiple of this.
    public var everyUnits: Int
    /// The first unit that it comes before.
    public var firstUnit: Int

    /// Comes before the unit `firstUnit`, and again each `everyUnits`.
    public init(_ content: Content, everyUnits: Int = 1, firstUnit: Int = 0) {
        self.content = content
        self.everyUnits = max(1, everyUnits)
        self.firstUnit = firstUnit
    }

    func comes(before unit: Int) -> Bool { unit >= firstUnit && (unit - firstUnit) % everyUnits == 0 }
}
