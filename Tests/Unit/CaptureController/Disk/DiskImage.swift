// What an emulated disk holds: for each file what was written and what of it is durable, for each folder which entries are
// durable. A value: a copy of it is the disk at that moment. EmulatedDisk.swift makes system calls of it.
//
// What a power cut leaves (`afterPowerCut`):
//   all that was synced;
//   of unsynced content any of its pages of 4 KiB, each kept or lost, a lost one reads as zeros or as what was there before;
//   of unsynced growth any length between the old one and the new one that ends with a kept page, or all of it;
//   of unsynced changes of folders any, in any order; a rename never loses the file, but may leave it under both names.
// What a kill leaves is the image as it is.
import Glibc
import Harness

struct DiskImage: Sendable {
    static let pageBytes = 4096

    struct File: Sendable {
        /// As whoever reads sees it.
        var bytes: [UInt8] = []
        var durable: [UInt8] = []
        /// Pages that the next sync writes.
        var dirty: Set<Int> = []
        /// Pages that a failed sync gave up: read from the cache they are right, on the storage they never were.
        var givenUp: Set<Int> = []
    }

    enum Node: Sendable {
        case file(File)
        case folder
    }

    /// A name in a folder, now or on the storage: nil removes it.
    private struct Change: Sendable {
        let folder: Int
        let name: String
        let node: Int?
    }

    private(set) var nodes: [Int: Node] = [0: .folder]
    private var entries: [Int: [String: Int]] = [0: [:]]
    private var durableEntries: [Int: [String: Int]] = [0: [:]]
    /// What is not durable, the oldest first; a rename has two changes, the new name first.
    private var pending: [[Change]] = []
    private var lastNode = 0

    // MARK: Names

    func node(_ path: String) -> Int? {
        var node = 0
        for part in path.split(separator: "/") where part != "." {
            guard let next = entries[node]?[String(part)] else { return nil }
            node = next
        }
        return node
    }

    /// The folder that a path's last part is in, and that part.
    func place(_ path: String) -> (folder: Int, name: String)? {
        guard let slash = path.lastIndex(of: "/"), let folder = node(String(path[..<slash])), isFolder(folder) else {
            return nil
        }
        return (folder, String(path[path.index(after: slash)...]))
    }

    func isFolder(_ node: Int) -> Bool { entries[node] != nil }
    func names(_ folder: Int) -> [String] { (entries[folder] ?? [:]).keys.sorted() }

    mutating func add(_ node: Node, at place: (folder: Int, name: String)) -> Int {
        lastNode += 1
        nodes[lastNode] = node
        if case .folder = node {
            entries[lastNode] = [:]
            durableEntries[lastNode] = [:]
        }
        change([Change(folder: place.folder, name: place.name, node: lastNode)])
        return lastNode
    }

    mutating func link(_ node: Int, at place: (folder: Int, name: String)) {
        change([Change(folder: place.folder, name: place.name, node: node)])
    }

    mutating func remove(_ place: (folder: Int, name: String)) {
        change([Change(folder: place.folder, name: place.name, node: nil)])
    }

    mutating func move(_ node: Int, from old: (folder: Int, name: String), to new: (folder: Int, name: String)) {
        change([
            Change(folder: new.folder, name: new.name, node: node),
            Change(folder: old.folder, name: old.name, node: nil),
        ])
    }

    private mutating func change(_ changes: [Change]) {
        for change in changes { entries[change.folder]?[change.name] = change.node }
        pending.append(changes)
    }

    /// The folder's entries are durable now. Of a rename out of it both halves, of one into it the new name.
    mutating func syncFolder(_ folder: Int) {
        var waiting: [[Change]] = []
        for changes in pending {
            let leaves = changes.last.map { $0.folder == folder } ?? false
            let done = leaves ? changes : changes.filter { $0.folder == folder }
            done.forEach { settle($0) }
            let rest = leaves ? [] : changes.filter { $0.folder != folder }
            if !rest.isEmpty { waiting.append(rest) }
        }
        pending = waiting
    }

    private mutating func settle(_ change: Change) { durableEntries[change.folder]?[change.name] = change.node }

    // MARK: Content

