// The executable: picks a target by its name and gives it to libFuzzer, which calls it with one input after the other.
// `fuzz` alone prints the names.

/// libFuzzer's entry for programs that have a main of their own.
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ target: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

@main
struct Fuzz {
    /// A kind of input: what is done with it. A target fails by a trap, by `must`, by time or by memory.
    typealias Target = @Sendable (UnsafeRawBufferPointer) -> Void

    static let targets: [(name: String, run: Target)] = [
        ("rtsp-stream", RTSPTargets.stream),
        ("rtsp-fields", RTSPTargets.fields),
        ("rtsp-challenge", RTSPTargets.challenge),
        ("rtsp-sdp", RTSPTargets.description),
        ("rtsp-client", RTSPTargets.client),
        ("rtsp-publisher", RTSPTargets.publisher),
        ("http-camera", RTSPTargets.httpCamera),
        ("rtp-packet", RTPTargets.packets),
        ("rtp-h264", RTPTargets.h264),
        ("rtp-h265", RTPTargets.h265),
        ("rtp-jpeg", RTPTargets.jpeg),
        ("rtp-aac", RTPTargets.aac),
        ("rtp-pcm", RTPTargets.pcm),
        ("rtcp", RTPTargets.rtcp),
        ("mp4", MediaTargets.file),
        ("segment-info", MediaTargets.segmentInfo),
        ("annexb", MediaTargets.annexB),
        ("multipart", MediaTargets.multipart),
        ("parameter-sets", MediaTargets.parameterSets),
    ]

    private static let chosen = targets.first { $0.name == CommandLine.arguments.dropFirst().first }

    static func main() {
        guard chosen != nil else {
            for target in targets { print(target.name) }
            return
        }
        // libFuzzer takes what has no leading '-' for a corpus: the name goes where the program's was.
        var count = CommandLine.argc - 1
        var arguments = CommandLine.unsafeArgv + 1
        _ = runDriver(&count, &arguments) { bytes, size in
            Self.chosen?.run(UnsafeRawBufferPointer(start: bytes, count: size))
            return 0
        }
    }
}

/// What holds for every input.
func must(_ holds: Bool, _ rule: StaticString) {
    if !holds { fatalError("\(rule)") }
}

/// Reads numbers and pieces from the front of an input; 0 and nothing past its end.
struct Input {
    private var left: UnsafeRawBufferPointer.SubSequence

    init(_ bytes: UnsafeRawBufferPointer) { left = bytes[...] }

    var isAtEnd: Bool { left.isEmpty }

    mutating func byte() -> UInt8 { left.popFirst() ?? 0 }

    mutating func number<Number: FixedWidthInteger>(_: Number.Type = Number.self) -> Number {
        (0..<Number.bitWidth / 8).reduce(0) { number, _ in number << 8 | Number(truncatingIfNeeded: byte()) }
    }

    mutating func piece(_ count: Int) -> [UInt8] {
        defer { left = left.dropFirst(count) }
        return Array(left.prefix(count))
    }

    mutating func rest() -> [UInt8] { piece(left.count) }
}
