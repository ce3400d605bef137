// What an item asks for, checked before anything is touched; and what is said to the indexer when it cannot be done.
// Values only. The copy itself: Copier.swift.
import RPC
import Volume
import Wire

/// Why an item was not archived.
struct ArchiveProblem: Error, Equatable {
    /// For a person: names the file, what was wrong, what to do.
    let reason: String
    let isRetryable: Bool
    var retryAfter: Duration?

    /// A volume that is full, gone or read-only stays so for a while; asking every second would only fill logs.
    static let volumePause = Duration.seconds(30)
    /// A copy that differs from what was recorded may have been damaged on its way; after this many attempts it was not.
    static let mismatchAttempts: UInt32 = 2
}

/// An item that can be worked on.
struct ArchivePlan: Equatable {
    /// Where the bytes come from.
    enum Origin: Equatable {
        /// They came with the claim: a manifest.
        case content([UInt8])
        /// A file of a recording volume; `address` answers ReadSegment for it.
        case recorded(volumeID: String, path: RelativePath, address: String?)
        /// What a camera showed in a window: a clip, made of its segments.
        case window(source: SourceName, window: Window)
    }

    let path: RelativePath
    let origin: Origin
    /// The sidecar and its path; nil for manifests.
    let sidecar: [UInt8]?
    let sidecarPath: RelativePath?
    /// What must come out, where it is known. Sizes and hashes of the item and of its source must all agree.
    let expectedSizes: [UInt64]
    let expectedSHA256: [[UInt8]]
    let attempts: UInt32

    init(_ item: ClaimedItem) throws(ArchiveProblem) {
        do throws(VolumeError) {
            path = try RelativePath(item.archivePath ?? "")
            switch item.kind {
            case .manifest:
                guard let content = item.content, !content.isEmpty else {
                    throw VolumeError(.invalidName, path: path.string, "the manifest came without its content")
                }
                origin = .content(content)
                (sidecar, sidecarPath) = (nil, nil)
            case .segment, .snapshot:
                guard let source = item.source, let volumeID = source.volumeID else {
                    throw VolumeError(.invalidName, path: path.string, "the item names no source")
                }
                origin = .recorded(
                    volumeID: volumeID, path: try RelativePath(source.path ?? ""),
                    address: item.sourceAddress.flatMap { $0.isEmpty ? nil : $0 })
                sidecar = item.sidecar
                sidecarPath = item.sidecar == nil ? nil : try ArchiveLayout.sidecar(of: path)
            case .clip:
                guard let source = item.source?.source, let window = item.window else {
                    throw VolumeError(.invalidName, path: path.string, "the item names no camera or no window")
                }
                origin = .window(source: source, window: window)
                sidecar = item.sidecar
                sidecarPath = item.sidecar == nil ? nil : try ArchiveLayout.sidecar(of: path)
            default:
                throw VolumeError(
                    .invalidName, path: path.string,
                    "this archiver does not make items of kind \(item.kind?.name ?? "none")")
            }
        } catch {
            throw ArchiveProblem(reason: "\(error.path): \(error.detail)", isRetryable: false)
        }
        expectedSizes = [item.sizeBytes, item.source?.sizeBytes].compactMap { $0 }
        expectedSHA256 = [item.sha256, item.source?.sha256].compactMap { $0 }.filter { !$0.isEmpty }
        attempts = item.attempts ?? 0
    }

    /// Whether something is known that a finished file can be recognized by.
    var knowsContent: Bool { !expectedSHA256.isEmpty }

    /// Whether it is made of segments here.
    var isClip: Bool { if case .window = origin { true } else { false } }

    /// Throws unless the copied bytes are those that were recorded.
    func check(_ digest: Digest) throws(ArchiveProblem) {
        if let size = expectedSizes.first(where: { $0 != UInt64(clamping: digest.sizeBytes) }) {
            throw mismatch("\(digest.sizeBytes) bytes were read where \(size) were recorded")
        }
        if expectedSHA256.contains(where: { $0 != digest.sha256 }) {
            throw mismatch("the SHA-256 of what was read (\(digest.hexadecimal)) is not that of what was recorded")
        }
    }

    private func mismatch(_ text: String) -> ArchiveProblem {
        let isLast = attempts + 1 >= ArchiveProblem.mismatchAttempts
        return ArchiveProblem(
            reason: "\(sourceName): \(text); the copy was not used"
                + (isLast ? "; the source is damaged: check its disk" : "; it is read once more"),
            isRetryable: !isLast)
    }

    /// A recorded file as a person knows it.
    static func sourceName(_ path: RelativePath, _ volumeID: String) -> String {
        "\(path.string) on volume \(volumeID)"
    }

    /// The source as a person knows it.
    var sourceName: String {
        switch origin {
        case .content: path.string
        case .recorded(let volumeID, let path, _): Self.sourceName(path, volumeID)
        case .window(let source, _): "a clip of \(source.text)"
        }
    }
}

extension ArchiveProblem {
    /// A failure on the archive volume.
    static func onArchive(_ error: VolumeError) -> ArchiveProblem {
        switch error.kind {
        case .exists, .invalidName: ArchiveProblem(reason: "\(error)", isRetryable: false)
        case .corrupted, .unusable: ArchiveProblem(reason: "\(error)", isRetryable: true)
        default: ArchiveProblem(reason: "\(error)", isRetryable: true, retryAfter: volumePause)
        }
    }

    /// A failure while reading from a mounted recording volume.
    ///
    /// - Parameter name: of the file, as a person knows it.
    static func onSource(_ error: VolumeError, _ name: String) -> ArchiveProblem {
        switch error.kind {
        case .missing:
            ArchiveProblem(reason: "\(name): the file is gone; nothing is left to archive", isRetryable: false)
        default: ArchiveProblem(reason: "\(name): \(error)", isRetryable: true, retryAfter: volumePause)
        }
    }

    /// A failure while reading over RPC.
    static func onSource(_ error: RPCError, _ plan: ArchivePlan, address: String) -> ArchiveProblem {
        switch error.code {
        case .notFound:
            ArchiveProblem(
                reason: "\(plan.sourceName): \(address) no longer has the file; nothing is left to archive",
                isRetryable: false)
        default: ArchiveProblem(reason: "\(plan.sourceName): reading from \(address): \(error)", isRetryable: true)
        }
    }
}
