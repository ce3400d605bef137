// What the indexer must refuse, by method and field: BadInputTests.swift sends it.

import Harness
import RPC
import Wire

extension IndexerBench {
    // MARK: - Queries

    var badQueries: [BadRequests] {
        let long = window(0, 86_401)
        return [
            BadRequests(
                IndexerMethods.listFiles, like: ListFilesRequest(volumeID: volumeID),
                [
                    "volume_id": Bad.each(Bad.identities) { $0.volumeID = $1 },
                    "after_path": [{ $0.afterPath = Bad.text(1025) }],
                    "limit": Bad.each([0, 2001, .max]) { $0.limit = $1 },
                ],
                taken: [
                    { $0.limit = 1 }, { $0.limit = 2000 }, { $0.afterPath = Bad.text(1024) },
                    { $0.volumeID = Bad.text(128) },
                ]),
            BadRequests(
                IndexerMethods.queryMedia,
                like: QueryMediaRequest(asset: asset("cam"), source: source("cam"), window: window(0, 10)),
                [
                    "asset": Bad.each(Bad.namesIfAny) { $0.asset = $1 },
                    "source.device": Bad.each(Bad.names) { $0.source?.device = $1 },
                    "source.endpoint": Bad.each(Bad.names) { $0.source?.endpoint = $1 },
                    "window.start_us": Bad.each(Bad.times) { $0.window?.startUs = $1 },
                    "window.end_us": Bad.each(Bad.times + [us(0), long.endUs]) { $0.window?.endUs = $1 },
                    "kind": [{ $0.kind = .unrecognized(9) }],
                    "limit": Bad.each([0, 2001, .max]) { $0.limit = $1 },
                    "page_token": Bad.each(["", "nonsense", "x:y", "1:" + Bad.text(1099)]) { $0.pageToken = $1 },
                ],
                taken: [
                    { $0 = QueryMediaRequest() }, { $0.limit = 1 }, { $0.limit = 2000 }, { $0.kind = .snapshot },
                    { $0.window = self.window(0, 86_400) }, { $0.pageToken = "1:" + Bad.text(1098) },
                ]),
            BadRequests(
                IndexerMethods.coverage, like: CoverageRequest(source: source("cam"), window: window(0, 10)),
                [
                    "asset": Bad.each(Bad.namesIfAny) { $0.asset = $1 },
                    "source": [{ $0.source = nil }],
                    "source.device": Bad.each(Bad.names) { $0.source?.device = $1 },
                    "source.endpoint": Bad.each(Bad.names) { $0.source?.endpoint = $1 },
                    "window": [{ $0.window = nil }],
                    "window.start_us": Bad.each(Bad.times) { $0.window?.startUs = $1 },
                    "window.end_us": Bad.each(Bad.times + [us(0), long.endUs]) { $0.window?.endUs = $1 },
                ], taken: [{ $0.window = self.window(0, 86_400) }]),
            BadRequests(
                IndexerMethods.coverage, like: CoverageRequest(asset: "no-\(tag)", window: window(0, 10)),
                code: .notFound, ["": [{ _ in }]]),
            BadRequests(
                IndexerMethods.changes, like: IndexerChangesRequest(),
                [
                    "after": [{ $0.after = .max }],
                    "limit": Bad.each([0, 1001, .max]) { $0.limit = $1 },
                ], taken: [{ $0.limit = 1 }, { $0.limit = 1000 }]),
            BadRequests(
                IndexerMethods.changes, like: IndexerChangesRequest(after: 1 << 50), code: .outOfRange,
                ["": [{ _ in }]]),
            BadRequests(
                IndexerMethods.listAudit, like: ListAuditRequest(),
                [
                    "from_us": Bad.each(Bad.timesIfAny) { $0.fromUs = $1 },
                    "limit": Bad.each([0, 1001, .max]) { $0.limit = $1 },
                ], taken: [{ $0.limit = 1 }, { $0.limit = 1000 }]),
            BadRequests(withoutFields: IndexerMethods.listCameras),
            BadRequests(withoutFields: IndexerMethods.listHolds),
        ]
    }

    // MARK: - Archive requests

