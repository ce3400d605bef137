// Who a volume is: the marker file `.sightglass-volume.json` at its root. `sightglass volume adopt` writes it once; it is
// never rewritten, and a service never makes one. What is done with it: VolumeRoot.swift.
import CivilTime
import Foundation

/// What a volume is used for.
public enum VolumeRole: String, Sendable, Hashable, Codable, CaseIterable {
    /// Footage and snapshots as they are recorded; one controller owns it.
    case recording
    /// Copies on their way to the cloud; archivers add, the uploader removes.
    case archive
}

/// How a process uses a volume.
public enum VolumeAccess: Sendable, Hashable {
    /// Writes, and is the only one that does: takes the volume's lock. Default for the recording role.
    case owner
    /// Writes, as others do. Default for the archive role.
    case writer
    /// Reads only; the file system may be mounted read-only.
    case reader
}

/// The identity in a volume's marker.
public struct VolumeIdentity: Sendable, Hashable, Codable {
    /// A UUID in lower case.
    public let volumeID: String
    /// What the volume is used for.
    public let role: VolumeRole
    /// When it was adopted, microseconds since 1970.
    public let createdUs: Int64
    /// The folder that complete files go into where another system takes them from there to the cloud and removes them, such as a
    /// subvolume of Azure Container Storage; absolute. Nil: complete files stay below the volume's root.
    public let ingestPath: String?

    private enum CodingKeys: String, CodingKey {
        case volumeID = "volume_id"
        case role
        case created
        case ingestPath = "ingest_path"
    }

    /// An identity as given; `adopt` makes a new one.
    public init(volumeID: String, role: VolumeRole, createdUs: Int64, ingestPath: String? = nil) {
        self.volumeID = volumeID
        self.role = role
        self.createdUs = createdUs
        self.ingestPath = ingestPath
    }

    /// Reads the marker; `created` stands there as RFC 3339.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        let id = try values.decode(String.self, forKey: .volumeID)
        guard UUID(uuidString: id) != nil, id == id.lowercased() else {
            throw DecodingError.dataCorruptedError(
                forKey: .volumeID, in: values, debugDescription: "volume_id is not a UUID in lower case")
        }
        let created = try values.decode(String.self, forKey: .created)
        guard let time = TimeStamp(iso: created) else {
            throw DecodingError.dataCorruptedError(
                forKey: .created, in: values, debugDescription: "created is not a time in RFC 3339")
        }
        self.init(
            volumeID: id, role: try values.decode(VolumeRole.self, forKey: .role), createdUs: time.us,
            ingestPath: try values.decodeIfPresent(String.self, forKey: .ingestPath))
    }

    /// Writes the marker.
    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(volumeID, forKey: .volumeID)
        try values.encode(role, forKey: .role)
        try values.encode(TimeStamp(us: createdUs)?.isoMicroseconds ?? "", forKey: .created)
        try values.encodeIfPresent(ingestPath, forKey: .ingestPath)
    }
}

/// Room on a volume.
public struct VolumeSpace: Sendable, Hashable {
    /// Size of the file system.
    public let totalBytes: Int64
    /// What an ordinary user may still write.
    public let availableBytes: Int64
    /// What is taken.
    public let usedBytes: Int64
    /// Files that may still be made; nil where the file system does not count them.
    public let availableFiles: Int64?
}
