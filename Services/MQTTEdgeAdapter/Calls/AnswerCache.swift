// The answers that were given, so that a second copy of a request gets the same one without a second run (command-cache of the
// AIO SDKs). Pure; time is passed in.

/// Answers by the key of their request.
struct AnswerCache: Sendable {
    /// An answer is kept for so long beyond its request's expiry, as AIO's Rust SDK does: a copy may be late.
    static let slack = Duration.seconds(60)
    /// Bounds: an hour of ten commands a second is 36,000; the eldest go first.
    static let maximumEntries = 20_000
    static let maximumBytes = 16 << 20

    private struct Entry {
        let answer: CallAnswer
        let bytes: Int
        let until: ContinuousClock.Instant
        let number: UInt64
    }

    private var entries: [String: Entry] = [:]
    /// In the order of their arrival; numbers of entries that are gone are passed over.
    private var order: [(key: String, number: UInt64)] = []
    private var lastNumber: UInt64 = 0
    private(set) var bytes = 0

    var count: Int { entries.count }

    /// The answer that was given to the request; nil for a new one.
    func answer(_ key: String, now: ContinuousClock.Instant) -> CallAnswer? {
        guard let entry = entries[key], entry.until > now else { return nil }
        return entry.answer
    }

    /// Keeps an answer. The first one counts.
    mutating func keep(
        _ answer: CallAnswer, _ key: String, expiresAt: ContinuousClock.Instant, now: ContinuousClock.Instant
    ) {
        guard self.answer(key, now: now) == nil else { return }
        remove(key)
        lastNumber += 1
        let size = key.utf8.count + answer.json.text().utf8.count + 256
        entries[key] = Entry(answer: answer, bytes: size, until: expiresAt + Self.slack, number: lastNumber)
        order.append((key, lastNumber))
        bytes += size
        while let eldest = order.first {
            let entry = entries[eldest.key].flatMap { $0.number == eldest.number ? $0 : nil }
            guard
                entry == nil || (entry?.until ?? now) <= now || entries.count > Self.maximumEntries
                    || bytes > Self.maximumBytes
            else { break }
            order.removeFirst()
            if entry != nil { remove(eldest.key) }
        }
    }

    private mutating func remove(_ key: String) {
        if let entry = entries.removeValue(forKey: key) { bytes -= entry.bytes }
    }
}
