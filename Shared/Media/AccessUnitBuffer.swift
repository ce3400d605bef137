// One access unit of H.264 or H.265 while it is put together from network packets: NAL units, each after its length in
// 4 bytes, in the memory that becomes the packet's. So the bytes are copied once, from the receive buffer to here.

import Glibc

/// Collects NAL units. A value: a copy that is changed does not change the other.
public struct AccessUnitBuffer: Sendable {
    /// A picture has at most 600 slices (H.265 level 6.2) and some messages; more units are garbage.
    public static let maximumUnits = 4096
    /// Delimiter, messages, and some slices: a list that grows costs an allocation each time.
    private static let usualUnits = 8

    /// Where the units' contents are, without their lengths. The one in progress is not among them.
    public private(set) var units: [Range<Int>] = []
    /// Bytes so far, lengths and units taken back included.
    public private(set) var count = 0
    private var open: Int?
    /// The memory, and where in it the first byte is.
    private var block: PacketBlock?
    private var start = 0

    /// Empty.
    public init() {}

    /// Empty, in the memory behind another one, as long as that reaches. Not behind a very large one: it would be kept for the
    /// sake of small ones.
    public init(behind other: AccessUnitBuffer) {
        guard let shared = other.block, shared.capacityBytes <= PacketBlock.maximumSharedBytes else { return }
        block = shared
        start = other.start + other.count
    }

    /// Nothing was appended.
    public var isEmpty: Bool { count == 0 }
    /// A unit was begun and not ended.
    public var isUnitOpen: Bool { open != nil }

    /// Begins a unit. False: it does not fit, the access unit cannot be used.
    public mutating func beginUnit() -> Bool {
        endUnit()
        guard units.count < Self.maximumUnits, grow(4) != nil else { return false }
        open = count
        return true
    }

    /// Appends to the unit in progress. False: none was begun, or it would exceed `VideoAssembler.maximumUnitBytes`.
    public mutating func extend(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard open != nil, let target = grow(bytes.count) else { return false }
        if let source = bytes.baseAddress { target.copyMemory(from: source, byteCount: bytes.count) }
        return true
    }

    /// Ends the unit in progress and writes its length. An empty one is none.
    public mutating func endUnit() {
        guard let begun = open, let block else { return }
        open = nil
        guard count > begun else { return }
        (block.base + start + begun - 4).storeBytes(of: UInt32(count - begun).bigEndian, as: UInt32.self)
        if units.isEmpty { units.reserveCapacity(Self.usualUnits) }
        units.append(begun..<count)
    }

    /// Takes back the last unit that was ended; its bytes stay as a hole.
    public mutating func removeLastUnit() {
        if open == nil { _ = units.popLast() }
    }

    /// The content of a range of `units`, for the duration of `body`.
    public func withUnit<Result>(_ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> Result) rethrows
        -> Result
    {
        let part = range.clamped(to: 0..<count)
        return try withExtendedLifetime(block) {
            try body(UnsafeRawBufferPointer(start: block.map { $0.base + start + part.lowerBound }, count: part.count))
        }
    }

    /// What `kept` names, as a packet's bytes. Where that is one piece nothing is copied: the packet shares the memory.
    func packetBytes(keeping kept: KeptUnits) -> PacketBytes {
        guard let block, let first = kept.pieces.first else { return PacketBytes([]) }
        if kept.pieces.count == 1 {
            return PacketBytes(sharing: block, start + first.lowerBound..<start + first.upperBound)
        }
        return PacketBytes(count: kept.pieces.reduce(0) { $0 + $1.count }) { target in
            var end = 0
            for piece in kept.pieces {
                guard let target = target.baseAddress else { return }
                (target + end).copyMemory(from: block.base + start + piece.lowerBound, byteCount: piece.count)
                end += piece.count
            }
        }
    }

    /// Room for `more` bytes behind the others. Nil: over the bound, or no memory.
    private mutating func grow(_ more: Int) -> UnsafeMutableRawPointer? {
        guard more <= VideoAssembler.maximumUnitBytes - count else { return nil }
        if let block, block.take(more, behind: start + count) {
            count += more
            return block.base + start + count - more
        }
        // The block ends here, or a copy of this value went on in it. Twice the size for what may come: a keyframe of 500 KB moves
        // a few times.
        let needed = count + more
        guard let larger = PacketBlock(capacityBytes: max(PacketBlock.usualBytes, 2 * needed)),
            larger.take(needed, behind: 0)
        else { return nil }
        if let block { larger.base.copyMemory(from: block.base + start, byteCount: count) }
        (block, start, count) = (larger, 0, needed)
        return larger.base + needed - more
    }
}

/// Which parts of an access unit a file needs, in their order: units with their lengths, joined where they lie side by side.
struct KeptUnits {
    private(set) var pieces: [Range<Int>] = []

    var isEmpty: Bool { pieces.isEmpty }

    /// Keeps one of `AccessUnitBuffer.units`.
    mutating func keep(_ unit: Range<Int>) {
        let whole = unit.lowerBound - 4..<unit.upperBound
        if let last = pieces.last, last.upperBound == whole.lowerBound {
            pieces[pieces.count - 1] = last.lowerBound..<whole.upperBound
        } else {
            pieces.append(whole)
        }
    }
}
