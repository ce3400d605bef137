// A segment that a clip is made of, open: on a mounted volume, or at the controller that has it. First its boxes are read, by
// ClipFile on a lane's thread; then, piece by piece, what of it goes into the clip.
import Media
import RPC
import Synchronization
import Volume
import Wire

/// An open segment.
protocol Segment: Sendable {
    /// As a person knows it.
    var name: String { get }
    /// Where its boxes are read. Reads block, so they happen on a lane's thread.
    func boxes() -> SegmentBytes
}

/// The bytes of a segment for ClipFile, which wants to read at once. Remembers why a read failed.
final class SegmentBytes: ByteSource, Sendable {
    let size: Int64
    private let reading: @Sendable (Int64, Int) throws(ClipProblem) -> [UInt8]
    private let found = Mutex<ClipProblem?>(nil)

    init(size: Int64, _ reading: @escaping @Sendable (Int64, Int) throws(ClipProblem) -> [UInt8]) {
        (self.size, self.reading) = (size, reading)
    }

    /// Why a read failed.
    var problem: ClipProblem? { found.withLock { $0 } }

    func read(at offset: Int64, count: Int) throws(MediaError) -> [UInt8] {
        do throws(ClipProblem) { return try reading(offset, count) } catch {
            found.withLock { $0 = error }
            throw MediaError(error.reason)
        }
    }
}

/// A segment on a mounted volume.
struct MountedSegment: Segment {
    let name: String
    private let volume: VolumeRoot
    private let path: RelativePath
    private let sizeBytes: Int64
    /// nil: it is opened anew for each part, because there are too many.
    private let kept: FileReader?

    /// Opens it. Blocks.
    init(_ path: RelativePath, on volume: VolumeRoot, name: String, keepsOpen: Bool) throws(ClipProblem) {
        (self.name, self.volume, self.path) = (name, volume, path)
        do throws(VolumeError) {
            let reader = try volume.reader(path)
            sizeBytes = reader.sizeBytes
            kept = keepsOpen ? reader : nil
        } catch { throw .mounted(error, name) }
    }

    /// The file. Blocks.
    func reader() throws(ClipProblem) -> FileReader {
        if let kept { return kept }
        do throws(VolumeError) { return try volume.reader(path) } catch { throw .mounted(error, name) }
    }

    /// Reads exactly `count` bytes to the place `start` of `buffer`. Blocks.
    func read(
        _ file: FileReader, at offset: Int64, count: Int, into buffer: inout [UInt8], from start: Int
    ) throws(ClipProblem) {
        let got: Int
        do throws(VolumeError) { got = try file.read(at: offset, count: count, into: &buffer, from: start) } catch {
            throw .mounted(error, name)
        }
        guard got == count else { throw .becameShorter(name) }
    }

    func boxes() -> SegmentBytes {
        let opened = Result { () throws(ClipProblem) in try reader() }
        return SegmentBytes(size: sizeBytes) { [name] (offset, count) throws(ClipProblem) in
            let file = try opened.get()
            do throws(VolumeError) { return try file.read(at: offset, count: count) } catch {
                throw .mounted(error, name)
            }
        }
    }
}

/// A segment that its owner reads for us.
struct RemoteSegment: Segment {
    static let mostBytes = Int64(RPCFootageCalls.mostBytes)
    /// Enough to see that it is there.
    private static let firstBytes: UInt32 = 1

    let name: String
    private let calls: any FootageCalls
    private let address: String
    private let volumeID: String
    private let path: String
    private let sizeBytes: Int64

    /// Asks its owner for it. Throws ClipProblem or CancellationError.
    static func open(
        _ path: String, of volumeID: String, at address: String, name: String, _ calls: any FootageCalls
    ) async throws -> RemoteSegment {
        let request = ReadSegmentRequest(volumeID: volumeID, path: path, offset: 0, length: firstBytes)
        do {
            let reply = try await calls.readSegment(request, at: address)
            guard let size = reply.sizeBytes.flatMap({ Int64(exactly: $0) }) else {
                throw ClipProblem(.unusable, "\(name): \(address) does not say how long the file is; update it")
            }
            return RemoteSegment(
                name: name, calls: calls, address: address, volumeID: volumeID, path: path, sizeBytes: size)
        } catch let error as RPCError {
            if error.code == .cancelled { throw CancellationError() }
            throw ClipProblem.remote(error, name, address)
        }
    }

    /// Reads `count` bytes, at most `mostBytes`; fewer only at the end of the file. Error code `.cancelled` where the task was.
    func read(at offset: Int64, count: Int) async throws(RPCError) -> [UInt8] {
        var bytes: [UInt8] = []
        let wanted = min(Int64(count), sizeBytes - offset)
        while Int64(bytes.count) < wanted {
            let at = offset + Int64(bytes.count)
            let reply = try await calls.readSegment(
                ReadSegmentRequest(
                    volumeID: volumeID, path: path, offset: UInt64(at),
                    length: UInt32(min(wanted - Int64(bytes.count), Self.mostBytes))), at: address)
            guard let data = reply.data, !data.isEmpty else { break }
            bytes = bytes.isEmpty ? data : bytes + data
        }
        return bytes
    }

    /// The same as an error for a person. Throws ClipProblem or CancellationError.
    func part(at offset: Int64, count: Int) async throws -> [UInt8] {
        do {
            let bytes = try await read(at: offset, count: count)
            guard bytes.count >= count else { throw ClipProblem.becameShorter(name) }
            return bytes
        } catch let error as RPCError {
            if error.code == .cancelled { throw CancellationError() }
            throw ClipProblem.remote(error, name, address)
        }
    }

    func boxes() -> SegmentBytes {
        SegmentBytes(size: sizeBytes) { (offset, count) throws(ClipProblem) in
            let answer = Awaited.onThisThread { () async -> Result<[UInt8], RPCError> in
                do throws(RPCError) { return .success(try await read(at: offset, count: count)) } catch {
                    return .failure(error)
                }
            }
            switch answer {
            case .success(let bytes): return bytes
            case .failure(let error): throw .remote(error, name, address)
            }
        }
    }
}
