// What has the shape of a credential, whosoever it is, and text without the escapes that could hide one. Values only.

import Foundation

/// Finds, in text, what looks like a credential: each is a word that announces it, and enough characters that may belong to one.
enum CredentialShapes {
    private struct Shape {
        let announced: String
        let what: String
        /// Least number of characters of `alphabet` behind it.
        let least: Int
        let alphabet: @Sendable (UInt8) -> Bool
    }

    private static let base64: @Sendable (UInt8) -> Bool = { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "="),
            UInt8(ascii: "%"),
            UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    /// A signature of ours has 44 characters, a token hundreds; words of prose have fewer than 20.
    private static let shapes = [
        Shape(announced: "sig=", what: "a shared access signature", least: 40, alphabet: base64),
        Shape(announced: "sig%3D", what: "a shared access signature", least: 40, alphabet: base64),
        Shape(announced: "AccountKey=", what: "an account key", least: 20, alphabet: base64),
        Shape(announced: "Bearer ", what: "a bearer token", least: 20, alphabet: base64),
        Shape(announced: "eyJ", what: "a token", least: 60, alphabet: base64),
        Shape(announced: "PRIVATE KEY-----", what: "a private key", least: 0, alphabet: base64),
    ]

    /// What is there, and where.
    static func all(in bytes: [UInt8]) -> [(what: String, start: Int)] {
        var result: [(what: String, start: Int)] = []
        for shape in shapes {
            if let start = first(
                Array(shape.announced.utf8), in: bytes,
                where: { rest in
                    rest.prefix(shape.least).filter(shape.alphabet).count == shape.least
                })
            {
                result.append((shape.what, start))
            }
        }
        // "SharedKey account:signature", and "scheme://user:password@host".
        if let start = first(
            Array("SharedKey".utf8), in: bytes,
            where: { rest in
                guard let colon = rest.prefix(64).firstIndex(of: UInt8(ascii: ":")) else { return false }
                return rest[(colon + 1)...].prefix(40).filter(base64).count == 40
            })
        {
            result.append(("a signature", start))
        }
        if let start = first(Array("://".utf8), in: bytes, where: isUserInformation) {
            result.append(("a password in a URL", start))
        }
        return result
    }

    /// "user:password@" and what follows; not "***@", and not a port before a path that has an '@' in it.
    private static func isUserInformation(_ rest: ArraySlice<UInt8>) -> Bool {
        let authority = rest.prefix(256).prefix { byte in
            byte > 0x20 && byte < 0x7f && !"/\"'<>\\,;)]}".utf8.contains(byte)
        }
        guard let at = authority.lastIndex(of: UInt8(ascii: "@")),
            let colon = authority[..<at].firstIndex(of: UInt8(ascii: ":"))
        else { return false }
        let password = authority[(colon + 1)..<at]
        return !password.isEmpty && !password.elementsEqual("***".utf8)
    }

    private static func first(_ word: [UInt8], in bytes: [UInt8], where holds: (ArraySlice<UInt8>) -> Bool) -> Int? {
        var from = 0
        while let start = ByteSearch.first(word, in: bytes, from: from) {
            if holds(bytes[(start + word.count)...]) { return start }
            from = start + 1
        }
        return nil
    }
}

/// Takes escapes out of text.
enum Unescaping {
    /// Text with %XX, \uXXXX, \u{XX}, \xXX, \/ and \" as the characters that they stand for, and without the ends of lines, written
    /// as such or as \n, and the indentation after them: what is wrapped is whole then. Nil where there is nothing of all that.
    /// Escapes above 0x7F are left out: no canary has such.
    static func unescaped(_ bytes: [UInt8]) -> [UInt8]? {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        bytes.withUnsafeBufferPointer { text in
            var index = 0
            while index < text.count {
                let byte = text[index]
                switch byte {
                case UInt8(ascii: "%"):
                    if let value = number(text, index + 1, digits: 2) {
                        result.append(UInt8(truncatingIfNeeded: value))
                        index += 3
                    } else {
                        result.append(byte)
                        index += 1
                    }
                case UInt8(ascii: "\\"): index += escape(text, index + 1, into: &result) + 1
                case 0x0a, 0x0d:
                    index += 1
                    while index < text.count, text[index] == 0x20 || text[index] == 0x09 { index += 1 }
                default:
                    result.append(byte)
                    index += 1
                }
            }
        }
        return result.count == bytes.count ? nil : result
    }

    /// How many bytes behind the backslash belong to the escape.
    private static func escape(_ text: UnsafeBufferPointer<UInt8>, _ index: Int, into result: inout [UInt8]) -> Int {
        guard index < text.count else { return 0 }
        func append(_ value: Int) { if value < 0x80 { result.append(UInt8(value)) } }
        switch text[index] {
        case UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"): return 1
        case UInt8(ascii: "x"):
            guard let value = number(text, index + 1, digits: 2) else { return 1 }
            append(value)
            return 3
        case UInt8(ascii: "u"):
            if let value = number(text, index + 1, digits: 4) {
                append(value)
                return 5
            }
            guard index + 1 < text.count, text[index + 1] == UInt8(ascii: "{") else { return 1 }
            for digits in 1...6 where index + 2 + digits < text.count && text[index + 2 + digits] == UInt8(ascii: "}") {
                guard let value = number(text, index + 2, digits: digits) else { break }
                append(value)
                return digits + 3
            }
            return 1
        default:
            // The backslash of \/ and \" falls away, what it escapes is read next.
            return 0
        }
    }

    private static func number(_ text: UnsafeBufferPointer<UInt8>, _ start: Int, digits: Int) -> Int? {
        guard start + digits <= text.count else { return nil }
        var value = 0
        for index in start..<start + digits {
            let digit: UInt8
            switch text[index] {
            case 0x30...0x39: digit = text[index] - 0x30
            case 0x41...0x46: digit = text[index] - 0x37
            case 0x61...0x66: digit = text[index] - 0x57
            default: return nil
            }
            value = value << 4 | Int(digit)
        }
        return value
    }
}
