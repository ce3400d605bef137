// A path below a volume's root that is known to be harmless, and the escape rule for names that become parts of one.
// Whoever takes a path from a message makes a RelativePath of it first; only that type reaches the file system.
//
// All rules look at bytes, as the kernel does. For Swift's Character, '/' and a combining accent after it are one letter
// that is no '/', so that a path could be absolute or hold ".." without looking so.

/// A path relative to a volume's root: '/' between parts, 1 to 1024 bytes; each part 1 to 255 bytes, not "." or "..",
/// without control bytes. The first part does not begin with '.', because such names are the volume's own (marker,
/// staging).
public struct RelativePath: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The most bytes a path may have.
    public static let maximumBytes = 1024
    /// The most bytes a part may have; what Linux file systems take.
    public static let maximumPartBytes = 255

    /// The path as text.
    public let string: String

    /// Checks the rules; `VolumeError` of kind `.invalidName` names the one that is broken.
    public init(_ string: String) throws(VolumeError) {
        if let problem = Self.problem(of: string) {
            throw VolumeError(.invalidName, path: Self.printable(string), problem)
        }
        self.string = string
    }

    private init(unchecked string: String) { self.string = string }

    /// The parts, at least one.
    public var parts: [String] {
        string.utf8.split(separator: UInt8(ascii: "/")).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The last part.
    public var name: String {
        guard let slash = string.utf8.lastIndex(of: UInt8(ascii: "/")) else { return string }
        return String(decoding: string.utf8[string.utf8.index(after: slash)...], as: UTF8.self)
    }

    /// The folder it lies in; nil directly below the root.
    public var parent: RelativePath? {
        guard let slash = string.utf8.lastIndex(of: UInt8(ascii: "/")) else { return nil }
        return RelativePath(unchecked: String(decoding: string.utf8[..<slash], as: UTF8.self))
    }

    /// The folders above it, the outermost first.
    public var ancestors: [RelativePath] {
        var result: [RelativePath] = []
        var next = parent
        while let folder = next {
            result.append(folder)
            next = folder.parent
        }
        return result.reversed()
    }

    /// The path as text.
    public var description: String { string }

    /// By text, which is by time where names are times.
    public static func < (left: RelativePath, right: RelativePath) -> Bool { left.string < right.string }

    private static func problem(of string: String) -> String? {
        if string.isEmpty { return "the path is empty" }
        if string.utf8.count > maximumBytes { return "the path is longer than \(maximumBytes) bytes" }
        if string.utf8.first == UInt8(ascii: "/") { return "the path is absolute" }
        if string.utf8.first == UInt8(ascii: ".") {
            return "names at the root that begin with '.' are the volume's own"
        }
        // One walk without pieces in memory: each file that a controller tells of comes through here.
        var (bytes, dots) = (0, 0)
        for byte in string.utf8 {
            if byte < 0x20 || byte == 0x7f { return "the path has a control byte" }
            if byte == UInt8(ascii: "/") {
                if let problem = problem(ofPart: bytes, dots: dots) { return problem }
                (bytes, dots) = (0, 0)
            } else {
                bytes += 1
                if byte == UInt8(ascii: ".") { dots += 1 }
            }
        }
        return problem(ofPart: bytes, dots: dots)
    }

    /// What is wrong with a part of so many bytes, so many of them '.'.
    private static func problem(ofPart bytes: Int, dots: Int) -> String? {
        if bytes == 0 { return "the path has an empty part" }
        if bytes == dots, dots <= 2 { return "the path has a part '.' or '..'" }
        return bytes > maximumPartBytes ? "a part is longer than \(maximumPartBytes) bytes" : nil
    }

    /// At most 200 characters without control bytes, so that a hostile path cannot spoil a log.
    private static func printable(_ string: String) -> String {
        let scalars = string.unicodeScalars.prefix(200).map { $0.value < 0x20 || $0.value == 0x7f ? "?" : $0 }
        return String(String.UnicodeScalarView(scalars))
    }
}

/// Names of assets, streams, devices and endpoints as one part of a path on the recording volume, and back.
///
/// Rule: the bytes '/', '%', those below 0x20 and 0x7F, and a '.' at the start become '%' and two upper-case
/// hexadecimal digits; everything else stays. So "cam/1" is "cam%2F1", ".hidden" is "%2Ehidden", and "Tor Süd" stays.
/// No two names give the same part.
public enum EscapedName {
    /// The part for `name`; `VolumeError` of kind `.invalidName` when the name is empty or the part too long.
    public static func part(for name: String) throws(VolumeError) -> String {
        try part(for: name, alsoEscaping: [])
    }

    static func part(for name: String, alsoEscaping extra: Set<UInt8>) throws(VolumeError) -> String {
        guard !name.isEmpty else { throw VolumeError(.invalidName, path: "(name)", "the name is empty") }
        var bytes: [UInt8] = []
        for (index, byte) in name.utf8.enumerated() {
            let isPlain =
                byte >= 0x20 && byte != 0x7f && byte != UInt8(ascii: "/") && byte != UInt8(ascii: "%")
                && !(index == 0 && byte == UInt8(ascii: ".")) && !extra.contains(byte)
            if isPlain {
                bytes.append(byte)
            } else {
                bytes += [UInt8(ascii: "%"), hexadecimal(byte >> 4), hexadecimal(byte & 15)]
            }
        }
        let part = String(decoding: bytes, as: UTF8.self)
        guard bytes.count <= RelativePath.maximumPartBytes else {
            throw VolumeError(
                .invalidName, path: part, "the name is \(bytes.count) bytes as a file name; 255 is the most")
        }
        return part
    }

    /// The name that gave `part`; nil when it is not what `part(for:)` makes.
    public static func name(from part: some StringProtocol) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(part.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(value), let low = rest.popFirst().flatMap(value) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        guard let name = String(validating: bytes, as: UTF8.self), !name.isEmpty else { return nil }
        return name
    }

    private static func hexadecimal(_ digit: UInt8) -> UInt8 {
        digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "A") + digit - 10
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
