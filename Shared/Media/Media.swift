// Media: encoded packets and the files made of them. Pure: no sockets, no clocks, no libraries.
//
//   PacketBytes, MediaPacket      one encoded frame, shared by reference between all tasks of a session
//   CodecConfiguration            what a decoder must know before the first packet; avcC, hvcC, esds
//   AnnexB, BitReader, SPS, JPEG  just enough parsing of the codecs to cut, to describe and to find keyframes
//   AccessUnitBuffer              an access unit while it is put together, in the memory that becomes the packet's
//   MultipartJPEGReader           the body of an HTTP answer of many pictures to pictures
//   VideoAssembler, AudioTimeline what a demuxer delivers (pieces, gaps in time) to packets with whole, growing times
//   GroupGate                     whole groups of pictures only, for a consumer that can be too slow
//   PacketRing                    the last seconds of a source, from a keyframe on
//   FragmentedMP4Writer           packets to a file that is readable up to its last whole fragment
//   ByteSource                    where a file is read from
//   FragmentedMP4Reader           such a file, whole or torn, to fragments, and what of it can be kept
//   ClipFile, ExactClip           recorded files to a progressive file of exactly the time that is wanted
//   SegmentInfo                   the box in each file from which the catalogue can be rebuilt

/// What is wrong with media data, for a person.
public struct MediaError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Names the thing, what was wrong and, where something can be done, what.
    public let description: String

    /// An error with a text for a person.
    public init(_ description: String) {
        self.description = description
    }
}
