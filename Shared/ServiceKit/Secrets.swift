// Secrets: credentials come from files and nowhere else. A configuration names a reference, "folder/file", below one
// directory; Kubernetes mounts a secret as such a folder. Each use reads the file again, or sees by its
// version that it is the same, so that a rotated credential is taken
// without a restart.
import Foundation
import Glibc

/// Why a secret cannot be had. Never says what is in the file.
public struct SecretError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The reference that was asked for.
    public let reference: String
    /// What was wrong and what to do.
    public let detail: String

    /// One line.
    public var description: String { "secret '\(reference)': \(detail)" }
}

/// Reads one file that holds a credential.
public enum SecretFile {
    /// Certificates with their chain fit; a video does not.
    public static let maximumBytes = 64 * 1024

    /// The file's text without the line end that editors add.
    ///
    /// `reference` is relative to `directory`, '/' between parts; no part is empty or begins with "..". Symbolic links are
    /// followed as long as they end below the directory, as those of Kubernetes do (`file -> ..data/file`).
    public static func read(_ reference: String, below directory: String) throws(SecretError) -> Redacted<String> {
        let bytes = try readBytes(reference, below: directory)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw SecretError(reference: reference, detail: "the file is not text in UTF-8")
        }
        var trimmed = text[...]
        if trimmed.unicodeScalars.last == "\n" { trimmed.unicodeScalars.removeLast() }
        if trimmed.unicodeScalars.last == "\r" { trimmed.unicodeScalars.removeLast() }
        guard !trimmed.isEmpty else {
            throw SecretError(reference: reference, detail: "the file is empty: write the secret to it")
        }
        Redaction.remember(String(trimmed))
        return Redacted(String(trimmed))
    }

    /// The text of the file that a setting names: an absolute path, or a reference below `directory`. An absolute path counts
    /// as a reference below its own folder.
    public static func read(path: String, below directory: String) throws(SecretError) -> Redacted<String> {
        let (reference, folder) = place(of: path, below: directory)
        return try read(reference, below: folder)
    }

    /// What a setting names, as a reference and the folder that it is relative to.
    fileprivate static func place(of path: String, below directory: String) -> (reference: String, folder: String) {
        guard path.utf8.first == UInt8(ascii: "/"), let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else {
            return (path, directory)
        }
        let folder = path[..<slash]
        return (String(path[path.utf8.index(after: slash)...]), folder.isEmpty ? "/" : String(folder))
    }

    /// Where the reference leads; for libraries that open the file themselves, such as those for certificates.
    public static func path(_ reference: String, below directory: String) throws(SecretError) -> String {
        // Bytes, because for Character '/' with a combining accent is no '/'.
        let parts = reference.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard !reference.isEmpty, reference.utf8.count <= 1024, !reference.utf8.contains(where: { $0 < 0x20 }),
            parts.allSatisfy({ !$0.isEmpty && !$0.elementsEqual(".".utf8) && !$0.starts(with: "..".utf8) })
        else {
            throw SecretError(
                reference: String(reference.filter { !$0.isNewline }.prefix(100)),
                detail: "a reference is folder/file below secrets-directory, without '..' and without a leading '/'")
        }
        guard let root = realPath(directory) else {
            throw SecretError(reference: reference, detail: "there is no folder \(directory): check secrets-directory")
        }
        guard let path = realPath(directory + "/" + reference) else {
            throw SecretError(
                reference: reference, detail: "there is no such file below \(directory): \(errorText(errno))")
        }
        guard path.utf8.starts(with: (root == "/" ? "/" : root + "/").utf8) else {
            throw SecretError(reference: reference, detail: "it is a symbolic link out of \(directory)")
        }
        return path
    }

    fileprivate static func readBytes(_ reference: String, below directory: String) throws(SecretError) -> [UInt8] {
        let path = try path(reference, below: directory)
        // The path is resolved; a link put there since is refused. Opening a FIFO must not wait for its other end.
        let file = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else {
            throw SecretError(reference: reference, detail: "it cannot be opened: \(errorText(errno))")
        }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw SecretError(reference: reference, detail: "it is not a file: name the file inside the folder")
        }
        var buffer = [UInt8](repeating: 0, count: maximumBytes + 1)
        var count = 0
        while count < buffer.count {
            let got = buffer.withUnsafeMutableBytes { bytes in
                Glibc.read(
                    file, UnsafeMutableRawBufferPointer(rebasing: bytes[count...]).baseAddress, bytes.count - count)
            }
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else {
                throw SecretError(reference: reference, detail: "it cannot be read: \(errorText(errno))")
            }
            if got == 0 { break }
            count += got
        }
        guard count <= maximumBytes else {
            throw SecretError(reference: reference, detail: "the file is larger than 64 KiB: is it the right one?")
        }
        return Array(buffer.prefix(count))
    }

    private static func realPath(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        // realpath allocated it with malloc for us, because the second argument was nil.
        defer { free(resolved) }
        return String(cString: resolved)
    }
}

