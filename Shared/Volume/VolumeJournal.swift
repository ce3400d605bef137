// Small facts that must survive on the volume itself: an append-only journal of lines, one file per month, at the root.
//
//   .sightglass-{name}.{YYYYMM}      {CRC-32 of the payload, 8 hexadecimal digits}{space}{payload}{line feed}
//
// A payload holds no line feed. Every append is synced before it counts. A power cut can tear the last line: the next append
// closes it with a line feed of its own, and whoever reads passes over lines whose checksum is wrong. Nothing is rewritten;
// whole months are removed when they are too old. The names begin with '.', so no listing takes them for footage.
import CivilTime
import Glibc

/// One journal of a volume. A value; appends of one journal come from one thread. Calls block.
public struct VolumeJournal: Sendable {
    private let volume: VolumeRoot
    private let prefix: String

    /// `name` in `[a-z-]`, such as "gaps".
    public init(_ name: String, on volume: VolumeRoot) {
        self.volume = volume
        prefix = ".sightglass-\(name)."
    }

    /// Appends payloads and syncs. `nowUs` decides the month. Either all of them count or an error is thrown; after an error
    /// some may be there, so payloads must bear being written twice.
    public func append(_ payloads: [[UInt8]], nowUs: Int64) throws(VolumeError) {
        guard !payloads.isEmpty else { return }
        try volume.checkStillThere()
        guard let month = TimeStamp(us: nowUs)?.compact.prefix(6) else {
            throw VolumeError(.system, path: volume.path, "the clock of this host is not between 1970 and 2100")
        }
        let path = volume.path + "/" + prefix + month
        let file = try volume.calls.open(path, O_RDWR | O_CREAT | O_NOFOLLOW, call: .create)
        let size = Int64(try volume.calls.status(file).st_size)
        var bytes: [UInt8] = []
        if size > 0 {
            var last: [UInt8] = [0]
            _ = try volume.calls.read(file, into: &last, limit: 1, at: size - 1)
            if last != [UInt8(ascii: "\n")] { bytes.append(UInt8(ascii: "\n")) }
        }
        for payload in payloads { bytes += Self.line(payload) }
        try bytes.withBytes { (buffer) throws(VolumeError) in try volume.calls.write(file, buffer, at: size) }
        try volume.calls.datasync(file)
        // That the file was there says nothing: an earlier life may have been killed before it synced the folder.
        if !volume.ledger.contains(prefix + month) {
            try volume.calls.syncFolder(volume.path)
            volume.ledger.insert(prefix + month)
        }
    }

    /// Calls `visit` for each whole payload, the oldest month first. Gives how many lines were damaged.
    public func forEach(_ visit: ([UInt8]) -> Void) throws(VolumeError) -> Int {
        var damaged = 0
        for name in try months() {
            let reader = try FileReader(opening: volume.path + "/" + name, as: name, volume.calls)
            var offset: Int64 = 0
            var rest: [UInt8] = []
            while offset < reader.sizeBytes {
                let piece = try reader.read(at: offset, count: FileReader.pieceBytes)
                if piece.isEmpty { break }
                offset += Int64(piece.count)
                rest += piece
                var lines = rest.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
                rest = Array(lines.popLast() ?? [])
                for line in lines where !line.isEmpty {
                    if let payload = Self.payload(line) { visit(payload) } else { damaged += 1 }
                }
            }
            // Without its line feed a line counts when its checksum is right.
            if !rest.isEmpty {
                if let payload = Self.payload(rest[...]) { visit(payload) } else { damaged += 1 }
            }
        }
        return damaged
    }

    /// Removes the months that ended more than `days` days before `nowUs`.
    public func removeMonths(olderThanDays days: Int, nowUs: Int64) throws(VolumeError) {
        guard let oldest = TimeStamp(us: max(0, nowUs - Int64(days) * 86_400_000_000))?.compact.prefix(6) else {
            return
        }
        for name in try months() where name < prefix + oldest {
            _ = try volume.calls.unlinkIfThere(volume.path + "/" + name)
        }
    }

    private func months() throws(VolumeError) -> [String] {
        try volume.checkStillThere()
        let prefix = prefix
        return try volume.calls.list(volume.path).filter { $0.hasPrefix(prefix) }.sorted()
    }

    static func line(_ payload: [UInt8]) -> [UInt8] {
        let sum = String(crc32(payload), radix: 16)
        return Array((String(repeating: "0", count: 8 - sum.count) + sum + " ").utf8) + payload + [UInt8(ascii: "\n")]
    }

    static func payload(_ line: ArraySlice<UInt8>) -> [UInt8]? {
        let payload = Array(line.dropFirst(9))
        return line.count > 9 && Array(line) + [UInt8(ascii: "\n")] == Self.line(payload) ? payload : nil
    }

    /// CRC-32 as in ISO 3309, bit by bit: the lines are short and few.
    static func crc32(_ bytes: [UInt8]) -> UInt32 {
        var sum: UInt32 = .max
        for byte in bytes {
            sum ^= UInt32(byte)
            for _ in 0..<8 { sum = sum & 1 == 1 ? sum >> 1 ^ 0xEDB8_8320 : sum >> 1 }
        }
        return ~sum
    }
}
