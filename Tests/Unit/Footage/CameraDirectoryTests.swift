// Names of cameras: what resolves to what, and what an operator reads when a name is wrong.

import Footage
import RPC
import Testing
import Wire

@Suite struct CameraDirectoryTests {
    let directory = CameraDirectory(site)

    @Test func anAssetMeansItsSource() throws {
        let cameras = try directory.resolve(["line1-camera"])
        #expect(cameras == [RequestedCamera(camera: "line1-camera", source: main1, footage: .unspecified)])
    }

    @Test func anAssetWithTwoSourcesMeansBoth() throws {
        #expect(try directory.resolve(["yard"]).map(\.source) == [main2, sub2])
    }

    @Test func aSourceThatAnAssetNamesIsCalledByTheAsset() throws {
        #expect(try directory.resolve(["cam1/main"]).map(\.camera) == ["line1-camera"])
    }

    @Test func ofSeveralAssetsTheFirstByNameGivesItsName() throws {
        #expect(try directory.resolve(["cam2/main"]).map(\.camera) == ["gate"])
    }

    @Test func aSourceWithoutAssetIsCalledByItself() throws {
        #expect(try directory.resolve(["cam3/main"]).map(\.camera) == ["cam3/main"])
    }

    @Test func aSourceNamedTwiceIsOneCamera() throws {
        #expect(try directory.resolve(["line1-camera", "cam1/main", "line1-camera"]).count == 1)
    }

    @Test func theOrderOfTheNamesIsKept() throws {
        let names = try directory.resolve(["cam3/main", "line1-camera"]).map(\.camera)
        #expect(names == ["cam3/main", "line1-camera"])
    }

    @Test(arguments: ["", "nobody", "cam1", "cam1/", "/main", "cam1/main/x", "line1-camera/", "CAM1/main", "cam9/main"])
    func anUnknownNameIsRefusedWithTheKnownOnes(name: String) {
        #expect(throws: FootageError.unknownCamera(name: name, known: ["gate", "line1-camera", "yard", "cam3/main"])) {
            try directory.resolve([name])
        }
    }

    @Test func oneUnknownNameRefusesTheWholeRequest() {
        #expect(throws: FootageError.self) { try directory.resolve(["line1-camera", "nobody"]) }
    }

    @Test func noNameAtAllIsRefused() {
        #expect(throws: FootageError.noCameras) { try directory.resolve([]) }
    }

    @Test func theMessageNamesTheCameraAndTheKnownOnes() {
        let error = FootageError.unknownCamera(name: "lin1", known: ["gate", "line1"])
        #expect(error.description == "no camera \"lin1\": known are gate, line1")
        #expect(!error.isTransient)
    }

    @Test func theMessageStaysShortOnALargeSite() {
        let error = FootageError.unknownCamera(
            name: String(repeating: "x", count: 10_000), known: (1...1_000).map { "camera-\($0)" })
        #expect(error.description.count < 700)
        #expect(error.description.hasSuffix("and 980 more"))
    }

    @Test func anEmptyRegistrySaysWhatToDo() {
        #expect(FootageError.unknownCamera(name: "a", known: []).description.contains("apply a device"))
    }

    @Test func anAbsentRegistryIsTransient() {
        #expect(FootageError.noConfiguration(.unavailable("no route")).isTransient)
    }
}

let main1 = SourceName(device: "cam1", endpoint: "main")
let main2 = SourceName(device: "cam2", endpoint: "main")
let sub2 = SourceName(device: "cam2", endpoint: "sub")
let main3 = SourceName(device: "cam3", endpoint: "main")

/// Two streams of one camera in one asset, one asset over two sources, a source of two assets, a source of none.
let site = Configuration(
    revision: 7, endpoints: [main1, main2, sub2, main3].map { InboundEndpoint(source: $0) },
    streams: [
        StreamDefinition(name: StreamName(asset: "line1-camera", stream: "clips"), source: main1),
        StreamDefinition(name: StreamName(asset: "line1-camera", stream: "pictures"), source: main1),
        StreamDefinition(name: StreamName(asset: "yard", stream: "near"), source: sub2),
        StreamDefinition(name: StreamName(asset: "yard", stream: "far"), source: main2),
        StreamDefinition(name: StreamName(asset: "gate", stream: "far"), source: main2),
    ])
