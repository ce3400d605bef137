// Every fault of the way to the storage at every request of an upload: of a file of nine blocks with its sidecar, of a file in
// one request, of a manifest. Which requests an upload makes is counted at one that nothing happens to.
import FaultProxy
import Foundation
import Harness
import Testing

@Suite struct FaultTableTests {
    /// Puts each fault to each request of each kind of upload, one for each item.
    private static func spread(
        _ faults: [ProxyFault.Action], _ faulty: FaultSite
    ) async throws -> [FaultyUpload] {
        let clean = try FaultyUpload.Kind.allCases.map { try faulty.upload($0, "nothing") }
        faulty.offer(clean)
        try await faulty.done(clean)
        var uploads: [FaultyUpload] = []
        for harmless in clean {
            let requests = faulty.proxy.requests(of: harmless.mark).count
            #expect(requests >= (harmless.kind == .blocks ? FaultSite.blocks + 2 : 1))
            #expect(faulty.complaints(harmless, interruptions: 0).isEmpty)
            for fault in faults {
                for number in 0..<requests {
                    let upload = try faulty.upload(harmless.kind, "\(fault) at request \(number + 1) of \(requests)")
                    faulty.proxy.add([ProxyFault(fault, pathContains: upload.mark, skip: number)])
                    uploads.append(upload)
                }
            }
        }
        return uploads
    }

    /// What is done again in place: the item does not fail.
    private static let passing: [ProxyFault.Action] = [
        .cut(afterBytes: 0), .cut(afterBytes: 30_000), .loseReply, .flip(atByte: 15), .flip(atByte: 31_000),
        .answer(status: 408, code: "RequestTimeout"), .answer(status: 500, code: "InternalError"),
    ]

    @Test func aFaultAtAnyRequestCostsNothingButWhatWasOnItsWay() async throws {
        try await FaultSite.with { faulty in
            let uploader = try faulty.start(["parallel": "16"])
            let uploads = try await Self.spread(Self.passing, faulty)
            faulty.offer(uploads)
            try await faulty.done(uploads)
            for upload in uploads {
                #expect(faulty.complaints(upload, interruptions: 1) == [])
                #expect(faulty.reasons(upload) == [], "\(upload.kind), \(upload.story)")
            }
            #expect(faulty.proxy.waiting.isEmpty, "faults that did not happen")
            // Damage did arrive, and was seen by the service.
            let damaged = faulty.proxy.requests.filter {
                if case .flip(let place) = $0.fault { place < $0.bodyBytes } else { false }
            }
            #expect(damaged.count > FaultSite.blocks && damaged.allSatisfy { $0.serverStatus == 400 })
            #expect(try await uploader.terminate() == 0)
        }
    }

    @Test(
        arguments: [
            (
                "refused", "the storage account",
                [
                    .answer(status: 403, code: "AuthenticationFailed"),
                    .answer(status: 403, code: "AuthorizationPermissionMismatch"),
                    .answer(status: 401, code: "InvalidAuthenticationInfo"),
                ]
            ),
            (
                "a state that passes", "(4",
                [
                    .answer(status: 409, code: "BlobAlreadyExists"), .answer(status: 412, code: "ConditionNotMet"),
                    .answer(status: 409, code: "BlobBeingRehydrated"), .answer(status: 412, code: "LeaseIdMissing"),
                ]
            ),
        ] as [(String, String, [ProxyFault.Action])])
    func aRefusalAtAnyRequestIsToldAndTheUploadGoesOnAfterIt(
        _ name: String, _ reason: String, _ faults: [ProxyFault.Action]
    ) async throws {
        try await FaultSite.with { faulty in
            let uploader = try faulty.start(["parallel": "64"])
            let uploads = try await Self.spread(faults, faulty)
            faulty.offer(uploads)
            try await faulty.done(uploads)
            for upload in uploads {
                #expect(faulty.complaints(upload, interruptions: 1) == [])
                let reasons = faulty.reasons(upload)
                #expect(reasons.count <= 1 && reasons.allSatisfy { $0.contains(reason) }, "\(upload.story): \(reasons)")
            }
            #expect(faulty.proxy.waiting.isEmpty, "faults that did not happen")
            #expect(try await uploader.terminate() == 0)
        }
    }

