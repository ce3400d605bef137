// What the uploader does when the service does not say yes, and what it says about it.
import ServiceKit
import Testing
import Wire

@testable import CloudUploader

@Suite struct RetryTableTests {
    private let table = RetryTable(endpoint: "https://a.example", container: "cams", mayCreateContainer: false)

    private func refused(_ status: Int, _ code: String = "", after: Int? = nil, time: Bool = false) -> CallFailure {
        .refused(.init(status: status, code: code, retryAfterSeconds: after, isAboutTime: time))
    }

    private func problem(_ failure: CallFailure, attempt: Int = 9) -> UploadProblem? {
        if case .giveUp(let problem) = table.next(failure, attempt: attempt) { problem } else { nil }
    }

    private func waitMs(_ failure: CallFailure, _ attempt: Int, _ chance: Double) -> Int? {
        guard case .again(let wait) = table.next(failure, attempt: attempt, chance: chance) else { return nil }
        return Int((wait / .milliseconds(1)).rounded())
    }

    @Test func triesThreeTimesWithLongerPausesThatChanceSpreads() {
        let failures = [
            .noAnswer("connection refused"), refused(503, "ServerBusy"), refused(500, "InternalError"), refused(408),
            refused(429),
            // A campaign of faults found a file set aside for good because a bit of its list of blocks was flipped on the way.
            refused(400, "Crc64Mismatch"), refused(400, "InvalidXmlDocument"), refused(400, "InvalidXmlNodeValue"),
        ]
        let waits: [(attempt: Int, chance: Double, ms: Int)] = [
            (1, 0, 400), (1, 0.5, 500), (1, 0.75, 550), (2, 0, 800), (2, 0.5, 1000), (2, 0.75, 1100),
        ]
        for failure in failures {
            for (attempt, chance, ms) in waits {
                #expect(waitMs(failure, attempt, chance) == ms, "\(failure) \(attempt) \(chance)")
            }
            #expect(problem(failure, attempt: 3)?.isRetryable == true)
        }
    }

    @Test func waitsAsLongAsTheServiceAsksNeverLessAndLongOnesNotHere() {
        let short = refused(503, "ServerBusy", after: 7)
        #expect(waitMs(short, 1, 0) == 7000)
        #expect(waitMs(short, 1, 0.5) == 7350)
        #expect(waitMs(refused(503, after: 0), 2, 0.5) == 1000)
        let long = problem(refused(503, "ServerBusy", after: 120), attempt: 1)
        #expect(long?.retryAfter == .seconds(120) && long?.isRetryable == true)
    }

    /// What has a pause is not counted by the indexer; what concerns the storage keeps everything from being claimed.
    @Test func onlyDamageCountsAgainstTheFile() {
        let table: [(failure: CallFailure, pause: Duration?, concernsStorage: Bool)] = [
            (.noAnswer("timed out"), .seconds(15), true), (refused(429), .seconds(15), true),
            (refused(503, "ServerBusy"), .seconds(15), true), (refused(503, after: 40), .seconds(40), true),
            (refused(500, "InternalError"), .seconds(60), false), (refused(408), .seconds(60), false),
            (refused(504), .seconds(60), false), (refused(403), .seconds(60), true),
            (refused(404, "ContainerNotFound"), .seconds(60), true),
            (refused(409, "ContainerBeingDeleted"), .seconds(60), true),
            (refused(400, "InvalidBlobOrBlock"), .seconds(3600), false),
            (refused(400, "Crc64Mismatch"), nil, false), (refused(400, "Md5Mismatch"), nil, false),
            (refused(400, "InvalidXmlDocument"), nil, false),
        ]
        for (failure, pause, concernsStorage) in table {
            let problem = problem(failure, attempt: 3)
            #expect(problem?.retryAfter == pause && problem?.isRetryable == true, "\(failure)")
            #expect(problem?.concernsStorage == concernsStorage, "\(failure)")
        }
    }

    @Test(arguments: [(403, "AuthenticationFailed"), (401, "NoAuthenticationInformation")])
    func saysThatTheAccountRefusesTheKey(_ status: Int, _ code: String) {
        let problem = problem(refused(status, code), attempt: 1)
        #expect(problem?.reason.contains("the storage account refuses the key") == true)
        #expect(problem?.isRetryable == true && problem?.concernsStorage == true && problem?.retryAfter == .seconds(60))
    }

