// A volume: a folder that carries a marker with its identity. Here: adopt, open, is it still there, free space. Files
// are made in StagedFile.swift and PublishedFiles.swift, read in FileReader.swift.
//
//   .sightglass-volume.json   the marker, see VolumeIdentity.swift
//   .staging/                 files that are not complete yet, see StagingName.swift
//   everything else           complete, synced files, see RecordingLayout.swift and ArchiveLayout.swift
//
// A volume that hands its files over (`VolumeIdentity.ingestPath`) has marker and staging here and complete files there, because
// all that lies there is taken to the cloud: HandOver.swift.
import CivilTime
import Foundation
import Glibc

/// An open volume. A value that may be shared; the lock of an owner goes with its last copy.
public struct VolumeRoot: Sendable {
    /// The marker's name.
    public static let markerName = ".sightglass-volume.json"
    /// The folder of incomplete files.
    public static let stagingName = ".staging"

    /// The root as it was given, without a slash at the end.
    public let path: String
    /// What the marker says.
    public let identity: VolumeIdentity
    /// How it was opened.
    public let access: VolumeAccess
    /// False for an owner only where the file system knows no locks; then nothing keeps a second owner away.
    public let isLocked: Bool

    let calls: FileSystemCalls
    let ledger = FolderLedger()
    private let lock: OpenFile?
    private let place: Place
    /// Of the folder for complete files, where it is another one.
    private let ingestPlace: Place?

    /// What a folder is, whatever is mounted over it later.
    private struct Place: Equatable, Sendable {
        let device: UInt64
        let inode: UInt64

        init(_ status: stat) { (device, inode) = (UInt64(status.st_dev), UInt64(status.st_ino)) }
    }

    /// The identity's UUID, lower case.
    public var volumeID: String { identity.volumeID }
    /// The folder of incomplete files.
    public var stagingPath: String { path + "/" + Self.stagingName }
    /// The folder of complete files: the root, or that from which another system takes them.
    public var publishedPath: String { identity.ingestPath ?? path }
    /// Whether complete files are taken from here by another system: then they are written once and never read again.
    public var handsOver: Bool { identity.ingestPath != nil }

    /// Makes a volume of an existing folder: staging first, the marker last and complete. For `sightglass volume adopt`
    /// only. The folder must be empty, apart from "lost+found". `ingestPath`: see VolumeIdentity.
    /// Errors: `.alreadyAdopted`, `.exists` when something else is in it, `.missing`, `.readOnly`, `.notPermitted`.
    @discardableResult
    public static func adopt(
        at path: String, role: VolumeRole, nowUs: Int64, ingestPath: String? = nil, calls: FileSystemCalls = .live
    ) throws(VolumeError) -> VolumeIdentity {
        let root = try normalized(path)
        var ingest: String?
        if let ingestPath {
            guard role == .archive else {
                throw VolumeError(.wrongRole, path: root, "only an archive volume hands its files over")
            }
            let folder = try normalized(ingestPath)
            _ = try ingestPlace(folder, besides: try rootStatus(root, calls), calls)
            ingest = folder
        }
        let found = try calls.list(root)
        if found.contains(markerName) {
            throw VolumeError(.alreadyAdopted, path: root, "it carries a marker already")
        }
        // A staging folder without a marker is what an interrupted adoption leaves.
        if let other = found.first(where: { $0 != stagingName && $0 != "lost+found" }) {
            throw VolumeError(.exists, path: root, "it is not empty: '\(other)' is in it")
        }
        let identity = VolumeIdentity(
            volumeID: UUID().uuidString.lowercased(), role: role, createdUs: nowUs, ingestPath: ingest)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        guard TimeStamp(us: nowUs) != nil, let json = try? encoder.encode(identity) else {
            throw VolumeError(.system, path: root, "the clock of this host is not between 1970 and 2100")
        }
        let staging = root + "/" + stagingName
        do { try calls.makeFolder(staging) } catch let error where error.kind == .exists {}
        let temporary = staging + "/" + adoptionPrefix + identity.volumeID
        let file = try calls.open(temporary, O_WRONLY | O_CREAT | O_EXCL, call: .create)
        var bytes = Array(json)
        bytes.append(UInt8(ascii: "\n"))
        try bytes.withBytes { (buffer) throws(VolumeError) in try calls.write(file, buffer, at: 0) }
        try calls.sync(file)
        try publish(temporary, as: root + "/" + markerName, calls)
        try calls.syncFolder(root)
        return identity
    }

