// What can go wrong on a volume: one error type that names the path, says what was wrong and what to do about it.
// Every function of this module throws it (typed throws). How errno becomes one of these: `VolumeError.init(errno:…)`.
import Glibc

/// A failure on a volume. `description` is one line for a person: the path, what was wrong, what to do.
public struct VolumeError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind of failure it is; callers decide by it.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// The folder has no marker: not mounted, or never adopted.
        case notAdopted
        /// The folder has a marker already, so it cannot be adopted again.
        case alreadyAdopted
        /// The marker says another role than the caller wants.
        case wrongRole
        /// The marker says another volume than the caller knows: swapped disk, other mount.
        case identityDiffers
        /// The marker cannot be read as a marker.
        case damagedMarker
        /// Another process owns the volume.
        case inUse
        /// The file system is mounted read-only, or became so after an error.
        case readOnly
        /// No space, no quota or no inode is left.
        case full
        /// A file of that name with other content is there. Nothing was replaced.
        case exists
        /// No such file or folder.
        case missing
        /// The user of the process may not do that.
        case notPermitted
        /// The disk or the network storage failed.
        case inputOutput
        /// The file system lacks what this module needs.
        case unsupported
        /// A path or name breaks the rules; nothing was touched.
        case invalidName
        /// The content read back is not the content written.
        case corrupted
        /// The file was sealed or discarded, or an earlier failure made its content uncertain.
        case unusable
        /// Any other refusal of the operating system.
        case system
    }

    /// What kind of failure it is.
    public let kind: Kind
    /// The path that it concerns, as the process sees it.
    public let path: String
    /// What was wrong, for a person.
    public let detail: String
    /// The number from the operating system, where it came from there.
    public let errno: Int32?

    /// A failure found by this module.
    public init(_ kind: Kind, path: String, _ detail: String, errno: Int32? = nil) {
        self.kind = kind
        self.path = path
        self.detail = detail
        self.errno = errno
    }

    /// A failure that the operating system reported for `call`.
    public init(errno number: Int32, call: FileSystemCall, path: String) {
        self.init(
            Self.kind(of: number), path: path, "\(call.rawValue): \(Self.text(of: number))", errno: number)
    }

    /// What to do about it, for a person.
    public var advice: String {
        switch kind {
        case .notAdopted:
            "check that the volume is mounted; if it is new, run: sightglass volume adopt"
        case .alreadyAdopted: "it is a volume already; use it as it is"
        case .wrongRole: "point the setting at the volume of the right role"
        case .identityDiffers: "mount the volume that belongs here, or adopt a new one under another path"
        case .damagedMarker: "restore the marker from a backup, or adopt an empty folder"
        case .inUse: "stop the other process that records on this volume"
        case .readOnly: "remount it writable; look at the kernel log for disk errors"
        case .full: "free space or inodes, or lower what is kept"
        case .exists: "nothing was replaced; compare the two files and remove one"
        case .missing: "check the path, and that the volume is mounted"
        case .notPermitted: "give the service's user or group write access to the folder"
        case .inputOutput: "check the disk or the network storage; look at the kernel log"
        case .unsupported: "use a file system with hard links or RENAME_NOREPLACE, such as ext4 or xfs"
        case .invalidName: "rename it"
        case .corrupted: "the staged copy was not used; check memory and disk, then copy again"
        case .unusable: "start a new file"
        case .system: "look at the kernel log"
        }
    }

    /// One line: path, what was wrong, what to do.
    public var description: String { "\(path): \(detail); \(advice)" }

    private static func kind(of number: Int32) -> Kind {
        switch number {
        case ENOSPC, EDQUOT, EFBIG: .full
        case EROFS: .readOnly
        case EIO, ENXIO, ENODEV, ESTALE, ETIMEDOUT, EUCLEAN: .inputOutput
        case EACCES, EPERM: .notPermitted
        case ENOENT, ENOTDIR: .missing
        case EEXIST: .exists
        case EOPNOTSUPP, ENOSYS, EXDEV, EMLINK: .unsupported
        case ENAMETOOLONG, ELOOP, EILSEQ: .invalidName
        default: .system
        }
    }

    private static func text(of number: Int32) -> String {
        // glibc's strerror is thread-safe since 2.32; it gives a constant or a buffer of this thread.
        strerror(number).map { String(cString: $0) } ?? "error \(number)"
    }
}
