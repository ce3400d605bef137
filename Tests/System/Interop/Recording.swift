// One session with a camera, stored as the recorder stores it: Shared/RTSP and Shared/Media, nothing between.

import Foundation
import Media

@testable import RTSP

/// What came of a session.
struct Recording: Sendable {
    private(set) var tracks: [RTSPTrack] = []
    /// From the first keyframe on, whole groups of pictures and the sound that came with them.
    private(set) var packets: [MediaPacket] = []
    private(set) var failure: RTSPFailure?
    private(set) var counters = SourceCounters()

    func packets(_ kind: TrackKind) -> [MediaPacket] { packets.filter { $0.kind == kind } }

    /// Plays until so many groups of pictures came, or the session ends.
    init(
        _ url: RTSPURL, on client: RTSPClient, groupsOf size: Int, count: Int, trust: TLSTrust,
        prefersDatagrams: Bool,
        user: @escaping @Sendable () throws(RTSPFailure) -> RTSPUser?
    ) async {
        let (events, tell) = AsyncStream.makeStream(of: SourceEvent.self)
        var settings = RTSPSessionSettings()
        settings.trust = trust
        settings.prefersDatagrams = prefersDatagrams
        let playback = client.play(
            url, settings: settings, user: user,
            tell: { event in
                tell.yield(event)
                if case .ended = event { tell.finish() }
            })
        var pictures = 0
        for await event in events {
            switch event {
            case .playing(let tracks): self.tracks = tracks
            case .packet(let packet):
                guard packet.kind == .audio || packet.isKeyframe || pictures > 0, pictures <= size * count else {
                    break
                }
                if packet.kind == .video { pictures += 1 }
                // The first picture of the group behind the last one ends it.
                if pictures > size * count { playback.stop() } else { packets.append(packet) }
            case .ended(let failure, let counters): (self.failure, self.counters) = (failure, counters)
            default: break
            }
        }
    }

    /// Writes the file as the recorder does, a fragment for each group of pictures.
    func write(to path: String) throws {
        guard let video = packets(.video).first else { throw MediaError("no picture came") }
        let configurations = [video.configuration] + (packets(.audio).first.map { [$0.configuration] } ?? [])
        var info = SegmentInfo(device: "camera", endpoint: "main", runID: UUID().uuidString)
        info.startUs = Int64(Date().timeIntervalSince1970 * 1_000_000)
        var writer = FragmentedMP4Writer(tracks: configurations, createdUs: info.startUs)
        var file = writer.header(info: info)
        for packet in packets {
            if packet.kind == .video, packet.isKeyframe { file += writer.takeFragment(newest: .write) ?? [] }
            try writer.append(packet)
        }
        file += writer.takeFragment(newest: .write) ?? []
        info.frames = writer.videoFrames
        info.mediaStartUs = writer.mediaStartUs ?? 0
        info.endUs = info.startUs + writer.videoEndUs - writer.videoStartUs
        file += FragmentedMP4Writer.trailer(info: info)
        try Data(file).write(to: URL(fileURLWithPath: path))
    }
}
