// What the proxy does to a request, and to which: the script of a test. Values only.

/// A failure that waits for a request on its way through the proxy.
public struct ProxyFault: Sendable, Equatable {
    /// What happens to the request. `afterBytes` counts bytes of its body, and is the body's middle where it is shorter than
    /// that; what has no body is cut or held before the server sees anything of it.
    public enum Action: Sendable, Equatable {
        /// Both connections close when so many bytes of the body were passed on; with 0 the server sees nothing of it.
        case cut(afterBytes: Int)
        /// The server does it and answers; the answer is thrown away and both connections close.
        case loseReply
        /// The body is taken and the proxy answers by itself; the server sees nothing of it.
        case answer(status: Int, code: String, retryAfterSeconds: Int? = nil)
        /// One bit of the body's byte at this offset arrives wrong.
        case flip(atByte: Int)
        /// One bit of the answer's body at this offset arrives wrong.
        case flipReply(atByte: Int)
        /// The body is passed on at this rate.
        case crawl(bytesPerSecond: Int)
        /// Nothing more is taken after so many bytes of the body, until `FaultProxy.release`; then it goes on.
        case hold(afterBytes: Int)
        /// The server does it and answers; the answer waits for `FaultProxy.release`.
        case holdReply
    }

    /// What happens.
    public var action: Action
    /// Only requests of this kind, as `ProxiedRequest.operation` names them. Absent: every kind.
    public var operation: String?
    /// Only requests whose path contains this. Absent: all.
    public var pathContains: String?
    /// So many matching requests pass before it begins.
    public var skip: Int
    /// How often it happens.
    public var count: Int

    /// A fault that happens once, to the first request that matches.
    public init(
        _ action: Action, operation: String? = nil, pathContains: String? = nil, skip: Int = 0, count: Int = 1
    ) {
        self.action = action
        self.operation = operation
        self.pathContains = pathContains
        self.skip = skip
        self.count = count
    }

    func matches(operation: String, path: String) -> Bool {
        (self.operation == nil || self.operation == operation) && (pathContains.map { path.contains($0) } ?? true)
    }
}

/// The faults that still wait. Each counts the requests that match it, whatever happens to them through another.
struct FaultScript: Sendable, Equatable {
    private(set) var waiting: [ProxyFault] = []

    mutating func add(_ faults: [ProxyFault]) { waiting += faults }

    mutating func clear() { waiting = [] }

    /// What happens to a request: the first fault that matches and has nothing left to skip.
    mutating func take(operation: String, path: String) -> ProxyFault.Action? {
        var chosen: Int?
        for index in waiting.indices where waiting[index].matches(operation: operation, path: path) {
            if waiting[index].skip > 0 {
                waiting[index].skip -= 1
            } else if chosen == nil {
                chosen = index
            }
        }
        guard let chosen else { return nil }
        let action = waiting[chosen].action
        waiting[chosen].count -= 1
        if waiting[chosen].count <= 0 { waiting.remove(at: chosen) }
        return action
    }
}

/// One request as the proxy saw it.
public struct ProxiedRequest: Sendable, Equatable {
    /// Method and the query's `comp`: "PUT" for a whole blob, "PUT block", "PUT blocklist", "GET blocklist", "HEAD".
    public let operation: String
    /// As sent, percent-encoded, without the query.
    public let path: String
    /// What happened to it; nil for what passed unharmed.
    public let fault: ProxyFault.Action?
    /// Bytes of body that the client has sent, as far as they were taken.
    public internal(set) var bodyBytes = 0
    /// What the server answered; nil where it was not asked or did not answer.
    public internal(set) var serverStatus: Int?
    /// What the client was answered; nil where it got no answer.
    public internal(set) var status: Int?
    /// True while it waits for `FaultProxy.release`.
    public internal(set) var isHeld = false

    init(method: String, target: String, fault: ProxyFault.Action?) {
        (operation, path) = Self.read(method: method, target: target)
        self.fault = fault
    }

    static func read(method: String, target: String) -> (operation: String, path: String) {
        let halves = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let comp = halves.dropFirst().first?.split(separator: "&").first { $0.hasPrefix("comp=") }
        return (method + (comp.map { " " + $0.dropFirst("comp=".count) } ?? ""), String(halves[0]))
    }
}
