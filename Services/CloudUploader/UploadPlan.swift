// How a file goes up: in one request or in blocks, which blocks, under which ids, and which of them are still missing.
// Values only.
//
// A block's id is made of the file's SHA-256, the block size and the block's number, so that a later attempt, of whatever
// process, finds what an earlier one sent, and blocks of other content can never be mistaken for ours. Nothing is sent before the
// file was found to be the one of that SHA-256, and each block goes with a checksum of that very reading.
import Foundation

/// A block of a file.
struct PlannedBlock: Sendable, Hashable {
    /// From 0.
    let index: Int
    /// In base64, of the same length for every block.
    let id: String
    let offset: Int64
    let sizeBytes: Int
}

/// A block as the service lists it.
struct ListedBlock: Sendable, Hashable {
    let id: String
    let sizeBytes: Int
}

struct UploadPlan: Sendable, Equatable {
    /// What the service takes in one blob.
    static let maximumBlocks: Int64 = 50_000
    /// The largest block of the pinned service version.
    static let maximumBlockBytes: Int64 = 4000 << 20
    /// Bytes of an id before base64: 16 of the SHA-256, 4 of the block size, 4 of the number.
    static let idBytes = 24
    /// What an id may have where another program left blocks, because all ids of a blob have one length: fewer would tell too few
    /// files apart, and the service takes no more.
    static let possibleIDBytes = 16...64

    let sizeBytes: Int64
    let blockBytes: Int64
    /// Empty where the file goes in one request.
    let blocks: [PlannedBlock]

    /// Nil where the file is larger than a blob can be.
    init?(
        sizeBytes: Int64, sha256: [UInt8], singlePutBytes: Int64, blockBytes wanted: Int64,
        idBytes: Int = UploadPlan.idBytes
    ) {
        self.sizeBytes = sizeBytes
        guard sizeBytes > singlePutBytes else {
            (blockBytes, blocks) = (max(wanted, 1), [])
            return
        }
        guard let size = Self.blockBytes(for: sizeBytes, wanted: wanted) else { return nil }
        blockBytes = size
        blocks = (0..<(sizeBytes + size - 1) / size).map { number in
            PlannedBlock(
                index: Int(number),
                id: Self.id(sha256: sha256, blockBytes: size, index: Int(number), idBytes: idBytes),
                offset: number * size, sizeBytes: Int(min(size, sizeBytes - number * size)))
        }
    }

    /// The block size for a file: the wanted one, doubled until the blocks are few enough. Nil where none is.
    static func blockBytes(for sizeBytes: Int64, wanted: Int64) -> Int64? {
        var size = max(wanted, 1)
        while (sizeBytes + size - 1) / size > maximumBlocks {
            guard size < maximumBlockBytes else { return nil }
            size = min(size * 2, maximumBlockBytes)
        }
        return size
    }

    /// In base64: the beginning of the SHA-256 (with zeros behind it in a very long id), 4 bytes of the block size, 4 of the number.
    static func id(sha256: [UInt8], blockBytes: Int64, index: Int, idBytes: Int = UploadPlan.idBytes) -> String {
        let ofContent = max(0, idBytes - 8)
        var bytes = Data(sha256.prefix(ofContent))
        bytes.append(Data(count: ofContent - bytes.count))
        for value in [UInt32(clamping: blockBytes), UInt32(clamping: index)] {
            withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
        }
        return bytes.base64EncodedString()
    }

    /// The same blocks under ids that the service takes beside blocks which another program left of this blob. Nil where no such
    /// id could tell files apart.
    func besides(_ left: [ListedBlock], sha256: [UInt8]) -> UploadPlan? {
        guard let length = left.first.flatMap({ Data(base64Encoded: $0.id)?.count }),
            length != blocks.first.flatMap({ Data(base64Encoded: $0.id)?.count })
        else { return self }
        guard Self.possibleIDBytes.contains(length) else { return nil }
        return UploadPlan(
            sizeBytes: sizeBytes, sha256: sha256, singlePutBytes: 0, blockBytes: blockBytes, idBytes: length)
    }

    /// Whether a committed list is that of a file, by whatever block size and length of ids it was sent.
    static func isList(_ committed: [ListedBlock], ofFile sha256: [UInt8], sizeBytes: Int64) -> Bool {
        guard let id = committed.first.flatMap({ Data(base64Encoded: $0.id) }), possibleIDBytes.contains(id.count)
        else {
            return false
        }
        let blockBytes = id.dropLast(4).suffix(4).reduce(0) { $0 << 8 | Int64($1) }
        let plan = UploadPlan(
            sizeBytes: sizeBytes, sha256: sha256, singlePutBytes: 0, blockBytes: blockBytes, idBytes: id.count)
        return plan?.matches(committed: committed) ?? false
    }

    /// Blocks that the service does not have yet.
    func missing(uncommitted: [ListedBlock]) -> [PlannedBlock] {
        let there = Set(uncommitted)
        return blocks.filter { !there.contains(ListedBlock(id: $0.id, sizeBytes: $0.sizeBytes)) }
    }

    /// Whether a committed list is exactly this file.
    func matches(committed: [ListedBlock]) -> Bool {
        committed == blocks.map { ListedBlock(id: $0.id, sizeBytes: $0.sizeBytes) }
    }

    /// The body of Put Block List.
    var blockList: [UInt8] {
        let list = blocks.map { "<Latest>\($0.id)</Latest>" }.joined()
        return Array("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>\(list)</BlockList>".utf8)
    }
}

/// The answer to Get Block List.
struct BlockListing: Sendable, Equatable {
    var committed: [ListedBlock] = []
    var uncommitted: [ListedBlock] = []

    init() {}

    /// Reads the service's XML; nil where it is something else.
    init?(xml: [UInt8]) {
        guard let text = String(validating: xml, as: UTF8.self), text.contains("<BlockList") else { return nil }
        for section in ["CommittedBlocks", "UncommittedBlocks"] {
            guard let start = text.range(of: "<\(section)>"),
                let end = text.range(of: "</\(section)>", range: start.upperBound..<text.endIndex)
            else { continue }
            var blocks: [ListedBlock] = []
            for part in text[start.upperBound..<end.lowerBound].components(separatedBy: "</Block>").dropLast() {
                guard let id = Self.value("Name", part), let size = Self.value("Size", part).flatMap({ Int($0) }) else {
                    return nil
                }
                blocks.append(ListedBlock(id: id, sizeBytes: size))
            }
            if section == "CommittedBlocks" { committed = blocks } else { uncommitted = blocks }
        }
    }

    private static func value(_ name: String, _ text: String) -> String? {
        guard let start = text.range(of: "<\(name)>"), let end = text.range(of: "</\(name)>"),
            start.upperBound <= end.lowerBound
        else { return nil }
        return String(text[start.upperBound..<end.lowerBound])
    }
}
