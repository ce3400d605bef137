// Canaries: every credential that a test gives to a process says that it is one. It begins with `Canary.marker` (an account's key,
// which is base64, has it in its bytes), so that it is known wherever it turns up: in a log, a metric, an argument, an environment,
// an error, a database. A credential that cannot carry the marker, such as a signature, is told to `Canary.remember`.
//
// What looks: ServiceProcess at each process's start and end, ServiceClient at each answer, TemporaryDirectory at the files that a
// test leaves, SiteScan at whole sites (the command canary-scan). Only where a credential belongs, a secret's own file, is not
// looked at.

import Foundation
import Synchronization

/// What marks the credentials of the tests, and where finds are told.
public enum Canary {
    /// What each begins with.
    public static let marker = "canary-"
    /// The key that emulators of the Blob service have; every test knows it, and no output may.
    static let emulatorKey = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    private static let remembered = Mutex<[String]>([])

    /// From now on `secret` is a canary for this process. Shorter ones than 8 bytes are not: they would be found everywhere.
    public static func remember(_ secret: String) {
        guard secret.utf8.count >= 8 else { return }
        remembered.withLock { if !$0.contains(secret) { $0.append(secret) } }
    }

    /// Looks for the marker, the emulators' key, what was remembered, and what has the shape of a credential.
    public static var scanner: CanaryScanner { CanaryScanner(secrets: remembered.withLock { $0 }) }

    /// Tells of finds: on standard error, and in the file that SIGHTGLASS_LEAKS_FILE names, a line each, for whoever runs the
    /// tests. A deinit cannot fail a test; that file does.
    public static func report(
        _ finds: [CanaryFind], to path: String? = ProcessInfo.processInfo.environment["SIGHTGLASS_LEAKS_FILE"]
    ) {
        guard !finds.isEmpty else { return }
        let text = finds.map { "\($0)\n" }.joined()
        FileHandle.standardError.write(Data(text.utf8))
        guard let path, !path.isEmpty else { return }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        _ = Array(text.utf8).withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    }
}

/// A credential where none belongs. Never says what it is.
public struct CanaryFind: Sendable, Hashable, CustomStringConvertible {
    /// "the log of indexer", a path.
    public let place: String
    /// "a canary in base64".
    public let what: String
    /// What stands before it, for who looks for its cause; at most 80 printable characters.
    public let before: String

    /// One line.
    public var description: String { "credential in \(place): \(what), after \"\(before)\"" }
}

/// Finds canaries in bytes, however they are spelled: as they are, percent-encoded (also twice), with JSON's or Swift's escapes,
/// as hexadecimal, as base64 in any alignment and wrapped over lines; and what has the shape of a credential of any origin. A value.
public struct CanaryScanner: Sendable {
    /// Bytes to look for, and what it means that they are there.
    private struct Pattern: Sendable {
        let bytes: [UInt8]
        let what: String
    }

    private let patterns: [Pattern]

    /// `secrets` are looked for beside the marker.
    public init(secrets: [String] = []) {
        var patterns = Self.spellings(of: Canary.marker, named: "a canary")
        patterns += Self.spellings(of: Canary.emulatorKey, named: "the emulators' account key")
        for secret in secrets where !secret.contains(Canary.marker) {
            patterns += Self.spellings(of: secret, named: "a secret of the test")
        }
        self.patterns = patterns
    }

    private static func spellings(of secret: String, named name: String) -> [Pattern] {
        let bytes = Array(secret.utf8)
        let hexadecimal = bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        var result = [
            Pattern(bytes: bytes, what: name), Pattern(bytes: Array(hexadecimal.utf8), what: "\(name) in hexadecimal"),
            Pattern(bytes: Array(hexadecimal.uppercased().utf8), what: "\(name) in hexadecimal"),
        ]
        for alignment in 0..<3 {
            // Of the characters, only those are certain that hold no bit of an unknown neighbour.
            let encoded = Data([UInt8](repeating: 0, count: alignment) + bytes).base64EncodedString()
            let first = (alignment * 8 + 5) / 6
            let certain = (alignment + bytes.count) * 8 / 6
            let text = Array(encoded.utf8)[first..<certain]
            result.append(Pattern(bytes: Array(text), what: "\(name) in base64"))
            let inURLs = text.map {
                $0 == UInt8(ascii: "+") ? UInt8(ascii: "-") : $0 == UInt8(ascii: "/") ? UInt8(ascii: "_") : $0
            }
            if inURLs != Array(text) { result.append(Pattern(bytes: inURLs, what: "\(name) in base64")) }
        }
        return result
    }

    /// What is found in `bytes`, at most one of each kind. `shapes`: also what only looks like a credential.
    public func finds(in bytes: [UInt8], place: String, shapes: Bool = true) -> [CanaryFind] {
        var result = finds(of: patterns, in: bytes, place)
        // Pictures and databases have bytes in them that are no text; unescaping megabytes of them finds nothing.
        let isText = !bytes.prefix(8192).contains(0)
        guard isText || bytes.count <= 256 << 10 else { return result }
        if isText, shapes {
            for (what, start) in CredentialShapes.all(in: bytes) {
                result.append(CanaryFind(place: place, what: what, before: Self.context(bytes, start)))
            }
        }
        var plain = bytes
        for _ in 0..<2 {
            guard let unescaped = Unescaping.unescaped(plain) else { break }
            plain = unescaped
            result += finds(of: patterns, in: plain, place)
        }
        var seen: Set<String> = []
        return result.filter { seen.insert($0.what).inserted }
    }

    /// What is found in `text`.
    public func finds(in text: String, place: String, shapes: Bool = true) -> [CanaryFind] {
        finds(in: Array(text.utf8), place: place, shapes: shapes)
    }

    private func finds(of patterns: [Pattern], in bytes: [UInt8], _ place: String) -> [CanaryFind] {
        patterns.compactMap { pattern in
            ByteSearch.first(pattern.bytes, in: bytes).map {
                CanaryFind(place: place, what: pattern.what, before: Self.context(bytes, $0))
            }
        }
    }

    private static func context(_ bytes: [UInt8], _ start: Int) -> String {
        let before = bytes[max(0, start - 80)..<start].map { (0x20..<0x7f).contains($0) ? $0 : UInt8(ascii: " ") }
        // What is before one credential may be another one.
        let text = String(decoding: before, as: UTF8.self)
        return text.contains(Canary.marker) ? "..." : text
    }
}

/// Looks for bytes in bytes.
enum ByteSearch {
    /// Where `wanted` first begins at or after `from`.
    static func first(_ wanted: [UInt8], in bytes: [UInt8], from: Int = 0) -> Int? {
        guard let letter = wanted.first else { return nil }
        return bytes.withUnsafeBytes { hay -> Int? in
            wanted.withUnsafeBytes { needle -> Int? in
                guard let base = hay.baseAddress, let start = needle.baseAddress else { return nil }
                var index = from
                // Sound: both calls stay inside the arrays, because what begins at `index` still fits.
                while index + needle.count <= hay.count {
                    let room = hay.count - needle.count - index + 1
                    guard let hit = memchr(base + index, Int32(letter), room) else { return nil }
                    index = base.distance(to: UnsafeRawPointer(hit))
                    if memcmp(base + index, start, needle.count) == 0 { return index }
                    index += 1
                }
                return nil
            }
        }
    }
}
