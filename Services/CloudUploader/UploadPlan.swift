// How a file goes up: in one request or in blocks, which blocks, under which ids, and which of them are still missing.
// Values only.
//
// A block's id is made of the file's SHA-256, the block size and the block's number, so that a later attempt, of whatever
// process, finds what an earlier one sent, and blocks of other content can never be mistaken for ours.
import Crypto
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

    let sizeBytes: Int64
    let blockBytes: Int64
    /// Empty where the file goes in one request.
    let blocks: [PlannedBlock]

    /// Nil where the file is larger than a blob can be.
    init?(sizeBytes: Int64, sha256: [UInt8], singlePutBytes: Int64, blockBytes wanted: Int64) {
        self.sizeBytes = sizeBytes
        guard sizeBytes > singlePutBytes else {
            (blockBytes, blocks) = (max(wanted, 1), [])
            return
        }
        guard let size = Self.blockBytes(for: sizeBytes, wanted: wanted) else { return nil }
        blockBytes = size
        blocks = (0..<(sizeBytes + size - 1) / size).map { number in
            PlannedBlock(
                index: Int(number), id: Self.id(sha256: sha256, blockBytes: size, index: Int(number)),
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

    /// 16 bytes of the SHA-256, 4 of the block size, 4 of the number: 32 characters.
    static func id(sha256: [UInt8], blockBytes: Int64, index: Int) -> String {
        var bytes = Data(sha256.prefix(16))
        for value in [UInt32(clamping: blockBytes), UInt32(clamping: index)] {
            withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
        }
        return bytes.base64EncodedString()
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

    /// The body of Put Block List, and its MD5 in base64, by which the service notices what was damaged on the way.
    var blockList: (bytes: [UInt8], md5: String) {
        let list = blocks.map { "<Latest>\($0.id)</Latest>" }.joined()
        let bytes = Array("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>\(list)</BlockList>".utf8)
        return (bytes, Data(Insecure.MD5.hash(data: bytes)).base64EncodedString())
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
