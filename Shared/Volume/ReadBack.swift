// Reading a staged file back from the storage, behind what is still appended to it, so that a large copy is verified a moment after
// its last byte was written: what the device has is dropped from memory, read again, and hashed.
import Glibc
import Synchronization

/// How far a staged file was read back. Calls block and take turns; they run beside appends.
public final class ReadBack: Sendable {
    /// Only whole pages are dropped; the last one still grows.
    private static let pageBytes: Int64 = 4096
    /// Asked for ahead: a disk that is asked for little pieces one after the other gives half of what it can.
    static let aheadBytes: Int64 = 8 << 20

    private let staged: StagedFile
    private let file: OpenFile
    private let calls: FileSystemCalls
    private let state = Mutex(RunningDigest())

    /// Opens the file once more.
    public init(of staged: StagedFile) throws(VolumeError) {
        self.staged = staged
        calls = staged.calls
        file = try calls.open(staged.path, O_RDONLY | O_NOFOLLOW)
    }

    /// Reads back what was appended and not read yet, once the device has it. What fails is tried again by the next call.
    public func catchUp() throws(VolumeError) {
        try readWritten { $0 - $0 % Self.pageBytes }
    }

    /// Reads back the rest, once the device has it; gives what the device has.
    func finished() throws(VolumeError) -> RunningDigest {
        try readWritten { $0 }
        return state.withLock { $0 }
    }

    /// In steps: what is hashed was written a moment ago, while the device writes what comes behind it.
    private func readWritten(upTo lastByte: (_ writtenBytes: Int64) -> Int64) throws(VolumeError) {
        var goesOn = true
        while goesOn {
            let (bytes, isAll) = try staged.writtenBack(atMost: Self.aheadBytes)
            try read(upTo: lastByte(bytes))
            goesOn = !isAll
        }
    }

    private func read(upTo end: Int64) throws(VolumeError) {
        try state.withLock { (running) throws(VolumeError) in
            let start = running.sizeBytes
            guard end > start else { return }
            calls.dropCache(file, from: start, count: end - start)
            var next = running
            try next.read(file, upTo: end, calls)
            running = next
        }
    }
}

extension RunningDigest {
    /// Goes on with what a file has, up to an offset or its end.
    mutating func read(_ file: OpenFile, upTo end: Int64, _ calls: FileSystemCalls) throws(VolumeError) {
        var buffer = [UInt8](repeating: 0, count: FileReader.pieceBytes)
        var askedBytes = sizeBytes
        while sizeBytes < end {
            if askedBytes - sizeBytes < ReadBack.aheadBytes / 2 {
                let count = min(ReadBack.aheadBytes, end - askedBytes)
                if count > 0 { calls.readAhead(file, from: askedBytes, count: count) }
                askedBytes += count
            }
            let wanted = Int(min(Int64(buffer.count), end - sizeBytes))
            let got = try calls.read(file, into: &buffer, limit: wanted, at: sizeBytes)
            if got == 0 { break }
            buffer.withUnsafeBytes { update(UnsafeRawBufferPointer(rebasing: $0[..<got])) }
        }
    }
}
