// swift-tools-version: 6.2
// Sightglass: capture of video and images from edge-attached cameras.
//
// Where things are:  proto/ the contract · Shared/ one folder per library · Services/ one folder per executable
//                    Tests/ unit, contract, service-level, system · deploy/ how to run it
//
// SIGHTGLASS_TESTS=Indexer,Volume limits the test targets to those whose name begins with one of the words, so that one
// service can be worked on and tested without building the suites of the others.
import PackageDescription

let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]

/// A library of ours below Shared/.
func shared(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: "Shared/\(name)", swiftSettings: strict)
}

/// A system library below Shared/, installed by deploy/local/install-packages.
/// nng ships no pkg-config file in Debian 12; its module map names the library.
func system(_ name: String, pkgConfig: String? = nil) -> Target {
    .systemLibrary(name: name, path: "Shared/\(name)", pkgConfig: pkgConfig)
}

/// An executable below Services/. It links what it names here and nothing else.
func service(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: name, dependencies: ["Wire", "RPC"] + dependencies, path: "Services/\(name)",
        swiftSettings: strict)
}

/// A library or command that only tests and the demo use.
func support(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, path: "Tests/Support/\(name)", swiftSettings: strict)
}

func tests(
    _ layer: String, _ name: String, _ dependencies: [Target.Dependency], excluding noSource: [String] = []
) -> Target {
    .testTarget(
        name: "\(name)\(layer)Tests", dependencies: dependencies, path: "Tests/\(layer)/\(name)", exclude: noSource,
        swiftSettings: strict)
}

let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
let sqlite: Target.Dependency = .product(name: "GRDBSQLite", package: "GRDB.swift")
let log: Target.Dependency = .product(name: "Logging", package: "swift-log")
let metrics: Target.Dependency = .product(name: "Metrics", package: "swift-metrics")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let signals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let cryptoExtras: Target.Dependency = .product(name: "CryptoExtras", package: "swift-crypto")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")
let http: Target.Dependency = .product(name: "AsyncHTTPClient", package: "async-http-client")
let coreMetrics: Target.Dependency = .product(name: "CoreMetrics", package: "swift-metrics")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

let libraries: [Target] = [
    system("CNNG"),
    system("CMosquitto", pkgConfig: "libmosquitto"),
    system("CProtobufC", pkgConfig: "libprotobuf-c"),
    system("CLibAV", pkgConfig: "libavformat libavcodec libavutil libswscale"),
    system("CTurboJPEG", pkgConfig: "libturbojpeg"),
    system("CEpoll"),
    system("COpenSSL"),
    .target(name: "CWire", dependencies: ["CProtobufC"], path: "Shared/CWire"),
    shared("Wire", ["CWire", "CProtobufC"]),
    .target(name: "CNNGRepair", path: "Shared/CNNGRepair"),
    shared("RPC", ["Wire", "CNNG", "CNNGRepair", log]),
    shared("CivilTime"),
    shared("JSON"),
    shared("ServiceKit", ["CivilTime", "JSON", "RPC", "Wire", log, metrics, coreMetrics, lifecycle, signals, yams]),
    .target(name: "CChecksum", path: "Shared/CChecksum"),
    shared("Volume", ["CChecksum", "CivilTime", crypto]),
    shared("Media"),
    shared("RTSP", ["CEpoll", "COpenSSL", "Media"]),
    .target(name: "CConfinement", path: "Shared/CConfinement"),
    shared("MediaWork", ["CConfinement", "Media"]),
    .target(name: "CColours", path: "Shared/CColours"),
    .target(name: "CVideo", path: "Shared/CVideo"),
    shared("LibAV", ["CColours", "CLibAV", "CTurboJPEG", "Media", "MediaWork"]),
    shared("Footage", ["Wire", "RPC"]),
    shared("Clips", ["Wire", "RPC", "ServiceKit", "Volume", "Media"]),
    shared("Claims", ["Wire", "RPC", "ServiceKit", "Volume", log, metrics]),
]

