// What verify and fsck find: one finding per file, counted by kind, shown as a table with what to do about each kind. Pure.

import ArgumentParser
import JSON

/// How closely files are looked at; each level does what the one before does.
enum CheckDepth: String, CaseIterable, ExpressibleByArgument, Comparable {
    case names, sizes, hashes

    static func < (left: CheckDepth, right: CheckDepth) -> Bool {
        (allCases.firstIndex(of: left) ?? 0) < (allCases.firstIndex(of: right) ?? 0)
    }
}

/// One thing that is not as it should be, or that is good to know.
struct Finding: Sendable, Equatable {
    enum Kind: String, Sendable, CaseIterable {
        case emptyVolume = "empty volume"
        case missing, size, hash, sidecar, unreadable, manifest, blob
        case noFile = "no file"
        case noRow = "not in catalogue"
        case sidecarAlone = "sidecar alone"
        case leftover
        case catalogue
        case foreign
        case evicted = "evicted (uploaded)"

        /// False for what is only good to know.
        var isWrong: Bool { self != .foreign && self != .evicted }

        /// Whether each is shown; else the count says enough.
        var isListed: Bool { self != .evicted }

        /// What it means and what to do.
        var advice: String {
            switch self {
            case .emptyVolume: "is the disk mounted, and is it the right one? Nothing was compared"
            case .missing:
                "a manifest names it and it is not there: look in the blob store; where it is not there either, ask for it again"
            case .size, .hash:
                "the content is not what was recorded: look at the kernel log for disk errors, and fetch the file from where it "
                    + "was copied from or to"
            case .sidecar: "the file beside it that describes it is absent or says something else"
            case .unreadable: "it could not be read: look at its owner and mode, and at the kernel log for disk errors"
            case .manifest: "it is not what the archiver writes"
            case .blob:
                "what is in the blob store is not what was archived: keep the copy on the archive volume while there is one"
            case .noFile:
                "the catalogue has it and the volume has not: capture-controller reports it gone when it starts the next time"
            case .noRow:
                "the volume has it and the catalogue has not: capture-controller records it again when it starts the next time"
            case .sidecarAlone: "the file that it describes is not there; remove it where that was uploaded"
            case .leftover: "it lies in staging for more than a day: its writer was killed and did not come back"
            case .catalogue:
                "stop the indexer and put a backup in its place, or let it rebuild the catalogue from the volumes"
            case .foreign: "not a file of Sightglass; it is left alone"
            case .evicted: "not here any more, because it is in the cloud"
            }
        }
    }

    let kind: Kind
    /// On the volume.
    let path: String
    let detail: String

    init(_ kind: Kind, _ path: String, _ detail: String) {
        self.kind = kind
        self.path = path
        self.detail = detail
    }
}

/// Findings as they come, of each kind all counted and some kept.
struct Findings: Sendable {
    /// What a person reads, and then looks for the cause.
    static let mostShown = 50
    /// What a program gets; beyond that the volume is lost rather than damaged.
    static let mostKept = 10_000

    private(set) var counts: [Finding.Kind: Int] = [:]
    private var kept: [Finding.Kind: [Finding]] = [:]

    var isWrong: Bool { counts.contains { $0.key.isWrong && $0.value > 0 } }

    mutating func add(_ finding: Finding) {
        counts[finding.kind, default: 0] += 1
        if counts[finding.kind, default: 0] <= Self.mostKept { kept[finding.kind, default: []].append(finding) }
    }

    mutating func add(_ findings: [Finding]) { for finding in findings { add(finding) } }

    mutating func add(_ other: Findings) {
        for (kind, count) in other.counts {
            let room = Self.mostKept - (kept[kind]?.count ?? 0)
            counts[kind, default: 0] += count
            kept[kind, default: []] += (other.kept[kind] ?? []).prefix(max(0, room))
        }
    }

    func of(_ kind: Finding.Kind) -> [Finding] { kept[kind] ?? [] }

    /// A table of what is listed, then a line per kind; empty where there is nothing.
    var rendered: String {
        let kinds = Finding.Kind.allCases.filter { counts[$0, default: 0] > 0 }
        var table = Table(["WHAT", "FILE", "DETAIL"], whenEmpty: "")
        for kind in kinds where kind.isListed {
            for finding in of(kind).prefix(Self.mostShown) { table.add([kind.rawValue, finding.path, finding.detail]) }
        }
        let lines = kinds.map { kind in
            let count = counts[kind, default: 0]
            let cut = kind.isListed && count > Self.mostShown ? ", the first \(Self.mostShown) are shown" : ""
            return "\(kind.rawValue): \(count)\(cut); \(kind.advice)"
        }
        return ([table.rendered] + (table.rendered.isEmpty || lines.isEmpty ? [] : [""]) + lines)
            .drop { $0.isEmpty }.joined(separator: "\n")
    }

    var json: [JSONValue.Member] {
        let found = Finding.Kind.allCases.filter { counts[$0, default: 0] > 0 }
        return [
            .init(key: "ok", value: .bool(!isWrong)),
            .init(
                key: "counts",
                value: .object(found.map { .init(key: $0.rawValue, value: .integer(counts[$0, default: 0])) })),
            .init(
                key: "findings",
                value: .array(
                    found.flatMap { of($0) }.map { finding in
                        .fields([
                            "what": .string(finding.kind.rawValue), "file": .string(finding.path),
                            "detail": .string(finding.detail),
                        ])
                    })),
        ]
    }
}
