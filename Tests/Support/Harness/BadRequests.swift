// Requests that a service must refuse: whole envelopes, good in form, with one field that is missing, too long, out of its
// range or otherwise against what the contract's comments say. Each suite has one table for all methods of its service.
// Messages that are malformed as a whole: BadMessages.swift.

import RPC
import Wire

/// The bad requests of one method, each one change away from a good one.
public struct BadRequests: Sendable {
    private struct Trial: Sendable {
        /// Of the answer; OK for a request that is good up to the limits.
        let code: Code
        /// What the answer must name; empty for nothing.
        let field: String
        let place: Int
        let send: @Sendable (ServiceClient) async throws(RPCError) -> Void
    }

    /// "sightglass.v1.Indexer/ListFiles".
    public let method: String
    private let trials: [Trial]

    /// - Parameters:
    ///   - good: what would be taken.
    ///   - code: of the answer.
    ///   - spoilers: by the field that the answer must name (empty: none), what is changed.
    ///   - taken: changes up to the limits, after which the request must still be taken.
    public init<Q: WireMessage, R: WireMessage>(
        _ method: RPCMethod<Q, R>, like good: Q, code: Code = .invalidArgument,
        _ spoilers: KeyValuePairs<String, [(inout Q) -> Void]>, taken: [(inout Q) -> Void] = []
    ) {
        func trial(_ code: Code, _ field: String, _ place: Int, _ change: (inout Q) -> Void) -> Trial {
            var changed = good
            change(&changed)
            let request = changed
            // Never sent again: an error is an answer here.
            let once = RPCMethod<Q, R>(name: method.name, idempotency: .none)
            return Trial(code: code, field: field, place: place) { client throws(RPCError) in
                _ = try await client.call(once, request)
            }
        }
        self.method = method.name
        let bad = spoilers.flatMap { field, changes in
            changes.enumerated().map { trial(code, field, $0, $1) }
        }
        trials = bad + taken.enumerated().map { trial(.ok, "", $0, $1) }
    }

    /// Of a method whose request has no field: only its encoding can be wrong. A request with fields is not let off this way.
    public init<Q: WireMessage, R: WireMessage>(withoutFields method: RPCMethod<Q, R>) {
        let isEmpty = Mirror(reflecting: Q()).children.isEmpty
        self.init(method, like: Q(), [:], taken: isEmpty ? [{ _ in }] : [])
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
        for method in methods where !table.contains(where: { $0.method == method && !$0.trials.isEmpty }) {
            complaints.append("\(method) has no bad request in the table")
        }
        let formless = methods.map { method in
            let trial = Trial(code: .invalidArgument, field: "body", place: 0) { client throws(RPCError) in
                try await client.send(body: [0xFF, 0xFF], to: method)
            }
            return (method, trial)
        }
        let trials = formless + table.flatMap { entry in entry.trials.map { (entry.method, $0) } }
        for (index, (method, trial)) in trials.enumerated() {
            let complaint = await complaint(about: trial, method, client)
            if let complaint { complaints.append(complaint) } else if index + 1 < trials.count { continue }
            // Every further call would wait for a service that is gone.
            guard (try? await client.health())?.live == true else {
                return complaints + ["it does not tell its health any more"]
            }
        }
        return complaints
    }

    private static func complaint(about trial: Trial, _ method: String, _ client: ServiceClient) async -> String? {
        let what = "\(method), \(trial.field.isEmpty ? trial.code.name : trial.field) \(trial.place)"
        do {
            try await trial.send(client)
            return trial.code == .ok ? nil : "\(what): it was taken"
        } catch {
            let isRight = error.code == trial.code && (error.field ?? "") == trial.field
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
