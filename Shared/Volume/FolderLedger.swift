// Folders (and journals) of a volume whose own entry is known to be durable. Making a file durable needs the folder's entry in its
// parent to be durable too, all the way up; a crash between mkdir and the parent's fsync leaves a folder that exists and
// could still vanish with a power cut. So a folder counts only after *this* process has synced its parent.
import Synchronization

/// Remembers folders that need no further sync.
final class FolderLedger: Sendable {
    /// An hour's folders of a hundred cameras are a few hundred; beyond this the ledger starts anew, which costs syncs only.
    static let maximumFolders = 4096

    private let folders = Mutex<Set<String>>([])

    func contains(_ folder: String) -> Bool { folders.withLock { $0.contains(folder) } }

    func insert(_ folder: String) {
        folders.withLock { set in
            if set.count >= Self.maximumFolders { set.removeAll() }
            set.insert(folder)
        }
    }

    /// Forgets a folder and all below it.
    func remove(_ folder: String) {
        folders.withLock { set in set = set.filter { $0 != folder && !$0.hasPrefix(folder + "/") } }
    }

    /// Makes all of `folders` (outermost first, relative to `root`) and syncs each parent once.
    func ensure(_ wanted: [RelativePath], below root: String, _ calls: FileSystemCalls) throws(VolumeError) {
        for folder in wanted where !contains(folder.string) {
            let path = root + "/" + folder.string
            do {
                try calls.makeFolder(path)
            } catch let error where error.kind == .exists {
                // Another process, or an earlier life of this one, made it; whether it synced the parent is unknown.
            }
            try calls.syncFolder(folder.parent.map { root + "/" + $0.string } ?? root)
            insert(folder.string)
        }
    }
}
