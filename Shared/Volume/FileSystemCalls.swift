// The one door to the operating system: every system call of this module passes here, is retried on EINTR, turns errno
// into a VolumeError, and is a numbered fault point, so that tests can make the n-th call fail (FaultPlan in the tests).
// What the calls are used for: StagedFile.swift, VolumeRoot.swift, FolderLedger.swift, FileReader.swift.
import Glibc

/// The system calls that this module makes; the name is what an error message says failed.
public enum FileSystemCall: String, Sendable, Hashable, CaseIterable {
    case open, create, read, write, datasync, sync, truncate, rename, link, unlink, status, list, lock
    case makeFolder = "make folder"
    case removeFolder = "remove folder"
    case freeSpace = "free space"
    case dropCache = "drop cache"
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

    init(number: Int32, path: String) {
        self.number = number
        self.path = path
    }

    deinit { _ = close(number) }
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

    /// Calls that pass `interceptor` first; for tests.
    public init(interceptor: Interceptor?) {
        self.interceptor = interceptor
    }

    func open(_ path: String, _ flags: Int32, call: FileSystemCall = .open) throws(VolumeError) -> OpenFile {
        let number = try result(call, path) { Glibc.open(path, flags | O_CLOEXEC, Self.fileMode) }
        return OpenFile(number: number, path: path)
    }

    /// Writes all of `bytes` at `offset`, however many calls that takes; gives how many arrived when it fails.
    func write(_ file: OpenFile, _ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(VolumeError) {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let position = off_t(offset) + done
            let written = try result(.write, file.path, limit: rest.count) { count in
                pwrite(file.number, rest.baseAddress, count, position)
            }
            // A write of nothing would loop for ever; POSIX allows it only for devices.
            guard written > 0 else { throw VolumeError(errno: EIO, call: .write, path: file.path) }
            done += written
        }
    }

    /// Fills the first `limit` bytes of `buffer` from `offset`; gives how many there were, less only at the end of the file.
    func read(
        _ file: OpenFile, into buffer: inout [UInt8], limit: Int, at offset: Int64
    ) throws(VolumeError) -> Int {
        var done = 0
        let wanted = min(limit, buffer.count)
        while done < wanted {
            let position = off_t(offset) + done
            // withUnsafeMutableBytes knows no typed errors, hence the detour by Result.
            let count = try buffer.withUnsafeMutableBytes { bytes in
                let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[done..<wanted])
                return Result { () throws(VolumeError) in
                    try result(.read, file.path) { pread(file.number, rest.baseAddress, rest.count, position) }
                }
            }.get()
            if count == 0 { break }
            done += count
        }
        return done
    }

    func datasync(_ file: OpenFile) throws(VolumeError) {
        _ = try result(.datasync, file.path) { fdatasync(file.number) }
    }

    func sync(_ file: OpenFile) throws(VolumeError) {
        _ = try result(.sync, file.path) { fsync(file.number) }
    }

    func truncate(_ file: OpenFile, to sizeBytes: Int64) throws(VolumeError) {
        _ = try result(.truncate, file.path) { ftruncate(file.number, off_t(sizeBytes)) }
    }

    /// Makes the entries of a folder durable: names created in it, renamed into it, removed from it.
    func syncFolder(_ path: String) throws(VolumeError) {
        try sync(try open(path, O_RDONLY | O_DIRECTORY))
    }

    func unlink(_ path: String) throws(VolumeError) {
        _ = try result(.unlink, path) { Glibc.unlink(path) }
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
        _ = try result(.link, new) { Glibc.link(path, new) }
    }

    /// Renames without replacing. Kind `.unsupported` or `.system` (EINVAL) where the file system cannot do that.
    func renameNoReplace(_ path: String, to new: String) throws(VolumeError) {
        guard let call = Self.renameat2 else { throw VolumeError(errno: ENOSYS, call: .rename, path: new) }
        _ = try result(.rename, new) { call(AT_FDCWD, path, AT_FDCWD, new, Self.noReplace) }
    }

    func makeFolder(_ path: String) throws(VolumeError) {
        _ = try result(.makeFolder, path) { mkdir(path, Self.folderMode) }
    }

    func removeFolder(_ path: String) throws(VolumeError) {
        _ = try result(.removeFolder, path) { rmdir(path) }
    }

    /// Status of the path itself; a symbolic link is not followed.
    func status(_ path: String) throws(VolumeError) -> stat {
        var status = stat()
        _ = try result(.status, path) { lstat(path, &status) }
        return status
    }

    func status(_ file: OpenFile) throws(VolumeError) -> stat {
        var status = stat()
        _ = try result(.status, file.path) { fstat(file.number, &status) }
        return status
    }

    func freeSpace(_ path: String) throws(VolumeError) -> statvfs {
        var space = statvfs()
        _ = try result(.freeSpace, path) { statvfs(path, &space) }
        return space
    }

    /// Takes the lock or fails at once with EWOULDBLOCK. It goes with the last reference to the file, also on kill.
    func lock(_ file: OpenFile) throws(VolumeError) {
        _ = try result(.lock, file.path) { flock(file.number, LOCK_EX | LOCK_NB) }
    }

    /// Asks the kernel to forget its copy, so that the next read comes from the storage. A hint: failure is harmless.
    func dropCache(_ file: OpenFile) {
        if interceptor?(.dropCache, file.path) != nil { return }
        _ = posix_fadvise(file.number, 0, 0, POSIX_FADV_DONTNEED)
    }

    /// Names in a folder without "." and "..", sorted.
    func list(_ path: String) throws(VolumeError) -> [String] {
        if case .errno(let number) = interceptor?(.list, path) {
            throw VolumeError(errno: number, call: .list, path: path)
        }
        guard let folder = opendir(path) else { throw VolumeError(errno: errno, call: .list, path: path) }
        defer { closedir(folder) }
        var names: [String] = []
        while true {
            errno = 0
            // The entry stays valid until the next readdir on this stream, which no one else has.
            guard let entry = readdir(folder) else { break }
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        guard errno == 0 else { throw VolumeError(errno: errno, call: .list, path: path) }
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

    private typealias Renameat2 =
        @convention(c) (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32) -> Int32
    private static let noReplace: UInt32 = 1

    // Swift's Glibc module does not declare renameat2 (it is behind _GNU_SOURCE). The cast is sound because glibc has
    // exported the function with exactly this signature since 2.28; where it is absent we fall back to link.
    private static let renameat2: Renameat2? = dlsym(nil, "renameat2").map { unsafeBitCast($0, to: Renameat2.self) }
}

extension [UInt8] {
    /// `withUnsafeBytes` with a typed error.
    func withBytes(_ body: (UnsafeRawBufferPointer) throws(VolumeError) -> Void) throws(VolumeError) {
        try withUnsafeBytes { buffer in Result { () throws(VolumeError) in try body(buffer) } }.get()
    }
}