    /// Faults that last longer than the attempts of one request: the item waits, and its reason says what happened.
    @Test(
        arguments: [
            (.cut(afterBytes: 10), "does not answer"), (.loseReply, "does not answer"),
            (.flip(atByte: 9), "is not what was sent"),
            (.answer(status: 500, code: "InternalError"), "500 InternalError"),
            (.answer(status: 503, code: "ServerBusy"), "503 ServerBusy"),
        ] as [(ProxyFault.Action, String)])
    func aFaultThatLastsIsToldAndTheUploadGoesOnAfterIt(_ fault: ProxyFault.Action, _ reason: String) async throws {
        try await FaultSite.with { faulty in
            let uploader = try faulty.start(["parallel": "4"])
            let uploads = try [(.blocks, "PUT block"), (.blocks, "PUT blocklist"), (.whole, "PUT")]
                .map { (kind: FaultyUpload.Kind, operation: String) in
                    let upload = try faulty.upload(kind, "\(fault) at every attempt of \(operation)")
                    faulty.proxy.add([
                        ProxyFault(fault, operation: operation, pathContains: upload.mark + "mp4", count: 1000)
                    ])
                    return upload
                }
            faulty.offer(uploads)
            try await eventually("each has failed", within: .seconds(120)) {
                uploads.allSatisfy { !faulty.reasons($0).isEmpty } ? true : nil
            }
            faulty.proxy.clear()
            try await faulty.done(uploads)
            for upload in uploads {
                let reasons = faulty.reasons(upload)
                #expect(reasons.allSatisfy { $0.contains(reason) }, "\(upload.story): \(reasons)")
                let interruptions = faulty.proxy.requests(of: upload.mark).count { $0.fault != nil }
                #expect(faulty.complaints(upload, interruptions: interruptions) == [])
            }
            #expect(try await uploader.terminate() == 0)
        }
    }

    /// A pause that is longer than a request waits for: the item waits as long, and so does everything else.
    @Test(arguments: [(503, "ServerBusy"), (429, "TooManyRequests")])
    func aLongRetryAfterIsWhatTheIndexerIsTold(_ status: Int, _ code: String) async throws {
        try await FaultSite.with { faulty in
            let fault = ProxyFault.Action.answer(status: status, code: code, retryAfterSeconds: 12)
            let upload = try faulty.upload(.blocks, "\(fault)")
            faulty.proxy.add([ProxyFault(fault, operation: "PUT block", pathContains: upload.mark, skip: 4)])
            faulty.offer([upload])
            let uploader = try faulty.start()
            try await faulty.done([upload])
            let failures = faulty.site.indexer.failItem.requests
            #expect(failures.map(\.retryAfterMs) == [12_000] && failures.map(\.retryable) == [true])
            #expect(faulty.reasons(upload).allSatisfy { $0.contains("\(status) \(code)") })
            #expect(faulty.complaints(upload, interruptions: 1) == [])
            #expect(try await uploader.terminate() == 0)
        }
    }

    /// A listing that was damaged on its way back is never taken for what the service has.
    @Test func damageOnTheWayBackIsNoticed() async throws {
        try await FaultSite.with { faulty in
            let uploader = try faulty.start(["parallel": "16"])
            let uploads = try await Self.spread([40, 60, 75, 100, 140, 300].map { .flipReply(atByte: $0) }, faulty)
            faulty.offer(uploads)
            try await faulty.done(uploads)
            for upload in uploads {
                #expect(faulty.complaints(upload, interruptions: 1) == [])
                #expect(faulty.reasons(upload).count <= 1)
            }
            #expect(try await uploader.terminate() == 0)
        }
    }
}
