// Documents: kinds and names, devices, assets, and secrets that must not be stored.

import JSON
import RPC
import Testing
import Wire

@testable import AssetRegistry

func device(_ inbound: String, enabled: String = "true") throws -> DeviceDocument {
    let body = try JSONReader.read(#"{"enabled":\#(enabled),"endpoints":{"inbound":{\#(inbound)}}}"#, .documents)
    return DeviceDocument(name: "cam1", body: body)
}

@Suite struct DocumentReadingTests {
    @Test func readsYAMLAndJSONWithNameInEitherPlace() throws {
        let yaml = """
            kind: Device
            name: cam1
            properties:
              endpoints:
                inbound:
                  main: {endpointType: Microsoft.Media, address: "rtsp://192.0.2.1/main"}
            ---
            kind: Asset
            metadata:
              name: line1
            spec:
              deviceRef: {deviceName: cam1, endpointName: main}
              streams:
                - name: clips
                  streamConfiguration: '{"taskType":"clip-to-fs"}'
            """
        let documents = try DocumentReading.read(yaml)
        #expect(documents.map(\.key.text) == ["device cam1", "asset line1"])
        let json = documents.map(\.json).joined(separator: "\n")
        #expect(try DocumentReading.read(json).map(\.canonicalJSON) == documents.map(\.canonicalJSON))
        let list = "[" + documents.map(\.json).joined(separator: ",") + "]"
        #expect(try DocumentReading.read(list).map(\.canonicalJSON) == documents.map(\.canonicalJSON))
    }

    @Test(arguments: [
        ("a: 1", "text.kind"), ("kind: Camera\nname: x\nproperties: {}", "text.kind"),
        ("kind: Device\nproperties: {}", "text.name"), ("kind: Device\nname: a/b\nproperties: {}", "text.name"),
        ("kind: Device\nname: .staging\nproperties: {}", "text.name"), ("kind: Device\nname: x", "text.properties"),
        ("- 1", "text"), ("", "text"), ("# only a comment", "text"),
        ("kind: Device\nname: x\nkind: Device\nproperties: {}", "text"), ("{\"kind\": Device}", "text"),
        ("kind: Device\nname: x\nproperties: {}\n---\nkind: Device\nname: x\nproperties: {}", "text"),
    ])
    func refusesWhatIsNoDocument(text: String, field: String) {
        let error = #expect(throws: RPCError.self) { try DocumentReading.read(text) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.field == field)
    }

    @Test(arguments: [
        #""address":"rtsp://admin:hunter2@192.0.2.1/main""#, #""address":"rtsp://admin:hun/ter2@192.0.2.1/main""#,
        #""authentication":{"method":"UsernamePassword","password":"hunter2"}"#,
        #""authentication":{"usernamePasswordCredentials":{"username":"hunter2"}}"#,
    ])
    func refusesSecretsAndDoesNotRepeatThem(member: String) {
        let text = #"{"kind":"Device","name":"x","properties":{"endpoints":{"inbound":{"e":{\#(member)}}}}}"#
        let error = #expect(throws: RPCError.self) { try DocumentReading.read(text) }
        #expect(error?.message.contains("password") == true)
        #expect(error?.message.contains("hunter2") == false)
        #expect(error?.message.contains("ter2") == false)
    }

    @Test func refusesSecretsInsideAStreamsJSONText() {
        let text = """
            kind: Asset
            name: x
            properties:
              streams:
                - name: live
                  streamConfiguration: '{"taskType":"stream-to-rtsp","mediaServerEndpoint":"rtsp:\\/\\/u:hunter2@ms/x"}'
            """
        let error = #expect(throws: RPCError.self) { try DocumentReading.read(text) }
        #expect(error?.message.contains("line 6") == true)
        #expect(error?.message.contains("hunter2") == false)
    }

    @Test func refusesMoreThanAMessageHolds() {
        let error = #expect(throws: RPCError.self) {
            try DocumentReading.read(String(repeating: "#", count: DocumentReading.maximumTextBytes + 1))
        }
        #expect(error?.field == "text")
    }
}

