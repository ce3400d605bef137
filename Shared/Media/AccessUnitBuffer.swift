// One access unit of H.264 or H.265 while it is put together from network packets: NAL units, each after its length in
// 4 bytes, in the memory that becomes the packet's. So the bytes are copied once, from the receive buffer to here.

import Glibc

/// Collects NAL units. A value: a copy that is changed does not change the other.
public struct AccessUnitBuffer: Sendable {
    /// A picture has at most 600 slices (H.265 level 6.2) and some messages; more units are garbage.
    public static let maximumUnits = 4096
    /// A picture between keyframes of 8 Mbit/s has a quarter of it: what is expected wrongly costs no more.
    static let maximumExpectedBytes = 128 << 10

    /// Where the units' contents are, without their lengths. The one in progress is not among them.
    public private(set) var units: [Range<Int>] = []
    private var memory: GrowingMemory
    private var open: Int?

    /// Empty. `expectedBytes`: how large it will be about; less memory is copied where that is right.
    public init(expectedBytes: Int = 0) {
        memory = GrowingMemory(expectedBytes: min(max(expectedBytes, 0), Self.maximumExpectedBytes))
    }

    /// Nothing was appended.
    public var isEmpty: Bool { memory.count == 0 }
    /// A unit was begun and not ended.
    public var isUnitOpen: Bool { open != nil }
    /// Bytes so far, lengths included.
    public var count: Int { memory.count }

    /// Begins a unit. False: it does not fit, the access unit cannot be used.
    public mutating func beginUnit() -> Bool {
        endUnit()
        guard units.count < Self.maximumUnits, reserve(4) else { return false }
        memory.count += 4
        open = memory.count
        return true
    }

    /// Appends to the unit in progress. False: none was begun, or it would exceed `VideoAssembler.maximumUnitBytes`.
    public mutating func extend(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard open != nil, reserve(bytes.count) else { return false }
        if let target = memory.base, let source = bytes.baseAddress {
            (target + memory.count).copyMemory(from: source, byteCount: bytes.count)
            memory.count += bytes.count
        }
        return true
    }

    /// Ends the unit in progress and writes its length. An empty one vanishes.
    public mutating func endUnit() {
        guard let start = open, let base = memory.base else { return }
        open = nil
        let size = UInt32(memory.count - start)
        guard size > 0 else {
            memory.count = start - 4
            return
        }
        (base + start - 4).storeBytes(of: size.bigEndian, as: UInt32.self)
        units.append(start..<memory.count)
    }

    /// Takes back the last unit that was ended.
    public mutating func removeLastUnit() {
        guard open == nil, let last = units.popLast(), reserve(0) else { return }
        memory.count = last.lowerBound - 4
    }

    /// The content of a range of `units`, for the duration of `body`.
    public func withUnit<Result>(_ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> Result) rethrows
        -> Result
    {
        let held = 0..<memory.count
        let part = range.clamped(to: held)
        return try withExtendedLifetime(memory) {
            try body(UnsafeRawBufferPointer(start: memory.base.map { $0 + part.lowerBound }, count: part.count))
        }
    }

    /// The units that `isKept` chooses, as a packet's bytes. Units left out before the first kept one cost nothing.
    consuming func packetBytes(keeping isKept: [Bool]) -> PacketBytes {
        endUnit()
        guard reserve(0), let base = memory.base else { return PacketBytes([]) }
        var start: Int?
        var end = 0
        for (unit, keep) in zip(units, isKept) where keep {
            let whole = unit.lowerBound - 4..<unit.upperBound
            if start == nil {
                start = whole.lowerBound
                end = whole.lowerBound
            }
            if end != whole.lowerBound { memmove(base + end, base + whole.lowerBound, whole.count) }
            end += whole.count
        }
        return memory.handOver((start ?? 0)..<end)
    }

    /// Room for `count` more bytes in memory that is only ours. False: over the bound, or no memory.
    private mutating func reserve(_ count: Int) -> Bool {
        guard count <= VideoAssembler.maximumUnitBytes - memory.count else { return false }
        if !isKnownUniquelyReferenced(&memory) {
            let copy = GrowingMemory(expectedBytes: 0)
            guard copy.fill(from: memory) else { return false }
            memory = copy
        }
        return memory.reserve(count)
    }
}

// @unchecked Sendable is sound: AccessUnitBuffer changes it only while it holds the only reference.
/// Memory of malloc's, which can grow and shrink in place.
private final class GrowingMemory: @unchecked Sendable {
    var base: UnsafeMutableRawPointer?
    var count = 0
    private var capacity = 0
    private let expected: Int

    init(expectedBytes: Int) { expected = expectedBytes }

    deinit {
        free(base)
    }

    func reserve(_ more: Int) -> Bool {
        guard count + more > capacity || base == nil else { return true }
        // A packet's worth at least; then to the double, so that a keyframe of 500 KB grows a few times.
        let wanted = max(count + more, capacity * 2, expected, 2048)
        guard let grown = realloc(base, wanted) else { return false }
        base = grown
        capacity = wanted
        return true
    }

    func fill(from other: GrowingMemory) -> Bool {
        guard reserve(other.count) else { return false }
        if let base, let source = other.base { base.copyMemory(from: source, byteCount: other.count) }
        count = other.count
        return true
    }

    func handOver(_ range: Range<Int>) -> PacketBytes {
        guard let memory = realloc(base, max(range.upperBound, 1)) ?? base else { return PacketBytes([]) }
        base = nil
        count = 0
        capacity = 0
        return PacketBytes(adopting: memory, range)
    }
}
