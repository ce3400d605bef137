// What the worker does with an item: read the file from the archive volume, see that it is what was archived, put it where
// it belongs, then its sidecar, and report.
import CivilTime
import Claims
import Foundation
import Logging
import ServiceKit
import Volume
import Wire

struct UploadWork: Sendable {
    let archive: ArchiveVolume
    let target: any UploadTarget
    let cut: PreparedFile.Cut
    let logger: Logger
    let lane: BlockingLane

    /// Pause after a failure of the archive volume.
    private static let volumePause = Duration.seconds(30)
    /// The indexer's sidecars have some hundred bytes.
    private static let largestSidecarBytes: Int64 = 1 << 20

    func perform(_ item: ClaimedItem) async -> ClaimOutcome {
        guard let volume = await archive.current() else {
            if Task.isCancelled { return .stopped }
            return .failed(
                reason: "the archive volume cannot be used; see the uploader's health for the reason",
                isRetryable: true,
                retryAfter: Self.volumePause)
        }
        let start = ContinuousClock.now
        do {
            let (digest, receipt) = try await upload(item, from: volume)
            logger.info(
                receipt.isHandedOver ? "handed over" : "uploaded",
                metadata: [
                    "path": "\(item.archivePath ?? "")", "bytes": "\(digest.sizeBytes)",
                    "ms": "\(Int((.now - start) / .milliseconds(1)))",
                ])
            return .completed(
                CompleteItemRequest(
                    sizeBytes: UInt64(digest.sizeBytes), sha256: digest.sha256, archiveVolumeID: volume.volumeID,
                    blobURL: receipt.blobURL, handedOver: receipt.isHandedOver ? true : nil))
        } catch let problem as UploadProblem {
            return .failed(
                reason: problem.reason, isRetryable: problem.isRetryable, retryAfter: problem.retryAfter)
        } catch let error as VolumeError {
            await archive.failed(error)
            return .failed(
                reason: Self.reason(error), isRetryable: ![.missing, .invalidName].contains(error.kind),
                retryAfter: Self.volumePause)
        } catch is CancellationError {
            return .stopped
        } catch {
            return .failed(reason: "\(item.archivePath ?? ""): \(error)", isRetryable: true)
        }
    }

    private static func reason(_ error: VolumeError) -> String {
        guard error.kind == .missing else { return "\(error)" }
        return
            "\(error.path): the file is no longer on the archive volume; it was removed before it was uploaded, or a "
            + "volume that uploads by itself has removed it afterwards"
    }

    private func upload(_ item: ClaimedItem, from volume: VolumeRoot) async throws -> (Digest, UploadReceipt) {
        let path = try RelativePath(item.archivePath ?? "")
        let cut = cut
        let file: PreparedFile = try await lane.runUnlessCancelled {
            let content = PreparedFile.Content.file(try volume.reader(path))
            let (digest, md5, plan) = try PreparedFile.measure(content, cut)
            let metadata = UploadMetadata.ofMedia(item, digest)
            return PreparedFile(
                path: path, content: content, digest: digest, md5: md5, plan: plan,
                contentType: UploadMetadata.contentType(of: path.name), metadata: metadata,
                identity: (UploadMetadata.mediaName, digest.hexadecimal))
        }
        try Self.check(file.digest, item)
        let receipt = try await target.upload(file)
        if item.kind != .manifest, let sidecar = try await sidecar(of: item, file, on: volume) {
            _ = try await target.upload(sidecar)
        }
        return (file.digest, receipt)
    }

    /// The file must be what was archived: a file that changed since is evidence of a problem, and never uploaded.
    static func check(_ digest: Digest, _ item: ClaimedItem) throws(UploadProblem) {
        let hasSize = item.sizeBytes.map { $0 == UInt64(clamping: digest.sizeBytes) } ?? true
        let hasContent = item.sha256.map { $0.isEmpty || $0 == digest.sha256 } ?? true
        guard hasSize, hasContent else {
            throw UploadProblem(
                reason: "\(item.archivePath ?? ""): the file changed after it was archived (\(digest.sizeBytes) bytes, "
                    + "SHA-256 \(digest.hexadecimal)); it was not uploaded",
                isRetryable: false)
        }
    }

    /// The sidecar as it is on the volume, else as it came with the item. It counts as uploaded when any sidecar of the
    /// same media file is there: an earlier one may name fewer requests.
    private func sidecar(
        of item: ClaimedItem, _ media: PreparedFile, on volume: VolumeRoot
    ) async throws -> PreparedFile? {
        let path = try ArchiveLayout.sidecar(of: media.path)
        let (cut, fallback) = (cut, item.sidecar)
        let metadata = UploadMetadata.ofSidecar(item, media: media.digest)
        return try await lane.runUnlessCancelled { () throws -> PreparedFile? in
            let bytes: [UInt8]
            do {
                let reader = try volume.reader(path)
                bytes = try reader.read(at: 0, count: Int(min(reader.sizeBytes, Self.largestSidecarBytes)))
            } catch let error as VolumeError where error.kind == .missing {
                guard let fallback else { return nil }
                bytes = fallback
            }
            let content = PreparedFile.Content.bytes(bytes)
            let (digest, md5, plan) = try PreparedFile.measure(content, cut)
            return PreparedFile(
                path: path, content: content, digest: digest, md5: md5, plan: plan, contentType: "application/json",
                metadata: metadata, identity: (UploadMetadata.sidecarName, media.digest.hexadecimal))
        }
    }
}

/// What is attached to a blob, sorted by name as the signature wants it. Values fit into headers; the service takes 8 KiB in all.
enum UploadMetadata {
    /// Where a media file's blob carries its SHA-256.
    static let mediaName = "sha256"
    /// Where a sidecar's blob carries the SHA-256 of the media file that it is about.
    static let sidecarName = "media_sha256"

    static func ofMedia(_ item: ClaimedItem, _ digest: Digest) -> [(name: String, value: String)] {
        sorted(item, (mediaName, digest.hexadecimal))
    }

    static func ofSidecar(_ item: ClaimedItem, media digest: Digest) -> [(name: String, value: String)] {
        sorted(item, (sidecarName, digest.hexadecimal))
    }

    private static func sorted(
        _ item: ClaimedItem, _ hash: (name: String, value: String)
    ) -> [(name: String, value: String)] {
        var result = [hash]
        if let camera = item.camera, !camera.isEmpty { result.append(("camera", BlobText.metadataValue(camera))) }
        if let start = item.window?.startUs.flatMap({ TimeStamp(us: $0) }) {
            result.append(("start", start.isoMicroseconds))
        }
        if let end = item.window?.endUs.flatMap({ TimeStamp(us: $0) }) { result.append(("end", end.isoMicroseconds)) }
        if !item.requestIDs.isEmpty {
            let list = item.requestIDs.sorted().joined(separator: ",")
            result.append(("requests", BlobText.metadataValue(list, maximumBytes: 4096)))
        }
        return result.sorted { $0.name < $1.name }
    }

    /// By the name's extension.
    static func contentType(of name: String) -> String {
        switch name.split(separator: ".").last?.lowercased() {
        case "mp4", "m4v": "video/mp4"
        case "mkv": "video/x-matroska"
        case "ts": "video/mp2t"
        case "jpg", "jpeg": "image/jpeg"
        case "png": "image/png"
        case "bmp": "image/bmp"
        case "tif", "tiff": "image/tiff"
        case "json": "application/json"
        default: "application/octet-stream"
        }
    }
}
