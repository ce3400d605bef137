// volume adopt, volume show: the identity of a volume. The only place that makes a marker; no service ever does.

import ArgumentParser
import JSON
import Volume

struct VolumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "volume", abstract: "Make a folder a volume, or show what one is.",
        subcommands: [AdoptCommand.self, ShowCommand.self])

    enum Role: String, ExpressibleByArgument, CaseIterable {
        case recording, archive

        var volumeRole: VolumeRole { self == .recording ? .recording : .archive }
    }

    struct AdoptCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "adopt", abstract: "Give an empty folder the identity of a volume.",
            discussion: "Services refuse a folder without it, so that a disk that is not mounted is noticed.")

        @Argument(help: "The folder, absolute.") var path: String
        @Option(help: "recording: written by capture-controller; archive: by archiver.") var role: Role
        @Option(
            help: """
                Of an archive volume: the mounted folder from which another system takes complete files to the cloud, such as a \
                subvolume of Azure Container Storage. Marker and staging then lie in PATH, which is another disk.
                """)
        var ingest: String?
        @Flag(help: "Print JSON.") var json = false

        func run() async throws {
            try await reporting {
                let identity = try VolumeRoot.adopt(
                    at: path, role: role.volumeRole, nowUs: WindowArguments.nowUs(), ingestPath: ingest)
                print(
                    json
                        ? VolumeCommand.json(identity, path: path, space: nil).text(.indented)
                        : "\(path): \(role.rawValue) volume \(identity.volumeID)")
            }
        }
    }

    struct ShowCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show", abstract: "Show a volume's identity and free space.")

        @Argument(help: "The folder, absolute.") var path: String
        @Flag(help: "Print JSON.") var json = false

        func run() async throws {
            try await reporting {
                let volume = try VolumeCommand.open(path)
                let space = try volume.freeSpace()
                if json {
                    print(VolumeCommand.json(volume.identity, path: path, space: space).text(.indented))
                    return
                }
                print("\(path): \(volume.identity.role.rawValue) volume \(volume.volumeID)")
                print("adopted \(TimeText.show(volume.identity.createdUs))")
                if let folder = volume.identity.ingestPath { print("hands complete files over to \(folder)") }
                print(
                    "\(sizeText(UInt64(clamping: space.availableBytes))) free of "
                        + sizeText(UInt64(clamping: space.totalBytes)))
            }
        }
    }

    /// Opens a volume to read, whatever its role is.
    static func open(_ path: String) throws(VolumeError) -> VolumeRoot {
        do {
            return try VolumeRoot.open(at: path, role: .recording, access: .reader)
        } catch {
            guard error.kind == .wrongRole else { throw error }
            return try VolumeRoot.open(at: path, role: .archive, access: .reader)
        }
    }

    private static func json(_ identity: VolumeIdentity, path: String, space: VolumeSpace?) -> JSONValue {
        .fields([
            "path": .string(path), "volume_id": .string(identity.volumeID), "role": .string(identity.role.rawValue),
            "ingest_path": .string(optional: identity.ingestPath), "created_us": .integer(identity.createdUs),
            "total_bytes": .integer(optional: space?.totalBytes),
            "free_bytes": .integer(optional: space?.availableBytes),
        ])
    }
}
