// Faults on command: what a client must survive, made to happen to a chosen request. A fault waits until a request
// matches it, happens as often as it says, and is gone. Also the log of requests that tests count with. Control.swift has the commands.
import Foundation
import Synchronization

/// A failure that waits for a request.
public struct Fault: Sendable, Codable, Equatable {
    /// What happens to the request.
    public enum Action: String, Sendable, Codable {
        /// Nothing is done; the answer is an error with `status` and `code`.
        case status
        /// The connection closes after `afterBytes` of the body; nothing is done.
        case close
        /// It is done, `delayMs` later.
        case slow
        /// One bit of the body is wrong on its way: of what the client sends, or of what it reads.
        case corrupt
        /// It is done, and the connection closes without an answer.
        case replyLost = "reply_lost"
    }

    /// What happens.
    public var action: Action
    /// Only requests of this kind. Absent: every kind.
    public var operation: BlobOperation?
    /// Only requests whose "container/blob" contains this. Absent: all.
    public var pathContains: String?
    /// So many matching requests pass before it begins.
    public var skip: Int
    /// How often it happens.
    public var count: Int
    /// HTTP status for `status`; default 503.
    public var status: Int
    /// Error code for `status`; default "ServerBusy".
    public var code: String
    /// Seconds for a Retry-After header with `status`.
    public var retryAfterSeconds: Int?
    /// Bytes of the body to take before `close`.
    public var afterBytes: Int
    /// Milliseconds to wait with `slow`.
    public var delayMs: Int

    enum CodingKeys: String, CodingKey {
        case action, operation, skip, count, status, code
        case pathContains = "path_contains"
        case retryAfterSeconds = "retry_after_seconds"
        case afterBytes = "after_bytes"
        case delayMs = "delay_ms"
    }

    /// A fault that happens once, to the first request that matches.
    public init(
        _ action: Action, operation: BlobOperation? = nil, pathContains: String? = nil, skip: Int = 0, count: Int = 1,
        status: Int = 503, code: String = "ServerBusy", retryAfterSeconds: Int? = nil, afterBytes: Int = 0,
        delayMs: Int = 1000
    ) {
        self.action = action
        self.operation = operation
        self.pathContains = pathContains
        self.skip = skip
        self.count = count
        self.status = status
        self.code = code
        self.retryAfterSeconds = retryAfterSeconds
        self.afterBytes = afterBytes
        self.delayMs = delayMs
    }

    /// Everything but `action` may be absent.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            try fields.decode(Action.self, forKey: .action),
            operation: try fields.decodeIfPresent(BlobOperation.self, forKey: .operation),
            pathContains: try fields.decodeIfPresent(String.self, forKey: .pathContains),
            skip: try fields.decodeIfPresent(Int.self, forKey: .skip) ?? 0,
            count: try fields.decodeIfPresent(Int.self, forKey: .count) ?? 1,
            status: try fields.decodeIfPresent(Int.self, forKey: .status) ?? 503,
            code: try fields.decodeIfPresent(String.self, forKey: .code) ?? "ServerBusy",
            retryAfterSeconds: try fields.decodeIfPresent(Int.self, forKey: .retryAfterSeconds),
            afterBytes: try fields.decodeIfPresent(Int.self, forKey: .afterBytes) ?? 0,
            delayMs: try fields.decodeIfPresent(Int.self, forKey: .delayMs) ?? 1000)
    }

    func matches(_ operation: BlobOperation, path: String) -> Bool {
        (self.operation == nil || self.operation == operation) && (pathContains.map { path.contains($0) } ?? true)
    }
}

/// One answered request.
public struct RequestRecord: Sendable, Codable, Equatable {
    /// What it was; nil where it was none that this server knows.
    public let operation: BlobOperation?
    /// "container/blob".
    public let path: String
    /// The answer; 0 where the connection was closed without one.
    public let status: Int
    /// Bytes of body that came.
    public let receivedBytes: Int
}

/// The waiting faults and the log of requests, shared by all connections.
final class FaultTable: Sendable {
    private struct State {
        var faults: [Fault] = []
        var requests: [RequestRecord] = []
    }
    private let state = Mutex(State())
    private static let maximumRequests = 10_000

    func add(_ faults: [Fault]) {
        state.withLock { $0.faults += faults }
    }

    func clear() {
        state.withLock { $0.faults = [] }
    }

    var waiting: [Fault] { state.withLock { $0.faults } }
    var requests: [RequestRecord] { state.withLock { $0.requests } }

    /// The fault that happens to this request, counted as having happened.
    func take(_ operation: BlobOperation, path: String) -> Fault? {
        state.withLock { state in
            guard let index = state.faults.firstIndex(where: { $0.matches(operation, path: path) }) else { return nil }
            if state.faults[index].skip > 0 {
                state.faults[index].skip -= 1
                return nil
            }
            let fault = state.faults[index]
            state.faults[index].count -= 1
            if state.faults[index].count <= 0 { state.faults.remove(at: index) }
            return fault
        }
    }

    func record(_ request: RequestRecord) {
        state.withLock { state in
            if state.requests.count >= Self.maximumRequests { state.requests.removeFirst(Self.maximumRequests / 10) }
            state.requests.append(request)
        }
    }
}