let services: [Target] = [
    service("AssetRegistry", ["JSON", "ServiceKit", grdb, log, metrics, lifecycle, yams]),
    service(
        "CaptureController",
        [
            "CConfinement", "CVideo", "CivilTime", "ServiceKit", "Volume", "Media", "MediaWork", "RTSP", grdb, log,
            metrics,
            lifecycle,
        ]),
    service("Indexer", ["CivilTime", "ServiceKit", "Volume", grdb, sqlite, crypto, log, metrics, lifecycle]),
    service("Archiver", ["JSON", "ServiceKit", "Volume", "Claims", "Clips", log, lifecycle]),
    service(
        "CloudUploader",
        [
            "CivilTime", "JSON", "ServiceKit", "Volume", "Claims", http, nioCore, nioHTTP1, nioSSL, crypto,
            cryptoExtras, log,
            metrics, lifecycle,
        ]),
    service(
        "MQTTEdgeAdapter",
        ["CivilTime", "JSON", "ServiceKit", "CMosquitto", "Footage", crypto, log, metrics, lifecycle, yams]),
    service(
        "CLI",
        ["COpenSSL", "CivilTime", "Clips", "Footage", "JSON", "Media", "RTSP", "ServiceKit", "Volume", arguments]),
    // No service: it has no network and so neither Wire nor RPC.
    .executableTarget(
        name: "MediaWorker", dependencies: ["CConfinement", "LibAV", "MediaWork"], path: "Services/MediaWorker",
        swiftSettings: strict),
]

let supports: [Target] = [
    support("Harness", ["Wire", "RPC", crypto]),
    support("BlobServer", [nioCore, nioPosix, nioHTTP1, crypto]),
    .executableTarget(
        name: "BlobServerCommand", dependencies: ["BlobServer", arguments],
        path: "Tests/Support/BlobServerCommand", swiftSettings: strict),
    support("TokenService", [nioCore, nioPosix, nioHTTP1, nioSSL, crypto, cryptoExtras]),
    support("FakeCamera", ["COpenSSL"]),
    .executableTarget(
        name: "FakeCameraCommand", dependencies: ["FakeCamera", arguments], path: "Tests/Support/FakeCameraCommand",
        swiftSettings: strict),
    support("Fakes", ["Wire", "RPC"]),
    support("FaultProxy", [nioCore, nioPosix, nioHTTP1]),
    support("TestFootage", ["Media"]),
    .executableTarget(
        name: "FakeServiceCommand", dependencies: ["Fakes", "Wire", arguments],
        path: "Tests/Support/FakeServiceCommand",
        swiftSettings: strict),
    .executableTarget(
        name: "CanaryScanCommand", dependencies: ["Harness", arguments], path: "Tests/Support/CanaryScanCommand",
        swiftSettings: strict),
    .target(name: "CSubreaper", path: "Tests/Support/CSubreaper"),
    .executableTarget(
        name: "FaultCampaign",
        dependencies: ["Harness", "Wire", "RPC", "CSubreaper", http, nioCore, nioHTTP1, crypto, arguments],
        path: "Tests/Fault", exclude: ["seeds"], swiftSettings: strict),
]

