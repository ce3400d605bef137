// swift-tools-version: 6.2
// The benches: a package of its own, so that the peers that our figures stand beside burden no other build.
// `Tests/bench NAME` builds and runs them.
//
//   Sources/bench      the frame: rounds, figures, bars, machine, JSON and text; one file per bench
//   Sources/rpc-peer   our RPC, as server and as caller, in processes of its own
//   Sources/nng-peer   the same exchange in plain C with nng
//   Sources/grpc-peer  the same exchange with grpc-swift
//   Sources/blob-sink  a Blob service that keeps nothing, and the plainest client of it
import PackageDescription

let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]

let package = Package(
    name: "SightglassBench",
    dependencies: [
        .package(name: "Sightglass", path: "../.."),
        .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.0"),
        .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    ],
    targets: [
        .executableTarget(
            name: "bench",
            dependencies: [
                .product(name: "Fakes", package: "Sightglass"), .product(name: "Media", package: "Sightglass"),
                .product(name: "RPC", package: "Sightglass"), .product(name: "Volume", package: "Sightglass"),
                .product(name: "Wire", package: "Sightglass"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: strict),
        .executableTarget(
            name: "rpc-peer",
            dependencies: [
                .product(name: "RPC", package: "Sightglass"), .product(name: "Wire", package: "Sightglass"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: strict),
        .executableTarget(name: "blob-sink", linkerSettings: [.linkedLibrary("pthread")]),
        .executableTarget(name: "nng-peer", linkerSettings: [.linkedLibrary("nng"), .linkedLibrary("pthread")]),
        .executableTarget(
            name: "grpc-peer",
            dependencies: [
                .product(name: "GRPCCore", package: "grpc-swift-2"),
                .product(name: "GRPCNIOTransportHTTP2", package: "grpc-swift-nio-transport"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .c11
)
