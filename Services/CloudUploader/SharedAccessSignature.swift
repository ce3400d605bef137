// A shared access signature as a file holds it: the query of an address, with times in it that can be checked before anything is
// sent. A value; the credential itself is only ever revealed for the request.
import CivilTime
import Foundation
import ServiceKit

struct SharedAccessSignature: Sendable {
    private let text: Redacted<String>

    /// As it is in the file: "sv=…&sig=…", with or without the '?' of an address.
    init(_ text: String) { self.text = Redacted(String(text.drop { $0 == "?" })) }

    /// What goes to the end of a query.
    var query: String { text.revealed }

    /// Why it cannot be used at this time of day, with what to do; nil where it can. Never quotes the signature.
    func problem(atUs nowUs: Int64) -> String? {
        guard !query.utf8.starts(with: "http".utf8) else {
            return "is a whole address; write only what follows its '?'"
        }
        guard query.utf8.allSatisfy({ (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "#") }) else {
            return
                "has blanks or other signs that no address can have; write it in one line, as the storage account shows it"
        }
        guard value(of: "sig")?.isEmpty == false else {
            return "is none, 'sig=' is missing; write the whole query of the address there"
        }
        if let end = value(of: "se") {
            guard let time = Self.time(end) else { return "has an end ('se=') that is no time; make another one" }
            if time.us <= nowUs {
                return "ended at \(time.isoSeconds); write another one there (rights create, write, read)"
            }
        }
        if let start = value(of: "st"), let time = Self.time(start), time.us > nowUs {
            return "begins at \(time.isoSeconds) only; check the clock of this host, or write another one there"
        }
        return nil
    }

    private func value(of name: String) -> String? {
        for pair in query.utf8.split(separator: UInt8(ascii: "&")) {
            let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, parts[0].elementsEqual(name.utf8) else { continue }
            return String(Substring(parts[1])).removingPercentEncoding
        }
        return nil
    }

    /// The forms that the service takes, all in UTC: a date, a date with hours and minutes, and one with seconds too.
    static func time(_ text: String) -> TimeStamp? {
        switch text.utf8.count {
        case 10: TimeStamp(iso: text + "T00:00:00Z")
        case 17 where text.hasSuffix("Z"): TimeStamp(iso: text.dropLast() + ":00Z")
        default: TimeStamp(iso: text)
        }
    }
}
