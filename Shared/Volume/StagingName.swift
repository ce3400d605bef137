// What a file is called while it grows in `.staging`: `{owner}.{epoch}.{label}`. The owner is the controller's or
// worker's instance name, the epoch that of its lease or claim, so that after a crash only the present holder of the
// lease finishes what another left behind. How files get there and leave: StagedFile.swift.

/// The name of a file in staging.
public struct StagingName: Sendable, Hashable, CustomStringConvertible {
    /// Instance name of the process that writes it.
    public let owner: String
    /// Epoch of the lease or claim under which it is written.
    public let epoch: UInt64
    /// What it is, in the owner's words; unique for this owner and epoch.
    public let label: String
    /// The file's name: owner and label escaped as `EscapedName` does, in the owner also the '.'.
    public let fileName: String

    /// Kind `.invalidName` when owner or label is empty or the name is longer than 255 bytes.
    public init(owner: String, epoch: UInt64, label: String) throws(VolumeError) {
        let fileName =
            try EscapedName.part(for: owner, alsoEscaping: [UInt8(ascii: ".")]) + ".\(epoch)."
            + EscapedName.part(for: label)
        guard fileName.utf8.count <= RelativePath.maximumPartBytes else {
            throw VolumeError(.invalidName, path: fileName, "the staging name is longer than 255 bytes")
        }
        self.owner = owner
        self.epoch = epoch
        self.label = label
        self.fileName = fileName
    }

    /// Reads a file name back; nil when it is not of this form.
    public init?(fileName: String) {
        let parts = fileName.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, let owner = EscapedName.name(from: parts[0]), let epoch = UInt64(parts[1]),
            let label = EscapedName.name(from: parts[2])
        else { return nil }
        guard let name = try? StagingName(owner: owner, epoch: epoch, label: label), name.fileName == fileName else {
            return nil
        }
        self = name
    }

    /// The file's name.
    public var description: String { fileName }
}

/// A file found in staging.
public struct StagingEntry: Sendable, Hashable {
    /// The file's name as it is on disk.
    public let fileName: String
    /// Who left it and what it is; nil for a name that is not ours, which nobody touches.
    public let name: StagingName?
    /// Its size now.
    public let sizeBytes: Int64
    /// Last change, microseconds since 1970 by the clock of the storage's host.
    public let modifiedUs: Int64
}
