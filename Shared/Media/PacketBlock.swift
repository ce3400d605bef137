// Memory that the pictures of a track lie in, one behind the other. A block is used by many pictures and given back with the last
// of them: no allocation for each, and none that grows with it.

import Glibc
import Synchronization

// @unchecked Sendable is sound: each byte is written by the one that took it with `take`, before anybody else is told of it, and
// `taken` is atomic.
/// Memory of which the front is taken.
final class PacketBlock: @unchecked Sendable {
    /// Half a second of 4 Mbit/s. A block ends with half a picture on average that goes on in the next one: of this size that is 5 %
    /// of what a ring holds, of 96 KiB it was 14 %; larger ones keep more for the sake of a last picture, and of a slow stream.
    static let usualBytes = 256 << 10

    /// Larger blocks, of which a single picture fills half, are that picture's.
    static let maximumSharedBytes = 1 << 20

    let base: UnsafeMutableRawPointer
    let capacityBytes: Int
    private let taken = Atomic(0)

    /// Nil where there is no memory.
    init?(capacityBytes: Int) {
        guard let base = malloc(max(capacityBytes, 1)) else { return nil }
        self.base = base
        self.capacityBytes = capacityBytes
    }

    deinit { free(base) }

    /// Takes `count` bytes behind the first `end`. False where they do not fit, or somebody else took them.
    func take(_ count: Int, behind end: Int) -> Bool {
        count <= capacityBytes - end
            && taken.compareExchange(expected: end, desired: end + count, ordering: .relaxed).exchanged
    }
}