/// Which content a file has, without reading it: another file, or one that was written since, has another version. Two writes of
/// the same length within a tick of the file system's clock (some milliseconds) may look the same.
public struct SecretVersion: Sendable, Hashable {
    private struct Time: Hashable {
        let seconds: Int
        let nanoseconds: Int

        init(_ time: timespec) { (seconds, nanoseconds) = (time.tv_sec, time.tv_nsec) }
    }

    private let device: dev_t
    private let inode: ino_t
    private let sizeBytes: off_t
    private let written: Time
    private let changed: Time

    fileprivate init(_ status: stat) {
        (device, inode, sizeBytes) = (status.st_dev, status.st_ino, status.st_size)
        (written, changed) = (Time(status.st_mtim), Time(status.st_ctim))
    }
}

/// The secrets of a service: those below its secrets-directory.
public struct SecretStore: Sendable {
    /// The directory that references are relative to.
    public let directory: String

    /// References are looked up below `directory`.
    public init(directory: String) { self.directory = directory }

    /// The secret as it is now.
    public func read(_ reference: String) throws(SecretError) -> Redacted<String> {
        try SecretFile.read(reference, below: directory)
    }

    /// The secret in the file that a setting names, as it is now: an absolute path, or a reference.
    public func read(path: String) throws(SecretError) -> Redacted<String> {
        try SecretFile.read(path: path, below: directory)
    }

    /// The version of that file; nil where there is none. Says nothing of whether it may be read.
    public func version(path: String) -> SecretVersion? {
        let (reference, folder) = SecretFile.place(of: path, below: directory)
        var status = stat()
        return stat(folder + "/" + reference, &status) == 0 ? SecretVersion(status) : nil
    }

    /// The certificates of a trust list, one after the other in PEM: those of all files of a folder, or of the one file that is
    /// named. Not kept from logs: certificates are public.
    public func readCertificates(_ reference: String) throws(SecretError) -> [UInt8] {
        let path = try path(reference)
        // What Kubernetes mounts has folders of its own beside the files, which begin with "..".
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: path) else {
            return try SecretFile.readBytes(reference, below: directory)
        }
        var bytes: [UInt8] = []
        for name in names.sorted() where !name.hasPrefix(".") {
            bytes += try SecretFile.readBytes("\(reference)/\(name)", below: directory) + [0x0A]
        }
        guard !bytes.isEmpty else {
            throw SecretError(reference: reference, detail: "no certificate lies in the folder")
        }
        return bytes
    }

    /// The same for what a setting names: an absolute path, or a reference.
    public func readCertificates(path: String) throws(SecretError) -> [UInt8] {
        let (reference, folder) = SecretFile.place(of: path, below: directory)
        return try SecretStore(directory: folder).readCertificates(reference)
    }

    /// Where the reference leads now.
    public func path(_ reference: String) throws(SecretError) -> String {
        try SecretFile.path(reference, below: directory)
    }
}
