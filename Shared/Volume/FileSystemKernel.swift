// What the operating system does for this module, one function per system call, as plain as the calls themselves: a number
// below 0 is a failure, and `errno` says which. FileSystemCalls.swift makes errors of it and is the only user. Beside the real
// calls (LinuxKernel) there is only the disk that tests emulate, which forgets what was not synced.
import Glibc

/// The system calls that this module needs.
protocol FileSystemKernel: Sendable {
    func open(_ path: String, _ flags: Int32, _ mode: mode_t) -> Int32
    func close(_ file: Int32)
    func write(_ file: Int32, _ bytes: UnsafeRawBufferPointer, at offset: Int64) -> Int
    func read(_ file: Int32, into bytes: UnsafeMutableRawBufferPointer, at offset: Int64) -> Int
    /// fdatasync: the content, and of the rest what is needed to read it.
    func datasync(_ file: Int32) -> Int32
    /// sync_file_range: begins to write what of the range lies in memory; `waits`: until the device has it. A power cut may still take it.
    func writeBack(_ file: Int32, from offset: Int64, count: Int64, waits: Bool) -> Int32
    /// fsync; of a folder its entries.
    func sync(_ file: Int32) -> Int32
    func truncate(_ file: Int32, to sizeBytes: Int64) -> Int32
    func rename(_ path: String, toFree new: String) -> Int32
    func link(_ path: String, to new: String) -> Int32
    func unlink(_ path: String) -> Int32
    func makeFolder(_ path: String, _ mode: mode_t) -> Int32
    func removeFolder(_ path: String) -> Int32
    /// Of the path itself; a symbolic link is not followed.
    func status(_ path: String, into status: inout stat) -> Int32
    func status(_ file: Int32, into status: inout stat) -> Int32
    func freeSpace(_ path: String, into space: inout statvfs) -> Int32
    func lock(_ file: Int32) -> Int32
    func dropCache(_ file: Int32, from offset: Int64, count: Int64)
    /// Begins to read what will be asked for soon; nobody waits.
    func readAhead(_ file: Int32, from offset: Int64, count: Int64)
    /// Takes room for a file of this size, which it has from then on.
    func allocate(_ file: Int32, sizeBytes: Int64) -> Int32
    /// copy_file_range at the same offset of both: the file system shares the blocks where it can, else the bytes stay in the kernel.
    func copyRange(_ source: Int32, to file: Int32, at offset: Int64, count: Int) -> Int
    /// Names in a folder in any order, without "." and ".."; nil is a failure.
    func list(_ path: String) -> [String]?
}

/// The real calls.
struct LinuxKernel: FileSystemKernel {
    func open(_ path: String, _ flags: Int32, _ mode: mode_t) -> Int32 { Glibc.open(path, flags, mode) }
    func close(_ file: Int32) { _ = Glibc.close(file) }

    func write(_ file: Int32, _ bytes: UnsafeRawBufferPointer, at offset: Int64) -> Int {
        pwrite(file, bytes.baseAddress, bytes.count, off_t(offset))
    }

    func read(_ file: Int32, into bytes: UnsafeMutableRawBufferPointer, at offset: Int64) -> Int {
        pread(file, bytes.baseAddress, bytes.count, off_t(offset))
    }

    func datasync(_ file: Int32) -> Int32 { fdatasync(file) }
    func sync(_ file: Int32) -> Int32 { fsync(file) }

    func writeBack(_ file: Int32, from offset: Int64, count: Int64, waits: Bool) -> Int32 {
        guard let call = Self.syncFileRange else {
            errno = ENOSYS
            return -1
        }
        // SYNC_FILE_RANGE_WRITE; with _WAIT_BEFORE and _WAIT_AFTER it is there when the call returns.
        return call(file, off_t(offset), off_t(count), waits ? 7 : 2)
    }

    func truncate(_ file: Int32, to sizeBytes: Int64) -> Int32 { ftruncate(file, off_t(sizeBytes)) }

    func rename(_ path: String, toFree new: String) -> Int32 {
        guard let call = Self.renameat2 else {
            errno = ENOSYS
            return -1
        }
        return call(AT_FDCWD, path, AT_FDCWD, new, Self.noReplace)
    }

    func link(_ path: String, to new: String) -> Int32 { Glibc.link(path, new) }
    func unlink(_ path: String) -> Int32 { Glibc.unlink(path) }
    func makeFolder(_ path: String, _ mode: mode_t) -> Int32 { mkdir(path, mode) }
    func removeFolder(_ path: String) -> Int32 { rmdir(path) }
    func status(_ path: String, into status: inout stat) -> Int32 { lstat(path, &status) }
    func status(_ file: Int32, into status: inout stat) -> Int32 { fstat(file, &status) }
    func freeSpace(_ path: String, into space: inout statvfs) -> Int32 { statvfs(path, &space) }
    func lock(_ file: Int32) -> Int32 { flock(file, LOCK_EX | LOCK_NB) }
    func copyRange(_ source: Int32, to file: Int32, at offset: Int64, count: Int) -> Int {
        guard let call = Self.copyFileRange else {
            errno = ENOSYS
            return -1
        }
        var (from, to) = (off_t(offset), off_t(offset))
        return call(source, &from, file, &to, count, 0)
    }

    func readAhead(_ file: Int32, from offset: Int64, count: Int64) {
        _ = posix_fadvise(file, off_t(offset), off_t(count), POSIX_FADV_WILLNEED)
    }

    func allocate(_ file: Int32, sizeBytes: Int64) -> Int32 {
        // The number is the answer here, not in errno.
        let failure = posix_fallocate(file, 0, off_t(sizeBytes))
        guard failure != 0 else { return 0 }
        errno = failure
        return -1
    }

    func dropCache(_ file: Int32, from offset: Int64, count: Int64) {
        _ = posix_fadvise(file, off_t(offset), off_t(count), POSIX_FADV_DONTNEED)
    }

    func list(_ path: String) -> [String]? {
        guard let folder = opendir(path) else { return nil }
        defer {
            let failure = errno
            closedir(folder)
            errno = failure
        }
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
        return errno == 0 ? names : nil
    }

    private typealias Renameat2 =
        @convention(c) (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32) -> Int32
    private static let noReplace: UInt32 = 1

    private typealias CopyFileRange =
        @convention(c) (Int32, UnsafeMutablePointer<off_t>?, Int32, UnsafeMutablePointer<off_t>?, Int, UInt32) -> Int

    // As renameat2 below: glibc has exported it with this signature since 2.27.
    private static let copyFileRange: CopyFileRange? = dlsym(nil, "copy_file_range").map {
        unsafeBitCast($0, to: CopyFileRange.self)
    }

    private typealias SyncFileRange = @convention(c) (Int32, off_t, off_t, UInt32) -> Int32

    // As renameat2 below: glibc has exported it with this signature since 2.6.
    private static let syncFileRange: SyncFileRange? = dlsym(nil, "sync_file_range").map {
        unsafeBitCast($0, to: SyncFileRange.self)
    }

    // Swift's Glibc module does not declare renameat2 (it is behind _GNU_SOURCE). The cast is sound because glibc has
    // exported the function with exactly this signature since 2.28; where it is absent we fall back to link.
    private static let renameat2: Renameat2? = dlsym(nil, "renameat2").map { unsafeBitCast($0, to: Renameat2.self) }
}
