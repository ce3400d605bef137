// Where files go. One implementation puts them into Azure Blob Storage, the other only verifies, because the volume uploads
// by itself.
import Volume

/// What came of an upload.
struct UploadReceipt: Sendable, Equatable {
    /// Where it is now, without a signature; nil for a volume that uploads by itself.
    var blobURL: String?
    var isHandedOver = false
}

protocol UploadTarget: Sendable {
    /// Whether files can be taken now. While they cannot, nothing is claimed.
    func mayWork() async -> Bool
    /// Puts a file where it belongs, or finds that it is there. Throws UploadProblem, VolumeError or
    /// CancellationError.
    func upload(_ file: PreparedFile) async throws -> UploadReceipt
    /// Ends connections.
    func close() async
}

/// A cloud-backed volume: the archiver has written and verified the file, the volume's own service uploads it. What is
/// left to do is to see that the file is there as it was archived; the caller has just read and compared it.
struct FolderTarget: UploadTarget {
    func mayWork() async -> Bool { true }

    func upload(_ file: PreparedFile) async throws -> UploadReceipt {
        UploadReceipt(blobURL: nil, isHandedOver: true)
    }

    func close() async {}
}
