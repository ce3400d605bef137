// An account's limits: so many requests and so many bytes of bodies in a second; what is beyond is refused before it is done,
// with 503 ServerBusy as the service does. A second's worth may come at once.
import Foundation

/// A limit and how it is said. The real service has no Retry-After with it most of the time; proxies and gateways may, and may say 429.
public struct Throttle: Sendable, Codable, Equatable {
    /// Requests per second; nil: any number.
    public var requestsPerSecond: Double?
    /// Bytes of request bodies per second, counted as they are announced; nil: any number.
    public var bytesPerSecond: Double?
    /// What the answer's Retry-After says, in seconds; nil: it has none.
    public var retryAfterSeconds: Int?
    /// HTTP status of the refusal; default 503.
    public var status: Int
    /// Its code; default ServerBusy.
    public var code: String

    enum CodingKeys: String, CodingKey {
        case status, code
        case requestsPerSecond = "requests_per_second"
        case bytesPerSecond = "bytes_per_second"
        case retryAfterSeconds = "retry_after_seconds"
    }

    /// Limits what is named and nothing else.
    public init(
        requestsPerSecond: Double? = nil, bytesPerSecond: Double? = nil, retryAfterSeconds: Int? = nil,
        status: Int = 503, code: String = "ServerBusy"
    ) {
        self.requestsPerSecond = requestsPerSecond
        self.bytesPerSecond = bytesPerSecond
        self.retryAfterSeconds = retryAfterSeconds
        self.status = status
        self.code = code
    }

    /// Reads what a test posted; what is left out has its default.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            requestsPerSecond: try fields.decodeIfPresent(Double.self, forKey: .requestsPerSecond),
            bytesPerSecond: try fields.decodeIfPresent(Double.self, forKey: .bytesPerSecond),
            retryAfterSeconds: try fields.decodeIfPresent(Int.self, forKey: .retryAfterSeconds),
            status: try fields.decodeIfPresent(Int.self, forKey: .status) ?? 503,
            code: try fields.decodeIfPresent(String.self, forKey: .code) ?? "ServerBusy")
    }
}

/// Counts against a limit. A request larger than a second's bytes is let in when nothing is owed, and owes them then.
struct ThrottleGate {
    private let limit: Throttle
    private var requests: Double
    private var bytes: Double
    private var filledAt: Date

    init(_ limit: Throttle, now: Date) {
        self.limit = limit
        requests = max(limit.requestsPerSecond ?? 0, 1)
        bytes = limit.bytesPerSecond ?? 0
        filledAt = now
    }

    /// Nil: the request is let in and counted. Otherwise how it is refused.
    mutating func admit(bytes size: Int, now: Date) -> ServiceError? {
        let seconds = max(now.timeIntervalSince(filledAt), 0)
        filledAt = now
        if let rate = limit.bytesPerSecond { bytes = min(bytes + seconds * rate, rate) }
        if let rate = limit.requestsPerSecond {
            requests = min(requests + seconds * rate, max(rate, 1))
            guard requests >= 1 else { return refusal("Operations per second is over the account limit.") }
        }
        if let rate = limit.bytesPerSecond, size > 0 {
            guard bytes >= min(Double(size), rate) else { return refusal("Ingress is over the account limit.") }
            bytes -= Double(size)
        }
        requests -= 1
        return nil
    }

    private func refusal(_ message: String) -> ServiceError {
        var error = ServiceError(.init(statusCode: limit.status), limit.code, message)
        if let seconds = limit.retryAfterSeconds {
            error.headers = [.init(name: "Retry-After", value: String(seconds))]
        }
        return error
    }
}
