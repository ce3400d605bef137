// A file outside of any volume that has its name only when it is complete: written beside it under a hidden name, then synced and
// named without replacing anything. A crash leaves the hidden file, which the next attempt begins anew.
import Glibc
import Synchronization

/// A growing file that gets its name last. Calls block; `beginWriteBack` may run beside appends. Dropping it leaves the hidden file.
public final class NewFile: Sendable {
    private struct State {
        var sizeBytes: Int64 = 0
        /// Only where it is wanted: it takes longer than the copying.
        var running: RunningDigest?
        var isOpen = true
        /// What is on its way to the storage.
        var begunBytes: Int64 = 0
        /// After a failed sync the kernel may call the next one a success.
        var failure: VolumeError?
    }

    /// The name it will have.
    public let path: String
    /// The name it has meanwhile.
    public let hiddenPath: String

    private let folder: String
    /// `path` with a folder in any case.
    private let finalPath: String
    private let file: OpenFile
    private let calls: FileSystemCalls
    private let state: Mutex<State>

    /// Begins a file beside `path`. Errors: `.exists` where something has that name, `.inUse` where another process writes the
    /// same file, and what the operating system reports.
    /// - Parameter isHashed: its SHA-256 is made along the way, and compared with what the storage gives back before it is published.
    public init(at path: String, isHashed: Bool = false, calls: FileSystemCalls = .live) throws(VolumeError) {
        let slash = path.lastIndex(of: "/")
        let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
        guard !name.isEmpty, name != ".", name != "..", !path.utf8.contains(0) else {
            throw VolumeError(.invalidName, path: path, "it names no file")
        }
        folder = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        self.path = path
        self.calls = calls
        state = Mutex(State(running: isHashed ? RunningDigest() : nil))
        finalPath = folder + "/" + name
        hiddenPath = folder + "/." + name + ".partial"
        try Self.checkFree(path, calls)
        file = try Self.begin(hiddenPath, calls)
    }

    private static func checkFree(_ path: String, _ calls: FileSystemCalls) throws(VolumeError) {
        do throws(VolumeError) { _ = try calls.status(path) } catch {
            if error.kind == .missing { return }
            throw error
        }
        throw VolumeError(.exists, path: path, "a file of this name is there already")
    }

    /// Opens the hidden file, alone.
    private static func begin(_ path: String, _ calls: FileSystemCalls) throws(VolumeError) -> OpenFile {
        while true {
            let file = try calls.open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, call: .create)
            do throws(VolumeError) { try calls.lock(file) } catch {
                if error.errno == EWOULDBLOCK {
                    throw VolumeError(.inUse, path: path, "another process writes this file")
                }
                // Where the file system knows no locks, nothing keeps a second writer away but the last step.
                guard [EOPNOTSUPP, ENOLCK, ENOSYS, EINVAL].contains(error.errno) else { throw error }
            }
            // Between opening and locking another process may have finished or removed it: then this is no longer the file of that name.
            let opened = try calls.status(file)
            guard opened.st_mode & S_IFMT == S_IFREG else {
                throw VolumeError(.exists, path: path, "something that is no file has this name")
            }
            if let named = try? calls.status(path), named.st_dev == opened.st_dev, named.st_ino == opened.st_ino {
                try calls.truncate(file, to: 0)
                return file
            }
        }
    }

    /// Takes room for so many bytes, all of which are to be appended.
    public func reserve(_ sizeBytes: Int64) throws(VolumeError) {
        if sizeBytes > 0 { try calls.allocate(file, sizeBytes: sizeBytes) }
    }

    /// Bytes appended so far.
    public var sizeBytes: Int64 { state.withLock { $0.sizeBytes } }

    /// Appends all of `bytes`. After a failure the file can only be discarded.
    public func append(_ bytes: UnsafeRawBufferPointer) throws(VolumeError) {
        try state.withLock { (state) throws(VolumeError) in
            guard state.isOpen else { throw VolumeError(.unusable, path: path, "it was published or discarded") }
            try calls.write(file, bytes, at: state.sizeBytes)
            state.sizeBytes += Int64(bytes.count)
            state.running?.update(bytes)
        }
    }

    /// The same from an array.
    public func append(_ bytes: [UInt8]) throws(VolumeError) {
        try bytes.withBytes { (buffer) throws(VolumeError) in try append(buffer) }
    }

    /// Size and SHA-256 of what was appended so far; nil where it is not hashed.
    public var digest: Digest? { state.withLock { $0.running?.digest } }

    /// Begins to bring what was appended to the storage, so that `publish` has less to wait for. Does not hold up appends. After a
    /// failure the file can only be discarded.
    public func beginWriteBack() throws(VolumeError) {
        let (start, end) = state.withLock { state in
            defer { state.begunBytes = state.sizeBytes }
            return (state.begunBytes, state.sizeBytes)
        }
        guard end > start else { return }
        do throws(VolumeError) {
            try calls.writeBack(file, from: start, count: end - start, waits: false)
        } catch {
            state.withLock { $0.failure = error }
            throw error
        }
    }

    /// Syncs it and gives it its name. Error `.exists` where something has that name by now; nothing is replaced;
    /// `.corrupted` where the storage gives back something else.
    public func publish() throws(VolumeError) {
        try state.withLock { (state) throws(VolumeError) in
            guard state.isOpen else { throw VolumeError(.unusable, path: path, "it was published or discarded") }
            if let failure = state.failure { throw failure }
            // Where more room was taken than was needed.
            if try calls.status(file).st_size != state.sizeBytes { try calls.truncate(file, to: state.sizeBytes) }
            try calls.sync(file)
            if let expected = state.running?.digest {
                let found = try FileReader(opening: hiddenPath, as: hiddenPath, calls).digest(fromStorage: true)
                guard found == expected else {
                    throw VolumeError(.corrupted, path: hiddenPath, "what was read back is not what was written")
                }
            }
            try VolumeRoot.publish(hiddenPath, as: finalPath, calls)
            state.isOpen = false
            try calls.syncFolder(folder)
        }
    }

    /// Removes the hidden file. Harmless after `publish`.
    public func discard() throws(VolumeError) {
        try state.withLock { (state) throws(VolumeError) in
            guard state.isOpen else { return }
            state.isOpen = false
            _ = try calls.unlinkIfThere(hiddenPath)
        }
    }
}
