// One track from its packets to a file: a track reader, and behind it what a recorder does with the media packets. The only
// place here that knows the track reader's calls.

import Media

@testable import RTSP

/// A track and the ring and file that its packets go to.
struct TrackFeed {
    private var reader: RTSPTrackReader
    private var recording = Recording()

    static func canRead(_ media: MediaDescription) -> Bool { TrackFeed(media, isInOrder: true) != nil }

    init?(_ media: MediaDescription, isInOrder: Bool) {
        guard let reader = RTSPTrackReader(media, isInOrder: isInOrder, ssrc: 7) else { return nil }
        self.reader = reader
    }

    /// A track of the first stream of a description.
    init?(_ description: String, isInOrder: Bool) {
        guard let media = SessionDescription(Array(description.utf8)).media.first else { return nil }
        self.init(media, isInOrder: isInOrder)
    }

    /// Takes an RTP packet. Pictures move `video` on; sound lies near to it.
    mutating func take(_ bytes: UnsafeRawBufferPointer, arrivalNs: Int64, video: inout RTSPVideoTime?) {
        let known = video
        record(&video) { reader, deliver in
            reader.expire(nowNs: arrivalNs, video: known, deliver: deliver)
            _ = reader.take(bytes, arrivalNs: arrivalNs, video: known, deliver: deliver)
        }
    }

    /// The camera says where its streams begin.
    mutating func note(_ starts: [RTSPStart]) { reader.note(starts) }

    /// Takes an RTCP packet, and answers it.
    mutating func takeControl(_ bytes: UnsafeRawBufferPointer, arrivalNs: Int64) {
        _ = reader.takeControl(bytes, arrivalNs: arrivalNs)
        let report = reader.receiverReport(nowNs: arrivalNs)
        must(report.withUnsafeBytes { !RTCPPacket($0).isCut }, "a report of ours can be read")
    }

    mutating func end(arrivalNs: Int64, video: inout RTSPVideoTime?) {
        let known = video
        record(&video) { reader, deliver in reader.flush(arrivalNs: arrivalNs, video: known, deliver: deliver) }
        recording.end()
    }

    private mutating func record(
        _ video: inout RTSPVideoTime?, _ read: (inout RTSPTrackReader, (MediaPacket) -> Void) -> Void
    ) {
        var packets: [MediaPacket] = []
        read(&reader) { packets.append($0) }
        for packet in packets {
            if packet.kind == .video {
                video = RTSPVideoTime(
                    packet, after: video, zeroWallUs: reader.zeroWallUs, statedZeroUs: reader.statedZeroUs)
            }
            recording.take(packet)
        }
    }
}

/// What becomes of packets: they wait in a ring, and are written to files, which must be whole when read back.
struct Recording {
    /// An input can begin a file with each of its packets; that costs time and shows nothing new.
    private static let maximumFiles = 32

    private var ring = PacketRing(maximumSeconds: 2, maximumBytes: 1 << 20)
    private var writer: FragmentedMP4Writer?
    private var shown: [CodecConfiguration] = []
    private var file: [UInt8] = []
    private var filesLeft = maximumFiles
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
        guard packet.isKeyframe, filesLeft > 0 else { return }
        filesLeft -= 1
        let new = FragmentedMP4Writer(tracks: [packet.configuration], otherVideo: shown, createdUs: 0)
        shown = Array(([packet.configuration] + shown).prefix(FragmentedMP4Writer.mostVideoConfigurations))
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
