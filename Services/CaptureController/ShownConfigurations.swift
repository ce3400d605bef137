// What a camera's video has shown of parameter sets since its run began: what the next segment's file declares beside its first,
// so that a camera which goes to and fro between them does not end a segment each time.
import Media

struct ShownConfigurations: Sendable {
    /// The newest first; as many as a file can declare.
    private(set) var newestFirst: [CodecConfiguration] = []

    /// The video goes on with `configuration`.
    mutating func note(_ configuration: CodecConfiguration) {
        if newestFirst.first == configuration { return }
        newestFirst.removeAll { $0 == configuration }
        newestFirst.insert(configuration, at: 0)
        if newestFirst.count > FragmentedMP4Writer.mostVideoConfigurations { newestFirst.removeLast() }
    }

    /// Nothing shown.
    init() {}

    /// What `packets` show.
    init(_ packets: ArraySlice<MediaPacket>) {
        var newest: CodecConfiguration?
        for packet in packets where packet.kind == .video && packet.configuration !== newest {
            newest = packet.configuration
            note(packet.configuration)
        }
    }
}
