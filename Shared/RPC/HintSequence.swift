// HintSequence: whether hints were lost between two that arrived. And the form of a hint on the wire. Pure.

import Wire

/// Follows one publisher over one connection.
struct HintSequence: Sendable, Equatable {
    /// What a hint's number says.
    enum Finding: Equatable, Sendable {
        /// Nothing lies between it and the one before.
        case inOrder
        /// Hints before it were lost, or the publisher started anew.
        case lostBefore
        /// It is not newer than what was seen.
        case old
    }

    private var epoch: UInt64 = 0
    /// 0 until the first hint.
    private var last: UInt64 = 0

    /// Takes in a hint's numbers. The first hint of a connection is in order only if it is the publisher's first: what it
    /// published while the connection was being made cannot be known.
    mutating func observe(epoch: UInt64, sequence: UInt64) -> Finding {
        defer { if epoch != self.epoch || sequence > last { (self.epoch, last) = (epoch, sequence) } }
        let isFirst = last == 0
        if !isFirst, epoch == self.epoch, sequence <= last { return .old }
        let isNext = sequence == (epoch == self.epoch ? last : 0) &+ 1
        return isNext && (isFirst || epoch == self.epoch) ? .inOrder : .lostBefore
    }
}

/// A hint on the wire: the topic's bytes, a zero byte, the encoded message.
enum HintFrame {
    /// Writes a hint; `write` gets the size and makes room for it.
    static func withRoom<R>(
        for hint: Hint, _ write: (_ sizeBytes: Int, _ fill: (UnsafeMutableRawPointer) -> Void) -> R
    ) -> R {
        let topic = Array((hint.topic ?? "").utf8) + [0]
        return hint.withPacking { body in
            write(topic.count + body.sizeBytes) { room in
                room.copyMemory(from: topic, byteCount: topic.count)
                body.pack(into: room + topic.count)
            }
        }
    }

    /// Nil for what is not a hint.
    static func decode(_ bytes: UnsafeRawBufferPointer) -> Hint? {
        guard let end = bytes.firstIndex(of: 0) else { return nil }
        guard let hint = try? Hint(wire: UnsafeRawBufferPointer(rebasing: bytes[(end + 1)...])) else { return nil }
        let topic = bytes[..<end]
        return (hint.topic ?? "").utf8.elementsEqual(topic) ? hint : nil
    }
}