    var badRequests: [BadRequests] {
        let ids: [String?] = ["", Bad.text(65), "../r", ".r", "a b"]
        return [
            badInBoth(IndexerMethods.submitEvent, like: event("bad", at: 0)),
            badInBoth(IndexerMethods.submitArchive, like: archive("bad")),
            BadRequests(
                IndexerMethods.submitEvent, like: event("bad", at: 0),
                [
                    "event_key": Bad.each(Bad.identities) { $0.eventKey = $1 },
                    "rule": [{ $0.rule = Bad.text(129) }],
                    "event_us": Bad.each(Bad.times + [us(600 + 3700)]) { $0.eventUs = $1 },
                    "start_offset_ms": Bad.each([-86_400_001, 86_400_001, .min, .max]) { $0.startOffsetMs = $1 }
                        + [{ $0.eventUs = 1 }],
                    "end_offset_ms": Bad.each([-86_400_001, 86_400_001, .min, .max, -10_000, -20_000]) {
                        $0.endOffsetMs = $1
                    },
                    "maximum_ms": Bad.each([0, 86_400_001, .max]) { $0.maximumMs = $1 },
                ]),
            BadRequests(
                IndexerMethods.submitArchive, like: archive("bad"),
                [
                    "request_id": Bad.each(ids) { $0.requestID = $1 },
                    "window": [{ $0.window = nil }],
                    "window.start_us": Bad.each(Bad.times) { $0.window?.startUs = $1 }
                        + [{ $0.window = self.window(600 + 3700, 600 + 3710) }],
                    "window.end_us": Bad.each(Bad.times + [us(0), us(86_401)]) { $0.window?.endUs = $1 },
                ]),
            BadRequests(
                IndexerMethods.submitArchive, like: archive("taken", 900, 911), code: .alreadyExists,
                [
                    "": [
                        { _ in },
                        {
                            $0.window = self.window(900, 910); $0.cameras = [self.requested("other")]
                        },
                    ]
                ]),
            BadRequests(
                IndexerMethods.getRequest, like: GetRequestRequest(),
                ["request_id": Bad.each(ids + [nil]) { $0.requestID = $1 }]),
            BadRequests(
                IndexerMethods.getRequest, like: GetRequestRequest(requestID: "none-\(tag)"), code: .notFound,
                ["": [{ _ in }]]),
            BadRequests(
                IndexerMethods.listRequests, like: ListRequestsRequest(),
                [
                    "state": [{ $0.state = .unrecognized(99) }],
                    "limit": Bad.each([0, 201, .max]) { $0.limit = $1 },
                    "before_us": Bad.each(Bad.timesIfAny) { $0.beforeUs = $1 },
                ], taken: [{ $0.limit = 1 }, { $0.limit = 200 }]),
            BadRequests(
                IndexerMethods.cancelRequest, like: CancelRequestRequest(requestID: "taken-\(tag)"),
                [
                    "request_id": Bad.each(ids + [nil]) { $0.requestID = $1 },
                    "requested_by": [{ $0.requestedBy = Bad.text(129) }],
                ]),
            BadRequests(
                IndexerMethods.cancelRequest, like: CancelRequestRequest(requestID: "none-\(tag)"), code: .notFound,
                ["": [{ _ in }]]),
        ]
    }
}

/// What the two ways to ask for footage have in common.
private protocol FootageQuestion: WireMessage {
    var cameras: [RequestedCamera] { get set }
    var requestedBy: String? { get set }
    var reason: String? { get set }
    var delivery: Delivery? { get set }
    var mode: ArchiveMode? { get set }
    var kinds: [MediaKind] { get set }
    var dueUs: Int64? { get set }
}

extension SubmitEventRequest: FootageQuestion {}
extension SubmitArchiveRequest: FootageQuestion {}

private func badInBoth<Q: FootageQuestion, R>(_ method: RPCMethod<Q, R>, like good: Q) -> BadRequests {
    let kinds: [MediaKind] = [.unspecified, .unrecognized(9)]
    return BadRequests(
        method, like: good,
        [
            "cameras": [{ $0.cameras = [] }, { $0.cameras = Array(repeating: $0.cameras[0], count: 65) }],
            "cameras[0].camera": Bad.each(["", Bad.text(129), "a/b", "a\u{1}"]) { $0.cameras[0].camera = $1 },
            "cameras[0].source": [{ $0.cameras[0].source = nil }],
            "cameras[0].source.device": Bad.each(Bad.names) { $0.cameras[0].source?.device = $1 },
            "cameras[0].source.endpoint": Bad.each(Bad.names) { $0.cameras[0].source?.endpoint = $1 },
            "cameras[0].footage_reason": [{ $0.cameras[0].footageReason = Bad.text(1025) }],
            "requested_by": [{ $0.requestedBy = Bad.text(257) }],
            "reason": [{ $0.reason = Bad.text(1025) }],
            "delivery": [{ $0.delivery = .unrecognized(9) }],
            "mode": [{ $0.mode = .unrecognized(9) }],
            "kinds[0]": Bad.each(kinds) { $0.kinds = [$1] },
            // 0 is no time.
            "due_us": Bad.each(Bad.timesIfAny.filter { $0 != 0 }) { $0.dueUs = $1 },
        ])
}
