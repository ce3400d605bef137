// ReceiveBuffer: the bytes of one connection between the kernel and whoever reads them. They lie in one piece, so that a reader
// sees a message whole; what is consumed makes room at the front, and the rest is moved there only when the end is reached.

/// A growing window of received bytes. Belongs to one thread.
struct ReceiveBuffer: ~Copyable {
    /// One large read of a camera at 8 Mbit/s brings 20 to 60 KiB.
    static let firstCapacityBytes = 64 << 10
    /// Less room than this at the end is not worth a read.
    static let leastRoomBytes = 16 << 10

    private var storage: UnsafeMutableRawBufferPointer
    private var start = 0
    private var end = 0
    private let maximumBytes: Int

    /// - Parameter maximumBytes: the longest message that must fit; a reader that consumes nothing of so many bytes is stuck.
    init(maximumBytes: Int) {
        self.maximumBytes = max(maximumBytes, Self.firstCapacityBytes)
        storage = .allocate(byteCount: Self.firstCapacityBytes, alignment: 64)
    }

    deinit { storage.deallocate() }

    /// What was received and not consumed.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: storage[start..<end]) }
    /// Bytes that the buffer occupies.
    var capacityBytes: Int { storage.count }

    /// Room at the end for the next read; nil when the buffer is full and may not grow.
    mutating func room() -> UnsafeMutableRawBufferPointer? {
        if storage.count - end < Self.leastRoomBytes {
            compact()
            if storage.count - end < Self.leastRoomBytes, !grow() { return nil }
        }
        return UnsafeMutableRawBufferPointer(rebasing: storage[end...])
    }

    /// So many bytes were written to the room.
    mutating func received(_ count: Int) { end = min(end + max(count, 0), storage.count) }

    /// So many bytes of the front are done with.
    mutating func consume(_ count: Int) {
        start = min(start + max(count, 0), end)
        if start == end { (start, end) = (0, 0) }
    }

    private mutating func compact() {
        guard start > 0, let base = storage.baseAddress else { return }
        base.copyMemory(from: base + start, byteCount: end - start)
        (start, end) = (0, end - start)
    }

    private mutating func grow() -> Bool {
        guard storage.count < maximumBytes + Self.leastRoomBytes else { return false }
        let larger = UnsafeMutableRawBufferPointer.allocate(
            byteCount: min(storage.count * 2, maximumBytes + Self.leastRoomBytes), alignment: 64)
        larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: storage[..<end]))
        storage.deallocate()
        storage = larger
        return true
    }
}