    /// Opens a volume. It must be there, carry a marker of `role` (and of `volumeID`, where the caller remembers one), and
    /// take a file unless `access` is `.reader`. A full volume opens, because someone has to make room on it.
    /// Errors: `.missing`, `.notAdopted`, `.damagedMarker`, `.wrongRole`, `.identityDiffers`, `.readOnly`, `.notPermitted`,
    /// `.inUse`, `.inputOutput`.
    public static func open(
        at path: String, role: VolumeRole, access: VolumeAccess? = nil, volumeID: String? = nil,
        calls: FileSystemCalls = .live
    ) throws(VolumeError) -> VolumeRoot {
        let root = try normalized(path)
        let access = access ?? (role == .recording ? .owner : .writer)
        let status = try rootStatus(root, calls)
        guard status.st_mode & S_IFMT == S_IFDIR else { throw VolumeError(.missing, path: root, "it is not a folder") }
        let identity = try readMarker(root, calls)
        guard identity.role == role else {
            throw VolumeError(
                .wrongRole, path: root, "its marker says '\(identity.role.rawValue)', wanted is '\(role.rawValue)'")
        }
        if let volumeID, volumeID != identity.volumeID {
            throw VolumeError(
                .identityDiffers, path: root, "its marker says \(identity.volumeID), known is \(volumeID)")
        }
        let lock = access == .owner ? try takeLock(root, calls) : nil
        if lock != nil { try removeProbes(root, calls) }
        if access != .reader { try checkWritable(root, calls) }
        var ingest: Place?
        if let folder = identity.ingestPath { ingest = try ingestPlace(normalized(folder), besides: status, calls) }
        return VolumeRoot(
            path: root, identity: identity, access: access, isLocked: lock != nil, calls: calls, lock: lock,
            place: Place(status), ingestPlace: ingest)
    }

