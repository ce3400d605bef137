// System calls on a DiskImage, so that the recorder's own code runs on a disk that can be cut off, be full, fail or be slow.
import Glibc
import Synchronization

@testable import Volume

final class EmulatedDisk: FileSystemKernel {
    /// Asked before each call that changes something or makes it durable; another number than 0 makes the call fail with it.
    typealias Step = @Sendable (_ call: FileSystemCall, _ path: String, _ image: DiskImage) -> Int32

    private struct State {
        var image: DiskImage
        var open: [Int32: (node: Int, path: String)] = [:]
        var lockedBy: Int32?
        var lastNumber: Int32 = 100
        var step: Step?
        var capacityBytes = Int.max
    }
    private let state: Mutex<State>

    init(_ image: DiskImage = DiskImage()) { state = Mutex(State(image: image)) }

    var image: DiskImage { state.withLock { $0.image } }
    var calls: FileSystemCalls { FileSystemCalls(interceptor: nil, kernel: self) }

    /// Where files have so many bytes together, the disk is full.
    func limit(toBytes capacity: Int) { state.withLock { $0.capacityBytes = capacity } }

    func onStep(_ step: Step?) { state.withLock { $0.step = step } }

    /// Fails with this number.
    private struct Failure: Error {
        let number: Int32
    }

    private func result<Number: FixedWidthInteger & Sendable>(
        _ call: FileSystemCall, _ path: String, isStep: Bool = true, _ body: (inout State) throws(Failure) -> Number
    ) -> Number {
        do {
            return try state.withLock { (state) throws(Failure) -> Number in
                if isStep, let step = state.step {
                    let number = step(call, path, state.image)
                    if number != 0 { throw Failure(number: number) }
                }
                return try body(&state)
            }
        } catch {
            errno = error.number
            return -1
        }
    }

    private static func node(_ state: State, _ path: String) throws(Failure) -> Int {
        guard let node = state.image.node(path) else { throw Failure(number: ENOENT) }
        return node
    }

    private static func place(_ state: State, _ path: String) throws(Failure) -> (folder: Int, name: String) {
        guard let place = state.image.place(path) else { throw Failure(number: ENOENT) }
        return place
    }

    private static func opened(_ state: State, _ file: Int32) throws(Failure) -> Int {
        guard let open = state.open[file] else { throw Failure(number: EBADF) }
        return open.node
    }

    private func path(_ file: Int32) -> String { state.withLock { $0.open[file]?.path ?? "" } }

    func open(_ path: String, _ flags: Int32, _ mode: mode_t) -> Int32 {
        let isThere = state.withLock { $0.image.node(path) != nil }
        return result(.create, path, isStep: flags & O_CREAT != 0 && !isThere) { (state) throws(Failure) in
            let node: Int
            if let known = state.image.node(path) {
                guard flags & (O_CREAT | O_EXCL) != O_CREAT | O_EXCL else { throw Failure(number: EEXIST) }
                node = known
            } else {
                guard flags & O_CREAT != 0 else { throw Failure(number: ENOENT) }
                node = state.image.add(.file(DiskImage.File()), at: try Self.place(state, path))
            }
            state.lastNumber += 1
            state.open[state.lastNumber] = (node, path)
            return state.lastNumber
        }
    }

    func close(_ file: Int32) {
        state.withLock { state in
            state.open[file] = nil
            if state.lockedBy == file { state.lockedBy = nil }
        }
    }

    func write(_ file: Int32, _ bytes: UnsafeRawBufferPointer, at offset: Int64) -> Int {
        result(.write, path(file)) { (state) throws(Failure) in
            let node = try Self.opened(state, file)
            var count = bytes.count
            if state.capacityBytes < Int.max {
                let size = state.image.file(node)?.bytes.count ?? 0
                count = min(count, size - Int(offset) + max(0, state.capacityBytes - state.image.usedBytes))
                guard count > 0 else { throw Failure(number: ENOSPC) }
            }
            state.image.write(node, UnsafeRawBufferPointer(rebasing: bytes[..<count]), at: Int(offset))
            return count
        }
    }

