// NAL units of H.264 or H.265 to access units: what both payload formats have in common.
//
// An access unit ends at a marker once it holds a slice (Ivel sets the marker on the SEI before the picture), and where the
// timestamp changes (markers get lost or are never set). Some cameras set the marker on each slice. What was marked first is
// held until the next packet, which shows whether it was an end: then markers are believed from there on, and nothing waits.
// A camera whose slices go on after a marker with the same timestamp is not believed again: the timestamp alone decides.
// Where it does so after it was believed, that picture's first part was handed on already; the rest is dropped and counted as
// torn, and the next picture says that it follows a loss.

import Media

/// Puts NAL units together and knows whether one is missing.
struct NALAssembly: Sendable {
    var counters = DepacketizerCounters()
    private let codec: Codec
    private var unit = AccessUnitBuffer()
    private var timestamp: UInt32?
    private var hasSlice = false
    private var isTorn = false
    /// Packets are missing right before the next unit, or nothing is known of what was there: it may be without its head.
    private var needsHead = true
    /// Something was lost since the unit that was handed on last.
    private var followsLoss = false
    private var endedAtMarker: UInt32?
    private var believesMarker = true
    private var hasSeenMarker = false
    /// A marker was followed by another picture.
    private var markersEndPictures = false
    /// What was marked before that was known.
    private var held: Held?

    private struct Held: Sendable {
        var unit: AccessUnitBuffer
        var timestamp: UInt32
        var followsLoss: Bool
    }

    init(codec: Codec) {
        self.codec = codec
    }

    var isUnitOpen: Bool { unit.isUnitOpen }

    /// A packet with this time begins.
    mutating func begin(_ time: UInt32, deliver: (DepacketizedUnit) -> Void) {
        guard timestamp != time else { return }
        // The last fragment never came, though no packet is missing.
        if unit.isUnitOpen { isTorn = true }
        if endedAtMarker != time, held != nil, !needsHead { markersEndPictures = true }
        finish(deliver: deliver)
        if endedAtMarker != time {
            release(deliver: deliver)
            endedAtMarker = nil
        }
        timestamp = time
    }

    /// The packet that ends is marked.
    mutating func mark(deliver: (DepacketizedUnit) -> Void) {
        endUnit()
        guard believesMarker, hasSlice || isTorn else { return }
        endedAtMarker = timestamp
        hasSeenMarker = true
        if !markersEndPictures, !isTorn, let timestamp {
            release(deliver: deliver)
            held = Held(unit: takeUnit(), timestamp: timestamp, followsLoss: followsLoss)
            followsLoss = false
        } else {
            finish(deliver: deliver)
        }
    }

    /// Nothing comes for now: what is held is not kept back any longer.
    mutating func settle(deliver: (DepacketizedUnit) -> Void) {
        if timestamp == nil { release(deliver: deliver) }
    }

    mutating func lose() {
        if timestamp != nil { tear() }
        needsHead = true
        followsLoss = true
    }

    /// The access unit in progress cannot be whole.
    mutating func tear() {
        isTorn = true
        // What was collected is of no use; garbage must not eat the memory.
        unit = AccessUnitBuffer()
    }

    mutating func malformed() {
        counters.malformed += 1
        tear()
    }

