// A picture to a JPEG file, by libjpeg-turbo: two thirds of the time that libavcodec takes, and the quality that everybody means by a
// number from 1 to 100.
import CTurboJPEG
import MediaWork

enum JPEGCoding {
    /// Encodes a frame in 4:2:0 of full range. `quality` from 1 to 100.
    static func encode(_ source: PictureFrame, quality: Int) throws(PictureError) -> [UInt8] {
        guard let coder = tjInitCompress() else { throw PictureError(.internal, "no memory for a JPEG picture") }
        defer { tjDestroy(coder) }
        let frame = source.frame.pointee
        var planes: [UnsafePointer<UInt8>?] = [frame.data.0, frame.data.1, frame.data.2].map {
            $0.map { UnsafePointer($0) }
        }
        let strides = [frame.linesize.0, frame.linesize.1, frame.linesize.2]
        var file: UnsafeMutablePointer<UInt8>?
        var count: UInt = 0
        defer { tjFree(file) }
        let failure = tjCompressFromYUVPlanes(
            coder, &planes, frame.width, strides, frame.height, Int32(TJSAMP_420.rawValue), &file, &count,
            Int32(min(max(quality, 1), 100)), 0)
        guard failure == 0, let file else {
            throw PictureError(.internal, "a picture cannot be encoded (\(String(cString: tjGetErrorStr2(coder))))")
        }
        return Array(UnsafeBufferPointer(start: file, count: Int(count)))
    }
}
