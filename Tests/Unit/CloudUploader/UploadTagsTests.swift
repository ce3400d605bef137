// Index tags: what is said, how it is spelled, and what becomes of an account that refuses them.
import Testing
import Wire

@testable import CloudUploader

@Suite struct UploadTagsTests {
    private static let item = ClaimedItem(
        sidecar: Array(#"{"camera_id":"x","event_keys":["e2","e1"]}"#.utf8), camera: "lobby/1",
        window: Window(startUs: 1_763_874_000_000_000, endUs: 1_763_874_010_000_000), requestIDs: ["r2", "r1"])

    @Test func sayWhatTheFileIsAndWhoWantedIt() {
        let events = BlobLabels.events(of: Self.item)
        #expect(events == ["e2", "e1"])
        let tags = BlobLabels(Self.item, ("sha256", "ab"), events: events).tags
        #expect(tags.map(\.name) == ["camera", "end", "event", "request", "sha256", "start"])
        #expect(
            tags.map(\.value) == [
                "lobby/1", "2025-11-23T05:00:10.000000Z", "e2", "r1", "ab", "2025-11-23T05:00:00.000000Z",
            ])
    }

    @Test func leaveOutWhatIsNotKnown() {
        let item = ClaimedItem(content: Array("no JSON".utf8), camera: "")
        let tags = BlobLabels(item, ("sha256", "ab"), events: BlobLabels.events(of: item)).tags
        #expect(tags.map(\.name) == ["sha256"])
    }

    @Test(arguments: [
        ("lobby +-./:_9", "lobby +-./:_9"), ("a=b", "a=3Db"), ("Tür", "T=C3=BCr"), ("a\tb%&\u{7f}", "a=09b=25=26=7F"),
        ("", ""),
    ])
    func spellOtherBytesAsTheServiceTakesThem(_ text: String, _ expected: String) {
        #expect(UploadTags.value(text) == expected)
    }

    @Test func areCutAtTheServicesBoundAndNeverInsideOfASpelledByte() {
        #expect(UploadTags.value(String(repeating: "x", count: 300)).utf8.count == 256)
        let spelled = UploadTags.value(String(repeating: "ü", count: 100))
        #expect(spelled.utf8.count == 255 && spelled.hasSuffix("=C3"))
    }

    @Test func travelAsTheQueryOfAnAddress() {
        #expect(
            UploadTags.encoded([("camera", "a b+c"), ("start", "10:00")]) == "camera=a%20b%2Bc&start=10%3A00")
    }

    @Test func areLeftOutForAnHourAfterARefusalWhichIsToldOnce() {
        var tagging = Tagging(isWanted: true)
        let start = ContinuousClock.now
        #expect(tagging.maySend(at: start))
        let isNew = tagging.refused(at: start)
        #expect(isNew)
        #expect(!tagging.maySend(at: start + .seconds(3599)))
        #expect(tagging.maySend(at: start + .seconds(3600)))
        let isNewAgain = tagging.refused(at: start + .seconds(3600))
        #expect(!isNewAgain)
        #expect(!Tagging(isWanted: false).maySend(at: start))
    }

    @Test(arguments: [
        (403, "AuthorizationPermissionMismatch", true), (403, "AuthenticationFailed", false),
        (400, "UnsupportedHeader", true), (409, "FeatureNotYetSupportedForHierarchicalNamespaceAccounts", true),
        (409, "BlobAlreadyExists", false), (412, "ConditionNotMet", false), (503, "ServerBusy", false),
        (400, "Crc64Mismatch", false), (400, "InvalidBlockList", false),
    ])
    func onlySomeRefusalsMayBeDueToTags(_ status: Int, _ code: String, _ expected: Bool) {
        #expect(Tagging.mayBeRefusal(status: status, code: code) == expected)
    }
}