    /// A whole NAL unit.
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard !bytes.isEmpty else { return }
        beginUnit()
        extend(bytes)
        endUnit()
    }

    mutating func beginUnit() {
        endUnit()
        guard !isTorn else { return }
        if !unit.beginUnit() { tooLarge() }
    }

    mutating func extend(_ bytes: UnsafeRawBufferPointer) {
        guard !isTorn, !bytes.isEmpty else { return }
        if !unit.extend(bytes) { tooLarge() }
    }

    /// Ends the unit in progress, if one is.
    mutating func endUnit() {
        guard unit.isUnitOpen else { return }
        unit.endUnit()
        guard let range = unit.units.last else { return }
        if let parts = unit.withUnit(range, Self.embeddedUnits) {
            unit.removeLastUnit()
            for part in parts where !isTorn {
                part.withUnsafeBytes { bytes in
                    if unit.beginUnit(), unit.extend(bytes) { unit.endUnit() } else { tooLarge() }
                }
                if let added = unit.units.last, !isTorn { note(unit.withUnit(added) { NALRole($0, codec) }) }
            }
            return
        }
        note(unit.withUnit(range) { NALRole($0, codec) })
    }

    mutating func flush(deliver: (DepacketizedUnit) -> Void) {
        // Of a camera that marks its last slices, what is not marked may miss some.
        if unit.isUnitOpen || (timestamp != nil && believesMarker && hasSeenMarker) { isTorn = true }
        finish(deliver: deliver)
        release(deliver: deliver)
    }

    private mutating func tooLarge() {
        counters.tooLarge += 1
        tear()
    }

    private mutating func note(_ role: NALRole) {
        switch role {
        case .head: needsHead = false
        case .firstSlice:
            needsHead = false
            // Another picture of the same time: the clock is frozen.
            if !hasSlice, held != nil { markersEndPictures = true }
            hasSlice = true
        case .laterSlice:
            if needsHead {
                tear()
            } else if !hasSlice, endedAtMarker == timestamp {
                believesMarker = false
                rejoin()
            }
            hasSlice = true
        case .broken: malformed()
        case .other: break
        }
    }

    /// The slices go on behind what is held, or was handed on.
    private mutating func rejoin() {
        guard let beginning = held else { return tear() }
        held = nil
        followsLoss = followsLoss || beginning.followsLoss
        let rest = unit
        unit = beginning.unit
        for range in rest.units where !isTorn {
            let fits = unit.beginUnit() && rest.withUnit(range) { unit.extend($0) }
            unit.endUnit()
            if !fits { tooLarge() }
        }
    }

    private mutating func release(deliver: (DepacketizedUnit) -> Void) {
        guard let whole = held else { return }
        held = nil
        counters.units += 1
        deliver(.accessUnit(whole.unit, timestamp: whole.timestamp, followsLoss: whole.followsLoss))
    }

    private mutating func finish(deliver: (DepacketizedUnit) -> Void) {
        guard let time = timestamp else { return }
        endUnit()
        // Its beginning is no more whole than its rest.
        if isTorn, !markersEndPictures, held?.timestamp == time { held = nil }
        release(deliver: deliver)
        let wasTorn = isTorn
        let finished = takeUnit()
        if wasTorn {
            counters.torn += 1
            followsLoss = true
        } else if !finished.isEmpty {
            counters.units += 1
            deliver(.accessUnit(finished, timestamp: time, followsLoss: followsLoss))
            followsLoss = false
        }
    }

    /// The unit that is over; the next one begins.
    private mutating func takeUnit() -> AccessUnitBuffer {
        let finished = unit
        if !finished.isEmpty { unit = AccessUnitBuffer(behind: finished) }
        timestamp = nil
        isTorn = false
        hasSlice = false
        return finished
    }

    /// The units where start codes divide what should be one (V380). nil: no start code in it, which is the rule.
    private static func embeddedUnits(_ bytes: UnsafeRawBufferPointer) -> [[UInt8]]? {
        let found = AnnexB.units(in: bytes)
        guard !found.isEmpty || startsWithCode(bytes) else { return nil }
        var parts: [[UInt8]] = []
        var end = (found.first?.lowerBound ?? 3) - 3
        while end > 0, bytes[end - 1] == 0 { end -= 1 }
        if end > 0 { parts.append(Array(bytes[0..<end])) }
        return parts + found.map { Array(bytes[$0]) }
    }

    private static func startsWithCode(_ bytes: UnsafeRawBufferPointer) -> Bool {
        bytes.count >= 3 && bytes[0] == 0 && bytes[1] == 0 && bytes[2] == 1
    }
}

/// What a NAL unit says about the completeness of its access unit.
private enum NALRole {
    /// Comes before the first slice only: delimiter, parameter sets.
    case head
    case firstSlice
    case laterSlice
    case other
    /// Too short for its header.
    case broken

    init(_ unit: UnsafeRawBufferPointer, _ codec: Codec) {
        guard let first = unit.first else {
            self = .broken
            return
        }
        if codec == .h264 {
            switch first & 0x1F {
            // first_mb_in_slice is 0: a single 1 bit.
            case 1, 2, 5: self = unit.count > 1 ? (unit[1] & 0x80 != 0 ? .firstSlice : .laterSlice) : .broken
            case 7, 8, 9: self = .head
            default: self = .other
            }
            return
        }
        switch first >> 1 & 0x3F {
        case 0...31: self = unit.count > 2 ? (unit[2] & 0x80 != 0 ? .firstSlice : .laterSlice) : .broken
        case 32...35: self = .head
        default: self = unit.count >= 2 ? .other : .broken
        }
    }
}
