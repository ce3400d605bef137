// FakeHTTPCamera: a camera on 127.0.0.1 that gives its pictures over HTTP, in the ways that cameras do. It knows what it was asked
// and which pictures it sent whole.

import Foundation
import Glibc
import Synchronization

/// What such a camera does.
public struct HTTPScenario: Sendable {
    /// How an answer's length is told.
    public enum Framing: Sendable {
        /// Content-Length; the connection stays open.
        case length
        /// Chunks of so many bytes; the connection stays open.
        case chunks(Int)
        /// HTTP/1.0 without a length: the end of the connection ends the answer.
        case untilClose
    }

    /// What is at a path.
    public enum Place: Sendable {
        /// The next picture of the film, one per request.
        case still
        /// So many pictures per second, in parts. After `ofAnswer` of them the answer ends; nil: never.
        case stream(perSecond: Double, ofAnswer: Int?)
        case redirect(String)
        case text(String, type: String)
        case status(Int)
    }

    /// The film; it begins again at its end.
    public var pictures: [[UInt8]]
    /// Places by their paths; others are not found.
    public var places: [String: Place]
    /// How answers end.
    public var framing = Framing.length
    /// Whom it lets in; nil: everybody.
    public var authentication: Authentication?
    /// Requests, counted from 0, that are answered 503.
    public var busyAt: Set<Int> = []
    /// Pictures, counted from 0, of which only the first half is sent.
    public var tornAt: Set<Int> = []
    /// The connection is closed behind each answer, without a word of it before.
    public var closesSilently = false

    /// A camera with a film.
    public init(_ pictures: [[UInt8]], places: [String: Place]) {
        self.pictures = pictures
        self.places = places
    }
}

/// What happened at it.
public struct HTTPCameraRecord: Sendable {
    /// A request, and who sent it where.
    public struct Request: Sendable {
        /// Counted from 1.
        public let connection: Int
        /// With its query.
        public let path: String
        /// By their names in small letters.
        public let headers: [String: String]
        /// Of the answer.
        public let status: Int
    }
    /// How many there were.
    public var connections = 0
    /// In their order.
    public var requests: [Request] = []
    /// Numbers of the pictures that the kernel took whole.
    public var sent: [Int] = []
}

/// The camera, until it is let go.
public final class FakeHTTPCamera: Sendable {
    /// Where it listens.
    public let port: UInt16
    private let listener: Int32
    private let scenario: HTTPScenario
    private let state = Mutex(HTTPCameraRecord())
    private let nextPicture = Atomic(0)
    private let isOver = Atomic(false)
    private let links = Mutex<Set<Int32>>([])

    /// Starts it. `port` 0: where there is room.
    public init(_ scenario: HTTPScenario, port: UInt16 = 0) throws(CameraError) {
        (listener, self.port) = try CameraCore.listen(port: port)
        self.scenario = scenario
        _ = fcntl(listener, F_SETFL, 0)
        Thread.detachNewThread { [self] in accept() }
    }

    /// What happened so far.
    public var record: HTTPCameraRecord { state.withLock { $0 } }

    /// Ends it and all its connections.
    public func stop() {
        isOver.store(true, ordering: .sequentiallyConsistent)
        shutdown(listener, Int32(SHUT_RDWR))
        links.withLock { for link in $0 { shutdown(link, Int32(SHUT_RDWR)) } }
    }

    private func accept() {
        while true {
            let link = Glibc.accept(listener, nil, nil)
            guard link >= 0, !isOver.load(ordering: .sequentiallyConsistent) else { break }
            _ = links.withLock { $0.insert(link) }
            Thread.detachNewThread { [self] in
                serve(link)
                _ = links.withLock { $0.remove(link) }
                close(link)
            }
        }
        close(listener)
    }

    private func serve(_ link: Int32) {
        let number = state.withLock { record in
            record.connections += 1
            return record.connections
        }
        var gatekeeper = scenario.authentication.map { Gatekeeper($0) }
        var waiting: [UInt8] = []
        while let request = read(link, &waiting) {
            let (head, place) = answer(request, &gatekeeper)
            let count = state.withLock { record in
                record.requests.append(
                    HTTPCameraRecord.Request(
                        connection: number, path: request.uri, headers: request.headers, status: head.status))
                return record.requests.count - 1
            }
            let isBusy = scenario.busyAt.contains(count)
            guard send(isBusy ? Head(status: 503) : head, isBusy ? nil : place, link) else { return }
            if scenario.closesSilently { return }
        }
    }

