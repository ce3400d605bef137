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

    @Test func triesThreeTimesWithLongerPauses() {
        let failures = [
            .noAnswer("connection refused"), refused(503, "ServerBusy"), refused(500, "InternalError"), refused(408),
            refused(429),
            // A campaign of faults found a file set aside for good because a bit of its list of blocks was flipped on the way.
            refused(400, "Md5Mismatch"), refused(400, "InvalidXmlDocument"), refused(400, "InvalidXmlNodeValue"),
        ]
        for failure in failures {
            #expect(table.next(failure, attempt: 1) == .again(after: .milliseconds(500)))
            #expect(table.next(failure, attempt: 2) == .again(after: .seconds(1)))
            #expect(problem(failure, attempt: 3)?.isRetryable == true)
        }
    }

    @Test func waitsAsLongAsTheServiceAsksButNotHere() {
        #expect(table.next(refused(503, "ServerBusy", after: 7), attempt: 1) == .again(after: .seconds(7)))
        let long = problem(refused(503, "ServerBusy", after: 120), attempt: 1)
        #expect(long?.retryAfter == .seconds(120) && long?.isRetryable == true)
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

    @Test func makesTheContainerOnlyWhereThatIsAllowed() {
        let missing = refused(404, "ContainerNotFound")
        #expect(problem(missing, attempt: 1)?.reason.contains("create-container") == true)
        #expect(problem(missing, attempt: 1)?.isRetryable == true)
        var allowed = table
        allowed = RetryTable(endpoint: allowed.endpoint, container: "cams", mayCreateContainer: true)
        #expect(allowed.next(missing, attempt: 1) == .createContainer)
        #expect(allowed.next(missing, attempt: 3) != .createContainer)
    }

    @Test(arguments: [(400, "InvalidMetadata"), (413, "RequestBodyTooLarge"), (400, "InvalidUri"), (501, "")])
    func givesUpWhatCannotWork(_ status: Int, _ code: String) {
        let problem = problem(refused(status, code), attempt: 1)
        #expect(problem?.isRetryable == (status >= 500 ? nil : false))
        #expect(problem?.concernsStorage != true)
    }
}

@Suite struct LocationTests {
    private func location(_ change: (inout Settings) -> Void) throws(SettingsError) -> BlobLocation {
        var settings = Settings()
        settings[UploaderKeys.blobEndpoint] = "https://acct.blob.core.windows.net/"
        settings[UploaderKeys.account] = "acct"
        settings[UploaderKeys.container] = "cams"
        settings[UploaderKeys.keyFile] = "storage/key"
        change(&settings)
        return try BlobLocation(settings)
    }

    @Test func takesAnAccountWithAKeyOrASignature() throws {
        #expect(try location { _ in }.endpoint == "https://acct.blob.core.windows.net")
        let signed = try location {
            $0[UploaderKeys.keyFile] = ""
            $0[UploaderKeys.sasFile] = "storage/sas"
            $0[UploaderKeys.account] = ""
        }
        #expect(signed.isSignature && signed.secret == "storage/sas")
        #expect(
            try location { $0[UploaderKeys.blobEndpoint] = "http://127.0.0.1:10000/dev" }.endpoint.hasSuffix("/dev"))
    }

    @Test func refusesWhatDoesNotFitTogether() {
        let mistakes: [(String, (inout Settings) -> Void)] = [
            ("container", { $0[UploaderKeys.container] = "" }),
            ("blob-endpoint", { $0[UploaderKeys.blobEndpoint] = "" }),
            ("blob-endpoint", { $0[UploaderKeys.blobEndpoint] = "acct.blob.core.windows.net" }),
            ("sas-file", { $0[UploaderKeys.blobEndpoint] = "https://a.example/?sv=2021&sig=abc" }),
            ("insecure", { $0[UploaderKeys.blobEndpoint] = "http://10.0.0.1:10000/dev" }),
            ("key-file", { $0[UploaderKeys.keyFile] = "" }),
            ("key-file", { $0[UploaderKeys.sasFile] = "storage/sas" }),
            ("account", { $0[UploaderKeys.account] = "" }),
        ]
        for (expected, mistake) in mistakes {
            let error = #expect(throws: SettingsError.self) { try location(mistake) }
            #expect(error?.description.contains(expected) == true, "\(error?.description ?? "")")
            #expect(error?.description.contains("sig=abc") != true)
        }
    }
}

@Suite struct MetadataTests {
    @Test func saysWhatTheFileIs() {
        let item = ClaimedItem(
            camera: "Tor Süd", window: Window(startUs: 1_763_874_000_000_000, endUs: 1_763_874_010_500_000),
            requestIDs: ["r2", "r1"])
        let metadata = UploadMetadata.ofMedia(item, .init(sha256: [UInt8](repeating: 0xAB, count: 32), sizeBytes: 1))
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