    @Test func tellsAWrongClockAndMissingRightsFromAWrongKey() {
        #expect(
            problem(refused(403, "AuthenticationFailed", time: true))?.reason.contains("clock of this host") == true)
        #expect(problem(refused(403, "AuthorizationPermissionMismatch"))?.reason.contains("does not allow") == true)
    }

    @Test(arguments: [
        (CredentialWords.signature, "sas-file"), (.connectionString, "connection-string-file"), (.token, "tenant-id"),
    ])
    func saysWhatIsRefusedAndWhereToLook(_ words: CredentialWords, _ source: String) {
        let table = RetryTable(
            endpoint: "https://a.example", container: "cams", mayCreateContainer: false, credential: words)
        guard case .giveUp(let wrong) = table.next(refused(401, "InvalidAuthenticationInfo"), attempt: 1),
            case .giveUp(let narrow) = table.next(refused(403, "AuthorizationPermissionMismatch"), attempt: 1)
        else {
            Issue.record("it goes on")
            return
        }
        #expect(wrong.reason.contains("refuses the \(words.name)") && wrong.reason.contains(source))
        #expect(narrow.reason.contains("check the rights of the \(words.holder)"))
    }

    @Test func makesTheContainerOnlyWhereThatIsAllowed() {
        let missing = refused(404, "ContainerNotFound")
        #expect(problem(missing, attempt: 1)?.reason.contains("create-container") == true)
        #expect(problem(missing, attempt: 1)?.isRetryable == true)
        var allowed = table
        allowed = RetryTable(endpoint: allowed.endpoint, container: "cams", mayCreateContainer: true)
        #expect(allowed.next(missing, attempt: 1) == .createContainer)
        #expect(allowed.next(missing, attempt: 3) != .createContainer)
    }

    /// A lease on a blob, or one that is there for a moment, once set the file aside for good.
    @Test(arguments: [(409, "BlobAlreadyExists"), (409, "BlobBeingRehydrated"), (412, "LeaseIdMissing"), (412, "")])
    func whatStandsInTheWayOfOneBlobIsWaitedFor(_ status: Int, _ code: String) {
        let problem = problem(refused(status, code), attempt: 1)
        #expect(
            problem?.isRetryable == true && problem?.concernsStorage == false && problem?.retryAfter == .seconds(60))
        #expect(problem?.reason.contains("(\(status) \(code))") == true)
    }

    @Test(arguments: [(400, "InvalidMetadata"), (413, "RequestBodyTooLarge"), (400, "InvalidUri"), (501, "")])
    func givesUpWhatCannotWork(_ status: Int, _ code: String) {
        let problem = problem(refused(status, code), attempt: 1)
        #expect(problem?.isRetryable == (status >= 500 ? nil : false))
        #expect(problem?.concernsStorage != true)
    }
}

@Suite struct RetryAfterTests {
    /// 1994-11-06T08:49:30Z.
    private static let nowUs: Int64 = 784_111_770_000_000

    @Test(
        arguments: [
            ("0", 0), ("7", 7), ("3600", 3600), ("3601", 3600), ("99999999999999999999999", 3600),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 7), ("Sunday, 06-Nov-94 08:49:37 GMT", 7),
            ("Sun Nov  6 08:49:37 1994", 7),
            ("Sun, 06 Nov 1994 08:49:30 GMT", 0), ("Sun, 06 Nov 1994 07:00:00 GMT", 0),
            ("Mon, 07 Nov 1994 08:49:37 GMT", 3600),
            ("", nil), ("-1", nil), ("+5", nil), ("1.5", nil), ("soon", nil), ("Sun, 06 Nov 1994 08:49:37 CET", nil),
            ("Sun, 31 Feb 1994 08:49:37 GMT", nil), ("Sun, 06 Nov 1994 08:49 GMT", nil), ("Nov Nov Nov Nov Nov", nil),
        ] as [(String, Int?)])
    func readsSecondsAndDates(_ text: String, _ seconds: Int?) {
        #expect(RetryAfter.seconds(text, date: nil, nowUs: Self.nowUs) == seconds)
    }

    @Test func aDateIsComparedWithTheServicesOwnClock() {
        let until = "Sun, 06 Nov 1994 08:49:37 GMT"
        let theirs = "Sun, 06 Nov 1994 08:49:32 GMT"
        // Ours is a day behind.
        let oursUs = Self.nowUs - 86_400_000_000
        #expect(RetryAfter.seconds(until, date: theirs, nowUs: oursUs) == 5)
        #expect(RetryAfter.seconds(until, date: "yesterday", nowUs: Self.nowUs) == 7)
        // Part of a second is a whole one: never sooner than asked.
        #expect(RetryAfter.seconds(until, date: nil, nowUs: Self.nowUs + 1) == 7)
        #expect(RetryAfter.seconds(until, date: nil, nowUs: Self.nowUs + 1_000_001) == 6)
    }
}

@Suite struct MetadataTests {
    @Test func saysWhatTheFileIs() {
        let item = ClaimedItem(
            camera: "Tor Süd", window: Window(startUs: 1_763_874_000_000_000, endUs: 1_763_874_010_500_000),
            requestIDs: ["r2", "r1"])
        let metadata = UploadMetadata.of(item, ("sha256", String(repeating: "ab", count: 32)))
        #expect(metadata.map(\.name) == ["camera", "end", "requests", "sha256", "start"])
        #expect(metadata.map(\.name) == metadata.map(\.name).sorted())
        #expect(metadata[0].value == "Tor S%C3%BCd" && metadata[2].value == "r1,r2")
        #expect(metadata[4].value == "2025-11-23T05:00:00.000000Z")
    }

    @Test func aChangedFileIsNotUploaded() throws {
        let item = ClaimedItem(archivePath: "cam1/a.mp4", sizeBytes: 3, sha256: [1])
        try UploadWork.check(.init(sha256: [1], sizeBytes: 3), item)
        for digest in [(1, 4), (2, 3)] as [(UInt8, Int64)] {
            let problem = #expect(throws: UploadProblem.self) {
                try UploadWork.check(.init(sha256: [digest.0], sizeBytes: digest.1), item)
            }
            #expect(problem?.isRetryable == false && problem?.reason.contains("cam1/a.mp4") == true)
        }
    }
}
