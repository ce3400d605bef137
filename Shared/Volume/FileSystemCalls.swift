// The one door to the operating system: every system call of this module passes here, is retried on EINTR, turns errno
// into a VolumeError, and is a numbered fault point, so that tests can make the n-th call fail (FaultPlan in the tests).
// The calls themselves: FileSystemKernel.swift. What they are used for: StagedFile.swift, VolumeRoot.swift,
// FolderLedger.swift, FileReader.swift.
import Glibc

/// The system calls that this module makes; the name is what an error message says failed.
public enum FileSystemCall: String, Sendable, Hashable, CaseIterable {
    case open, create, read, write, datasync, sync, truncate, rename, link, unlink, status, list, lock
    case makeFolder = "make folder"
    case removeFolder = "remove folder"
    case freeSpace = "free space"
    case dropCache = "drop cache"
    case writeBack = "write back"
    case copyRange = "copy range"
    case allocate
}

/// What a test makes of a call.
public enum FileSystemFault: Sendable, Hashable {
    /// The call fails with this errno and has no effect.
    case errno(Int32)
    /// A write takes only this many bytes (at least 1); other calls go on unharmed.
    case shortWrite(Int)
}

/// An open file; closed when the last reference goes, so that no thread can use a number that was given out again.
public final class OpenFile: Sendable {
    let number: Int32
    /// Its path, for messages.
    public let path: String
    private let kernel: any FileSystemKernel

    init(number: Int32, path: String, kernel: any FileSystemKernel) {
        self.number = number
        self.path = path
        self.kernel = kernel
    }

    deinit { kernel.close(number) }
}

/// The system calls. `FileSystemCalls.live` makes them; an interceptor sees each one first.
public struct FileSystemCalls: Sendable {
    /// Asked before each attempt of a call; nil lets it happen.
    public typealias Interceptor = @Sendable (FileSystemCall, String) -> FileSystemFault?

    /// The real calls.
    public static let live = FileSystemCalls(interceptor: nil)

    /// Files: the owner writes, the group reads. Other services run as other users in the same group.
    static let fileMode: mode_t = 0o640
    /// Folders: the group may add and remove, because the uploader unlinks what the archiver wrote.
    static let folderMode: mode_t = 0o770

    private let interceptor: Interceptor?
    private let kernel: any FileSystemKernel

    /// Calls that pass `interceptor` first; for tests.
    public init(interceptor: Interceptor?) {
        self.init(interceptor: interceptor, kernel: LinuxKernel())
    }

    /// Calls of another kernel than the host's; for tests.
    init(interceptor: Interceptor?, kernel: any FileSystemKernel) {
        self.interceptor = interceptor
        self.kernel = kernel
    }

    func open(_ path: String, _ flags: Int32, call: FileSystemCall = .open) throws(VolumeError) -> OpenFile {
        let number = try result(call, path) { kernel.open(path, flags | O_CLOEXEC, Self.fileMode) }
        return OpenFile(number: number, path: path, kernel: kernel)
    }

    /// Writes all of `bytes` at `offset`, however many calls that takes; gives how many arrived when it fails.
    func write(_ file: OpenFile, _ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(VolumeError) {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let position = offset + Int64(done)
            let written = try result(.write, file.path, limit: rest.count) { count in
                kernel.write(file.number, UnsafeRawBufferPointer(rebasing: rest[..<count]), at: position)
            }
            // A write of nothing would loop for ever; POSIX allows it only for devices.
            guard written > 0 else { throw VolumeError(errno: EIO, call: .write, path: file.path) }
            done += written
        }
    }

    /// Fills `limit` bytes of `buffer`, those behind the first `start`, from `offset` of the file; gives how many there were, less only
    /// at the end of the file.
    func read(
        _ file: OpenFile, into buffer: inout [UInt8], from start: Int = 0, limit: Int, at offset: Int64
    ) throws(VolumeError) -> Int {
        let wanted = max(0, min(limit, buffer.count - start))
        // withUnsafeMutableBytes knows no typed errors, hence the detour by Result.
        return try buffer.withUnsafeMutableBytes { bytes in
            let room = UnsafeMutableRawBufferPointer(rebasing: bytes[start..<start + wanted])
            return Result { () throws(VolumeError) in try read(file, into: room, at: offset) }
        }.get()
    }