    /// The folder from which files are taken. It carries no marker, which would be taken as well; that it is another file system
    /// than the root says that something is mounted there.
    private static func ingestPlace(
        _ folder: String, besides root: stat, _ calls: FileSystemCalls
    ) throws(VolumeError) -> Place {
        let status = try rootStatus(folder, calls)
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw VolumeError(.missing, path: folder, "it is not a folder")
        }
        guard status.st_dev != root.st_dev else {
            throw VolumeError(
                .missing, path: folder,
                "it lies on the same file system as the volume's marker: is anything mounted there?")
        }
        return Place(status)
    }

    /// Throws when the path no longer leads to the volume that was opened: unmounted, or another one mounted there.
    /// A status call for each folder; `StagedFile.create` makes it each time, so that no file grows on the wrong disk.
    public func checkStillThere() throws(VolumeError) {
        try check(path, is: place)
        if let ingestPlace { try check(publishedPath, is: ingestPlace) }
    }

    private func check(_ folder: String, is known: Place) throws(VolumeError) {
        guard Place(try Self.rootStatus(folder, calls)) == known else {
            throw VolumeError(.identityDiffers, path: folder, "another file system is mounted there now")
        }
    }

    /// Room for complete files.
    public func freeSpace() throws(VolumeError) -> VolumeSpace {
        let space = try calls.freeSpace(publishedPath)
        let block = Int64(clamping: space.f_frsize)
        func bytes(_ blocks: UInt) -> Int64 {
            let (product, overflow) = Int64(clamping: blocks).multipliedReportingOverflow(by: block)
            return overflow ? .max : product
        }
        let total = bytes(space.f_blocks)
        return VolumeSpace(
            totalBytes: total, availableBytes: bytes(space.f_bavail), usedBytes: max(0, total - bytes(space.f_bfree)),
            availableFiles: space.f_files == 0 ? nil : Int64(clamping: space.f_favail))
    }

    func absolute(_ relative: RelativePath) -> String { publishedPath + "/" + relative.string }

    /// Gives `temporary` its final name without replacing anything: renameat2, or link and unlink where the file system
    /// does not know RENAME_NOREPLACE. Kind `.exists` when the name is taken.
    static func publish(_ temporary: String, as final: String, _ calls: FileSystemCalls) throws(VolumeError) {
        do {
            try calls.renameNoReplace(temporary, to: final)
            return
        } catch let error where error.errno == EINVAL || error.errno == ENOSYS || error.errno == EOPNOTSUPP {
            // Fall through to link.
        }
        do {
            try calls.link(temporary, to: final)
        } catch let error where error.errno == EPERM {
            throw VolumeError(.unsupported, path: final, "the file system has neither RENAME_NOREPLACE nor hard links")
        }
        // Else a power cut could keep the removal and lose the new name.
        try calls.syncFolder(String(final[..<(final.lastIndex(of: "/") ?? final.startIndex)]))
        try calls.unlink(temporary)
    }

    /// Status of the folder itself, also where the path is a symbolic link to it.
    private static func rootStatus(_ root: String, _ calls: FileSystemCalls) throws(VolumeError) -> stat {
        do throws(VolumeError) {
            return try calls.status(root + "/.")
        } catch let error where error.kind == .missing {
            throw VolumeError(.missing, path: root, "there is no such folder", errno: error.errno)
        }
    }

    private static func normalized(_ path: String) throws(VolumeError) -> String {
        var root = Substring(path)
        while root.count > 1, root.hasSuffix("/") { root.removeLast() }
        guard root.hasPrefix("/"), root.count > 1, !root.utf8.contains(0) else {
            throw VolumeError(.invalidName, path: path, "a volume's path is absolute and not '/'")
        }
        return String(root)
    }

    private static func readMarker(_ root: String, _ calls: FileSystemCalls) throws(VolumeError) -> VolumeIdentity {
        let path = root + "/" + markerName
        let bytes: [UInt8]
        do {
            let file = try calls.open(path, O_RDONLY | O_NOFOLLOW)
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = try calls.read(file, into: &buffer, limit: buffer.count, at: 0)
            bytes = Array(buffer.prefix(count))
        } catch let error where error.kind == .missing {
            throw VolumeError(.notAdopted, path: root, "it carries no marker \(markerName)")
        }
        do {
            return try JSONDecoder().decode(VolumeIdentity.self, from: Data(bytes))
        } catch {
            throw VolumeError(.damagedMarker, path: path, "the marker is not the JSON that adoption writes")
        }
    }

    private static func takeLock(_ root: String, _ calls: FileSystemCalls) throws(VolumeError) -> OpenFile? {
        let path = root + "/" + markerName
        let marker: OpenFile
        do { marker = try calls.open(path, O_RDWR | O_NOFOLLOW) } catch let error where error.kind == .notPermitted {
            marker = try calls.open(path, O_RDONLY | O_NOFOLLOW)
        }
        do {
            try calls.lock(marker)
            return marker
        } catch let error where error.errno == EWOULDBLOCK {
            throw VolumeError(.inUse, path: root, "another process owns this volume")
        } catch
            where error.errno == EOPNOTSUPP || error.errno == ENOLCK || error.errno == ENOSYS || error.errno == EINVAL
        {
            return nil
        }
    }

    private static let probePrefix = "probe-"
    private static let adoptionPrefix = "marker-"

    /// Removes what an adoption or an opening left in staging when it was killed. Only for an owner with the lock: no other
    /// process can be about to use them.
    private static func removeProbes(_ root: String, _ calls: FileSystemCalls) throws(VolumeError) {
        let staging = root + "/" + stagingName
        let names: [String]
        do { names = try calls.list(staging) } catch let error where error.kind == .missing { return }
        for name in names where name.hasPrefix(probePrefix) || name.hasPrefix(adoptionPrefix) {
            // Where it cannot be removed, the check that follows says why.
            _ = try? calls.unlinkIfThere(staging + "/" + name)
        }
    }

    /// Writes and removes a file in staging: the only way to know that the volume takes files.
    private static func checkWritable(_ root: String, _ calls: FileSystemCalls) throws(VolumeError) {
        let staging = root + "/" + stagingName
        do {
            // The marker proves that this is our volume, so a lost staging folder is made again.
            do { try calls.makeFolder(staging) } catch let error where error.kind == .exists {}
            // Not the process id: several containers on one volume all have process 1.
            let probe = staging + "/" + probePrefix + UUID().uuidString.lowercased()
            _ = try calls.open(probe, O_WRONLY | O_CREAT | O_EXCL, call: .create)
            try calls.unlink(probe)
        } catch let error where error.kind == .full {
            return
        }
    }
}
