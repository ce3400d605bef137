// The first bytes of a frame between controller and media-worker: its kind, and lengths that are checked against their bounds before
// anything is read. The whole form is in WorkMessage.swift.
import Media

/// Bytes that are no frame of this protocol, or one that must not come here. The connection cannot go on.
public struct WorkProtocolError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What was wrong.
    public let description: String

    init(_ description: String) { self.description = description }
}

/// The first bytes of a frame.
public struct WorkHeader: Sendable, Hashable {
    /// What kind of message it is.
    public enum Kind: UInt8, Sendable, CaseIterable {
        /// From the parent: make a picture.
        case request = 1
        /// From the worker: here it is.
        case picture = 2
        /// From the worker: none could be made.
        case failure = 3
        /// From the parent: make a rendition.
        case rendition = 4
        /// From the worker: a piece of the file is wanted.
        case read = 5
        /// From the parent: here it is.
        case piece = 6
        /// From the worker: this belongs into the rendition.
        case write = 7
        /// From the worker: the rendition is complete, or the film at its end.
        case made = 8
        /// From the parent: read a film.
        case film = 9
        /// From the worker: a track of it.
        case track = 10
        /// From the worker: a sample of a track, or of a stream that is coded anew.
        case sample = 11
        /// From the parent: decode on what comes.
        case follow = 12
        /// From the parent: it is this.
        case packet = 13
        /// From the worker: all that came of the packet was said.
        case taken = 14
    }

    /// Length of a header.
    public static let byteCount = 14
    /// The only version there is.
    public static let version: UInt8 = 4
    /// Of what is read or written at once.
    public static let maximumPieceBytes = 1 << 20
    /// Of a codec's name.
    static let maximumNameBytes = 32
    /// Of the sentence of a failure.
    public static let maximumSentenceBytes = 500

    /// What kind of message it is.
    public let kind: Kind
    /// Which request this is, or answers.
    public let number: UInt32
    /// Length of the fields.
    public let fieldBytes: Int
    /// Length of the blob.
    public let blobBytes: Int

    /// Reads a header of exactly `byteCount` bytes.
    public init(_ bytes: [UInt8]) throws(WorkProtocolError) {
        var reader = ByteReader(bytes)
        guard bytes.count == Self.byteCount, let version = reader.number(1), let kind = reader.number(1),
            let number = reader.number(4), let fields = reader.number(4), let blob = reader.number(4)
        else { throw WorkProtocolError("a header of \(bytes.count) bytes instead of \(Self.byteCount)") }
        guard version == Self.version else {
            throw WorkProtocolError("version \(version) instead of \(Self.version): controller and worker do not match")
        }
        guard let kind = Kind(rawValue: UInt8(kind)) else { throw WorkProtocolError("unknown kind \(kind)") }
        guard Self.fieldBounds(kind).contains(fields), Self.blobBounds(kind).contains(blob) else {
            throw WorkProtocolError("a \(kind) with \(fields) bytes of fields and a blob of \(blob) bytes")
        }
        self.kind = kind
        self.number = UInt32(number)
        fieldBytes = fields
        blobBytes = blob
    }

    private static func fieldBounds(_ kind: Kind) -> ClosedRange<Int> {
        switch kind {
        case .request: 11...11 + PictureRequest.maximumConfigurationBytes
        case .picture: 5...5
        case .failure: 1...1 + maximumSentenceBytes
        case .rendition: 10...10
        case .read: 12...12
        case .piece: 0...0
        case .write: 8...8
        case .made: 10...10 + 2 * maximumNameBytes + maximumSentenceBytes
        case .film: 8...8
        case .track: 10...10
        case .sample: 9...9
        case .follow: 7...14
        case .packet: 14...14 + PictureRequest.maximumConfigurationBytes
        case .taken: 0...0
        }
    }

    private static func blobBounds(_ kind: Kind) -> ClosedRange<Int> {
        switch kind {
        case .request, .packet: 1...PictureRequest.maximumPacketBytes
        case .picture: 1...Picture.maximumBytes
        case .piece: 0...maximumPieceBytes
        case .write: 1...maximumPieceBytes
        case .track: 0...PictureRequest.maximumConfigurationBytes
        case .sample: 1...PictureRequest.maximumPacketBytes
        case .failure, .rendition, .read, .made, .film, .follow, .taken: 0...0
        }
    }
}