    /// Fills all of `room` from `offset` of the file; gives how many bytes there were, less only at the end of the file.
    func read(_ file: OpenFile, into room: UnsafeMutableRawBufferPointer, at offset: Int64) throws(VolumeError) -> Int {
        var done = 0
        while done < room.count {
            let position = offset + Int64(done)
            let rest = UnsafeMutableRawBufferPointer(rebasing: room[done...])
            let count = try result(.read, file.path) { kernel.read(file.number, into: rest, at: position) }
            if count == 0 { break }
            done += count
        }
        return done
    }

    /// Copies `bytes`, which were just read from `source` at `offset`, to the same offset of `file`: inside the kernel where it can
    /// do that between these two files, else by writing them.
    func copy(
        _ bytes: UnsafeRawBufferPointer, of source: OpenFile, to file: OpenFile, at offset: Int64
    ) throws(VolumeError) {
        var done = 0
        while done < bytes.count {
            let (at, left) = (offset + Int64(done), bytes.count - done)
            do throws(VolumeError) {
                let copied = try result(.copyRange, file.path) {
                    kernel.copyRange(source.number, to: file.number, at: at, count: left)
                }
                // The source became shorter: what was read of it is what counts.
                if copied == 0 { break }
                done += copied
            } catch let error
                where [EXDEV, EINVAL, EOPNOTSUPP, ENOSYS, EBADF, EPERM].contains(error.errno)
            {
                break
            }
        }
        if done < bytes.count {
            try write(file, UnsafeRawBufferPointer(rebasing: bytes[done...]), at: offset + Int64(done))
        }
    }

    func datasync(_ file: OpenFile) throws(VolumeError) {
        _ = try result(.datasync, file.path) { kernel.datasync(file.number) }
    }

    /// Begins to write a part of a file to the device, or `waits` until it is there, without the commit of the file system's journal
    /// that `datasync` is. Where there is no such call, waiting is `datasync`, and beginning is nothing.
    func writeBack(_ file: OpenFile, from offset: Int64, count: Int64, waits: Bool) throws(VolumeError) {
        do throws(VolumeError) {
            _ = try result(.writeBack, file.path) {
                kernel.writeBack(file.number, from: offset, count: count, waits: waits)
            }
        } catch let error where [ENOSYS, ESPIPE, EINVAL, EPERM].contains(error.errno) {
            if waits { try datasync(file) }
        }
    }

    func sync(_ file: OpenFile) throws(VolumeError) {
        _ = try result(.sync, file.path) { kernel.sync(file.number) }
    }

    func truncate(_ file: OpenFile, to sizeBytes: Int64) throws(VolumeError) {
        _ = try result(.truncate, file.path) { kernel.truncate(file.number, to: sizeBytes) }
    }

    /// Makes the entries of a folder durable: names created in it, renamed into it, removed from it.
    func syncFolder(_ path: String) throws(VolumeError) {
        try sync(try open(path, O_RDONLY | O_DIRECTORY))
    }

    func unlink(_ path: String) throws(VolumeError) {
        _ = try result(.unlink, path) { kernel.unlink(path) }
    }

    /// False when there was nothing to remove.
    func unlinkIfThere(_ path: String) throws(VolumeError) -> Bool {
        do throws(VolumeError) {
            try unlink(path)
            return true
        } catch let error where error.kind == .missing {
            return false
        }
    }

    func link(_ path: String, to new: String) throws(VolumeError) {
        _ = try result(.link, new) { kernel.link(path, to: new) }
    }

    /// Renames without replacing. Kind `.unsupported` or `.system` (EINVAL) where the file system cannot do that.
    func renameNoReplace(_ path: String, to new: String) throws(VolumeError) {
        _ = try result(.rename, new) { kernel.rename(path, toFree: new) }
    }

