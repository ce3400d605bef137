// What the worker does with an item: read the file from the archive volume, see that it is what was archived, put it where
// it belongs, then its sidecar, and report.
import Claims
import Foundation
import Logging
import NIOCore
import ServiceKit
import Volume
import Wire

struct UploadWork: Sendable {
    let archive: ArchiveVolume
    let target: any UploadTarget
    let cut: PreparedFile.Cut
    /// Whether blobs get a Content-MD5.
    let wantsMD5: Bool
    let logger: Logger
    let lane: BlockingLane

    /// Pause after a failure of the archive volume.
    private static let volumePause = Duration.seconds(30)
    /// The indexer's sidecars have some hundred bytes.
    private static let largestSidecarBytes: Int64 = 1 << 20

    func perform(_ item: ClaimedItem, _ progress: ClaimProgress) async -> ClaimOutcome {
        guard let volume = await archive.current() else {
            if Task.isCancelled { return .stopped }
            return .failed(
                reason: "the archive volume cannot be used; see the uploader's health for the reason",
                isRetryable: true,
                retryAfter: Self.volumePause)
        }
        let start = ContinuousClock.now
        do {
            let (digest, receipt) = try await upload(item, from: volume, progress)
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
            // A volume that is there means that it is the file that cannot be read: that counts as an attempt.
            let isVolumeThere = await archive.current() != nil
            if Task.isCancelled { return .stopped }
            return .failed(
                reason: Self.reason(error), isRetryable: ![.missing, .invalidName].contains(error.kind),
                retryAfter: isVolumeThere ? nil : Self.volumePause)
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

    private func upload(
        _ item: ClaimedItem, from volume: VolumeRoot, _ progress: ClaimProgress
    ) async throws -> (Digest, UploadReceipt) {
        let path = try RelativePath(item.archivePath ?? "")
        let events = BlobLabels.events(of: item)
        var file = try await prepared(item, at: path, on: volume, events)
        file.progress = progress
        let receipt = try await target.upload(file)
        if item.kind != .manifest, let sidecar = try await sidecar(of: item, file, on: volume, events) {
            _ = try await target.upload(sidecar)
        }
        return (file.digest, receipt)
    }

    /// Reads the media file, or the manifest, and sees that it is what was archived.
    private func prepared(
        _ item: ClaimedItem, at path: RelativePath, on volume: VolumeRoot, _ events: [String]
    ) async throws -> PreparedFile {
        let (content, measured) = try await measure(item, at: path, on: volume)
        let digest: Digest
        if let sha256 = measured.sha256 {
            digest = Digest(sha256: sha256, sizeBytes: measured.crc64.sizeBytes, crc64: measured.crc64.value)
            try Self.check(digest, item)
            if let told = item.crc64, told != digest.crc64 {
                logger.warning(
                    "the catalogue's CRC-64 is not the file's, whose SHA-256 is right", metadata: ["path": "\(path)"])
            }
        } else {
            digest = Digest(sha256: item.sha256 ?? [], sizeBytes: measured.crc64.sizeBytes, crc64: measured.crc64.value)
        }
        return try PreparedFile(
            path: path, content: content, digest: digest, measured: measured, cut: cut,
            contentType: UploadMetadata.contentType(of: path.name),
            labels: BlobLabels(item, (UploadMetadata.mediaName, digest.hexadecimal), events: events))
    }

    /// The checksums of the file's blocks, and its SHA-256 unless its CRC-64 shows that it is what was archived.
    private func measure(
        _ item: ClaimedItem, at path: RelativePath, on volume: VolumeRoot
    ) async throws -> (PreparedFile.Content, Measured) {
        let known = Self.known(item)
        let (cut, md5) = (cut, wantsMD5 ? WantedHashes.md5 : [])
        let (content, reading) = try await lane.runUnlessCancelled {
            let content = try PreparedFile.Content(try volume.reader(path))
            let reading = try FileReading(content, cut, known?.sizeBytes == content.sizeBytes ? md5 : [.sha256, md5])
            try reading.goOn()
            return (content, reading)
        }
        let measured = try await reading.finished(on: lane)
        if measured.sha256 != nil || measured.crc64 == known { return (content, measured) }
        // It is not. What it is, and whether the catalogue is wrong and not the file, its SHA-256 says.
        return (content, try await FileReading(content, cut, [.sha256, md5]).finished(on: lane))
    }

    /// What the file's CRC-64 and size must be; nil where the archiver did not tell them all.
    private static func known(_ item: ClaimedItem) -> CRC64? {
        guard let value = item.crc64, let size = item.sizeBytes, item.sha256?.count == 32 else { return nil }
        return CRC64(value: value, sizeBytes: Int64(clamping: size))
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
        of item: ClaimedItem, _ media: PreparedFile, on volume: VolumeRoot, _ events: [String]
    ) async throws -> PreparedFile? {
        let path = try ArchiveLayout.sidecar(of: media.path)
        let (cut, fallback, wanted) = (cut, item.sidecar, wantsMD5 ? [.sha256, .md5] : WantedHashes.sha256)
        let labels = BlobLabels(item, (UploadMetadata.sidecarName, media.digest.hexadecimal), events: events)
        return try await lane.runUnlessCancelled { () throws -> PreparedFile? in
            let bytes: [UInt8]
            do {
                let reader = try volume.reader(path)
                bytes = try reader.read(at: 0, count: Int(min(reader.sizeBytes, Self.largestSidecarBytes)))
            } catch let error as VolumeError where error.kind == .missing {
                guard let fallback else { return nil }
                bytes = fallback
            }
            let content = PreparedFile.Content.memory(ByteBuffer(bytes: bytes))
            let measured = try FileReading(content, cut, wanted).read()
            let digest = Digest(
                sha256: measured.sha256 ?? [], sizeBytes: Int64(bytes.count), crc64: measured.crc64.value)
            return try PreparedFile(
                path: path, content: content, digest: digest, measured: measured, cut: cut,
                contentType: "application/json", labels: labels)
        }
    }
}
