// verify --deep: the blobs of a request, read back by the uploader, which alone speaks to the cloud. What was uploaded the indexer
// knows; a manifest names files that do not fit into the indexer's answer.

import RPC
import Volume
import Wire

/// A file whose blob is to be looked at.
struct CloudFile: Sendable, Equatable {
    let path: String
    let sizeBytes: UInt64
    let sha256: [UInt8]
}

/// What of the requests is in the blob store, by what is known here.
struct CloudFiles: Sendable {
    private(set) var uploaded: [CloudFile] = []
    /// Not uploaded: they wait, or nobody wants them in the cloud.
    private(set) var waiting = 0
    /// Archived on a volume that uploads by itself.
    private(set) var handedOver = 0
    /// Bytes of which the indexer says that they are uploaded, and that its answer had no room for.
    private(set) var unnamedBytes: UInt64 = 0
    private(set) var findings = Findings()
    private var seen: Set<String> = []

    /// Adds a request, and what its manifests say beside it. `request` nil: the indexer does not know it.
    mutating func add(_ request: ArchiveRequest?, _ manifests: [ManifestDocument]) {
        var namedBytes: UInt64 = 0
        for file in request?.files ?? [] {
            guard let path = file.archivePath else { continue }
            if [.uploaded, .evicted, .handedOver].contains(file.state) { namedBytes += file.sizeBytes ?? 0 }
            guard seen.insert(path).inserted else { continue }
            switch file.state {
            case .uploaded, .evicted: add(path, file.sizeBytes, file.sha256)
            case .handedOver: handedOver += 1
            case .poisoned:
                findings.add(Finding(.blob, path, "it was never uploaded: \(file.error ?? "no reason is known")"))
            default: waiting += 1
            }
        }
        let uploadedBytes = request?.bytesUploaded ?? 0
        unnamedBytes += manifests.isEmpty ? uploadedBytes - min(namedBytes, uploadedBytes) : 0
        for file in manifests.flatMap(\.files) where file.error == nil && seen.insert(file.path).inserted {
            add(file.path, file.content.sizeBytes.map { UInt64(clamping: $0) }, file.content.sha256.flatMap(Self.bytes))
        }
    }

    private mutating func add(_ path: String, _ sizeBytes: UInt64?, _ sha256: [UInt8]?) {
        guard let sizeBytes, let sha256 else {
            findings.add(Finding(.blob, path, "neither catalogue nor manifest says what it should be"))
            return
        }
        uploaded.append(CloudFile(path: path, sizeBytes: sizeBytes, sha256: sha256))
    }

    /// The bytes of hexadecimal digits; nil where it is none.
    private static func bytes(_ text: String) -> [UInt8]? {
        let digits = text.compactMap(\.hexDigitValue).map { UInt8($0) }
        guard digits.count == text.count, digits.count % 2 == 0 else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }
}

enum CloudInspection {
    /// The longest that the contract allows: 256 MiB over a slow line take minutes.
    private static let longestRead = Duration.seconds(600)

    /// Has the uploader compare a blob's properties, then read it back. The first takes no longer than any other question, so that
    /// an uploader or a storage that is away is noticed soon. Gives how many bytes were read, and what is wrong.
    static func look(
        _ file: CloudFile, _ uploader: Client, answerWithin limit: Duration
    ) async throws(Failure) -> (bytes: UInt64, finding: Finding?) {
        let properties = try await ask(file, isDeep: false, uploader, within: limit)
        if let finding = finding(file, properties) { return (0, finding) }
        let content = try await ask(file, isDeep: true, uploader, within: longestRead)
        return (content.readBytes ?? 0, finding(file, content))
    }

    private static func finding(_ file: CloudFile, _ reply: VerifyBlobReply) -> Finding? {
        if reply.matches == true { return nil }
        return Finding(.blob, file.path, reply.reason ?? "it differs, the uploader does not say how")
    }

    private static func ask(
        _ file: CloudFile, isDeep: Bool, _ uploader: Client, within limit: Duration
    ) async throws(Failure) -> VerifyBlobReply {
        do throws(RPCError) {
            return try await uploader.rpc.call(
                CloudUploaderMethods.verifyBlob,
                VerifyBlobRequest(
                    archivePath: file.path, sizeBytes: file.sizeBytes, sha256: file.sha256, deep: isDeep),
                timeout: limit)
        } catch {
            if error.code == .failedPrecondition {
                throw Failure(
                    "the uploader cannot look into the cloud: its target is a folder, from which another system takes the "
                        + "files. Without --deep the files on the volume are compared. (\(error.message))")
            }
            throw uploader.failure(error)
        }
    }
}
