// Footage that nobody could be asked for is asked for again.

import Testing
import Wire

@testable import MQTTEdgeAdapter

@Suite struct FootageReminderTests {
    private let source = SourceName(device: "d", endpoint: "main")
    private let now: Int64 = 1_700_000_000_000_000

    private func request(
        _ footage: FootageState, state: RequestState = .waiting, endsInSeconds: Int64 = 10, id: String = "r"
    ) -> ArchiveRequest {
        ArchiveRequest(
            requestID: id, state: state,
            window: Window(startUs: now - 5_000_000, endUs: now + endsInSeconds * 1_000_000),
            cameras: [
                RequestedCamera(camera: "one", source: source, footage: footage),
                RequestedCamera(camera: "two", source: SourceName(device: "e", endpoint: "main"), footage: .recording),
            ])
    }

    private func questions(_ requests: [ArchiveRequest]) -> [UnaskedFootage.Question] {
        var unasked = UnaskedFootage()
        requests.forEach { unasked.saw($0) }
        return unasked.due(nowUs: now)
    }

    @Test(arguments: [FootageState.unspecified, .notHeld])
    func aCameraThatNoControllerAnsweredForIsAskedForAgain(footage: FootageState) throws {
        let asked = try #require(questions([request(footage)]).first)
        #expect(asked.key == "r")
        #expect(asked.cameras.map(\.camera) == ["one"])
    }

    @Test(arguments: [FootageState.sealed, .recording, .dark, .notRecorded])
    func aCameraThatWasAnsweredForIsNot(footage: FootageState) {
        #expect(questions([request(footage)]).isEmpty)
    }

    @Test func aRequestThatEndedOrAWindowThatIsLongOverIsNot() {
        #expect(questions([request(.unspecified), request(.unspecified, state: .cancelled)]).isEmpty)
        #expect(questions([request(.unspecified, endsInSeconds: -31)]).isEmpty)
        #expect(questions([request(.unspecified, endsInSeconds: -29)]).count == 1)
    }

    @Test func itIsAskedUntilAControllerAnswers() throws {
        var unasked = UnaskedFootage()
        unasked.saw(request(.unspecified))
        let first = try #require(unasked.due(nowUs: now).first)
        var camera = first.cameras[0]
        camera.footage = .notHeld
        unasked.answered(first, [camera])
        let second = try #require(unasked.due(nowUs: now).first)
        camera.footage = .recording
        unasked.answered(second, [camera])
        #expect(unasked.due(nowUs: now).isEmpty)
        // The indexer goes on saying what was known at the acceptance.
        unasked.saw(request(.unspecified))
        #expect(unasked.due(nowUs: now).isEmpty)
    }

    @Test func anAnswerForAWindowThatGrewMeanwhileDoesNotCount() throws {
        var unasked = UnaskedFootage()
        unasked.saw(request(.unspecified))
        let old = try #require(unasked.due(nowUs: now).first)
        unasked.saw(request(.unspecified, endsInSeconds: 20))
        var camera = old.cameras[0]
        camera.footage = .recording
        unasked.answered(old, [camera])
        #expect(unasked.due(nowUs: now).first?.window.endUs == now + 20_000_000)
    }

    @Test func theWindowThatEndsFirstIsAskedForFirst() {
        let requests = [(20, "b"), (5, "a")].map { request(.unspecified, endsInSeconds: $0.0, id: $0.1) }
        #expect(questions(requests).map(\.key) == ["a", "b"])
    }
}
