// Decides when volume and catalogue are compared again: on a slow timer, and at once when the catalogue holds another number of
// files or bytes of our volume than we do. That is how an indexer is noticed that came back with an older catalogue, or with an
// empty one, while we went on recording. Pure; ReconcileLoop.swift looks and acts.

/// Files of a volume and their sizes together.
struct Holding: Sendable, Equatable {
    var files: Int64
    var bytes: Int64

    static let none = Holding(files: 0, bytes: 0)

    static func - (left: Holding, right: Holding) -> Holding {
        Holding(files: left.files - right.files, bytes: left.bytes - right.bytes)
    }
}

struct CatalogueWatch: Sendable, Equatable {
    /// Between two comparisons that nothing but time asks for.
    let everyUs: Int64
    /// When the last comparison ended, by the monotonic clock; nil: there was none.
    private var comparedAtUs: Int64?
    /// A difference that a comparison left: the catalogue refuses a record, or a file was replaced. Comparing again changes nothing.
    private var explained = Holding.none
    /// The difference that was seen last. Once is not enough: a record or a report of a deletion may be on its way.
    private var suspected: Holding?
    /// A difference that stays may be what the comparison left, for `settleUs`: later it is of a catalogue that took this one's place.
    private var isSettling = false
    /// What the comparison before the last one left. Only what two of them leave is explained: after the first alone, another
    /// catalogue may have come in the moment before we looked, by a call that waited for it.
    private var leftOnce: Holding?
    /// Time for a few looks, which come quickly then.
    static let settleUs: Int64 = 20_000_000

    init(everyUs: Int64) { self.everyUs = everyUs }

    /// Whether a difference was seen that the next look may find gone.
    var isSuspicious: Bool { suspected != nil || isSettling }

    /// Whether the timer asks for a comparison.
    func isDue(nowUs: Int64) -> Bool {
        guard let comparedAtUs else { return true }
        return nowUs - comparedAtUs >= everyUs
    }

    /// What both hold, seen while nothing was on its way. Gives whether they must be compared.
    mutating func saw(catalogue: Holding, own: Holding, nowUs: Int64) -> Bool {
        if isSettling, let comparedAtUs, nowUs - comparedAtUs > Self.settleUs { (isSettling, leftOnce) = (false, nil) }
        let difference = catalogue - own
        guard difference != explained else {
            (suspected, isSettling, leftOnce) = (nil, false, nil)
            return false
        }
        guard difference == suspected else {
            suspected = difference
            return false
        }
        guard isSettling else { return true }
        guard difference == leftOnce else {
            leftOnce = difference
            return true
        }
        (explained, suspected, isSettling, leftOnce) = (difference, nil, false, nil)
        return false
    }

    /// The indexer does not answer: what comes back may be another catalogue, so no difference is taken as explained then.
    mutating func lostSight() { (suspected, isSettling, leftOnce) = (nil, false, nil) }

    mutating func compared(nowUs: Int64) {
        comparedAtUs = nowUs
        (suspected, isSettling) = (nil, true)
    }
}
