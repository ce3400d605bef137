// One track from its packets to a file: a track reader, and behind it what a recorder does with the media packets. The only
// place here that knows the track reader's calls.

import Media

@testable import RTSP

/// A track and the ring and file that its packets go to.
struct TrackFeed {
    private var reader: RTSPTrackReader
    private var newestVideoUs: Int64?
    private var recording = Recording()

    static func canRead(_ media: MediaDescription) -> Bool { RTSPTrackReader(media, isInOrder: true) != nil }

    init?(_ media: MediaDescription, isInOrder: Bool) {
        guard let reader = RTSPTrackReader(media, isInOrder: isInOrder) else { return nil }
        self.reader = reader
    }

    /// A track of the first stream of a description.
    init?(_ description: String, isInOrder: Bool) {
        guard let media = SessionDescription(Array(description.utf8)).media.first else { return nil }
        self.init(media, isInOrder: isInOrder)
    }

    mutating func take(_ bytes: UnsafeRawBufferPointer, arrivalNs: Int64) {
        var packets: [MediaPacket] = []
        _ = reader.take(bytes, arrivalNs: arrivalNs, newestVideoUs: newestVideoUs) { packets.append($0) }
        for packet in packets {
            if packet.kind == .video { newestVideoUs = packet.ptsUs }
            recording.take(packet)
        }
    }

    mutating func end() { recording.end() }
}

/// What becomes of packets: they wait in a ring, and are written to files, which must be whole when read back.
struct Recording {
    private var ring = PacketRing(maximumSeconds: 2, maximumBytes: 1 << 20)
    private var writer: FragmentedMP4Writer?
    private var file: [UInt8] = []
    private var frames: UInt32 = 0
    private var lastDts: Int64?

    mutating func take(_ packet: MediaPacket) {
        must(packet.sizeBytes > 0 && packet.durationTicks >= 0, "a packet has bytes and a length")
        if packet.startsNewTimeline { lastDts = nil }
        if packet.kind == .video {
            must(lastDts.map { packet.dtsTicks > $0 } ?? true, "decoding times grow")
            lastDts = packet.dtsTicks
        }
        ring.append(packet)
        must(ring.sizeBytes <= 1 << 20, "the ring is bounded")
        guard packet.kind == .video else { return }
        if packet.startsNewTimeline || writer?.needsNewFile(for: packet) != false { begin(packet) }
        try? writer?.append(packet)
        if let fragment = writer?.takeFragment(newest: packet.isKeyframe ? .write : .hold) { file += fragment }
    }

    private mutating func begin(_ packet: MediaPacket) {
        end()
        guard packet.isKeyframe else { return }
        let new = FragmentedMP4Writer(tracks: [packet.configuration], createdUs: 0)
        file = new.header(info: SegmentInfo(device: "d", endpoint: "e", runID: "r"))
        writer = new
    }

    mutating func end() {
        defer { writer = nil }
        guard var writer else { return }
        if let fragment = writer.takeFragment(newest: .write) { file += fragment }
        let whole = file + FragmentedMP4Writer.trailer(info: SegmentInfo(device: "d", endpoint: "e", runID: "r"))
        let salvage = try? FragmentedMP4Reader(MemoryBytes(whole)).salvage()
        must(salvage?.isComplete == true, "a file that was written is whole")
        must(salvage?.videoFrames == writer.videoFrames, "every frame that was written is read")
    }
}
