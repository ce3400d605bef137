// One item: read the source into staging with its SHA-256, read the staged file back, compare, publish without replacing,
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
    let clips: ClipMaker
    let logger: Logger

    /// Archives an item and gives what to report. Throws ArchiveProblem, VolumeError of the archive volume, or
    /// CancellationError; staging is left without the item's files in every case.
    func archive(_ item: ClaimedItem) async throws -> CompleteItemRequest {
        let plan = try ArchivePlan(item)
        let thread = BlockingLane("copy-\(item.itemID ?? 0)")
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
            sizeBytes: UInt64(digest.sizeBytes), sha256: digest.sha256, archiveVolumeID: volume.volumeID)
    }

    private func stagingName(_ item: ClaimedItem, _ what: String) throws(VolumeError) -> StagingName {
        try StagingName(owner: instance, epoch: item.epoch ?? 0, label: "\(what)-\(item.itemID ?? 0)")
    }

    /// The digest of a file that an earlier attempt published, where what it must be is known.
    private func finished(_ plan: ArchivePlan, on thread: BlockingLane) async throws -> Digest? {
        guard plan.knowsContent else { return nil }
        let found: Digest? = try await thread.runUnlessCancelled {
            guard volume.exists(plan.path) else { return nil }
            return try volume.reader(plan.path).digest()
        }
        guard let found else { return nil }
        // Other content under this name is told by the seal, with both sizes.
        guard (try? plan.check(found)) != nil else { return nil }
        return found
    }

    /// Copies a file, or makes a clip, in staging; compares and publishes it.
    private func make(_ plan: ArchivePlan, as name: StagingName, on thread: BlockingLane) async throws -> Digest {
        let fill: (StagedFile) async throws -> Void
        if case .window = plan.origin {
            let recipe = try await clips.recipe(plan, on: thread)
            fill = { staged in try await clips.write(recipe, on: thread) { try staged.append($0) } }
        } else {
            let source = try await sources.open(plan, on: thread)
            fill = { staged in try await copy(source, to: staged, on: thread) }
        }
        let staged = try await thread.runUnlessCancelled {
            try StagedFile.create(in: volume, name: name, leftover: .remove)
        }
        do {
            try await fill(staged)
            try plan.check(staged.digest)
            return try await thread.runUnlessCancelled {
                try staged.verifyReadBack()
                return try staged.seal(as: plan.path).digest
            }
        } catch {
            await discard(staged, name, on: thread)
            throw error
        }
    }

    private func copy(_ source: any SourceReader, to staged: StagedFile, on thread: BlockingLane) async throws {
        var offset: Int64 = 0
        while true {
            try Task.checkCancellation()
            let piece = try await source.read(at: offset)
            guard !piece.isEmpty else { return }
            try await thread.runUnlessCancelled { try staged.append(piece) }
            offset += Int64(piece.count)
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
