// Status, requests, receipts and pictures as messages.

import JSON
import Testing
import Wire

@testable import MQTTEdgeAdapter

@Suite struct StatusTests {
    private let topics = Topics(namespace: "n") ?? Topics(namespace: "other")
    private let task = TaskStatus(
        stream: StreamName(asset: "cam1", stream: "clips"), source: SourceName(device: "d", endpoint: "e"),
        type: .clipToFs,
        state: .running, runID: "r", produced: 3, lastOutputUs: 1_763_870_706_789_000, lastOutput: "x.mp4")

    @Test func aTaskIsRendered() throws {
        let topics = try #require(topics)
        let status = try #require(StatusJSON.task(task, controllerID: "cc-0", topics: topics))
        #expect(status.topic == "n/asset-status/cam1/clips")
        #expect(status.json["type"]?.string == "clip-to-fs")
        #expect(status.json["state"]?.string == "running")
        #expect(status.json["lastOutputAt"]?.string == "2025-11-23T04:05:06.789Z")
        #expect(status.json["error"] == nil)
        #expect(status.urgent["produced"] == nil)
    }

    @Test func aStatusWithoutNameIsNotRendered() throws {
        let topics = try #require(topics)
        #expect(StatusJSON.task(TaskStatus(state: .running), controllerID: nil, topics: topics) == nil)
        #expect(StatusJSON.source(SourceStatus(state: .idle), controllerID: nil, topics: topics) == nil)
        #expect(StatusJSON.volume(VolumeStatus(writable: true), controllerID: nil, topics: topics) == nil)
    }

    @Test func onlyChangesArePublishedAndCountersSeldom() throws {
        let topics = try #require(topics)
        var board = StatusBoard()
        let now = ContinuousClock.now
        func status(_ change: (inout TaskStatus) -> Void) throws -> RenderedStatus {
            var task = task
            change(&task)
            return try #require(StatusJSON.task(task, controllerID: "cc-0", topics: topics))
        }
        #expect(board.shouldPublish(try status { _ in }, now: now))
        #expect(!board.shouldPublish(try status { _ in }, now: now + .seconds(60)))
        #expect(!board.shouldPublish(try status { $0.produced = 4 }, now: now + .seconds(1)))
        #expect(board.shouldPublish(try status { $0.produced = 5 }, now: now + StatusBoard.counterInterval))
        #expect(board.shouldPublish(try status { $0.state = .failed }, now: now + .seconds(11)))
        board.forget("n/asset-status/cam1/clips")
        #expect(board.shouldPublish(try status { $0.state = .failed }, now: now + .seconds(11)))
    }

    @Test func aRequestShowsWhereItsFilesAre() {
        let request = ArchiveRequest(
            requestID: "r1", state: .done, window: Window(startUs: 1_763_870_706_000_000, endUs: 1_763_870_707_000_000),
            cameras: [
                RequestedCamera(camera: "cam1", source: SourceName(device: "d", endpoint: "e"), footage: .sealed)
            ],
            files: [
                DeliveredFile(
                    kind: .segment, state: .uploaded, archivePath: "cam1/x.mp4", blobURL: "https://a/b", camera: "cam1",
                    sizeBytes: 5, sha256: [0, 255]),
                DeliveredFile(kind: .manifest, archivePath: "sightglass.requests/r1.json"),
            ], gaps: [Gap(cause: "dark", reason: "camera away")], manifestPath: "sightglass.requests/r1.json")
        let json = RequestJSON.render(request)
        #expect(json["state"]?.string == "done")
        #expect(json["filesTotal"] == .number("1"))
        #expect(json["files"]?.elements?.first?["sha256"]?.string == "00ff")
        #expect(json["files"]?.elements?.first?["blobUrl"]?.string == "https://a/b")
        #expect(json["gaps"]?.elements?.first?["cause"]?.string == "dark")
        #expect(json["manifestPath"]?.string == "sightglass.requests/r1.json")
        #expect(json["start"]?.string == "2025-11-23T04:05:06.000Z")
    }

    @Test func aRequestOnItsWaySaysHowMuchIsInFlightAndWhenItIsDue() {
        let request = ArchiveRequest(
            requestID: "r1", state: .uploading, bytesTotal: 9, bytesArchived: 9, bytesUploaded: 3,
            dueUs: 1_763_870_706_000_000)
        let json = RequestJSON.render(request, bytesInFlight: 2)
        #expect(json["bytesInFlight"] == .number("2") && json["bytesUploaded"] == .number("3"))
        #expect(json["dueAt"]?.string == "2025-11-23T04:05:06.000Z")
        let bare = RequestJSON.render(ArchiveRequest(requestID: "r1", state: .uploading))
        #expect(bare["bytesInFlight"] == nil && bare["dueAt"] == nil)
    }

