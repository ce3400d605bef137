// The last step of a seal on a volume whose complete files another system takes to the cloud and removes (Azure Container Storage):
// what was verified in staging, elsewhere, is written through one handle and closed; it is never opened again, because closing
// starts the time after which the file is taken, and never read back, because it may be gone.
import Glibc

extension VolumeRoot {
    /// One piece of the copy.
    private static let pieceBytes = 1 << 20

    /// Writes a staged file under its final name. A file of the same size there is what an earlier attempt wrote: the indexer gives
    /// each path to one content only, and a file system that writes data before sizes keeps no full size without its data.
    /// One of another size is what a killed attempt left, and is written anew before its time is over.
    func handOver(_ staging: String, _ digest: Digest, as path: RelativePath) throws(VolumeError) -> SealedFile.Outcome
    {
        let final = absolute(path)
        let folder = path.parent.map { absolute($0) } ?? publishedPath
        try ledger.ensure(path.ancestors, below: publishedPath, calls)
        do {
            if Int64(try calls.status(final).st_size) == digest.sizeBytes {
                _ = try calls.unlinkIfThere(staging)
                return .alreadyThere
            }
            try calls.unlink(final)
        } catch let error where error.kind == .missing {
            // Nobody wrote it yet, or it is in the cloud already, which then gets the same once more.
        }
        let source = try calls.open(staging, O_RDONLY | O_NOFOLLOW)
        let file: OpenFile
        do {
            file = try calls.open(final, O_WRONLY | O_CREAT | O_EXCL, call: .create)
        } catch let error where error.kind == .missing {
            // Whoever takes files may take empty folders as well; the next attempt makes them again.
            for ancestor in path.ancestors { ledger.remove(ancestor.string) }
            throw error
        }
        do throws(VolumeError) {
            try write(source, to: file, sizeBytes: digest.sizeBytes)
            try calls.sync(file)
        } catch {
            // A part must not be taken. Where it cannot be removed either, the next attempt does.
            _ = try? calls.unlinkIfThere(final)
            throw error
        }
        try calls.syncFolder(folder)
        _ = try calls.unlinkIfThere(staging)
        return .published
    }

    private func write(_ source: OpenFile, to file: OpenFile, sizeBytes: Int64) throws(VolumeError) {
        var buffer = [UInt8](repeating: 0, count: Self.pieceBytes)
        var offset: Int64 = 0
        while offset < sizeBytes {
            let got = try calls.read(source, into: &buffer, limit: buffer.count, at: offset)
            guard got > 0 else {
                throw VolumeError(.corrupted, path: source.path, "it ends after \(offset) of \(sizeBytes) bytes")
            }
            let at = offset
            try buffer.withBytes { (bytes) throws(VolumeError) in
                try calls.write(file, UnsafeRawBufferPointer(rebasing: bytes[..<got]), at: at)
            }
            offset += Int64(got)
        }
    }
}
