// swift-tools-version: 6.2
// Fuzzing of what reads bytes of cameras and damaged disks: a package of its own, because everything in it is built with the
// address sanitizer and libFuzzer's instrumentation. `Tests/fuzz` builds and runs it.
//
//   Shared -> ../../Shared   the libraries under test, compiled here once more
//   Sources/fuzz             one target for each kind of input, in one executable: `fuzz TARGET [libFuzzer's options]`
//   corpus/TARGET            what each target begins with: small real messages
import PackageDescription

// libFuzzer without a main of its own. Tests/fuzz finds it in the toolchain.
let runtime = Context.environment["SIGHTGLASS_FUZZER_RUNTIME"] ?? ""

// Optimised, or the fuzzer does little in 20 s; but with the checks of a debug build, so that a read beyond an unsafe buffer traps
// also where it stays within the input.
let instrumented: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .unsafeFlags([
        "-sanitize=address", "-sanitize-coverage=edge,indirect-calls,trace-cmp,inline-8bit-counters,pc-table",
        "-assert-config", "Debug", "-enable-testing",
    ]),
]

let package = Package(
    name: "SightglassFuzz",
    targets: [
        .systemLibrary(name: "CEpoll", path: "Shared/CEpoll"),
        .systemLibrary(name: "COpenSSL", path: "Shared/COpenSSL"),
        .target(name: "Media", path: "Shared/Media", swiftSettings: instrumented),
        .target(
            name: "RTSP", dependencies: ["CEpoll", "COpenSSL", "Media"], path: "Shared/RTSP",
            swiftSettings: instrumented),
        .executableTarget(
            name: "fuzz", dependencies: ["RTSP", "Media"], swiftSettings: instrumented,
            linkerSettings: [.unsafeFlags(["-sanitize=address", runtime]), .linkedLibrary("stdc++")]),
    ],
    swiftLanguageModes: [.v6]
)
