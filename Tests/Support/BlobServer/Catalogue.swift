// What is stored: containers, blobs, blocks. Every change is a value (`Mutation`) that is applied to the state and, with
// a folder, first appended to `journal.jsonl`, one line of JSON each. Start replays the lines and writes them anew in
// their shortest form. A killed process loses at most the change it was writing: a last line without its end is dropped.
// Bytes are in ExtentStore; a blob is a list of extents, so that committing blocks copies nothing.
import Foundation
import Synchronization

/// A stored run of bytes.
public struct Extent: Sendable, Codable, Hashable {
    /// Key in the extent store.
    let name: String
    /// Length in bytes.
    public let sizeBytes: Int
}

/// A block of a blob, in base64 as the client named it.
public struct Block: Sendable, Codable, Hashable {
    /// The id in base64.
    public let id: String
    /// Where its bytes are.
    public let extent: Extent
}

/// A committed blob.
public struct BlobRecord: Sendable, Codable {
    /// Its bytes, in order.
    public var extents: [Extent]
    /// The blocks it was committed of; empty after Put Blob.
    public var blocks: [Block]
    /// Content-Type and the like, by their header names in lower case, without the prefix x-ms-blob-.
    public var properties: [String: String]
    /// What the client attached.
    public var metadata: [MetadataItem]
    /// The index tags, sorted by name.
    public var tags: [TagItem] = []
    /// Whoever may write it, or might until lately.
    var lease: Lease?
    /// With its quotes.
    public var etag: String
    /// First commit.
    public var createdAt: Date
    /// Last change.
    public var modifiedAt: Date
    /// Length in bytes.
    public var sizeBytes: Int { extents.reduce(0) { $0 + $1.sizeBytes } }
    /// The metadata value of that name, whatever its case.
    public func metadataValue(_ name: String) -> String? {
        metadata.first { $0.name.lowercased() == name.lowercased() }?.value
    }
}

struct ContainerRecord {
    var metadata: [MetadataItem]
    var etag: String
    var modifiedAt: Date
    var lease: Lease?
    var blobs: [String: BlobRecord] = [:]
    /// Blocks that no list committed, by blob name.
    var uncommitted: [String: UncommittedBlocks] = [:]
}

/// The blocks of one blob that no list committed.
struct UncommittedBlocks {
    /// By id.
    var blocks: [String: Block] = [:]
    /// When the newest came.
    var newestAt: Date
}

/// One change.
enum Mutation: Codable {
    case createContainer(name: String, metadata: [MetadataItem], etag: String, at: Date)
    case setContainerMetadata(name: String, metadata: [MetadataItem], etag: String, at: Date)
    case setContainerLease(name: String, lease: Lease?)
    case deleteContainer(name: String)
    case putBlock(container: String, blob: String, block: Block, at: Date)
    /// Put Blob, Put Block List and changes of properties: the whole record, and its uncommitted blocks are dropped
    /// when `dropsBlocks`.
    case setBlob(container: String, blob: String, record: BlobRecord, dropsBlocks: Bool)
    case deleteBlob(container: String, blob: String)
    /// The uncommitted blocks whose newest came before this.
    case expireUncommitted(before: Date)
}

struct CatalogueState {
    var containers: [String: ContainerRecord] = [:]

    /// Applies a change. One that names an absent container changes nothing: the operations check before.
    mutating func apply(_ mutation: Mutation) {
        switch mutation {
        case .createContainer(let name, let metadata, let etag, let at):
            containers[name] = ContainerRecord(metadata: metadata, etag: etag, modifiedAt: at)
        case .setContainerMetadata(let name, let metadata, let etag, let at):
            containers[name]?.metadata = metadata
            containers[name]?.etag = etag
            containers[name]?.modifiedAt = at
        case .setContainerLease(let name, let lease):
            containers[name]?.lease = lease
        case .deleteContainer(let name):
            containers[name] = nil
        case .putBlock(let container, let blob, let block, let at):
            containers[container]?.uncommitted[blob, default: UncommittedBlocks(newestAt: at)].blocks[block.id] = block
            containers[container]?.uncommitted[blob]?.newestAt = at
        case .setBlob(let container, let blob, let record, let dropsBlocks):
            containers[container]?.blobs[blob] = record
            if dropsBlocks { containers[container]?.uncommitted[blob] = nil }
        case .deleteBlob(let container, let blob):
            containers[container]?.blobs[blob] = nil
            containers[container]?.uncommitted[blob] = nil
        case .expireUncommitted(let before):
            for name in containers.keys {
                for (blob, waiting) in containers[name]?.uncommitted ?? [:] where waiting.newestAt < before {
                    containers[name]?.uncommitted[blob] = nil
                }
            }
        }
    }