    func file(_ node: Int) -> File? {
        if case .file(let file) = nodes[node] { return file }
        return nil
    }

    mutating func write(_ node: Int, _ bytes: UnsafeRawBufferPointer, at offset: Int) {
        update(node) { file in
            let end = offset + bytes.count
            if file.bytes.count < end { file.bytes += [UInt8](repeating: 0, count: end - file.bytes.count) }
            file.bytes.withUnsafeMutableBytes {
                UnsafeMutableRawBufferPointer(rebasing: $0[offset..<end]).copyMemory(from: bytes)
            }
            if end > offset { file.dirty.formUnion(offset / Self.pageBytes...(end - 1) / Self.pageBytes) }
            file.givenUp.subtract(file.dirty)
        }
    }

    mutating func truncate(_ node: Int, to size: Int) {
        update(node) { file in
            if file.bytes.count > size {
                file.bytes.removeLast(file.bytes.count - size)
            } else {
                file.bytes += [UInt8](repeating: 0, count: size - file.bytes.count)
            }
            file.dirty.insert(size / Self.pageBytes)
        }
    }

    mutating func syncFile(_ node: Int) {
        update(node) { file in
            if file.givenUp.isEmpty {
                file.durable = file.bytes
            } else {
                let old = file.durable
                file.durable = file.bytes
                for page in file.givenUp { Self.copy(page, from: old, to: &file.durable) }
            }
            file.dirty = []
        }
    }

    /// The storage refused what was to be synced: the kernel gives the pages up, and the next sync finds nothing to do.
    mutating func failToSync(_ node: Int) {
        update(node) { file in
            file.givenUp.formUnion(file.dirty)
            file.dirty = []
        }
    }

    /// The next read comes from the storage, but for pages that still wait for a sync.
    mutating func dropCache(_ node: Int) {
        update(node) { file in
            for page in file.givenUp { Self.copy(page, from: file.durable, to: &file.bytes) }
            file.givenUp = []
        }
    }

    private mutating func update(_ node: Int, _ body: (inout File) -> Void) {
        guard case .file(var file) = nodes[node] else { return }
        // The only reference to the bytes, so that they are not copied.
        nodes[node] = .folder
        body(&file)
        nodes[node] = .file(file)
    }

    /// A page of `source` into `target`, zeros where `source` is shorter.
    private static func copy(_ page: Int, from source: [UInt8], to target: inout [UInt8]) {
        let end = min((page + 1) * pageBytes, target.count)
        for index in min(page * pageBytes, end)..<end { target[index] = index < source.count ? source[index] : 0 }
    }

    var usedBytes: Int { nodes.values.reduce(0) { if case .file(let file) = $1 { $0 + file.bytes.count } else { $0 } } }

    // MARK: The cut

    func afterPowerCut(_ random: inout SplitMix64) -> DiskImage {
        var image = self
        // From a disk that had written nearly all to one that had written nearly nothing.
        let kept = random.below(101)
        for changes in pending where random.below(100) < kept {
            if changes.count == 2, random.below(3) == 0 {
                image.settle(changes[0])
            } else {
                changes.forEach { image.settle($0) }
            }
        }
        image.pending = []
        image.entries = image.durableEntries
        for node in nodes.keys.sorted() {
            if case .file(let file) = nodes[node] {
                let bytes = Self.left(of: file, keeping: kept, &random)
                image.nodes[node] = .file(File(bytes: bytes, durable: bytes))
            }
        }
        return image
    }

    private static func left(of file: File, keeping kept: Int, _ random: inout SplitMix64) -> [UInt8] {
        let pages = file.dirty.sorted().filter { _ in random.below(100) < kept }
        var bytes = file.durable
        let last = pages.last.map { min(($0 + 1) * pageBytes, file.bytes.count) } ?? 0
        let size = random.below(4) == 0 ? file.bytes.count : max(last, min(file.bytes.count, file.durable.count))
        if size < bytes.count {
            bytes.removeLast(bytes.count - size)
        } else {
            bytes += [UInt8](repeating: 0, count: size - bytes.count)
        }
        for page in pages { copy(page, from: file.bytes, to: &bytes) }
        return bytes
    }
}
