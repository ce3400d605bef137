// What an operator can set, and the checks that concern several settings at once.
import Foundation
import ServiceKit

/// Settings of the uploader.
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
        help: "Address of the Blob service, https://ACCOUNT.blob.core.windows.net; needed for target blob.",
        reason: "Only the operator knows the storage account.")
    static let account = Setting<String>(
        "account", default: "", help: "Name of the storage account; needed with key-file.",
        reason: "Only the operator knows the storage account.")
    static let container = Setting<String>(
        "container", default: "", help: "Container for all files; needed for target blob.",
        reason: "Only the operator knows it.")
    static let keyFile = Setting<String>(
        "key-file", default: "",
        help: "File with the account key, below secrets-directory or with an absolute path. Read at each use.",
        reason: "A credential is in a file and nowhere else.")
    static let sasFile = Setting<String>(
        "sas-file", default: "",
        help:
            "File with a shared access signature for the container (rights create, write, read), instead of key-file.",
        reason: "A signature gives less than the key; which one a site has, only the operator knows.")
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
        "blocks-in-flight", default: 3, range: 1...32, help: "Blocks of one file on their way at the same time.",
        reason: "Fills a line of 100 Mbit/s at 100 ms round trip; each costs its size in memory.")
    static let parallel = Setting<Int>(
        "parallel", default: 2, range: 1...64, help: "Items uploaded at the same time.",
        reason: "One is hashed while the other is sent.")
    static let leaseMs = Setting<Int>(
        "lease-ms", default: 30_000, unit: "ms", range: 1_000...600_000,
        help: "Time until a claim falls back to the indexer when this uploader is gone.",
        reason: "Claims are renewed at a third of it, so it need not outlast an upload.")
    static let waitMs = Setting<Int>(
        "wait-ms", default: 10_000, unit: "ms", range: 0...20_000,
        help: "How long the indexer holds a request for work while there is none.",
        reason: "Work starts at once, and an idle uploader asks six times a minute.")
    static let all: [any AnySetting] = [
        archiveVolume, target, blobEndpoint, account, container, keyFile, sasFile, createContainer, singlePutBytes,
        blockBytes, blocksInFlight, parallel, leaseMs, waitMs,
    ]
}

/// Where files go, checked.
struct BlobLocation: Sendable, Equatable {
    /// Without a slash at its end.
    let endpoint: String
    /// Empty with a shared access signature.
    let account: String
    let container: String
    /// File of the credential.
    let secret: String
    let isSignature: Bool

    init(_ settings: Settings) throws(SettingsError) {
        func needed(_ setting: Setting<String>) throws(SettingsError) -> String {
            let value = settings[setting]
            guard !value.isEmpty else {
                throw SettingsError("setting '\(setting.key)' is needed for target blob: \(setting.help)")
            }
            return value
        }
        var endpoint = try needed(UploaderKeys.blobEndpoint)
        while endpoint.hasSuffix("/") { endpoint.removeLast() }
        guard let parts = URLComponents(string: endpoint), let host = parts.host, !host.isEmpty,
            parts.scheme == "https" || parts.scheme == "http"
        else {
            throw SettingsError("setting 'blob-endpoint': must be like https://ACCOUNT.blob.core.windows.net")
        }
        guard parts.query == nil, parts.fragment == nil, parts.user == nil else {
            throw SettingsError(
                "setting 'blob-endpoint': must not carry a query or a user; put a signature into a file and name it with "
                    + "sas-file")
        }
        let isLoopback = ["127.0.0.1", "localhost", "[::1]", "::1"].contains(host)
        guard parts.scheme == "https" || isLoopback || settings[CommonSettings.insecure] else {
            throw SettingsError(
                "setting 'blob-endpoint': http sends footage readably over the network; use https, or set insecure")
        }
        self.endpoint = endpoint
        container = try needed(UploaderKeys.container)
        let (key, signature) = (settings[UploaderKeys.keyFile], settings[UploaderKeys.sasFile])
        guard key.isEmpty != signature.isEmpty else {
            throw SettingsError("settings 'key-file' and 'sas-file': exactly one is needed for target blob")
        }
        isSignature = key.isEmpty
        secret = isSignature ? signature : key
        account = isSignature ? settings[UploaderKeys.account] : try needed(UploaderKeys.account)
    }
}
