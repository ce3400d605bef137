// The secrets that were read from files, so that Redaction finds them wherever they turn up. A value; Redaction holds the one of
// the process.
import Glibc

/// Texts that must not leave the process, looked for as bytes: for Character a secret with a combining accent behind it would
/// be another text.
struct RememberedSecrets: Sendable {
    /// More than any site has files. Beyond it the one that was read longest ago is forgotten.
    static let maximumCount = 1024

    /// The longest first: of two secrets that begin alike, the rest of the longer one would stay otherwise.
    private var byLength: [[UInt8]] = []
    /// The one read longest ago first.
    private var byUse: [[UInt8]] = []

    /// Remembers a secret, or that it was read again.
    mutating func add(_ secret: [UInt8]) {
        guard !secret.isEmpty else { return }
        if let index = byUse.firstIndex(of: secret) {
            byUse.append(byUse.remove(at: index))
            return
        }
        if byUse.count >= Self.maximumCount {
            let oldest = byUse.removeFirst()
            byLength.removeAll { $0 == oldest }
        }
        byUse.append(secret)
        byLength.insert(secret, at: byLength.firstIndex { $0.count < secret.count } ?? byLength.count)
    }

    /// `text` with Redaction's mark in place of each secret.
    func removed(from text: String) -> String {
        var bytes = Array(text.utf8)
        var isChanged = false
        for secret in byLength {
            var from = 0
            while let start = Self.find(secret, in: bytes, from: from) {
                bytes.replaceSubrange(start..<start + secret.count, with: Redaction.mark.utf8)
                from = start + Redaction.mark.utf8.count
                isChanged = true
            }
        }
        return isChanged ? String(decoding: bytes, as: UTF8.self) : text
    }

    private static func find(_ secret: [UInt8], in bytes: [UInt8], from: Int) -> Int? {
        bytes.withUnsafeBytes { hay -> Int? in
            secret.withUnsafeBytes { needle -> Int? in
                guard let base = hay.baseAddress, let wanted = needle.baseAddress else { return nil }
                var index = from
                // Sound: both calls read inside the arrays, because a secret beginning at `index` still fits.
                while index + needle.count <= hay.count {
                    let room = hay.count - needle.count - index + 1
                    guard let first = memchr(base + index, Int32(needle[0]), room) else { return nil }
                    index = base.distance(to: first)
                    if memcmp(first, wanted, needle.count) == 0 { return index }
                    index += 1
                }
                return nil
            }
        }
    }
}
