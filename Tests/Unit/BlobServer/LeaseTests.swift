// Leases: the outcome of each action in each state, as the tables of Lease Blob give them, and who may write meanwhile.
import Foundation
import NIOHTTP1
import Testing

@testable import BlobServer

@Suite struct LeaseTests {
    private static let now = Date(timeIntervalSince1970: 1_800_000_000)
    private static let a = "aaaaaaaa-0000-4000-8000-000000000000"
    private static let b = "bbbbbbbb-0000-4000-8000-000000000000"

    /// A lease of A in a state.
    private static func lease(_ state: Lease.State?) -> Lease? {
        switch state {
        case nil: nil
        case .leased: Lease(id: a, seconds: 30, endsAt: now + 20)
        case .expired: Lease(id: a, seconds: 30, endsAt: now)
        case .breaking: Lease(id: a, seconds: 30, endsAt: now + 20, breaksAt: now + 10)
        case .broken: Lease(id: a, seconds: 30, endsAt: now + 20, breaksAt: now)
        }
    }

    private static let states: [Lease.State?] = [nil, .leased, .breaking, .broken, .expired]

    /// For each action the outcomes in these states: the state after it, with the holder, or the code of the refusal without
    /// the word Lease.
    private static let table: [(LeaseAction, [String])] = [
        (
            .acquire(seconds: 15, proposed: nil),
            ["leased new", "AlreadyPresent", "AlreadyPresent", "leased new", "leased new"]
        ),
        (
            .acquire(seconds: nil, proposed: a),
            ["leased a", "leased a", "IsBreakingAndCannotBeAcquired", "leased a", "leased a"]
        ),
        (.acquire(seconds: 15, proposed: b), ["leased b", "AlreadyPresent", "AlreadyPresent", "leased b", "leased b"]),
        (
            .renew(a),
            [
                "IdMismatchWithLeaseOperation", "leased a", "IsBrokenAndCannotBeRenewed", "IsBrokenAndCannotBeRenewed",
                "leased a",
            ]
        ),
        (.renew(b), Array(repeating: "IdMismatchWithLeaseOperation", count: 5)),
        (
            .change(a, proposed: b),
            [
                "NotPresentWithLeaseOperation", "leased b", "IsBreakingAndCannotBeChanged",
                "NotPresentWithLeaseOperation",
                "NotPresentWithLeaseOperation",
            ]
        ),
        (
            .change(b, proposed: a),
            [
                "NotPresentWithLeaseOperation", "leased a", "IsBreakingAndCannotBeChanged",
                "NotPresentWithLeaseOperation",
                "NotPresentWithLeaseOperation",
            ]
        ),
        (.release(a), ["IdMismatchWithLeaseOperation", "free", "free", "free", "free"]),
        (.release(b), Array(repeating: "IdMismatchWithLeaseOperation", count: 5)),
        (.breakIt(seconds: 0), ["NotPresentWithLeaseOperation", "broken a", "broken a", "broken a", "broken a"]),
        (.breakIt(seconds: 5), ["NotPresentWithLeaseOperation", "breaking a", "breaking a", "broken a", "broken a"]),
        (.breakIt(seconds: nil), ["NotPresentWithLeaseOperation", "breaking a", "breaking a", "broken a", "broken a"]),
    ]

    @Test func eachActionInEachState() {
        let names = [Self.a: "a", Self.b: "b", "new": "new"]
        for (action, outcomes) in Self.table {
            for (state, expected) in zip(Self.states, outcomes) {
                var outcome: String
                do {
                    let lease = try action.applied(to: Self.lease(state), now: Self.now, newID: "new")
                    outcome = lease.map { "\($0.state(Self.now)) \(names[$0.id] ?? "?")" } ?? "free"
                } catch {
                    outcome = String(error.code.dropFirst("Lease".count))
                }
                #expect(outcome == expected, "\(action) when \(state.map { "\($0)" } ?? "available")")
            }
        }
    }

    @Test(arguments: [
        (nil as Int?, 20.0), (5, 5.0), (60, 20.0), (0, 0.0),
    ])
    func breakingTakesTheShorterTime(_ seconds: Int?, _ expected: Double) throws {
        let lease = try LeaseAction.breakIt(seconds: seconds)
            .applied(to: Self.lease(.leased), now: Self.now, newID: "new")
        #expect(lease?.breaksAt == Self.now + expected)
        let infinite = Lease(id: Self.a)
        let broken = try LeaseAction.breakIt(seconds: seconds).applied(to: infinite, now: Self.now, newID: "new")
        #expect(broken?.breaksAt == Self.now + TimeInterval(seconds ?? 0))
    }

    @Test(arguments: [
        (nil as Lease.State?, nil as String?, "", ""),
        (nil, a, "LeaseNotPresentWithBlobOperation", "LeaseNotPresentWithBlobOperation"),
        (.leased, nil, "LeaseIdMissing", ""), (.leased, a, "", ""),
        (.leased, b, "LeaseIdMismatchWithBlobOperation", "LeaseIdMismatchWithBlobOperation"),
        (.breaking, nil, "LeaseIdMissing", ""), (.breaking, a, "", ""), (.broken, nil, "", ""),
        (.broken, a, "LeaseLost", "LeaseLost"), (.expired, nil, "", ""), (.expired, a, "LeaseLost", "LeaseLost"),
    ])
    func whoMayWriteAndRead(_ state: Lease.State?, _ id: String?, _ write: String, _ read: String) throws {
        let request = try request(.PUT, "/acc/cams/x", id.map { ["x-ms-lease-id": $0] } ?? [:])
        func code(_ check: (Lease?, LeaseCheck.Thing, BlobRequest, Date) throws(ServiceError) -> Void) -> String {
            do {
                try check(Self.lease(state), .blob, request, Self.now)
                return ""
            } catch {
                return error.code
            }
        }
        #expect(code(LeaseCheck.write) == write)
        #expect(code(LeaseCheck.read) == read)
    }

    @Test(arguments: [
        (["x-ms-lease-action": "acquire"], "MissingRequiredHeader"),
        (["x-ms-lease-action": "acquire", "x-ms-lease-duration": "14"], "InvalidHeaderValue"),
        (
            ["x-ms-lease-action": "acquire", "x-ms-lease-duration": "15", "x-ms-proposed-lease-id": "me"],
            "InvalidHeaderValue"
        ),
        (["x-ms-lease-action": "renew"], "MissingRequiredHeader"),
        (["x-ms-lease-action": "break", "x-ms-lease-break-period": "61"], "InvalidHeaderValue"),
        (["x-ms-lease-action": "keep"], "InvalidHeaderValue"), ([:], "MissingRequiredHeader"),
    ])
    func refusesWrongActions(_ headers: [String: String], _ code: String) throws {
        let request = try request(.PUT, "/acc/cams/x?comp=lease", HTTPHeaders(headers.map { ($0.key, $0.value) }))
        let error = #expect(throws: ServiceError.self) { try LeaseAction(request) }
        #expect(error?.code == code)
    }
}
