// What an operator can set, and the checks that concern several settings at once.
import Foundation
import ServiceKit

/// Settings of the uploader; those for credentials and the way out are in AccessSettings.swift.
enum UploaderKeys {
    static let archiveVolume = Setting<String>(
        required: "archive-volume", help: "Folder of the archive volume, adopted with role archive.",
        reason: "Only the operator knows where it is mounted.")
    static let target = Setting<String>(
        "target", default: "blob", allowed: ["blob", "folder"],
        help: "blob: put files into Azure Blob Storage. folder: the volume uploads by itself, files are only verified.",
        reason: "Most sites have no volume that uploads by itself.")
    static let blobEndpoint = Setting<String>(
        "blob-endpoint", default: "",
        help: "Address of the Blob service, https://ACCOUNT.blob.core.windows.net; needed for target blob, but with "
            + "connection-string-file.",
        reason: "Only the operator knows the storage account.")
    static let container = Setting<String>(
        "container", default: "", help: "Container for all files; needed for target blob.",
        reason: "Only the operator knows it.")
    static let createContainer = Setting<Bool>(
        "create-container", default: false, help: "Makes the container when it is missing.",
        reason: "A misspelt name would make a new container that nobody looks into.")
    static let singlePutBytes = Setting<Int>(
        "single-put-bytes", default: 4 << 20, unit: "bytes", range: 0...(256 << 20),
        help: "Files up to this size go in one request, larger ones in blocks.",
        reason: "As large as a block: a broken connection then never costs more than that.")
    static let blockBytes = Setting<Int>(
        "block-bytes", default: 4 << 20, unit: "bytes", range: 65_536...(256 << 20),
        help: "Size of a block; grows by itself for files that would need more than 50000.",
        reason: "What is sent twice after a cut is at most this, and headers are less than a thousandth of it.")
    static let blocksInFlight = Setting<Int>(
        "blocks-in-flight", default: 3, range: 1...32,
        help:
            "Blocks of one file on their way at the same time; how many requests there are in all, up to this times parallel, "
            + "is adapted to what the line and the service take.",
        reason: "Fills a line of 100 Mbit/s at 100 ms round trip; each costs 1 MiB of memory.")
    static let indexTags = Setting<Bool>(
        "index-tags", default: true,
        help:
            "Blobs get index tags: camera, start, end, event, request, SHA-256. An account that refuses them gets none.",
        reason: "By them the account finds all of a camera, a time or a request; the metadata alone is not searched.")
    static let contentMD5 = Setting<Bool>(
        "content-md5", default: false,
        help: "Blobs of blocks get the property Content-MD5. Small files have it anyway: the service makes it.",
        reason: "It costs 1.1 s of a processor for each GB; what is sent is checked by CRC-64 and known by its SHA-256."
    )
    static let parallel = Setting<Int>(
        "parallel", default: 2, range: 1...64, help: "Items uploaded at the same time.",
        reason: "One is read and compared while the other is sent.")
    static let bandwidth = Setting<String>(
        "bandwidth", default: "",
        help:
            "Most that is sent, such as 20 Mbit/s (a number alone: bits per second); bodies count, not their headers. None: no limit.",
        reason: "The line is ours until somebody says who else needs it.")
    static let bandwidthByTime = Setting<String>(
        "bandwidth-by-time", default: "",
        help:
            "Another bandwidth at some hours, as days (all where absent), times and bandwidth, separated by semicolons: "
            + "mon-fri 06:00-18:00 5 Mbit/s; sat,sun 22:00-06:00 unlimited. The first that fits rules; with 0 nothing is sent.",
        reason: "Only the operator knows when others need the line.")
    static let timeZone = Setting<String>(
        "time-zone", default: "UTC", help: "Time zone of bandwidth-by-time, such as Europe/Berlin.",
        reason: "A container has no other; a wrong guess would be right for half of the year.")
    static let leaseMs = Setting<Int>(
        "lease-ms", default: 30_000, unit: "ms", range: 1_000...600_000,
        help: "Time until a claim falls back to the indexer when this uploader is gone.",
        reason: "Claims are renewed at a third of it, so it need not outlast an upload.")
    static let waitMs = Setting<Int>(
        "wait-ms", default: 10_000, unit: "ms", range: 0...20_000,
        help: "How long the indexer holds a request for work while there is none.",
        reason: "Work starts at once, and an idle uploader asks six times a minute.")
    static let all: [any AnySetting] =
        [
            archiveVolume, target, blobEndpoint, container, createContainer, singlePutBytes, blockBytes, blocksInFlight,
            indexTags, contentMD5, parallel, bandwidth, bandwidthByTime, timeZone, leaseMs, waitMs,
        ] + access
}

/// Where files go, checked.
struct BlobLocation: Sendable, Equatable {
    /// Without a slash at its end.
    let endpoint: String
    let container: String

    /// With a connection string the address comes from its file, by `secrets`.
    init(_ settings: Settings, _ source: CredentialSource, _ secrets: SecretStore) throws(SettingsError) {
        func needed(_ setting: Setting<String>) throws(SettingsError) -> String {
            let value = settings[setting]
            guard !value.isEmpty else {
                throw SettingsError("setting '\(setting.key)' is needed for target blob: \(setting.help)")
            }
            return value
        }
        container = try needed(UploaderKeys.container)
        let setting: Setting<String>
        let text: String
        if case .connectionString(let path) = source {
            setting = UploaderKeys.connectionStringFile
            for other in [UploaderKeys.blobEndpoint, UploaderKeys.account] where !settings[other].isEmpty {
                throw SettingsError(
                    "settings '\(setting.key)' and '\(other.key)': a connection string names account and address; leave one"
                )
            }
            text = try Self.endpoint(ofStringAt: path, secrets, setting)
        } else {
            setting = UploaderKeys.blobEndpoint
            text = try needed(setting)
        }
        let address = try ServiceAddress(text, setting: setting.key, example: "https://ACCOUNT.blob.core.windows.net")
        guard address.isEncrypted || address.isLoopback || settings[CommonSettings.insecure] else {
            throw SettingsError(
                "setting '\(setting.key)': http sends footage readably over the network; use https, or set insecure")
        }
        endpoint = address.text
    }

    private static func endpoint(
        ofStringAt path: String, _ secrets: SecretStore, _ setting: Setting<String>
    ) throws(SettingsError) -> String {
        let text: Redacted<String>
        do throws(SecretError) {
            text = try secrets.read(path: path)
        } catch {
            throw SettingsError("setting '\(setting.key)': \(error)")
        }
        do throws(ConnectionString.Problem) {
            return try ConnectionString(text).endpoint
        } catch {
            throw SettingsError("setting '\(setting.key)': \(error)")
        }
    }
}
