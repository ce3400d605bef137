// One item: read the source into staging, read the staged file back for its SHA-256, compare, publish without replacing,
// then write the sidecar. Each step can be repeated: what is there with the same content counts as done, and a file that
// is there with other content is never touched. Decisions are in ArchivePlan.swift.
import Claims
import Foundation
import Logging
import ServiceKit
import Volume
import Wire

struct Copier: Sendable {
    let volume: VolumeRoot
    let instance: String
    let sources: SourceFiles
    let clips: ItemClips
    let logger: Logger

    /// Archives an item and gives what to report. Throws ArchiveProblem, VolumeError of the archive volume, or
    /// CancellationError; staging is left without the item's files in every case.
    func archive(_ item: ClaimedItem) async throws -> CompleteItemRequest {
        let plan = try ArchivePlan(item)
        // Segments of a clip are parsed side by side.
        let thread = BlockingLane("copy-\(item.itemID ?? 0)", threads: plan.isClip ? 2 : 1)
        let digest: Digest
        if let there = try await finished(plan, on: thread) {
            digest = there
        } else if case .content(let bytes) = plan.origin {
            let name = try stagingName(item, "manifest")
            digest = try await thread.runUnlessCancelled {
                try volume.write(bytes, to: plan.path, staging: name).digest
            }
        } else {
            digest = try await make(plan, as: stagingName(item, "media"), on: thread)
        }
        if let sidecar = plan.sidecar, let path = plan.sidecarPath {
            let bytes = try SidecarDocument.filled(sidecar, with: digest)
            try await write(bytes, to: path, about: digest, staging: stagingName(item, "sidecar"), on: thread)
        }
        return CompleteItemRequest(
            sizeBytes: UInt64(digest.sizeBytes), sha256: digest.sha256, archiveVolumeID: volume.volumeID,
            handedOver: volume.handsOver ? true : nil, crc64: digest.crc64)
    }

    private func stagingName(_ item: ClaimedItem, _ what: String) throws(VolumeError) -> StagingName {
        try StagingName(owner: instance, epoch: item.epoch ?? 0, label: "\(what)-\(item.itemID ?? 0)")
    }

    /// The digest of a file that an earlier attempt published, where what it must be is known; of a clip whatever it is: it was
    /// verified before it got its name, which is that of this item alone, and what was salvaged since would make another one.
    private func finished(_ plan: ArchivePlan, on thread: BlockingLane) async throws -> Digest? {
        // What is taken from the volume is not read there.
        guard plan.knowsContent || plan.isClip, !volume.handsOver else { return nil }
        let found: Digest? = try await thread.runUnlessCancelled {
            guard volume.exists(plan.path) else { return nil }
            return try volume.reader(plan.path).digest()
        }
        guard let found else { return nil }
        // Other content under this name is told by the seal, with both sizes.
        guard (try? plan.check(found)) != nil else { return nil }
        return found
    }

    /// Brought to the device and read back at once, while the next are written: most recorded segments are smaller.
    private static let writtenBytes = 8 << 20

    /// Copies a file, or makes a clip, in staging; compares and publishes it.
    private func make(_ plan: ArchivePlan, as name: StagingName, on thread: BlockingLane) async throws -> Digest {
        let fill: (StagedFile, WorkBehind) async throws -> Void
        if case .window = plan.origin {
            let recipe = try await clips.recipe(plan, on: thread)
            fill = { staged, behind in
                try await thread.runUnlessCancelled { try staged.reserve(recipe.sizeBytes) }
                try await clips.write(recipe, on: thread) { bytes in
                    try staged.append(bytes)
                    behind.appended(bytes.count)
                }
            }
        } else {
            let source = try await sources.open(plan, on: thread)
            fill = { staged, behind in try await source.copy(to: staged, on: thread) { behind.appended($0) } }
        }
        let staged = try await thread.runUnlessCancelled {
            try StagedFile.create(in: volume, name: name, leftover: .remove, isHashed: false)
        }
        do {
            let readBack = try await thread.runUnlessCancelled { try ReadBack(of: staged) }
            // What was written is sent to the device on one thread, while what the device has is read back on another.
            let behind = BlockingLane("verify-\(name.label)", threads: 2)
            defer { behind.close() }
            let reading = WorkBehind(every: 1, on: behind) { try readBack.catchUp() }
            let sending = WorkBehind(every: Self.writtenBytes, on: behind) {
                try staged.beginWriteBack()
                reading.appended(Self.writtenBytes)
            }
            func end() async {
                await sending.end()
                await reading.end()
            }
            do { try await fill(staged, sending) } catch {
                await end()
                throw error
            }
            await end()
            return try await thread.runUnlessCancelled {
                try plan.check(try staged.verifyReadBack(readBack))
                return try staged.seal(as: plan.path).digest
            }
        } catch {
            await discard(staged, name, on: thread)
            throw error
        }
    }

    /// In a task of its own: the present one may be cancelled.
    private func discard(_ staged: StagedFile, _ name: StagingName, on thread: BlockingLane) async {
        await Task {
            try? await thread.run {
                try staged.discard()
                // After a refused seal the file is closed but still in staging.
                try volume.discardStaged(name)
            }
        }.value
    }

    private func write(
        _ bytes: [UInt8], to path: RelativePath, about digest: Digest, staging name: StagingName,
        on thread: BlockingLane
    ) async throws {
        try await thread.runUnlessCancelled {
            do {
                try volume.write(bytes, to: path, staging: name)
            } catch let error as VolumeError where error.kind == .exists {
                let there = try volume.reader(path)
                guard there.sizeBytes <= Self.largestSidecarBytes,
                    SidecarDocument.describes(try there.read(at: 0, count: Int(there.sizeBytes)), digest)
                else { throw error }
            }
        }
    }

    private static let largestSidecarBytes: Int64 = 1 << 20
}