@Suite struct DeviceDocumentTests {
    @Test func readsAnEndpoint() throws {
        let document = try device(
            """
            "main":{"endpointType":"Microsoft.Media","version":"1.0","address":"rtsps://192.0.2.1:322/main?x=1",
            "authentication":{"method":"UsernamePassword","usernamePasswordCredentials":
              {"usernameSecretName":"sec/user","passwordSecretName":"sec/pass"}},
            "trustSettings":{"trustList":"cam-ca"},
            "additionalConfiguration":"{\\"standby\\":\\"record\\",\\"ringSeconds\\":90}"}
            """)
        #expect(document.issues.isEmpty)
        #expect(
            document.endpoints.first?.definition
                == InboundEndpoint(
                    source: SourceName(device: "cam1", endpoint: "main"), endpointType: "Microsoft.Media",
                    address: "rtsps://192.0.2.1:322/main?x=1", authentication: .usernamePassword,
                    username: SecretReference(path: "sec/user"), password: SecretReference(path: "sec/pass"),
                    trustList: "cam-ca", standby: .record, ringSeconds: 90, enabled: true))
        #expect(document.endpoints.first?.error == nil)
    }

    @Test(arguments: [
        "http://192.0.2.1/snapshot.jpg?channel=1", "https://camera.site:8443/video.mjpg", "file:///media/film%201.mkv",
        "file://host/dev/video0", "file:///dev/v4l/by-id/usb-cam-video-index0",
        "file://localhost/media/folder/", "file://host/media/film.avi",
    ])
    func takesOtherSources(address: String) throws {
        let document = try device(#""e":{"endpointType":"Microsoft.Media","address":"\#(address)"}"#)
        #expect(document.issues.isEmpty && document.endpoints.first?.definition.address == address)
    }

    @Test func defaultsToAnonymousAndThirtySeconds() throws {
        let document = try device(#""e":{"endpointType":"Microsoft.Media","address":"rtsp://192.0.2.1"}"#)
        let endpoint = try #require(document.endpoints.first)
        #expect(endpoint.definition.authentication == .anonymous)
        #expect(endpoint.definition.ringSeconds == 30)
        #expect(endpoint.definition.standby == nil)
    }

    @Test(arguments: [
        ("file://server/x", "InvalidValue"), ("file:/etc/passwd", "InvalidValue"), ("file:etc", "InvalidValue"),
        ("file:///media/../etc/passwd", "InvalidValue"), ("file:///media/%2e%2e/etc/passwd", "InvalidValue"),
        ("file:///dev/sda", "InvalidValue"), ("file:///dev/video", "InvalidValue"),
        ("file:///dev/v4l/by-id/../../sda", "InvalidValue"), ("file:///proc/self/environ", "InvalidValue"),
        ("file:///a b", "InvalidValue"), ("file:///x?y", "InvalidValue"), ("concat:a", "InvalidValue"),
        ("ftp://x/y", "UnsupportedScheme"),
        ("concat:/etc/passwd|/etc/shadow", "InvalidValue"), ("concat://a|b", "UnsupportedScheme"),
        ("subfile,,start,0,end,99,,:/etc/passwd", "InvalidValue"), ("data:text/plain,x", "InvalidValue"),
        ("subfile,,start,0,end,9,,:file:///etc/passwd", "UnsupportedScheme"), ("pipe:0", "InvalidValue"),
        ("cache:rtsp://x/", "UnsupportedScheme"), ("crypto+http://x/", "UnsupportedScheme"),
        ("hls+http://x/list.m3u8", "UnsupportedScheme"), ("unix:///run/x", "UnsupportedScheme"),
        ("rtmp://x/live", "UnsupportedScheme"), ("gopher://x/", "UnsupportedScheme"), ("/dev/video0", "InvalidValue"),
        ("rtsp://", "InvalidValue"), ("rtsp://x:0/", "InvalidValue"), ("rtsp://x:99999/", "InvalidValue"),
        ("rtsp://x/a b", "InvalidValue"), ("192.0.2.1", "InvalidValue"), ("rtsp://ho st/", "InvalidValue"),
        ("rtsp://[::1/", "InvalidValue"), ("", "InvalidValue"),
    ])
    func refusesOtherAddresses(address: String, code: String) throws {
        let document = try device(#""e":{"endpointType":"Microsoft.Media","address":"\#(address)"}"#)
        #expect(document.endpoints.first?.error != nil)
        #expect(document.issues.map(\.code) == [code])
        #expect(document.issues.first?.field == "endpoints.inbound.e.address")
    }

    @Test func saysWhichSchemesAreSupported() throws {
        let document = try device(#""e":{"endpointType":"Microsoft.Media","address":"rtmp://camera/live"}"#)
        let message = try #require(document.issues.first?.message)
        #expect(message.contains("\"rtmp\"") && message.contains("rtsp:// or rtsps://") && message.contains("file:///"))
    }

    @Test(arguments: [
        (#""authentication":{"method":"Certificate"}"#, "UnsupportedAuthentication"),
        (#""authentication":{"method":"UsernamePassword"}"#, "InvalidValue"),
        (
            #""authentication":{"method":"UsernamePassword","usernamePasswordCredentials":{"usernameSecretName":"../a","passwordSecretName":"b/c"}}"#,
            "InvalidValue"
        ),
        (#""additionalConfiguration":"{""#, "MalformedJSON"),
        (#""additionalConfiguration":"{\"standby\":\"on\"}""#, "InvalidValue"),
        (#""additionalConfiguration":"{\"ringSeconds\":0}""#, "InvalidValue"),
        (#""trustSettings":{"trustList":"a b"}"#, "InvalidValue"),
    ])
    func refusesWrongSettings(member: String, code: String) throws {
        let document = try device(
            #""e":{"endpointType":"Microsoft.Media","address":"rtsp://192.0.2.1",\#(member)},"ok":{"endpointType":"Microsoft.Media","address":"rtsp://192.0.2.2"}"#
        )
        #expect(document.issues.first?.code == code)
        #expect(document.endpoints.map { $0.error == nil } == [false, true], "the sibling works")
    }

    @Test func warnsOfUnknownKeysAndWorks() throws {
        let document = try device(
            #""e":{"endpointType":"Microsoft.Media","address":"rtsp://192.0.2.1","colour":1}"#)
        #expect(document.issues.map(\.code) == ["UnknownKey"])
        #expect(document.endpoints.first?.error == nil)
    }
}

@Suite struct AssetDocumentTests {
    @Test func keepsTheSiblingsOfAWrongStream() throws {
        let body = try JSONReader.read(
            """
            {"deviceRef":{"deviceName":"d","endpointName":"e"},"streams":[
              {"name":"broken","streamConfiguration":"{"},
              {"name":"wrong","streamConfiguration":"{\\"taskType\\":\\"clip-to-fs\\",\\"duration\\":0}"},
              {"name":"good","streamConfiguration":"{\\"taskType\\":\\"clip-to-fs\\"}"},
              {"name":"good","streamConfiguration":"{}"},
              {"name":"a/b"}, {}]}
            """, .documents)
        let asset = AssetDocument(name: "a", body: body)
        #expect(asset.streams.map(\.name) == ["broken", "good", "wrong"])
        #expect(asset.streams[0].unreadable?.code == .malformedJSON)
        #expect(asset.settings(of: asset.streams[1], override: nil, namespace: "n").settings != nil)
        #expect(asset.settings(of: asset.streams[2], override: nil, namespace: "n").settings == nil)
        #expect(asset.issues.map(\.code) == ["DuplicateName", "InvalidName", "InvalidName"])
    }

    @Test func takesTheSpellingOfTheTerraformSamples() throws {
        let body = try JSONReader.read(
            """
            {"device_ref":{"device_name":"d","endpoint_name":"e"},"streams":[
              {"name":"s","stream_configuration":"{\\"taskType\\":\\"clip-to-fs\\"}"}]}
            """, .documents)
        let asset = AssetDocument(name: "a", body: body)
        #expect(asset.source == SourceName(device: "d", endpoint: "e"))
        #expect(asset.streams.first?.own[.taskType] != nil)
        #expect(Set(asset.issues.map(\.code)) == ["Alias"])
    }

    @Test func aThousandMistakesFitIntoAnAnswerAndTheErrorIsAmongThem() throws {
        let unknown = (0..<1000).map { "\"k\($0)\":1" }.joined(separator: ",")
        let asset = AssetDocument(name: "a", body: try JSONReader.read("{\(unknown),\"streams\":3}", .documents))
        #expect(asset.issues.count == IssueList.maximum)
        #expect(asset.issues.contains { $0.severity == .error && $0.field == "streams" })
    }
}
