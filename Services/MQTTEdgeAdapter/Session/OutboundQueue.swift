// What waits to be published, and what the broker has not acknowledged. Pure: the session's thread asks what is next,
// callers put in, time is passed in.
//
// Two lanes. Words (answers, receipts, status) go first and survive a lost connection. Pictures go when no word waits, and
// are given back to their senders when the connection is lost: a controller has newer ones by then. Bounds in bytes:
//   words full      the newest is refused: its message from the broker stays unacknowledged and comes again
//   pictures full   the oldest waiting picture is dropped: inference wants the newest
// A retained word replaces an older one of its topic that still waits.

/// The queue of the outbound session.
struct OutboundQueue: Sendable {
    typealias ID = UInt64

    enum Lane: Sendable, Equatable {
        case word
        case picture
    }

    /// Why an entry left the queue without being published.
    enum Dropped: Error, Sendable, Equatable {
        /// No room; see the policy above.
        case full
        /// Its time was over before it could be sent.
        case expired
        /// The connection was lost, or there is none.
        case disconnected
        /// A newer retained word of the same topic stands in its place.
        case replaced
        /// The broker said no; its reason.
        case refused(String)
    }

    struct Entry: Sendable {
        let id: ID
        let message: OutboundMessage
        let lane: Lane
        /// After that nobody wants it.
        let expiresAt: ContinuousClock.Instant?
    }

    /// Bytes of words that may wait: thousands of statuses.
    static let defaultWordBytes = 16 << 20
    /// Bytes of pictures that may wait: two of the largest.
    static let defaultPictureBytes = 64 << 20
    /// Unacknowledged at a time; a broker's receive maximum is usually 20 or more, and libmosquitto keeps to it.
    static let maximumInFlight = 20

    private let wordBytesBound: Int
    private let pictureBytesBound: Int
    private var words: [Entry] = []
    private var pictures: [Entry] = []
    private(set) var inFlight: [Entry] = []
    private(set) var wordBytes = 0
    private(set) var pictureBytes = 0
    private var lastID: ID = 0

    init(wordBytes: Int = OutboundQueue.defaultWordBytes, pictureBytes: Int = OutboundQueue.defaultPictureBytes) {
        wordBytesBound = wordBytes
        pictureBytesBound = pictureBytes
    }

    var isEmpty: Bool { words.isEmpty && pictures.isEmpty && inFlight.isEmpty }

    /// Puts a message in. Gives its id, and the ids that had to leave for it.
    mutating func enqueue(
        _ message: OutboundMessage, lane: Lane, expiresAt: ContinuousClock.Instant? = nil
    ) throws(Dropped) -> (id: ID, dropped: [(ID, Dropped)]) {
        let size = message.maximumPacketBytes
        var dropped: [(ID, Dropped)] = []
        switch lane {
        case .word:
            if message.retain,
                let index = words.firstIndex(where: { $0.message.topic == message.topic && $0.message.retain })
            {
                dropped.append((words[index].id, .replaced))
                removeWord(at: index)
            }
            guard wordBytes + size <= wordBytesBound else { throw .full }
        case .picture:
            guard size <= pictureBytesBound else { throw .full }
            while pictureBytes + size > pictureBytesBound {
                guard let oldest = pictures.first else { throw .full }
                pictures.removeFirst()
                pictureBytes -= oldest.message.maximumPacketBytes
                dropped.append((oldest.id, .full))
            }
        }
        lastID += 1
        let entry = Entry(id: lastID, message: message, lane: lane, expiresAt: expiresAt)
        switch lane {
        case .word:
            words.append(entry)
            wordBytes += size
        case .picture:
            pictures.append(entry)
            pictureBytes += size
        }
        return (entry.id, dropped)
    }

    private mutating func removeWord(at index: Int) {
        wordBytes -= words[index].message.maximumPacketBytes
        words.remove(at: index)
    }

    /// The next to send; it is in flight then. Nil where nothing waits, or too much is unacknowledged.
    mutating func next() -> Entry? {
        guard inFlight.count < Self.maximumInFlight else { return nil }
        let entry: Entry
        if !words.isEmpty {
            entry = words.removeFirst()
        } else if !pictures.isEmpty {
            entry = pictures.removeFirst()
        } else {
            return nil
        }
        inFlight.append(entry)
        return entry
    }

    /// The broker has it, or refused it, or it was QoS 0 and is written.
    mutating func finish(_ id: ID) {
        guard let index = inFlight.firstIndex(where: { $0.id == id }) else { return }
        release(inFlight.remove(at: index))
    }

    private mutating func release(_ entry: Entry) {
        switch entry.lane {
        case .word: wordBytes -= entry.message.maximumPacketBytes
        case .picture: pictureBytes -= entry.message.maximumPacketBytes
        }
    }

    /// Words in flight wait again, in their order and in front of newer ones; pictures leave.
    mutating func connectionLost() -> [(ID, Dropped)] {
        let lost = inFlight.filter { $0.lane == .picture } + pictures
        let again = inFlight.filter { $0.lane == .word }
        inFlight = []
        pictures = []
        pictureBytes = 0
        // A retained word that waits already says something newer of the same topic.
        let newer = Set(words.filter(\.message.retain).map(\.message.topic))
        var replaced: [(ID, Dropped)] = []
        var kept: [Entry] = []
        for entry in again {
            if entry.message.retain, newer.contains(entry.message.topic) {
                wordBytes -= entry.message.maximumPacketBytes
                replaced.append((entry.id, .replaced))
            } else {
                kept.append(entry)
            }
        }
        words = kept + words
        return replaced + lost.map { ($0.id, .disconnected) }
    }

    /// What is in flight waits again in front of the rest: the next connection follows at once. A picture that the broker has
    /// already comes twice then, with the same id.
    mutating func connectionExchanged() {
        words = inFlight.filter { $0.lane == .word } + words
        pictures = inFlight.filter { $0.lane == .picture } + pictures
        inFlight = []
    }

    /// Takes out what waits and is not wanted any more. What is in flight stays: the broker may have it.
    mutating func expire(now: ContinuousClock.Instant) -> [(ID, Dropped)] {
        func isOver(_ entry: Entry) -> Bool { entry.expiresAt.map { $0 <= now } ?? false }
        let over = (words + pictures).filter(isOver)
        guard !over.isEmpty else { return [] }
        words.removeAll(where: isOver)
        pictures.removeAll(where: isOver)
        over.forEach { release($0) }
        return over.map { ($0.id, .expired) }
    }
}