    @Test func aRequestWithManyFilesFitsThePacket() throws {
        let files = (0..<3_000).map { DeliveredFile(kind: .segment, archivePath: "cam1/\($0).mp4") }
        let request = ArchiveRequest(requestID: "r1", state: .done, files: files)
        let bytes = RequestJSON.encoded(request, bytesInFlight: nil, maximumBytes: 8_192)
        #expect(bytes.count <= 8_192)
        let json = try JSONReader.read(bytes, .messages)
        #expect(json["filesTotal"] == .number("3000"))
        #expect((json["files"]?.elements?.count ?? 0) > 0)
    }

    @Test func aReceiptOfARejectionNamesTheField() {
        let json = ReceiptJSON.rejected(
            .invalidArgument("timestamp", "timestamp is missing"), key: "k", topic: "t", atUs: 1)
        #expect(json["receipt"]?.string == "rejected")
        #expect(json["error"]?["message"]?.string == "timestamp is missing")
        #expect(json["error"]?["field"]?.string == "timestamp")
    }

    @Test func aReceiptOfAnExtensionSaysSo() {
        let reply = SubmitReply(receipt: .extended, request: ArchiveRequest(requestID: "r9", state: .waiting))
        let json = ReceiptJSON.accepted(reply, key: "k", topic: "t", atUs: 1)
        #expect(json["receipt"]?.string == "extended")
        #expect(json["requestId"]?.string == "r9")
        #expect(json["state"]?.string == "waiting")
    }
}

@Suite struct PictureMessageTests {
    private let request = PublishSnapshotRequest(
        stream: StreamName(asset: "cam 1", stream: "pics"), source: SourceName(device: "dev ü", endpoint: "e"),
        picture: [0xFF, 0xD8], contentType: "image/jpeg", capturedUs: 1_763_870_706_789_000, sequence: 9, widthPx: 640,
        heightPx: 360, destination: MqttDestination(qos: 1, retain: true, ttlS: 60), runID: "run")

    private func message(_ change: (inout PublishSnapshotRequest) -> Void = { _ in }) -> OutboundMessage {
        var request = request
        change(&request)
        return PictureMessage.make(
            request, stream: request.stream ?? StreamName(), topic: "t", id: "an-id", clientID: "me", timestamp: "stamp"
        )
    }

    @Test func carriesReferenceDataAsProperties() {
        let message = message()
        #expect(message.payload == [0xFF, 0xD8])
        #expect(message.properties.contentType == "image/jpeg")
        #expect(!message.properties.isText)
        let named = Dictionary(uniqueKeysWithValues: message.properties.userProperties.map { ($0.name, $0.value) })
        #expect(
            named == [
                "specversion": "1.0", "id": "an-id", "type": "Stream", "source": "ms-aio:dev%20%C3%BC/e",
                "subject": "cam 1/pics", "time": "2025-11-23T04:05:06.789Z", "device": "dev ü", "endpoint": "e",
                "asset": "cam 1", "stream": "pics", "sequence": "9", "width": "640", "height": "360", "run": "run",
                "__ts": "stamp", "__protVer": "1.0", "__srcId": "me",
            ])
    }

    @Test func qosRetainAndExpiryComeFromTheDestination() {
        let message = message()
        #expect(message.qos == 1)
        #expect(message.retain)
        #expect(message.properties.expiryS == 60)
        let plain = self.message { $0.destination = nil }
        #expect(plain.qos == 1)
        #expect(!plain.retain)
        #expect(plain.properties.expiryS == PictureMessage.defaultExpiryS)
    }

    @Test(arguments: ["text/html", "", "image/jpeg\r\nx"])
    func anOddContentTypeIsNotPassedOn(type: String) {
        #expect(message { $0.contentType = type }.properties.contentType == "application/octet-stream")
    }

    @Test func theHybridClockNeverGoesBack() {
        var clock = HybridClock(node: "me")
        let stamps = [5_000_000, 5_000_000, 4_000_000, 6_000_000].map { clock.next(nowUs: $0) }
        #expect(
            stamps == [
                "000000000005000:00000:me", "000000000005000:00001:me", "000000000005000:00002:me",
                "000000000006000:00000:me",
            ])
    }

    @Test(arguments: [
        (Code.unavailable, FailureKind.transient), (.deadlineExceeded, .transient), (.resourceExhausted, .transient),
        (.internal, .suspect), (.invalidArgument, .final), (.alreadyExists, .final), (.notFound, .final),
    ])
    func failuresAreTold(code: Code, kind: FailureKind) {
        #expect(FailureKind(code) == kind)
    }
}
