// The table of task keys: defaults, ranges, layers, aliases, destinations.

import JSON
import Testing
import Wire

@testable import AssetRegistry

/// Settings of one stream of an asset made from JSON pieces.
func evaluate(
    _ own: String, defaults: String = "", override: String? = nil, destinations: String = "[]",
    defaultDestinations: String = "[]"
) throws -> StreamSettings {
    let quoted = JSONValue.string(own).text()
    let quotedDefaults = JSONValue.string(defaults).text()
    let body = try JSONReader.read(
        """
        {"deviceRef":{"deviceName":"d","endpointName":"e"},"defaultStreamsConfiguration":\(quotedDefaults),
         "defaultStreamsDestinations":\(defaultDestinations),
         "streams":[{"name":"s","streamConfiguration":\(quoted),"destinations":\(destinations)}]}
        """, .documents)
    let asset = AssetDocument(name: "cam", body: body)
    let stream = try #require(asset.streams.first)
    if let error = stream.unreadable { throw error }
    return asset.settings(
        of: stream, override: try override.map { try StreamLayer(json: $0, field: "override_json") }, namespace: "aio")
}

@Suite struct StreamSettingsTests {
    @Test func snapshotToMqttDefaults() throws {
        let settings = try #require(try evaluate(#"{"taskType":"snapshot-to-mqtt"}"#).settings)
        #expect(
            settings
                == TaskSettings(
                    type: .snapshotToMqtt, autostart: true, format: "jpeg", snapshotsPerSecond: 1,
                    mqtt: MqttDestination(qos: 1, retain: false, ttlS: 10)))
    }

    @Test func snapshotToFsDefaults() throws {
        let settings = try #require(try evaluate(#"{"taskType":"snapshot-to-fs"}"#).settings)
        #expect(
            settings
                == TaskSettings(type: .snapshotToFs, autostart: true, format: "png", snapshotsPerSecond: 1, path: ""))
    }

    @Test func clipToFsDefaults() throws {
        let settings = try #require(try evaluate(#"{"taskType":"clip-to-fs"}"#).settings)
        #expect(
            settings
                == TaskSettings(
                    type: .clipToFs, autostart: true, format: "mkv", durationS: 60, path: "", audioEnabled: true))
    }

    @Test func streamToRtspDefaults() throws {
        let settings = try #require(try evaluate(#"{"taskType":"stream-to-rtsp"}"#).settings)
        #expect(settings.mediaServerURL == "rtsp://media-server.media-server.svc.cluster.local:8554/aio/data/cam")
        #expect(settings.format == nil && settings.durationS == nil && settings.mqtt == nil)
    }

    @Test(arguments: [
        (#"{"taskType":"clip-to-fs","duration":0}"#, "duration"),
        (#"{"taskType":"clip-to-fs","duration":3601}"#, "duration"),
        (#"{"taskType":"clip-to-fs","duration":1.5}"#, "duration"),
        (#"{"taskType":"clip-to-fs","duration":"30"}"#, "duration"),
        (#"{"taskType":"clip-to-fs","format":"jpeg"}"#, "format"),
        (#"{"taskType":"clip-to-fs","path":"clips"}"#, "path"),
        (#"{"taskType":"clip-to-fs","path":"/data/../etc"}"#, "path"),
        ("{\"taskType\":\"clip-to-fs\",\"path\":\"/data/../\u{301}etc\"}", "path"),
        (#"{"taskType":"clip-to-fs","autostart":"yes"}"#, "autostart"),
        (#"{"taskType":"snapshot-to-mqtt","format":"mp4"}"#, "format"),
        (#"{"taskType":"snapshot-to-fs","snapshotsPerSecond":60.1}"#, "snapshotsPerSecond"),
        (#"{"taskType":"snapshot-to-fs","snapshotsPerSecond":-1}"#, "snapshotsPerSecond"),
        (#"{"taskType":"snapshot-to-fs","quality":0}"#, "quality"),
        (#"{"taskType":"snapshot-to-mqtt","quality":101}"#, "quality"),
        (#"{"taskType":"snapshot-to-mqtt","maxWidth":15}"#, "maxWidth"),
        (#"{"taskType":"snapshot-to-mqtt","frame":"any"}"#, "frame"),
        (#"{"taskType":"clip-to-fs","preRoll":601}"#, "preRoll"),
        (#"{"taskType":"clip-to-fs","postRoll":-1}"#, "postRoll"),
        (#"{"taskType":"clip-to-fs","preRoll":5,"format":"mkv"}"#, "format"),
        (#"{"taskType":"stream-to-rtsp","transcode":"h264"}"#, "transcode"),
        (#"{"taskType":"stream-to-rtsp","transcode":{"codec":"vp8"}}"#, "transcode.codec"),
        (#"{"taskType":"stream-to-rtsp","transcode":{"maxWidth":8}}"#, "transcode.maxWidth"),
        (#"{"taskType":"stream-to-rtsp","transcode":{"bitRate":1}}"#, "transcode.bitRate"),
        (#"{"taskType":"stream-to-rtsp","transcode":{"framesPerSecond":0}}"#, "transcode.framesPerSecond"),
        (#"{"taskType":"snapshot-to-mqtt","maxHeight":16385}"#, "maxHeight"),
        (#"{"taskType":"stream-to-rtsp","mediaServerPort":0}"#, "mediaServerPort"),
        (#"{"taskType":"stream-to-rtsp","mediaServerPort":65536}"#, "mediaServerPort"),
        (#"{"taskType":"stream-to-rtsp","mediaServerAddress":"a b"}"#, "mediaServerAddress"),
        (#"{"taskType":"stream-to-rtsp","mediaServerPath":"a b"}"#, "mediaServerPath"),
        (#"{"taskType":"stream-to-rtsps","mediaServerUsernameRef":"u"}"#, "mediaServerUsernameRef"),
        (#"{"taskType":"stream-to-rtsps","mediaServerCertificateRef":"../key"}"#, "mediaServerCertificateRef"),
        (#"{"taskType":"hls-to-fs"}"#, "taskType"), (#"{"taskType":7}"#, "taskType"), ("{}", "taskType"),
    ])
    func refusesWhatTheTableForbids(own: String, key: String) throws {
        let result = try evaluate(own)
        #expect(result.settings == nil)
        let errors = result.issues.issues.filter { $0.severity == .error }
        #expect(errors.count == 1)
        #expect(errors.first?.field?.hasSuffix("." + key) == true, "\(errors)")
        #expect(errors.first?.stream == "s")
    }

    @Test(arguments: [("1", 1.0), ("0", 0), (#""""#, 0), ("null", 0), ("60", 60), ("0.016", 0.016)])
    func snapshotRates(text: String, rate: Double) throws {
        let own = #"{"taskType":"snapshot-to-mqtt","snapshotsPerSecond":\#(text)}"#
        #expect(try evaluate(own).settings?.snapshotsPerSecond == rate)
    }

    @Test func howPicturesAreMade() throws {
        let own = #"{"taskType":"snapshot-to-mqtt","quality":100,"maxWidth":16,"maxHeight":16384}"#
        let settings = try #require(try evaluate(own).settings)
        #expect(settings.jpegQuality == 100 && settings.maxWidthPx == 16 && settings.maxHeightPx == 16384)
        let clip = try evaluate(#"{"taskType":"clip-to-fs","quality":50}"#)
        #expect(clip.issues.issues.map(\.code) == ["NotUsed"])
        #expect(clip.settings?.jpegQuality == nil)
    }

    @Test func whichPictureASnapshotIs() throws {
        #expect(try evaluate(#"{"taskType":"snapshot-to-fs","frame":"exact"}"#).settings?.frame == .exact)
        #expect(try evaluate(#"{"taskType":"snapshot-to-fs","frame":"keyframe"}"#).settings?.frame == nil)
    }

    @Test func clipsThatBeginBeforeTheirRunAreMP4() throws {
        let settings = try #require(try evaluate(#"{"taskType":"clip-to-fs","preRoll":600,"postRoll":3600}"#).settings)
        #expect(settings.preRollS == 600 && settings.postRollS == 3600 && settings.format == "mp4")
        let plain = try #require(try evaluate(#"{"taskType":"clip-to-fs","preRoll":0}"#).settings)
        #expect(plain.format == "mkv")
    }

    @Test func whatAPushedStreamIsCodedTo() throws {
        let own =
            #"{"taskType":"stream-to-rtsp","transcode":{"codec":"h265","maxWidth":640,"maxHeight":480,"framesPerSecond":5,"bitRate":500000,"x":1}}"#
        let result = try evaluate(own)
        #expect(
            result.settings?.transcode
                == Transcode(
                    codec: "h265", maxWidthPx: 640, maxHeightPx: 480, framesPerSecond: 5, bitRateBps: 500_000))
        #expect(result.issues.issues.map(\.code) == ["UnknownKey"])
        #expect(try evaluate(#"{"taskType":"stream-to-rtsp","transcode":null}"#).settings?.transcode == nil)
        #expect(try evaluate(#"{"taskType":"stream-to-rtsp","transcode":{}}"#).settings?.transcode == Transcode())
    }

    @Test func theStreamsKeysWinOverTheDefaultsAndTheOverrideOverBoth() throws {
        let defaults = #"{"taskType":"clip-to-fs","duration":10,"format":"mp4","path":"/a"}"#
        let result = try evaluate(#"{"duration":20}"#, defaults: defaults, override: #"{"path":"/b"}"#)
        let settings = try #require(result.settings)
        #expect(settings.durationS == 20)
        #expect(settings.format == "mp4")
        #expect(settings.path == "/b")
        #expect(result.issues.issues.isEmpty)
    }

    @Test func keysOfOtherTasksInTheDefaultsAreNoMistakeInTheStreamTheyAre() throws {
        let quiet = try evaluate(#"{"taskType":"snapshot-to-mqtt"}"#, defaults: #"{"duration":10}"#)
        #expect(quiet.issues.issues.isEmpty)
        let own = try evaluate(#"{"taskType":"snapshot-to-mqtt","duration":10}"#)
        #expect(own.issues.issues.map(\.code) == ["NotUsed"])
        #expect(own.settings != nil)
    }

    @Test func anAliasInTheDefaultsGivesWayToTheNameInTheStream() throws {
        let result = try evaluate(#"{"taskType":"clip-to-fs","duration":5}"#, defaults: #"{"durationSeconds":30}"#)
        #expect(result.settings?.durationS == 5)
    }

    @Test func takesAliasesWithAWarning() throws {
        let clip = try evaluate(
            #"{"taskType":"clip-to-fs","durationSeconds":5,"storagePath":"/d","x":1,"$schema":"s"}"#)
        #expect(clip.settings?.durationS == 5)
        #expect(clip.settings?.path == "/d")
        #expect(clip.issues.issues.compactMap(\.code).sorted() == ["Alias", "Alias", "UnknownKey"])
        #expect(
            try evaluate(#"{"taskType":"snapshot-to-mqtt","intervalSeconds":4}"#).settings?.snapshotsPerSecond == 0.25)
        #expect(try evaluate(#"{"taskType":"snapshot-to-mqtt","intervalSeconds":0}"#).settings == nil)
        #expect(try evaluate(#"{"taskType":"snapshot-to-mqtt","fps":3}"#).settings?.snapshotsPerSecond == 3)
        let server = try evaluate(#"{"taskType":"stream-to-rtsp","mediaServerEndpoint":"rtsp://ms:9554/live/a"}"#)
        #expect(server.settings?.mediaServerURL == "rtsp://ms:9554/live/a")
        let snake = try evaluate(#"{"taskType":"stream-to-rtsp","media_server_address":"10.0.0.9"}"#)
        #expect(snake.settings?.mediaServerURL == "rtsp://10.0.0.9:8554/aio/data/cam")
    }

    @Test func theDestinationsPathComesFirst() throws {
        let storage = #"[{"target":"Storage","configuration":{"path":"/dest"}}]"#
        #expect(
            try evaluate(#"{"taskType":"clip-to-fs","path":"/own"}"#, destinations: storage).settings?.path == "/dest")
        #expect(
            try evaluate(#"{"taskType":"clip-to-fs","path":"/own"}"#, defaultDestinations: storage).settings?.path
                == "/dest")
        #expect(try evaluate(#"{"taskType":"clip-to-fs","path":"/own"}"#).settings?.path == "/own")
    }

    @Test(arguments: [
        ("rtsp://ms:9000/x", "rtsp://ms:9000/x"), ("ms", "rtsp://ms:8554/aio/data/cam"),
        ("ms:9000/x", "rtsp://ms:9000/x"),
        ("rtsp://[fd00::1]:9000/x", "rtsp://[fd00::1]:9000/x"),
    ])
    func aStreamsStorageDestinationHoldsTheMediaServer(path: String, url: String) throws {
        let storage = #"[{"target":"Storage","configuration":{"path":"\#(path)"}}]"#
        let own = #"{"taskType":"stream-to-rtsp","mediaServerAddress":"other"}"#
        #expect(try evaluate(own, destinations: storage).settings?.mediaServerURL == url)
    }

    @Test func aDestinationOfTheOtherSchemeIsAnError() throws {
        let storage = #"[{"target":"Storage","configuration":{"path":"rtsp://ms/x"}}]"#
        let result = try evaluate(#"{"taskType":"stream-to-rtsps"}"#, destinations: storage)
        #expect(result.settings == nil)
        #expect(result.issues.issues.first?.message?.contains("needs rtsps://") == true)
    }

    @Test func readsTheMqttDestination() throws {
        let mqtt = #"[{"target":"Mqtt","configuration":{"topic":"a/b","qos":"Qos0","retain":"Keep","ttl":30}}]"#
        let result = try evaluate(#"{"taskType":"snapshot-to-mqtt"}"#, destinations: mqtt)
        #expect(result.settings?.mqtt == MqttDestination(topic: "a/b", qos: 0, retain: true, ttlS: 30))
    }

    @Test(arguments: [
        (#""topic":"a/#""#, "topic"), (#""qos":"Qos2""#, "qos"), (#""retain":true"#, "retain"), (#""ttl":0"#, "ttl"),
        (#""ttl":4294967296"#, "ttl"),
    ])
    func refusesWrongMqttDestinations(member: String, key: String) throws {
        let mqtt = "[{\"target\":\"Mqtt\",\"configuration\":{\(member)}}]"
        let result = try evaluate(#"{"taskType":"snapshot-to-mqtt"}"#, destinations: mqtt)
        #expect(result.settings == nil)
        #expect(result.issues.issues.map(\.field) == ["streams[0].destinations[0].configuration.\(key)"])
    }

    @Test func aRunMayHaveAWholeConfigurationOfItsOwn() throws {
        let result = try evaluate(
            #"{"taskType":"clip-to-fs","duration":10}"#,
            override: #"{"taskType":"stream-to-rtsp","mediaServerAddress":"ms","mediaServerPath":"live/x"}"#)
        #expect(result.settings?.mediaServerURL == "rtsp://ms:8554/live/x")
        #expect(result.settings?.durationS == nil)
        #expect(result.issues.issues.isEmpty)
    }

    @Test func malformedJSONNamesThePlace() {
        let error = #expect(throws: LayerError.self) { try evaluate("{\"taskType\":\n  clip}") }
        #expect(error?.message.contains("line 2, column 3") == true)
        #expect(throws: LayerError.self) { try evaluate("[1]") }
        #expect(throws: LayerError.self) { try evaluate(#"{"a":1,"a":2}"#) }
    }
}
