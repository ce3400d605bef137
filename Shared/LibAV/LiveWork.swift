// A stream that is decoded on: pictures of the frames that are wanted, or all of them coded anew. Blocking and busy. Only the
// media-worker calls it.
import CLibAV
import Media
import MediaWork

/// Follows one stream.
public final class LiveWork {
    private let order: LiveOrder
    private let decoded: PictureFrame?
    private var decoder: CodecContext?
    private var source: DecoderSource?
    /// Packets whose pictures are wanted and have not come out yet, by the time of their frame.
    private var wanted: [Int64: UInt32] = [:]
    private var encoder: LiveEncoder?

    /// Nothing is made before the first packet.
    public init(_ order: LiveOrder) {
        LibAVLog.silence()
        self.order = order
        decoded = try? PictureFrame()
    }

    /// Takes a packet and hands on what comes of it, and of packets before it. Throws what `deliver` throws.
    public func take(
        _ packet: LivePacket, number: UInt32, deliver: (UInt32, WorkMessage) throws -> Void
    ) throws {
        do {
            let source = DecoderSource(packet)
            if packet.startsAnew || source != self.source { try drain(deliver) }
            if source != self.source || decoder == nil {
                decoder = nil
                self.source = source
                decoder = try CodecContext(decoderFor: source, isAlone: false)
            }
        } catch let error as PictureError {
            if packet.isWanted { try deliver(number, .failure(error)) }
            return
        }
        if packet.isWanted { wanted[packet.ptsTicks] = number }
        if packet.codec == .mjpeg, !packet.packet.withUnsafeBytes(JPEGHeader.isWhole) {
            return try fail(packet.ptsTicks, PictureError(.corrupt, "the JPEG picture is cut off"), deliver)
        }
        guard let decoder, let buffer = try? PacketBuffer(copying: packet.packet) else {
            return try fail(packet.ptsTicks, PictureError(.internal, "no memory for a packet"), deliver)
        }
        buffer.packet.pointee.pts = packet.ptsTicks
        let sent = avcodec_send_packet(decoder.context, buffer.packet)
        if sent < 0 {
            let why = "the frame cannot be decoded (\(AVFailure.text(sent)))"
            try fail(packet.ptsTicks, PictureError(.corrupt, why), deliver)
        }
        try receive(deliver)
    }

    /// What the decoder still has comes out, and it forgets what it saw.
    private func drain(_ deliver: (UInt32, WorkMessage) throws -> Void) throws {
        if let decoder {
            _ = avcodec_send_packet(decoder.context, nil)
            try receive(deliver)
            avcodec_flush_buffers(decoder.context)
        }
        for ticks in wanted.keys.sorted() {
            try fail(ticks, PictureError(.corrupt, "the frame did not come out of the decoder"), deliver)
        }
    }

    private func fail(
        _ ticks: Int64, _ error: PictureError, _ deliver: (UInt32, WorkMessage) throws -> Void
    ) throws {
        if let number = wanted.removeValue(forKey: ticks) { try deliver(number, .failure(error)) }
    }

    private func receive(_ deliver: (UInt32, WorkMessage) throws -> Void) throws {
        guard let decoder, let decoded else { return }
        while avcodec_receive_frame(decoder.context, decoded.frame) >= 0 {
            defer { av_frame_unref(decoded.frame) }
            switch order {
            case .pictures(let style):
                guard let number = wanted.removeValue(forKey: decoded.frame.pointee.pts) else { continue }
                try deliver(number, picture(of: decoded, style))
            case .stream(let coding):
                if encoder == nil { encoder = try? LiveEncoder(coding) }
                try encoder?.take(decoded) { try deliver(0, .sample($0)) }
            }
        }
    }

    private func picture(of frame: PictureFrame, _ style: PictureStyle) -> WorkMessage {
        guard frame.isWhole else {
            return .failure(PictureError(.corrupt, "the frame is damaged: parts of the picture are missing"))
        }
        do { return .picture(try PictureMaker.picture(of: frame, style)) } catch { return .failure(error) }
    }
}

