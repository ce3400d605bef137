// Requests and responses of RTSP 1.0 (RFC 2326) as values. RTSPStreamParser.swift finds them in the bytes of a connection.

/// The header fields of a message, in their order. Names are compared without regard to case (RFC 2326, section 4.2).
public struct RTSPHeaders: Sendable, Hashable {
    /// One line of the header.
    public struct Field: Sendable, Hashable {
        /// As it was sent: "Content-Base", "content-base".
        public var name: String
        /// Without the spaces around it.
        public var value: String
    }

    /// All lines, in their order.
    public private(set) var fields: [Field] = []

    /// No fields.
    public init() {}

    /// Adds a line at the end. Line breaks in it become spaces, so that no value can begin a line of its own.
    public mutating func add(_ name: String, _ value: String) {
        let clean = String(value.map { $0.isNewline ? " " : $0 })
        fields.append(Field(name: name, value: clean))
    }

    /// The first value of a field; nil where there is none.
    public subscript(name: String) -> String? { fields.first { Self.isSame($0.name, name) }?.value }

    /// All values of a field, in their order.
    public func all(_ name: String) -> [String] { fields.filter { Self.isSame($0.name, name) }.map(\.value) }

    private static func isSame(_ left: String, _ right: String) -> Bool {
        left.utf8.count == right.utf8.count && left.lowercased() == right.lowercased()
    }

    /// Adds a line of a received header; one that begins with a space goes on with the line before (RFC 2326 takes this from
    /// RFC 822). False for a line without a colon.
    mutating func add(line: Substring) -> Bool {
        if let first = line.first, first == " " || first == "\t", !fields.isEmpty {
            fields[fields.count - 1].value += " " + line.trimmed
            return true
        }
        guard let colon = line.firstIndex(of: ":") else { return false }
        add(String(line[..<colon].trimmed), String(line[line.index(after: colon)...].trimmed))
        return true
    }
}

/// A request, ours or the server's.
public struct RTSPRequest: Sendable, Hashable {
    /// "DESCRIBE".
    public var method: String
    /// The absolute URL, without credentials; "*" for the server as a whole.
    public var uri: String
    /// Header lines.
    public var headers: RTSPHeaders
    /// Mostly empty.
    public var body: [UInt8]

    /// A request from its parts.
    public init(method: String, uri: String, headers: RTSPHeaders = RTSPHeaders(), body: [UInt8] = []) {
        self.method = method
        self.uri = uri
        self.headers = headers
        self.body = body
    }

    /// The bytes to send; Content-Length is added where there is a body.
    public var encoded: [UInt8] {
        RTSPText.encoded(firstLine: "\(method) \(uri) RTSP/1.0", headers, body)
    }
}

/// A response, the server's or ours.
public struct RTSPResponse: Sendable, Hashable {
    /// 200, 401, 454, …
    public var status: Int
    /// What the server says beside the number.
    public var reason: String
    /// Header lines.
    public var headers: RTSPHeaders
    /// A description, or empty.
    public var body: [UInt8]

    /// A response from its parts.
    public init(status: Int, reason: String, headers: RTSPHeaders = RTSPHeaders(), body: [UInt8] = []) {
        self.status = status
        self.reason = reason
        self.headers = headers
        self.body = body
    }

    /// The request that it answers; nil where the server does not say.
    public var cseq: Int? { headers["CSeq"].flatMap { Int($0.trimmed) } }

    /// The bytes to send; Content-Length is added where there is a body.
    public var encoded: [UInt8] {
        RTSPText.encoded(firstLine: "RTSP/1.0 \(status) \(reason)", headers, body)
    }
}

/// How both are written.
private enum RTSPText {
    static func encoded(firstLine: String, _ headers: RTSPHeaders, _ body: [UInt8]) -> [UInt8] {
        var text = "\(firstLine)\r\n"
        for field in headers.fields { text += "\(field.name): \(field.value)\r\n" }
        if !body.isEmpty { text += "Content-Length: \(body.count)\r\n" }
        return Array("\(text)\r\n".utf8) + body
    }
}

extension StringProtocol {
    /// Without the white space at both ends.
    var trimmed: SubSequence {
        guard let first = firstIndex(where: { !$0.isWhitespace }), let last = lastIndex(where: { !$0.isWhitespace })
        else { return self[endIndex...] }
        return self[first...last]
    }
}