    private func read(_ link: Int32, _ waiting: inout [UInt8]) -> RequestText? {
        let end = Array("\r\n\r\n".utf8)
        while true {
            if let place = waiting.firstRange(of: end) {
                let lines = String(decoding: waiting[..<place.lowerBound], as: UTF8.self)
                    .components(separatedBy: "\r\n")
                waiting.removeFirst(place.upperBound)
                var headers: [String: String] = [:]
                for line in lines.dropFirst() {
                    guard let colon = line.firstIndex(of: ":") else { continue }
                    headers[line[..<colon].lowercased()] = line[line.index(after: colon)...].trimmingCharacters(
                        in: .whitespaces)
                }
                let words = lines[0].split(separator: " ").map(String.init)
                return words.count == 3 ? RequestText(method: words[0], uri: words[1], headers: headers) : nil
            }
            var room = [UInt8](repeating: 0, count: 4_096)
            let count = recv(link, &room, room.count, 0)
            guard count > 0 else { return nil }
            waiting += room.prefix(count)
        }
    }

    private struct Head {
        var status = 200
        var fields: [String] = []
        var text = ""
    }

    private func answer(_ request: RequestText, _ gatekeeper: inout Gatekeeper?) -> (Head, HTTPScenario.Place?) {
        if let challenges = gatekeeper?.refuse(request) {
            return (Head(status: 401, fields: challenges.map { "WWW-Authenticate: \($0)" }, text: "who?"), nil)
        }
        switch scenario.places[request.uri] {
        case nil: return (Head(status: 404, text: "nothing here"), nil)
        case .redirect(let location): return (Head(status: 302, fields: ["Location: \(location)"]), nil)
        case .text(let text, let type): return (Head(fields: ["Content-Type: \(type)"], text: text), nil)
        case .status(let status): return (Head(status: status), nil)
        case let place?: return (Head(), place)
        }
    }

    /// False: the connection is over.
    private func send(_ head: Head, _ place: HTTPScenario.Place?, _ link: Int32) -> Bool {
        switch place {
        case .still:
            let (number, picture) = next()
            guard write(body(picture, type: "image/jpeg", status: 200, fields: []), link) else { return false }
            note(number, picture)
        case .stream(let perSecond, let most): return stream(perSecond, most, link)
        default:
            return write(body(Array(head.text.utf8), type: nil, status: head.status, fields: head.fields), link)
        }
        if case .untilClose = scenario.framing { return false }
        return true
    }

    private func stream(_ perSecond: Double, _ most: Int?, _ link: Int32) -> Bool {
        let type = "multipart/x-mixed-replace; boundary=frame"
        guard write(Array(start(200, ["Content-Type: \(type)"], length: nil).utf8), link) else { return false }
        var count = 0
        while most.map({ count < $0 }) ?? true, !isOver.load(ordering: .sequentiallyConsistent) {
            let (number, picture) = next()
            let part = "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: \(picture.count)\r\n\r\n"
            guard write(pieces(Array(part.utf8) + picture + Array("\r\n".utf8)), link) else { return false }
            note(number, picture)
            count += 1
            Thread.sleep(forTimeInterval: 1 / perSecond)
        }
        guard case .chunks = scenario.framing else { return false }
        return write(pieces(Array("--frame--\r\n".utf8)) + Array("0\r\n\r\n".utf8), link)
    }

    private func next() -> (Int, [UInt8]) {
        let number = nextPicture.add(1, ordering: .relaxed).oldValue
        let picture = scenario.pictures[number % scenario.pictures.count]
        return (number, scenario.tornAt.contains(number) ? Array(picture.prefix(picture.count / 2)) : picture)
    }

    private func note(_ number: Int, _ picture: [UInt8]) {
        if !scenario.tornAt.contains(number) { state.withLock { $0.sent.append(number) } }
    }

    private func start(_ status: Int, _ fields: [String], length: Int?) -> String {
        var lines = fields
        var version = "1.1"
        switch scenario.framing {
        case .length: if let length { lines.append("Content-Length: \(length)") }
        case .chunks: lines.append("Transfer-Encoding: chunked")
        case .untilClose: version = "1.0"
        }
        return "HTTP/\(version) \(status) words\r\n" + lines.map { "\($0)\r\n" }.joined() + "\r\n"
    }

    private func body(_ bytes: [UInt8], type: String?, status: Int, fields: [String]) -> [UInt8] {
        let fields = fields + (type.map { ["Content-Type: \($0)"] } ?? [])
        let head = Array(start(status, fields, length: bytes.count).utf8)
        guard case .chunks = scenario.framing else { return head + bytes }
        return head + pieces(bytes) + Array("0\r\n\r\n".utf8)
    }

    /// The bytes as they go on the wire.
    private func pieces(_ bytes: [UInt8]) -> [UInt8] {
        guard case .chunks(let size) = scenario.framing else { return bytes }
        return stride(from: 0, to: bytes.count, by: size).reduce(into: []) { all, from in
            let piece = bytes[from..<min(from + size, bytes.count)]
            all += Array("\(String(piece.count, radix: 16))\r\n".utf8) + piece + [13, 10]
        }
    }

    private func write(_ bytes: [UInt8], _ link: Int32) -> Bool {
        var left = bytes[...]
        while !left.isEmpty {
            let count = left.withUnsafeBytes { Glibc.send(link, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            left = left.dropFirst(count)
        }
        return true
    }
}
