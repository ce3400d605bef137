// The folders that sources of the scheme file may be in. A configuration names a path; the kernel sees to it that it leads nowhere
// else (openat2 beneath the root): not by "..", not by a symbolic link, not by /proc.
import CConfinement
import Foundation
import Glibc
import ServiceKit

/// An open file or folder of a source. Closed with its last reference.
final class SourceEntry: Sendable {
    /// What it is. Anything else is refused: a pipe or a device would give a configuration access to the host.
    enum Kind: Sendable { case file, folder }

    let descriptor: Int32
    let kind: Kind
    let sizeBytes: Int64
    let modifiedUs: Int64

    fileprivate init(opening path: String, beneath root: Int32) throws(ConnectionFailure) {
        let opened = sg_confinement_open_beneath(root, path.isEmpty ? "." : path)
        guard opened >= 0 else {
            switch -opened {
            case EXDEV, ELOOP:
                throw ConnectionFailure(
                    cause: .notFound, reason: "the file lies outside of media-roots: a link or \"..\" leads out of it")
            case let code:
                throw ConnectionFailure(
                    cause: .notFound, reason: "the file cannot be opened: \(String(cString: strerror(code)))")
            }
        }
        var status = stat()
        _ = fstat(opened, &status)
        switch status.st_mode & S_IFMT {
        case S_IFREG: kind = .file
        case S_IFDIR: kind = .folder
        default:
            Glibc.close(opened)
            throw ConnectionFailure(cause: .notFound, reason: "there is neither a file nor a folder at this path")
        }
        descriptor = opened
        sizeBytes = Int64(status.st_size)
        modifiedUs = Int64(status.st_mtim.tv_sec) * 1_000_000 + Int64(status.st_mtim.tv_nsec) / 1000
    }

    deinit { Glibc.close(descriptor) }

    /// At most `count` bytes from `offset` on; none at the end.
    func read(at offset: Int64, count: Int) throws(ConnectionFailure) -> [UInt8] {
        var code: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { room, filled in
            let got = pread(descriptor, room.baseAddress, count, off_t(offset))
            if got < 0 { code = errno }
            filled = max(0, got)
        }
        guard code == 0 else {
            throw ConnectionFailure(
                cause: .silent, reason: "the file cannot be read: \(String(cString: strerror(code)))")
        }
        return bytes
    }

    /// A file of this folder, or in it.
    func entry(_ name: String) throws(ConnectionFailure) -> SourceEntry {
        try SourceEntry(opening: name, beneath: descriptor)
    }

    /// Names of what is in this folder, in the order of their bytes; those that begin with a dot are passed over.
    func names() throws(ConnectionFailure) -> [String] {
        // A descriptor of its own, because reading moves it; by way of our own folder it is the same one, wherever it lies.
        let copy = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0, let folder = fdopendir(copy) else {
            if copy >= 0 { Glibc.close(copy) }
            throw ConnectionFailure(
                cause: .notFound, reason: "the folder cannot be read: \(String(cString: strerror(errno)))")
        }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }
}

/// The roots.
struct MediaRoots: Sendable {
    /// Absolute, without a '/' at the end.
    let folders: [String]

    init(_ folders: [String]) {
        self.folders = folders.map { $0.count > 1 && $0.hasSuffix("/") ? String($0.dropLast()) : $0 }
    }

    /// Opens what a file:// address names.
    func open(_ address: String) throws(ConnectionFailure) -> SourceEntry {
        guard let path = Self.path(address) else {
            throw ConnectionFailure(
                cause: .protocolError, reason: "the address is no file of this host: file:///folder/film.mkv")
        }
        guard let root = folders.first(where: { path == $0 || path.hasPrefix($0 + "/") || $0 == "/" }) else {
            let known = folders.isEmpty ? "none is set" : folders.joined(separator: ", ")
            throw ConnectionFailure(
                cause: .notFound,
                reason:
                    "\(path) lies below none of this controller's media-roots (\(known)): move it there, or set the root"
            )
        }
        let descriptor = Glibc.open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw ConnectionFailure(
                cause: .notFound, reason: "media-roots: \(root) cannot be opened: \(String(cString: strerror(errno)))")
        }
        defer { Glibc.close(descriptor) }
        return try SourceEntry(
            opening: String(path.dropFirst(root.count).drop { $0 == "/" }), beneath: descriptor)
    }

    /// The path of a file URL of this host, which documents of AIO also call "localhost" or "host"; nil for another one.
    static func path(_ address: String) -> String? {
        guard address.lowercased().hasPrefix("file://") else { return nil }
        let rest = address.dropFirst(7)
        guard let slash = rest.firstIndex(of: "/"), ["", "localhost", "host"].contains(rest[..<slash]),
            let path = String(rest[slash...]).removingPercentEncoding, !path.utf8.contains(0)
        else { return nil }
        return path
    }
}
