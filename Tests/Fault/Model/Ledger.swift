// What was asked and what was answered. Pure: messages in; which are still to be sent, and what does not fit together, out.

/// What a receipt says.
struct Receipt: Sendable, Hashable {
    /// When it was seen.
    let atUs: Int64
    /// When it was written, as it says: a retained receipt comes again and again and is one.
    let stamp: String
    /// "accepted", "duplicate", "extended", "rejected", "cancelled".
    let word: String
    let requestID: String?
    /// Why it was rejected.
    let message: String?

    /// Whether it says that there is a request.
    var isTaken: Bool { word == "accepted" || word == "duplicate" || word == "extended" }
}

/// Something that was asked for, under its key.
struct Ask: Sendable {
    let key: String
    let isEvent: Bool
    let cameras: [Camera]
    let window: Span
    /// When each message left.
    var sentUs: [Int64] = []
    var receipts: [Receipt] = []
    var cancelSentUs: [Int64] = []
    /// What is to be made of the footage; nil: it does not say.
    let manner: Manner?
    /// The message itself, for when it is sent once more.
    let message: Message?

    struct Message: Sendable {
        let topic: String
        let payload: String
    }

    init(
        key: String, isEvent: Bool, cameras: [Camera], window: Span, manner: Manner? = nil, message: Message? = nil
    ) {
        self.key = key
        self.isEvent = isEvent
        self.cameras = cameras
        self.window = window
        self.manner = manner
        self.message = message
    }

    var taken: [Receipt] { receipts.filter(\.isTaken) }
    var requestID: String? { taken.first?.requestID }
    /// Receipts of the cancellation, which come under the request's id.
    var cancelAnswer: Receipt? {
        guard let sentUs = cancelSentUs.first else { return nil }
        return receipts.first { $0.atUs >= sentUs && ($0.word == "cancelled" || $0.word == "rejected") }
    }
}

struct Ledger: Sendable {
    private(set) var asks: [String: Ask] = [:]
    /// Keys in the order of asking.
    private(set) var order: [String] = []
    private var keysByRequest: [String: Set<String>] = [:]

    mutating func asked(_ ask: Ask) {
        if asks.updateValue(ask, forKey: ask.key) == nil { order.append(ask.key) }
    }

    mutating func sent(_ key: String, atUs: Int64) { asks[key]?.sentUs.append(atUs) }
    mutating func cancelSent(_ key: String, atUs: Int64) { asks[key]?.cancelSentUs.append(atUs) }

    /// A receipt came under a key: an event's, or a request's id.
    mutating func received(_ receipt: Receipt, under name: String) {
        // What comes under the id that an event's request was given answers those who cancelled it.
        let cancelled = (keysByRequest[name] ?? []).filter { asks[$0]?.cancelSentUs.isEmpty == false }
        let keys = asks[name] != nil ? [name] : cancelled.sorted()
        for key in keys {
            let isKnown = asks[key]?.receipts.contains { $0.stamp == receipt.stamp && $0.word == receipt.word } ?? true
            if !isKnown { asks[key]?.receipts.append(receipt) }
            if receipt.isTaken, let id = receipt.requestID { keysByRequest[id, default: []].insert(key) }
        }
    }

    /// Keys of the asks that are one request.
    func keys(of requestID: String) -> Set<String> { keysByRequest[requestID] ?? [] }

    /// Keys that still wait for a receipt, in order.
    var unanswered: [String] {
        order.filter { key in
            guard let ask = asks[key], !ask.sentUs.isEmpty else { return false }
            return ask.taken.isEmpty && !ask.receipts.contains { $0.word == "rejected" }
        }
    }

    /// What the answers alone show to be wrong.
    func judge() -> [Violation] {
        var violations = unanswered.map { key in
            Violation(.unanswered, key, "\(asks[key]?.sentUs.count ?? 0) messages and no receipt")
        }
        for key in order {
            guard let ask = asks[key] else { continue }
            for receipt in ask.receipts where receipt.word == "rejected" {
                // A cancellation of what has ended is refused, and so it should be.
                if let cancelUs = ask.cancelSentUs.first, receipt.atUs >= cancelUs { continue }
                violations.append(Violation(.rejected, key, receipt.message ?? "without a reason"))
            }
            let ids = Set(ask.taken.compactMap(\.requestID))
            if ids.count > 1 {
                violations.append(Violation(.identity, key, "became \(ids.sorted().joined(separator: " and "))"))
            }
            if !ask.isEvent, let id = ids.first, id != key {
                violations.append(Violation(.identity, key, "asked under its id, became \(id)"))
            }
        }
        return violations
    }
}
