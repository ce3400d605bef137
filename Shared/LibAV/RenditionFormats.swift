// What each container takes as it is, and what has to be coded anew: the table behind the names of the configuration. What a
// container "takes" is what players read back out of it, not what libavformat lets pass.
import CLibAV
import MediaWork

/// How a rendition of one format is made.
struct RenditionRules {
    /// libavformat's name of the container.
    let container: String
    /// Pictures are coded anew with this codec, unless they are in it already; nil: they are copied.
    let videoCoding: AVCodecID?
    private let videoCodecs: Set<UInt32>
    private let audioCodecs: Set<UInt32>
    /// NAL units behind start codes, as streams have them; otherwise behind lengths, as files do.
    let wantsStartCodes: Bool

    init(_ format: RenditionFormat) {
        let pcm = [AV_CODEC_ID_PCM_MULAW, AV_CODEC_ID_PCM_ALAW]
        switch format {
        case .mkv:
            self.init(
                "matroska", [AV_CODEC_ID_H264, AV_CODEC_ID_HEVC, AV_CODEC_ID_MJPEG],
                [AV_CODEC_ID_AAC, AV_CODEC_ID_PCM_S16BE] + pcm)
        case .avi:
            self.init("avi", [AV_CODEC_ID_H264, AV_CODEC_ID_MJPEG], [AV_CODEC_ID_AAC] + pcm, startCodes: true)
        case .mts: self.init("mpegts", [AV_CODEC_ID_H264, AV_CODEC_ID_HEVC], [AV_CODEC_ID_AAC], startCodes: true)
        case .mpg: self.init("vob", [AV_CODEC_ID_H264], [], startCodes: true)
        case .flv: self.init("flv", [AV_CODEC_ID_H264], [AV_CODEC_ID_AAC] + pcm)
        case .mjpeg: self.init("mjpeg", [AV_CODEC_ID_MJPEG], [], coding: AV_CODEC_ID_MJPEG)
        case .webm: self.init("webm", [AV_CODEC_ID_VP8], [], coding: AV_CODEC_ID_VP8)
        }
    }

    private init(
        _ container: String, _ video: [AVCodecID], _ audio: [AVCodecID], coding: AVCodecID? = nil,
        startCodes: Bool = false
    ) {
        self.container = container
        videoCoding = coding
        videoCodecs = Set(video.map(\.rawValue))
        audioCodecs = Set(audio.map(\.rawValue))
        wantsStartCodes = startCodes
    }

    func takesVideo(_ codec: AVCodecID) -> Bool { videoCodecs.contains(codec.rawValue) }

    /// FLV knows G.711 of 8 kHz and one channel only.
    func takesAudio(_ parameters: AVCodecParameters) -> Bool {
        guard audioCodecs.contains(parameters.codec_id.rawValue) else { return false }
        let isPCM = [AV_CODEC_ID_PCM_MULAW, AV_CODEC_ID_PCM_ALAW].contains(parameters.codec_id)
        return container != "flv" || !isPCM || (parameters.sample_rate == 8000 && parameters.ch_layout.nb_channels == 1)
    }
}