    /// Whether blocks are there whose newest came before this.
    func hasUncommitted(before: Date) -> Bool {
        containers.values.contains { $0.uncommitted.values.contains { $0.newestAt < before } }
    }

    /// Every extent that something refers to.
    var extents: Set<String> {
        var names: Set<String> = []
        for container in containers.values {
            for blob in container.blobs.values { names.formUnion(blob.extents.map(\.name)) }
            for waiting in container.uncommitted.values { names.formUnion(waiting.blocks.values.map(\.extent.name)) }
        }
        return names
    }

    /// The changes that make this state from nothing.
    var mutations: [Mutation] {
        var result: [Mutation] = []
        for (name, container) in containers {
            result.append(
                .createContainer(
                    name: name, metadata: container.metadata, etag: container.etag, at: container.modifiedAt))
            if let lease = container.lease { result.append(.setContainerLease(name: name, lease: lease)) }
            for (blob, record) in container.blobs {
                result.append(.setBlob(container: name, blob: blob, record: record, dropsBlocks: false))
            }
            for (blob, waiting) in container.uncommitted {
                result += waiting.blocks.values.map {
                    .putBlock(container: name, blob: blob, block: $0, at: waiting.newestAt)
                }
            }
        }
        return result
    }
}

/// The state, its journal and its bytes.
final class Catalogue: Sendable {
    let extents: ExtentStore
    private struct Inner {
        var state = CatalogueState()
        var journal: FileHandle?
    }
    private let inner = Mutex(Inner())

    init(folder: String?) throws {
        extents = try ExtentStore(folder: folder.map { $0 + "/data" })
        guard let folder else { return }
        let url = URL(fileURLWithPath: folder + "/journal.jsonl")
        var state = CatalogueState()
        if let text = try? Data(contentsOf: url) {
            for line in text.split(separator: UInt8(ascii: "\n")) {
                guard let mutation = try? JSONDecoder().decode(Mutation.self, from: line) else { break }
                state.apply(mutation)
            }
        }
        var shortest = Data()
        for mutation in state.mutations { shortest += try Self.line(mutation) }
        try shortest.write(to: url, options: .atomic)
        extents.keepOnly(state.extents)
        let journal = try FileHandle(forWritingTo: url)
        try journal.seekToEnd()
        let loaded = state
        inner.withLock {
            $0.state = loaded
            $0.journal = journal
        }
    }

    private static func line(_ mutation: Mutation) throws -> Data {
        try JSONEncoder().encode(mutation) + Data([UInt8(ascii: "\n")])
    }

    var state: CatalogueState { inner.withLock { $0.state } }

    /// Journals and applies a change. Throws only where the journal cannot be written.
    func commit(_ mutation: Mutation) throws {
        try decide { _ in mutation }
    }

    /// Looks at the state and makes a change of it, with nothing in between: conditions are checked in here. Extents that
    /// nothing refers to any more are removed.
    func decide(_ body: (CatalogueState) throws -> Mutation?) throws {
        let dropped: [Extent] = try inner.withLock { inner in
            guard let mutation = try body(inner.state) else { return [] }
            let before = Self.touched(mutation, inner.state)
            try inner.journal?.write(contentsOf: Self.line(mutation))
            inner.state.apply(mutation)
            return Array(before.subtracting(Self.touched(mutation, inner.state)))
        }
        for extent in dropped { extents.remove(extent) }
    }

    /// Drops uncommitted blocks of blobs whose newest block came before `date`.
    func expireUncommittedBlocks(before date: Date) {
        guard state.hasUncommitted(before: date) else { return }
        try? commit(.expireUncommitted(before: date))
    }

    /// Extents of whatever the change concerns.
    private static func touched(_ mutation: Mutation, _ state: CatalogueState) -> Set<Extent> {
        func all(_ container: ContainerRecord?, _ blob: String?) -> Set<Extent> {
            guard let container else { return [] }
            guard let blob else {
                return Set(container.blobs.values.flatMap(\.extents)).union(
                    container.uncommitted.values.flatMap(\.blocks.values).map(\.extent))
            }
            return Set(container.blobs[blob]?.extents ?? []).union(
                (container.uncommitted[blob]?.blocks.values.map(\.extent)) ?? [])
        }
        switch mutation {
        case .createContainer, .setContainerMetadata, .setContainerLease: return []
        case .deleteContainer(let name): return all(state.containers[name], nil)
        case .putBlock(let container, let blob, let block, _):
            // Only the block that it replaces: a blob may have thousands, and this happens for each.
            return Set([state.containers[container]?.uncommitted[blob]?.blocks[block.id]?.extent].compactMap(\.self))
        case .setBlob(let container, let blob, _, _),
            .deleteBlob(let container, let blob):
            return all(state.containers[container], blob)
        case .expireUncommitted:
            return state.containers.values.reduce(into: []) { $0.formUnion(all($1, nil)) }
        }
    }
}