let suites: [Target] = [
    tests("Unit", "Wire", ["Wire"]),
    tests("Unit", "RPC", ["RPC", "Wire", "CNNG", "CNNGRepair", "Harness"]),
    tests("Unit", "CivilTime", ["CivilTime"]),
    tests("Unit", "JSON", ["JSON"]),
    tests("Unit", "ServiceKit", ["ServiceKit", "Harness"]),
    tests("Unit", "Volume", ["CChecksum", "Volume"]),
    tests("Unit", "Media", ["Media", "MediaWork", "LibAV"]),
    tests("Unit", "MediaWork", ["Media", "MediaWork"]),
    tests("Unit", "RTSP", ["RTSP", "Media", "FakeCamera"]),
    tests("Unit", "BlobServer", ["BlobServer", http]),
    tests("Unit", "AssetRegistry", ["AssetRegistry", "Harness", "JSON", grdb]),
    tests("Unit", "CaptureController", ["CaptureController", "Harness"]),
    tests("Unit", "Indexer", ["Indexer", "Harness", grdb]),
    tests(
        "Unit", "CloudUploader", ["CloudUploader", "Harness", "JSON", "Volume", crypto, cryptoExtras, http, log]),
    tests("Unit", "Archiver", ["Archiver"]),
    tests("Unit", "Claims", ["Claims"]),
    tests("Unit", "Clips", ["Clips", "TestFootage"]),
    tests("Unit", "MQTTEdgeAdapter", ["MQTTEdgeAdapter", "JSON"]),
    tests("Unit", "Footage", ["Footage", "Fakes"]),
    tests("Unit", "CLI", ["CLI", "JSON", "Media", "RTSP", "Volume", "Wire"]),
    tests("Unit", "Harness", ["Harness"]),
    tests("Unit", "FaultCampaign", ["FaultCampaign", "Harness"]),
    tests("Contract", "Golden", ["Wire"], excluding: ["Messages"]),
    tests("Service", "AssetRegistry", ["Harness", "Wire", "RPC"]),
    tests("Service", "CaptureController", ["Harness", "Fakes", "FakeCamera", "Volume"]),
    tests("Service", "Indexer", ["Harness", "Wire", "RPC"]),
    tests("Service", "Archiver", ["Harness", "Fakes", "TestFootage", "Volume", crypto]),
    tests(
        "Service", "CloudUploader",
        ["CivilTime", "Harness", "Fakes", "Volume", "BlobServer", "TokenService", "FaultProxy", crypto]),
    tests("Service", "MQTTEdgeAdapter", ["Harness", "Fakes"]),
    tests("Service", "CLI", ["Harness", "FakeCamera", "Fakes", "TestFootage", "Volume"]),
    tests("Service", "MediaWorker", ["Harness", "Media", "MediaWork", "CConfinement"]),
    tests("System", "Path", ["Harness", "Wire", "RPC", crypto]),
    tests("System", "Hosts", ["Harness", "FakeCamera", "Wire", "RPC", "Volume"]),
    tests("System", "Interop", ["Harness", "Media", "RTSP"]),
    tests("System", "Uploads", ["Harness", "Wire", "RPC", "Volume", "BlobServer", "FaultProxy", crypto]),
]

let wanted = (Context.environment["SIGHTGLASS_TESTS"] ?? "").split(separator: ",").map(String.init)
let chosen = wanted.isEmpty ? suites : suites.filter { suite in wanted.contains { suite.name.hasPrefix($0) } }

let package = Package(
    name: "Sightglass",
    products: [
        .executable(name: "asset-registry", targets: ["AssetRegistry"]),
        .executable(name: "capture-controller", targets: ["CaptureController"]),
        .executable(name: "indexer", targets: ["Indexer"]),
        .executable(name: "archiver", targets: ["Archiver"]),
        .executable(name: "cloud-uploader", targets: ["CloudUploader"]),
        .executable(name: "mqtt-edge-adapter", targets: ["MQTTEdgeAdapter"]),
        .executable(name: "media-worker", targets: ["MediaWorker"]),
        .executable(name: "sightglass", targets: ["CLI"]),
        .executable(name: "blob-server", targets: ["BlobServerCommand"]),
        .executable(name: "fake-service", targets: ["FakeServiceCommand"]),
        .executable(name: "fake-camera", targets: ["FakeCameraCommand"]),
        .executable(name: "canary-scan", targets: ["CanaryScanCommand"]),
        .executable(name: "fault-campaign", targets: ["FaultCampaign"]),
        // For Tests/Bench, a package of its own.
        .library(name: "RPC", targets: ["RPC"]),
        .library(name: "Wire", targets: ["Wire"]),
        .library(name: "Media", targets: ["Media"]),
        .library(name: "Volume", targets: ["Volume"]),
        .library(name: "Fakes", targets: ["Fakes"]),
    ],
    dependencies: [
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.30.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    ],
    targets: libraries + services + supports + chosen,
    swiftLanguageModes: [.v6],
    cLanguageStandard: .c11
)