/// Codes a stream's frames anew.
private final class LiveEncoder {
    /// A viewer that joins waits so long, in ticks.
    private static let keyframeTicks = 2 * Int64(LivePacket.timescale)
    /// What is taken for the pace of a stream that states none.
    private static let usualPicturesPerSecond = 25.0

    private let coding: StreamCoding
    private let scaler = FrameScaler()
    private let scaled: PictureFrame
    private let coded: PacketBuffer
    private var encoder: CodecContext?
    private var size: (widthPx: Int, heightPx: Int) = (0, 0)
    private var dueTicks: Int64?
    private var lastTicks: Int64?
    private var keyTicks: Int64?

    init(_ coding: StreamCoding) throws(PictureError) {
        self.coding = coding
        scaled = try PictureFrame()
        coded = try PacketBuffer()
    }

    /// Frames that come too fast, or cannot be coded, are left out.
    func take(_ frame: PictureFrame, deliver: (FilmSample) throws -> Void) throws {
        let ticks = frame.frame.pointee.pts
        guard ticks != sg_av_no_time(), isDue(ticks) else { return }
        let size = coding.size(ofWidthPx: Int(frame.frame.pointee.width), heightPx: Int(frame.frame.pointee.height))
        if encoder == nil || size != self.size {
            self.size = size
            keyTicks = nil
            encoder = try? CodecContext(
                streamEncoder: coding, widthPx: size.widthPx, heightPx: size.heightPx,
                picturesPerSecond: min(coding.picturesPerSecond, Self.usualPicturesPerSecond))
        }
        guard let encoder,
            (try? scaler.scale(
                frame, into: scaled, widthPx: Int32(size.widthPx), heightPx: Int32(size.heightPx), AV_PIX_FMT_YUV420P,
                isFull: false)) != nil
        else { return }
        let isKey = keyTicks.map { ticks - $0 >= Self.keyframeTicks } ?? true
        if isKey { keyTicks = ticks }
        scaled.frame.pointee.pts = ticks
        scaled.frame.pointee.pict_type = isKey ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE
        _ = avcodec_send_frame(encoder.context, scaled.frame)
        while avcodec_receive_packet(encoder.context, coded.packet) >= 0 {
            defer { av_packet_unref(coded.packet) }
            guard let data = coded.packet.pointee.data, coded.packet.pointee.size > 0 else { continue }
            let bytes = Array(UnsafeBufferPointer(start: data, count: Int(coded.packet.pointee.size)))
            try deliver(FilmSample(codec: coding.codec, ptsTicks: coded.packet.pointee.pts, bytes: bytes))
        }
    }

    /// The pace is kept on a grid, so that what comes a little early or late does not change it.
    private func isDue(_ ticks: Int64) -> Bool {
        if let last = lastTicks, ticks <= last {
            // A new session of the camera: its times begin anew.
            guard last - ticks > Int64(LivePacket.timescale) else { return false }
            dueTicks = nil
            keyTicks = nil
        }
        guard coding.maximumMillihertz > 0 else {
            lastTicks = ticks
            return true
        }
        let step = Int64(LivePacket.timescale) * 1000 / Int64(coding.maximumMillihertz)
        // A frame that is a tenth of a step early counts: cameras are not exact.
        guard let due = dueTicks, ticks - due < 4 * step else {
            dueTicks = ticks + step
            lastTicks = ticks
            return true
        }
        guard ticks >= due - step / 10 else { return false }
        dueTicks = due + step
        lastTicks = ticks
        return true
    }
}

extension StreamCoding {
    fileprivate var picturesPerSecond: Double {
        maximumMillihertz > 0 ? Double(maximumMillihertz) / 1000 : .greatestFiniteMagnitude
    }
}
