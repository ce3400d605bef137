// The file and the rendition as libavformat reads and writes them: contexts whose bytes go through the socket to the parent.
// Nothing here opens a file; libavformat is given no name of one.
import CLibAV
import Media
import MediaWork

/// Where bytes come from and go to; what it throws is kept, because libav only knows numbers.
public protocol RenditionTransport {
    /// At most `count` bytes from `offset` on; none at the end.
    func read(at offset: Int64, count: Int) throws -> [UInt8]
    /// Bytes of the rendition.
    func write(_ bytes: [UInt8], at offset: Int64) throws
}

/// One AVIOContext of either direction, with its position. Made in init, freed in deinit.
final class RenditionIO {
    /// What libav gathers before it calls us.
    private static let bufferBytes = 256 << 10

    let context: UnsafeMutablePointer<AVIOContext>
    private let transport: any RenditionTransport
    private var position: Int64 = 0
    private var sizeBytes: Int64
    /// What a read or a write threw.
    private(set) var failure: (any Error)?

    /// - Parameter readingBytes: size of the file to read; nil: a rendition to write.
    init(_ transport: any RenditionTransport, readingBytes: Int64?) throws(PictureError) {
        self.transport = transport
        sizeBytes = readingBytes ?? 0
        guard let buffer = av_malloc(Self.bufferBytes) else { throw PictureError(.internal, "no memory for a buffer") }
        let isWriting = readingBytes == nil
        guard
            let made = avio_alloc_context(
                buffer.assumingMemoryBound(to: UInt8.self), Int32(Self.bufferBytes), isWriting ? 1 : 0, nil,
                isWriting ? nil : renditionRead, isWriting ? renditionWrite : nil, renditionSeek)
        else {
            av_free(buffer)
            throw PictureError(.internal, "no memory for a buffer")
        }
        context = made
        // Sound: libav calls back only while it is called, and whoever calls it holds this object.
        context.pointee.opaque = Unmanaged.passUnretained(self).toOpaque()
    }

    deinit {
        // libav may have replaced the buffer by another one.
        av_free(context.pointee.buffer)
        var owned: UnsafeMutablePointer<AVIOContext>? = context
        avio_context_free(&owned)
    }

    fileprivate func read(into room: UnsafeMutableRawBufferPointer) -> Int32 {
        do {
            let bytes = try transport.read(
                at: position, count: min(room.count, Int(min(sizeBytes - position, Int64(Int32.max)))))
            guard !bytes.isEmpty, bytes.count <= room.count else { return sg_av_end() }
            room.copyBytes(from: bytes)
            position += Int64(bytes.count)
            return Int32(bytes.count)
        } catch {
            failure = failure ?? error
            return sg_av_input_output()
        }
    }

    fileprivate func write(_ bytes: UnsafeRawBufferPointer) -> Int32 {
        do {
            for from in stride(from: 0, to: bytes.count, by: WorkHeader.maximumPieceBytes) {
                let piece = Array(bytes[from..<min(from + WorkHeader.maximumPieceBytes, bytes.count)])
                try transport.write(piece, at: position)
                position += Int64(piece.count)
            }
            sizeBytes = max(sizeBytes, position)
            return Int32(bytes.count)
        } catch {
            failure = failure ?? error
            return sg_av_input_output()
        }
    }

    fileprivate func seek(_ offset: Int64, _ whence: Int32) -> Int64 {
        switch whence & ~AVSEEK_FORCE {
        case AVSEEK_SIZE: return sizeBytes
        case SEEK_SET: position = offset
        case SEEK_CUR: position += offset
        case SEEK_END: position = sizeBytes + offset
        default: return -1
        }
        return position
    }
}

private func renditionIO(_ opaque: UnsafeMutableRawPointer?) -> RenditionIO? {
    // Sound: `RenditionIO.init` put itself there.
    opaque.map { Unmanaged<RenditionIO>.fromOpaque($0).takeUnretainedValue() }
}

private func renditionRead(_ opaque: UnsafeMutableRawPointer?, _ room: UnsafeMutablePointer<UInt8>?, _ count: Int32)
    -> Int32
{
    guard let io = renditionIO(opaque), let room, count > 0 else { return sg_av_end() }
    return io.read(into: UnsafeMutableRawBufferPointer(start: room, count: Int(count)))
}

private func renditionWrite(_ opaque: UnsafeMutableRawPointer?, _ bytes: UnsafeMutablePointer<UInt8>?, _ count: Int32)
    -> Int32
{
    guard let io = renditionIO(opaque), let bytes else { return sg_av_input_output() }
    return io.write(UnsafeRawBufferPointer(start: bytes, count: Int(count)))
}

private func renditionSeek(_ opaque: UnsafeMutableRawPointer?, _ offset: Int64, _ whence: Int32) -> Int64 {
    renditionIO(opaque)?.seek(offset, whence) ?? -1
}
