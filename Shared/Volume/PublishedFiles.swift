// What a volume does with complete files: publish (the last steps of a seal), write a small document in one go, read,
// list for reconciliation, remove. And what it does with what is left in staging: list, read, discard.
import Glibc

/// A published file, as listing finds it.
public struct VolumeEntry: Sendable, Hashable {
    /// Its path.
    public let path: RelativePath
    /// Its size.
    public let sizeBytes: Int64
    /// Last change, microseconds since 1970 by the clock of the storage's host.
    public let modifiedUs: Int64
}

extension VolumeRoot {
    /// How often publishing makes the folders again when another process removes them, empty, at the same moment.
    private static let publishAttempts = 5

    /// Folders, name, sync of the folder: the part of a seal after the file itself is synced.
    func publish(_ staging: String, _ digest: Digest, as path: RelativePath) throws(VolumeError) -> SealedFile.Outcome {
        let folder = path.parent.map { absolute($0) } ?? publishedPath
        // Else folders would be made on whatever is mounted there now.
        try checkStillThere()
        if handsOver { return try handOver(staging, digest, as: path) }
        var outcome = SealedFile.Outcome.published
        for attempt in 1...Self.publishAttempts {
            do {
                try ledger.ensure(path.ancestors, below: publishedPath, calls)
                do {
                    try Self.publish(staging, as: absolute(path), calls)
                } catch let error where error.kind == .exists {
                    try comparePublished(path, with: digest)
                    try calls.sync(calls.open(absolute(path), O_RDONLY | O_NOFOLLOW))
                    // Whoever published it may have been killed before its name was durable.
                    try calls.syncFolder(folder)
                    try calls.unlink(staging)
                    outcome = .alreadyThere
                }
                try calls.syncFolder(folder)
                return outcome
            } catch let error where error.kind == .missing && attempt < Self.publishAttempts {
                for ancestor in path.ancestors { ledger.remove(ancestor.string) }
                // The staging file itself is gone: no retry can help. This throws.
                if outcome == .published, !exists(path) { _ = try calls.status(staging) }
            }
        }
        return outcome
    }

    /// Writes a whole small document (sidecar, manifest) as staging does it. Writing the same again is not an error.
    @discardableResult
    public func write(_ bytes: [UInt8], to path: RelativePath, staging name: StagingName) throws(VolumeError)
        -> SealedFile
    {
        let file = try StagedFile.create(in: self, name: name, leftover: .remove)
        do {
            try file.append(bytes)
            return try file.seal(as: path)
        } catch {
            // The first error is what the caller must see; what stays in staging is found again at the next start.
            try? file.discard()
            if error.kind == .exists { _ = try? discardStaged(name.fileName) }
            throw error
        }
    }

    /// Opens a published file. Error `.missing` when there is none.
    public func reader(_ path: RelativePath) throws(VolumeError) -> FileReader {
        try FileReader(opening: absolute(path), as: path.string, calls)
    }

    /// Whether something has that name. An unreadable folder counts as no.
    public func exists(_ path: RelativePath) -> Bool {
        (try? calls.status(absolute(path))) != nil
    }

    /// Removes a file, then the folders above it that this leaves empty, and syncs what changed. False when there was none.
    @discardableResult
    public func remove(_ path: RelativePath) throws(VolumeError) -> Bool {
        try checkStillThere()
        guard try calls.unlinkIfThere(absolute(path)) else { return false }
        try syncRemoval(below: try removeEmptyFolders(above: path))
        return true
    }

    /// Removes files and syncs each folder that changed once: a sync for each of ten thousand files would hold up whoever writes on
    /// the same disk. Gives those that are gone for good now; one that is not is told to `problem` and costs the others nothing.
    public func remove(
        _ paths: [RelativePath], problem: (RelativePath, VolumeError) -> Void
    ) throws(VolumeError) -> [RelativePath] {
        try checkStillThere()
        var changed: [String: (folder: RelativePath?, paths: [RelativePath])] = [:]
        for path in paths {
            do throws(VolumeError) {
                _ = try calls.unlinkIfThere(absolute(path))
                let folder = try removeEmptyFolders(above: path)
                changed[folder?.string ?? "", default: (folder, [])].paths.append(path)
            } catch { problem(path, error) }
        }
        var gone: [RelativePath] = []
        for (folder, removed) in changed.values {
            do throws(VolumeError) {
                try syncRemoval(below: folder)
                gone += removed
            } catch { removed.forEach { problem($0, error) } }
        }
        return gone
    }