    func read(_ file: Int32, into bytes: UnsafeMutableRawBufferPointer, at offset: Int64) -> Int {
        result(.read, path(file), isStep: false) { (state) throws(Failure) in
            guard let content = state.image.file(try Self.opened(state, file))?.bytes else {
                throw Failure(number: EISDIR)
            }
            let start = min(Int(offset), content.count)
            let end = min(start + bytes.count, content.count)
            content.withUnsafeBytes { bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[start..<end])) }
            return end - start
        }
    }

    func datasync(_ file: Int32) -> Int32 { sync(file, as: .datasync) }
    /// What is not synced may be lost all the same.
    func writeBack(_ file: Int32, from offset: Int64, count: Int64, waits: Bool) -> Int32 { 0 }
    func sync(_ file: Int32) -> Int32 { sync(file, as: .sync) }

    private func sync(_ file: Int32, as call: FileSystemCall) -> Int32 {
        let done = result(call, path(file)) { (state) throws(Failure) in
            let node = try Self.opened(state, file)
            if state.image.isFolder(node) { state.image.syncFolder(node) } else { state.image.syncFile(node) }
            return Int32(0)
        }
        if done < 0 {
            let number = errno
            state.withLock { state in
                if let node = state.open[file]?.node { state.image.failToSync(node) }
            }
            errno = number
        }
        return done
    }

    func truncate(_ file: Int32, to sizeBytes: Int64) -> Int32 {
        result(.truncate, path(file)) { (state) throws(Failure) in
            state.image.truncate(try Self.opened(state, file), to: Int(sizeBytes))
            return 0
        }
    }

    func rename(_ path: String, toFree new: String) -> Int32 {
        result(.rename, new) { (state) throws(Failure) in
            let node = try Self.node(state, path)
            let target = try Self.place(state, new)
            guard state.image.node(new) == nil else { throw Failure(number: EEXIST) }
            state.image.move(node, from: try Self.place(state, path), to: target)
            return 0
        }
    }

    func link(_ path: String, to new: String) -> Int32 {
        result(.link, new) { (state) throws(Failure) in
            let node = try Self.node(state, path)
            guard state.image.node(new) == nil else { throw Failure(number: EEXIST) }
            state.image.link(node, at: try Self.place(state, new))
            return 0
        }
    }

    func unlink(_ path: String) -> Int32 {
        result(.unlink, path) { (state) throws(Failure) in
            guard !state.image.isFolder(try Self.node(state, path)) else { throw Failure(number: EISDIR) }
            state.image.remove(try Self.place(state, path))
            return 0
        }
    }

    func makeFolder(_ path: String, _ mode: mode_t) -> Int32 {
        let isThere = state.withLock { $0.image.node(path) != nil }
        return result(.makeFolder, path, isStep: !isThere) { (state) throws(Failure) in
            guard state.image.node(path) == nil else { throw Failure(number: EEXIST) }
            _ = state.image.add(.folder, at: try Self.place(state, path))
            return 0
        }
    }

    func removeFolder(_ path: String) -> Int32 {
        result(.removeFolder, path) { (state) throws(Failure) in
            guard state.image.names(try Self.node(state, path)).isEmpty else { throw Failure(number: ENOTEMPTY) }
            state.image.remove(try Self.place(state, path))
            return 0
        }
    }

    func status(_ path: String, into status: inout stat) -> Int32 {
        fill(&status, path) { (state) throws(Failure) in try Self.node(state, path) }
    }

    func status(_ file: Int32, into status: inout stat) -> Int32 {
        fill(&status, path(file)) { (state) throws(Failure) in try Self.opened(state, file) }
    }

    private func fill(
        _ status: inout stat, _ path: String, _ find: (State) throws(Failure) -> Int
    ) -> Int32 {
        var size = 0
        let node = result(.status, path, isStep: false) { (state) throws(Failure) in
            let node = try find(state)
            size = state.image.file(node)?.bytes.count ?? -1
            return node
        }
        guard node >= 0 else { return -1 }
        status = stat()
        status.st_mode = size < 0 ? S_IFDIR : S_IFREG
        status.st_size = max(0, size)
        status.st_ino = ino_t(node)
        status.st_dev = 1
        return 0
    }

    func freeSpace(_ path: String, into space: inout statvfs) -> Int32 {
        space = statvfs()
        return 0
    }

    func lock(_ file: Int32) -> Int32 {
        result(.lock, path(file), isStep: false) { (state) throws(Failure) in
            guard state.lockedBy == nil else { throw Failure(number: EWOULDBLOCK) }
            state.lockedBy = file
            return 0
        }
    }

    func readAhead(_ file: Int32, from offset: Int64, count: Int64) {}

    func allocate(_ file: Int32, sizeBytes: Int64) -> Int32 {
        errno = EOPNOTSUPP
        return -1
    }

    /// As on a file system that cannot share blocks.
    func copyRange(_ source: Int32, to file: Int32, at offset: Int64, count: Int) -> Int {
        errno = EOPNOTSUPP
        return -1
    }

    func dropCache(_ file: Int32, from offset: Int64, count: Int64) {
        state.withLock { state in
            if let node = state.open[file]?.node { state.image.dropCache(node) }
        }
    }

    func list(_ path: String) -> [String]? {
        var names: [String] = []
        let done = result(.list, path, isStep: false) { (state) throws(Failure) in
            let node = try Self.node(state, path)
            guard state.image.isFolder(node) else { throw Failure(number: ENOTDIR) }
            names = state.image.names(node)
            return 0
        }
        return done < 0 ? nil : names
    }
}
