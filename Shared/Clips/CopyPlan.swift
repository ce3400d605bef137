// In which steps the pieces of a clip are copied: blocks of the clip, each of portions, each of pieces that lie behind each other in
// one segment, so that a portion is one call to the owner of a segment, or one stay on the lane's thread. Pure.
import Media

/// A part of a clip that is written at once.
struct CopyBlock: Sendable, Equatable {
    let portions: [CopyPortion]

    /// The blocks of `pieces`, which stand in the clip behind `headBytes` others. Each ends where a multiple of `blockBytes` of the
    /// clip ends: a write that begins and ends with a page is quicker. `mostBytes`: what a portion of a file may span.
    static func blocks(
        of pieces: [ExactClip.Piece], behind headBytes: Int64, blockBytes: Int64, mostBytes: (_ file: Int) -> Int64
    ) -> [CopyBlock] {
        var blocks: [CopyBlock] = []
        var block: [ExactClip.Piece] = []
        var leftBytes = blockBytes - headBytes % blockBytes
        for piece in pieces {
            var offset = piece.offset
            let end = piece.offset + piece.sizeBytes
            while offset < end {
                let part = ExactClip.Piece(file: piece.file, offset: offset, sizeBytes: min(leftBytes, end - offset))
                block.append(part)
                offset += part.sizeBytes
                leftBytes -= part.sizeBytes
                guard leftBytes == 0 else { continue }
                blocks.append(CopyBlock(portions: CopyPortion.portions(of: block, mostBytes: mostBytes)))
                (block, leftBytes) = ([], blockBytes)
            }
        }
        if !block.isEmpty { blocks.append(CopyBlock(portions: CopyPortion.portions(of: block, mostBytes: mostBytes))) }
        return blocks
    }
}

/// Some pieces that are copied together.
struct CopyPortion: Sendable, Equatable {
    /// Of one segment, in the order of the clip and of the file.
    private(set) var pieces: [ExactClip.Piece]

    /// Place of the segment.
    let file: Int
    /// Where the first piece begins.
    let offset: Int64
    /// Behind the last one.
    private(set) var endOffset: Int64

    /// From the first piece to the last, what lies between them included.
    var spanBytes: Int64 { endOffset - offset }

    init(_ piece: ExactClip.Piece) {
        pieces = [piece]
        (file, offset, endOffset) = (piece.file, piece.offset, piece.offset + piece.sizeBytes)
    }

    /// Takes the next piece; false where it lies elsewhere or the portion would span too much.
    mutating func take(_ piece: ExactClip.Piece, mostBytes: Int64) -> Bool {
        let end = piece.offset + piece.sizeBytes
        guard piece.file == file, piece.offset >= endOffset, end - offset <= mostBytes else { return false }
        pieces.append(piece)
        endOffset = end
        return true
    }

    /// The portions of `pieces`; larger pieces are divided. `mostBytes`: what a portion of a file may span.
    static func portions(of pieces: [ExactClip.Piece], mostBytes: (_ file: Int) -> Int64) -> [CopyPortion] {
        var portions: [CopyPortion] = []
        for piece in pieces {
            let most = max(1, mostBytes(piece.file))
            var offset = piece.offset
            let end = piece.offset + piece.sizeBytes
            while offset < end {
                let part = ExactClip.Piece(file: piece.file, offset: offset, sizeBytes: min(most, end - offset))
                offset += part.sizeBytes
                if let last = portions.indices.last, portions[last].take(part, mostBytes: most) { continue }
                portions.append(CopyPortion(part))
            }
        }
        return portions
    }
}
