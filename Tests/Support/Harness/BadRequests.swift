// Requests that a service must refuse: whole envelopes, good in form, with one field that is missing, too long, out of its
// range or otherwise against what the contract's comments say. Each suite has one table for all methods of its service.
// Messages that are malformed as a whole: BadMessages.swift.

import RPC
import Wire

/// The bad requests of one method, each one change away from a good one.
public struct BadRequests: Sendable {
    private struct Spoiled: Sendable {
        let body: [UInt8]
        /// Of the answer; OK for a request that is good up to the limits.
        let code: Code
        /// What the answer must name; empty for nothing.
        let field: String
        let place: Int
    }

    /// "sightglass.v1.Indexer/ListFiles".
    public let method: String
    private let spoiled: [Spoiled]
    private let accepted: [[UInt8]]

    /// - Parameters:
    ///   - good: what would be taken.
    ///   - code: of the answer.
    ///   - spoilers: by the field that the answer must name (empty: none), what is changed.
    ///   - taken: changes up to the limits, after which the request must still be taken.
    public init<Q: WireMessage, R: WireMessage>(
        _ method: RPCMethod<Q, R>, like good: Q, code: Code = .invalidArgument,
        _ spoilers: KeyValuePairs<String, [(inout Q) -> Void]>, taken: [(inout Q) -> Void] = []
    ) {
        func body(_ change: (inout Q) -> Void) -> [UInt8] {
            var request = good
            change(&request)
            return request.encoded()
        }
        self.method = method.name
        spoiled = spoilers.flatMap { field, changes in
            changes.enumerated().map { Spoiled(body: body($1), code: code, field: field, place: $0) }
        }
        accepted = taken.map(body)
    }

    /// Of a method whose request has no field: only its encoding can be wrong. A request with fields is not let off this way.
    public init<Q: WireMessage, R: WireMessage>(withoutFields method: RPCMethod<Q, R>) {
        self.method = method.name
        spoiled = []
        accepted = Mirror(reflecting: Q()).children.isEmpty ? [[]] : []
    }

    /// Of the methods that every service answers.
    private static let everyServices = [
        BadRequests(withoutFields: HealthMethods.check),
        BadRequests(
            CallsMethods.cancel, like: CancelCallRequest(requestID: "nobody's"),
            ["request_id": Bad.each(["", Bad.text(65), nil]) { $0.requestID = $1 }],
            taken: [{ $0.requestID = Bad.text(64) }]),
    ]

    /// Sends them all, and to each of `methods` a body that is no message, as well as to the methods that every service answers;
    /// the service must go on. Gives what was not as promised, one text each, also for each method that no entry of `table`
    /// is about.
    public static func complaints(
        _ own: [BadRequests] = [], of ownMethods: [String] = [], to client: ServiceClient
    ) async -> [String] {
        let table = own + everyServices
        let methods = ownMethods + HealthMethods.all + CallsMethods.all
        var complaints: [String] = []
        for method in methods where !table.contains(where: { $0.method == method && !$0.isEmpty }) {
            complaints.append("\(method) has no bad request in the table")
        }
        let formless = Spoiled(body: [0xFF, 0xFF], code: .invalidArgument, field: "body", place: 0)
        var trials = methods.map { ($0, formless) }
        for entry in table {
            trials += entry.spoiled.map { (entry.method, $0) }
            trials += entry.accepted.enumerated().map { place, body in
                (entry.method, Spoiled(body: body, code: .ok, field: "", place: place))
            }
        }
        for (index, (method, spoiled)) in trials.enumerated() {
            let complaint = await complaint(about: spoiled, method, client)
            if let complaint { complaints.append(complaint) } else if index + 1 < trials.count { continue }
            // Every further call would wait for a service that is gone.
            guard (try? await client.health())?.live == true else {
                return complaints + ["it does not tell its health after \(method): \(spoiled.body.prefix(200))"]
            }
        }
        return complaints
    }

    private var isEmpty: Bool { spoiled.isEmpty && accepted.isEmpty }

    private static func raw(_ method: String) -> RPCMethod<RawBody, RawBody> {
        RPCMethod(name: method, idempotency: .none)
    }

    private static func complaint(
        about spoiled: Spoiled, _ method: String, _ client: ServiceClient
    ) async -> String? {
        let what = "\(method), \(spoiled.field.isEmpty ? spoiled.code.name : spoiled.field) \(spoiled.place)"
        do {
            _ = try await client.call(raw(method), RawBody(spoiled.body))
            return spoiled.code == .ok ? nil : "\(what): it was taken"
        } catch {
            let isRight = error.code == spoiled.code && (error.field ?? "") == spoiled.field
            return isRight && !error.message.isEmpty ? nil : "\(what): \(error)"
        }
    }
}

/// What the contract's common rules forbid, for the tables.
public enum Bad {
    /// A text of so many bytes.
    public static func text(_ bytes: Int) -> String { String(repeating: "x", count: bytes) }

    /// Of devices, endpoints, assets and streams, where they may be absent.
    public static let namesIfAny: [String?] = ["", text(129), "a/b", "a\u{1}b", "a\u{7F}"]
    /// The same where they must be there.
    public static let names: [String?] = namesIfAny + [nil]
    /// Of instances, volumes and the like, which must be there.
    public static let identities: [String?] = ["", text(129), nil]
    /// Moments, where they may be absent.
    public static let timesIfAny: [Int64?] = [0, -1, .min, 4_102_444_800_000_001, .max]
    /// The same where they must be there.
    public static let times: [Int64?] = timesIfAny + [nil]

    /// One change for each of some values.
    public static func each<Q, Value>(
        _ values: [Value], _ change: @escaping (inout Q, Value) -> Void
    ) -> [(inout Q) -> Void] {
        values.map { value in { change(&$0, value) } }
    }
}

/// Bytes that are sent as the body of a request, or come as that of a reply, whatever they are.
private struct RawBody: WireMessage {
    static let fullName = "bytes"
    private let bytes: [UInt8]

    init() { bytes = [] }
    init(_ bytes: [UInt8]) { self.bytes = bytes }
    init(wire: UnsafeRawBufferPointer) throws(WireError) { bytes = Array(wire) }
    func withPacking<R>(_ body: (WirePacking) -> R) -> R {
        bytes.withUnsafeBytes { body(WirePacking(encoded: $0)) }
    }
}
