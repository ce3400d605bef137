// Index tags: by them the storage account itself finds blobs ("all of camera lobby between two times", "all of this request"), over all
// containers. What an account takes: 10 tags, names of 128 characters, values of 256, of letters, digits, space and + - . / : = _
// only. Any other byte of a value, and '=' itself, is written as '=' and two hexadecimal digits (as in quoted-printable).
//
//   camera    as the footage is called in the archive
//   start     of its window, UTC, 2026-11-23T05:00:00.000000Z: by their text they sort by their time
//   end       likewise
//   sha256    64 hexadecimal digits; of a sidecar media_sha256, that of its media
//   request   the archive request that wants it, which is also the name of its manifest; of several the first by name: the metadata
//             has them all
//   event     the key of the event that asked for it, where the documents of the file name one; of several the one that came
//             first
//
// Accounts with a hierarchical namespace have no tags, and a signature or role may lack the right for them. Then files go up
// without: the metadata says the same.
import CivilTime
import Foundation
import Volume
import Wire

/// Whether tags are sent.
struct Tagging: Sendable {
    /// In lower case, as all headers here.
    static let header = "x-ms-tags"
    /// Rights may be given later; until then one request in an hour is refused.
    private static let retryAfter = Duration.seconds(3600)

    let isWanted: Bool
    private var refusedAt: ContinuousClock.Instant?
    private var isReported = false

    init(isWanted: Bool) { self.isWanted = isWanted }

    func maySend(at now: ContinuousClock.Instant) -> Bool {
        isWanted && (refusedAt.map { now - $0 >= Self.retryAfter } ?? true)
    }

    /// The same was taken without tags. True where nobody was told yet.
    mutating func refused(at now: ContinuousClock.Instant) -> Bool {
        refusedAt = now
        defer { isReported = true }
        return !isReported
    }

    /// Whether a refusal may be due to the tags alone. Trying without them shows it.
    static func mayBeRefusal(status: Int?, code: String?) -> Bool {
        switch status {
        case 403:
            ["AuthorizationPermissionMismatch", "AuthorizationFailure", "InsufficientAccountPermissions"]
                .contains(code ?? "")
        case 400, 409, 501:
            [
                "UnsupportedHeader", "InvalidHeaderValue", "FeatureNotEnabled", "NotImplemented", "InvalidTag",
                "FeatureNotYetSupportedForHierarchicalNamespaceAccounts", "BlobTagsNotSupportedForAccountType",
                "BlobApiNotYetSupportedForHierarchicalNamespaceAccounts",
            ].contains(code ?? "")
        default: false
        }
    }
}

/// The tags of a file.
enum UploadTags {
    private static let longestValue = 256

    static func of(
        _ item: ClaimedItem, _ hash: (name: String, value: String), events: [String]
    ) -> [(name: String, value: String)] {
        let all: [(String, String?)] = [
            ("camera", item.camera), ("end", item.window?.endUs.flatMap { TimeStamp(us: $0) }?.isoMicroseconds),
            ("event", events.first), ("request", item.requestIDs.min()),
            ("start", item.window?.startUs.flatMap { TimeStamp(us: $0) }?.isoMicroseconds), (hash.name, hash.value),
        ]
        return all.compactMap { name, text in text.map { (name, value($0)) } }.filter { !$0.1.isEmpty }
            .sorted { $0.0 < $1.0 }.map { (name: $0.0, value: $0.1) }
    }

    /// What the service takes, as it was or in its spelling; cut at the service's bound, and never inside of a spelled byte.
    static func value(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            let part = isKept(byte) ? String(UnicodeScalar(byte)) : spelled(byte)
            guard result.utf8.count + part.utf8.count <= longestValue else { break }
            result += part
        }
        return result
    }

    /// The header: as the query of an address.
    static func encoded(_ tags: [(name: String, value: String)]) -> String {
        tags.map { "\(BlobText.encodedQuery($0.name))=\(BlobText.encodedQuery($0.value))" }.joined(separator: "&")
    }

    private static func isKept(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
        default: " +-./:_".utf8.contains(byte)
        }
    }

    private static func spelled(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16, uppercase: true)
        return digits.count == 1 ? "=0\(digits)" : "=\(digits)"
    }
}
