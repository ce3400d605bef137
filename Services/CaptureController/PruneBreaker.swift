// Whether rows of the catalogue whose files are not on the volume may be given up. A few files that somebody removed are; when
// a large part is gone, a folder or a disk is more likely to be missing than the footage, and a person gets a day to bring it back.
// Nothing is lost by waiting, and giving up is no loss of footage either: files that come back are recorded again. Pure.

struct PruneBreaker: Sendable, Equatable {
    /// So many are always believed: an hour of one camera.
    static let fewFiles = 100
    /// More than this part of the rows is not believed.
    static let largePercent = 10
    /// Believed in the end: else a list would name for ever what is not there.
    static let patienceUs: Int64 = 24 * 3_600_000_000

    /// When a large part was first found missing, by the monotonic clock; nil: it is not.
    private var missingSinceUs: Int64?

    init() {}

    /// Called with what each pass found.
    mutating func mayPrune(missing: Int, of rows: Int, nowUs: Int64) -> Bool {
        guard missing > max(Self.fewFiles, rows / 100 * Self.largePercent) else {
            missingSinceUs = nil
            return true
        }
        let since = missingSinceUs ?? nowUs
        missingSinceUs = since
        return nowUs - since >= Self.patienceUs
    }
}
