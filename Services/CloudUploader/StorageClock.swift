// The service's clock, as the Date header of its answers tells it. A refused Shared Key may mean a wrong clock of this host, and the
// answer to a HEAD has no body that would say so.
import CivilTime

enum StorageClock {
    /// What the service allows between the time that was signed and its own: 15 minutes.
    static let allowedUs: Int64 = 15 * 60 * 1_000_000

    /// Whether the time that a request was signed with is too far from the answer's date for the service. False where either is missing
    /// or no date: who comes with a token or a signature of another kind needs no clock.
    static func refuses(signed: String?, answered: String?) -> Bool {
        guard let signed = signed.flatMap(us(of:)), let answered = answered.flatMap(us(of:)) else { return false }
        return abs(answered - signed) > allowedUs
    }

    /// "Mon, 23 Nov 2026 05:11:01 GMT" in microseconds since 1970; nil for anything else.
    static func us(of date: String) -> Int64? {
        let words = date.split(separator: " ")
        guard words.count == 6, words[5] == "GMT", words[1].utf8.count == 2,
            let month = months.firstIndex(of: String(words[2]))
        else { return nil }
        let number = month < 9 ? "0\(month + 1)" : "\(month + 1)"
        return TimeStamp(iso: "\(words[3])-\(number)-\(words[1])T\(words[4])Z")?.us
    }

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
}