    func makeFolder(_ path: String) throws(VolumeError) {
        _ = try result(.makeFolder, path) { kernel.makeFolder(path, Self.folderMode) }
    }

    func removeFolder(_ path: String) throws(VolumeError) {
        _ = try result(.removeFolder, path) { kernel.removeFolder(path) }
    }

    /// Status of the path itself; a symbolic link is not followed.
    func status(_ path: String) throws(VolumeError) -> stat {
        var status = stat()
        _ = try result(.status, path) { kernel.status(path, into: &status) }
        return status
    }

    func status(_ file: OpenFile) throws(VolumeError) -> stat {
        var status = stat()
        _ = try result(.status, file.path) { kernel.status(file.number, into: &status) }
        return status
    }

    func freeSpace(_ path: String) throws(VolumeError) -> statvfs {
        var space = statvfs()
        _ = try result(.freeSpace, path) { kernel.freeSpace(path, into: &space) }
        return space
    }

    /// Takes the lock or fails at once with EWOULDBLOCK. It goes with the last reference to the file, also on kill.
    func lock(_ file: OpenFile) throws(VolumeError) {
        _ = try result(.lock, file.path) { kernel.lock(file.number) }
    }

    /// Asks the kernel to forget its copy, so that the next read comes from the storage. A hint: failure is harmless.
    /// `count` 0: to the end.
    func dropCache(_ file: OpenFile, from offset: Int64 = 0, count: Int64 = 0) {
        if interceptor?(.dropCache, file.path) != nil { return }
        kernel.dropCache(file.number, from: offset, count: count)
    }

    /// Begins to read what will be asked for soon. A hint, as `dropCache`.
    func readAhead(_ file: OpenFile, from offset: Int64, count: Int64) {
        kernel.readAhead(file.number, from: offset, count: count)
    }

    /// Takes room for a file of this size at once, where the file system can do that: appending is quicker then, and a disk that is
    /// too full is told before anything is written.
    func allocate(_ file: OpenFile, sizeBytes: Int64) throws(VolumeError) {
        do throws(VolumeError) {
            _ = try result(.allocate, file.path) { kernel.allocate(file.number, sizeBytes: sizeBytes) }
        } catch let error where error.kind == .full {
            throw error
        } catch {
            // The file grows as it is written.
        }
    }

    /// Names in a folder without "." and "..", sorted.
    func list(_ path: String) throws(VolumeError) -> [String] {
        if case .errno(let number) = interceptor?(.list, path) {
            throw VolumeError(errno: number, call: .list, path: path)
        }
        guard let names = kernel.list(path) else { throw VolumeError(errno: errno, call: .list, path: path) }
        return names.sorted()
    }

    /// One call: fault point, the call itself, again on EINTR, errno to error.
    private func result<Number: FixedWidthInteger>(
        _ call: FileSystemCall, _ path: String, _ body: () -> Number
    ) throws(VolumeError) -> Number {
        try result(call, path, limit: 0) { _ in body() }
    }

    private func result<Number: FixedWidthInteger>(
        _ call: FileSystemCall, _ path: String, limit: Int, _ body: (Int) -> Number
    ) throws(VolumeError) -> Number {
        while true {
            var count = limit
            switch interceptor?(call, path) {
            case .errno(EINTR): continue
            case .errno(let number): throw VolumeError(errno: number, call: call, path: path)
            case .shortWrite(let bytes): count = max(1, min(bytes, limit))
            case nil: break
            }
            let number = body(count)
            if number >= 0 { return number }
            if errno != EINTR { throw VolumeError(errno: errno, call: call, path: path) }
        }
    }
}

extension [UInt8] {
    /// `withUnsafeBytes` with a typed error.
    func withBytes(_ body: (UnsafeRawBufferPointer) throws(VolumeError) -> Void) throws(VolumeError) {
        try withUnsafeBytes { buffer in Result { () throws(VolumeError) in try body(buffer) } }.get()
    }
}
