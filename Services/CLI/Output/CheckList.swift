// What probe and doctor found: checks in their order, each with what was seen and what to do next. Pure.

import JSON

/// One thing that was looked at.
struct Check: Sendable, Equatable {
    /// How it is.
    enum Verdict: String, Sendable, Comparable, CaseIterable {
        case good = "ok"
        /// It works, and not as it should for long.
        case attention
        case wrong

        static func < (left: Verdict, right: Verdict) -> Bool {
            (allCases.firstIndex(of: left) ?? 0) < (allCases.firstIndex(of: right) ?? 0)
        }
    }

    /// What was looked at: "connection", "indexer".
    let subject: String
    let verdict: Verdict
    /// One word for programs; empty where all is well.
    let code: String
    /// What was seen.
    let seen: String
    /// What to do next; empty where nothing is to be done.
    let advice: String

    static func good(_ subject: String, _ seen: String) -> Check {
        Check(subject: subject, verdict: .good, code: "", seen: seen, advice: "")
    }

    static func attention(_ subject: String, _ code: String, _ seen: String, do advice: String) -> Check {
        Check(subject: subject, verdict: .attention, code: code, seen: seen, advice: advice)
    }

    static func wrong(_ subject: String, _ code: String, _ seen: String, do advice: String) -> Check {
        Check(subject: subject, verdict: .wrong, code: code, seen: seen, advice: advice)
    }
}

/// Checks in their order.
struct CheckList: Sendable, Equatable {
    var checks: [Check]

    /// The worst of them.
    var verdict: Check.Verdict { checks.map(\.verdict).max() ?? .good }

    /// What was seen as a table, then what to do about each that is not well; a piece of advice that several share, once.
    var lines: [String] {
        var table = Table(["CHECK", "RESULT", "SEEN"], whenEmpty: "")
        for check in checks { table.add([check.subject, check.verdict.rawValue, check.seen]) }
        var advice: [(subjects: [String], text: String)] = []
        for check in checks where !check.advice.isEmpty {
            if let place = advice.firstIndex(where: { $0.text == check.advice }) {
                if !advice[place].subjects.contains(check.subject) { advice[place].subjects.append(check.subject) }
            } else {
                advice.append(([check.subject], check.advice))
            }
        }
        guard !advice.isEmpty else { return [table.rendered] }
        return [table.rendered, "", "What to do"]
            + advice.map { Table.printable("  \($0.subjects.joined(separator: ", ")): \($0.text)") }
    }

    /// For programs.
    var json: [JSONValue.Member] {
        [
            .init(key: "verdict", value: .string(verdict.rawValue)),
            .init(
                key: "checks",
                value: .array(
                    checks.map { check in
                        .fields([
                            "subject": .string(check.subject), "verdict": .string(check.verdict.rawValue),
                            "code": check.code.isEmpty ? nil : .string(check.code), "seen": .string(check.seen),
                            "advice": check.advice.isEmpty ? nil : .string(check.advice),
                        ])
                    })),
        ]
    }
}