    /// Removes the folders above a path that are empty. Gives the one that is left, nil for the root.
    private func removeEmptyFolders(above path: RelativePath) throws(VolumeError) -> RelativePath? {
        var folder = path.parent
        while let current = folder {
            ledger.remove(current.string)
            do {
                try calls.removeFolder(absolute(current))
            } catch let error where error.errno == ENOTEMPTY || error.errno == EEXIST || error.errno == EBUSY {
                break
            } catch let error where error.kind == .missing {
                // Another process was quicker.
            }
            folder = current.parent
        }
        return folder
    }

    private func syncRemoval(below folder: RelativePath?) throws(VolumeError) {
        do {
            try calls.syncFolder(folder.map { absolute($0) } ?? publishedPath)
        } catch let error where error.kind == .missing {
            // The folder went meanwhile, and the entry with it; its remover synced the one above.
        }
    }

    /// Calls `visit` for each published file, folder by folder in the order of names, below `folder` or the root. Stops when
    /// `visit` gives false. Names that break RelativePath's rules, symbolic links and the volume's own files are passed over.
    /// Error: `.identityDiffers` when another volume is mounted there now, so that nobody prunes rows by its listing.
    public func forEachFile(
        below folder: RelativePath? = nil, _ visit: (VolumeEntry) throws(VolumeError) -> Bool
    ) throws(VolumeError) {
        try checkStillThere()
        var waiting: [RelativePath?] = [folder]
        while let next = waiting.popLast() {
            let names: [String]
            do {
                names = try calls.list(next.map { absolute($0) } ?? publishedPath)
            } catch let error where error.kind == .missing {
                continue
            }
            var folders: [RelativePath] = []
            for name in names {
                guard let entry = try? RelativePath(next.map { $0.string + "/" + name } ?? name) else { continue }
                let status: stat
                do { status = try calls.status(absolute(entry)) } catch let error where error.kind == .missing {
                    continue
                }
                switch status.st_mode & S_IFMT {
                case S_IFDIR: folders.append(entry)
                case S_IFREG:
                    let found = VolumeEntry(
                        path: entry, sizeBytes: Int64(status.st_size), modifiedUs: status.modifiedUs)
                    if try !visit(found) { return }
                default: break
                }
            }
            waiting.append(contentsOf: folders.reversed())
        }
        try checkStillThere()
    }

    /// What lies in staging, by name.
    public func stagingEntries() throws(VolumeError) -> [StagingEntry] {
        try checkStillThere()
        var entries: [StagingEntry] = []
        for name in try calls.list(stagingPath) {
            let status: stat
            do { status = try calls.status(stagingPath + "/" + name) } catch let error where error.kind == .missing {
                continue
            }
            guard status.st_mode & S_IFMT == S_IFREG else { continue }
            entries.append(
                StagingEntry(
                    fileName: name, name: StagingName(fileName: name), sizeBytes: Int64(status.st_size),
                    modifiedUs: status.modifiedUs))
        }
        return entries
    }

    /// Opens a file in staging for reading, for salvage: as the storage has it. After a sync that failed the kernel's copy has
    /// bytes that never arrived, and later syncs find nothing to do.
    public func stagedReader(_ name: StagingName) throws(VolumeError) -> FileReader {
        let path = stagingPath + "/" + name.fileName
        let file = try calls.open(path, O_RDWR | O_NOFOLLOW)
        try calls.sync(file)
        calls.dropCache(file)
        return try FileReader(opening: path, as: name.fileName, calls)
    }

    /// Removes a file from staging. False when there was none.
    @discardableResult
    public func discardStaged(_ name: StagingName) throws(VolumeError) -> Bool {
        try discardStaged(name.fileName)
    }

    @discardableResult
    private func discardStaged(_ fileName: String) throws(VolumeError) -> Bool {
        try calls.unlinkIfThere(stagingPath + "/" + fileName)
    }

    private func comparePublished(_ path: RelativePath, with digest: Digest) throws(VolumeError) {
        let there = try reader(path)
        // Sizes first: most files that differ are told apart without reading them.
        let same = there.sizeBytes == digest.sizeBytes ? try there.digest() == digest : false
        guard same else {
            throw VolumeError(
                .exists, path: absolute(path),
                "a file of \(there.sizeBytes) bytes with other content has this name; ours has \(digest.sizeBytes)")
        }
    }
}
