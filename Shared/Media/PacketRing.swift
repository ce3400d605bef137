// The last seconds of a source, as packets shared with whoever else holds them.
//
// Invariants: 1. the first packet is a video keyframe; 2. whole groups of pictures leave, never parts; 3. all packets
// are of one timeline. Bounds: at least `maximumSeconds` stay behind the newest packet where the bytes allow it, and the
// bytes never exceed `maximumBytes`: a group that alone is larger is let go and the ring waits for the next keyframe. Nor do
// the packets exceed a number that follows from it, so that a stream of tiny ones costs no more.

/// Packets of one source from a keyframe on, bounded in seconds and bytes.
public struct PacketRing: Sendable {
    /// Seconds that a reader can go back, at least, from the newest packet; a group of pictures longer stays whole.
    public let maximumSeconds: Double
    /// Upper bound of all payloads and configurations together.
    public let maximumBytes: Int
    /// Payload held now, and the configurations that changed on the way.
    public private(set) var sizeBytes = 0
    /// Groups of pictures that had to leave for the bound in bytes before their time.
    public private(set) var groupsDroppedForBytes: UInt64 = 0

    private struct Group: Sendable {
        var packets: [MediaPacket]
        var sizeBytes: Int
        let startUs: Int64
    }
    private var groups: [Group] = []
    private var packetsHeld = 0
    private var newestConfiguration: CodecConfiguration?

    /// A packet costs about 250 bytes beside its payload; so many of them cost no more than the payloads may. The least is some seconds
    /// of any stream.
    private var maximumPackets: Int { max(maximumBytes / 256, 4096) }
    private var first = 0
    private var newestEndUs: Int64 = .min

    /// An empty ring. `maximumSeconds` 0 keeps the group of pictures in progress only.
    public init(maximumSeconds: Double, maximumBytes: Int) {
        self.maximumSeconds = max(0, maximumSeconds)
        self.maximumBytes = max(0, maximumBytes)
    }

    /// Takes a packet. What comes before the first video keyframe is not kept; a new timeline empties the ring first.
    public mutating func append(_ packet: MediaPacket) {
        if packet.startsNewTimeline { removeAll() }
        if packet.kind == .video && packet.isKeyframe {
            groups.append(Group(packets: [], sizeBytes: 0, startUs: packet.ptsUs))
        }
        guard first < groups.count else { return }
        let last = groups.count - 1
        var cost = packet.sizeBytes
        if packet.kind == .video, packet.configuration !== newestConfiguration {
            newestConfiguration = packet.configuration
            cost += packet.configuration.sizeBytes
        }
        groups[last].packets.append(packet)
        groups[last].sizeBytes += cost
        sizeBytes += cost
        packetsHeld += 1
        newestEndUs = max(newestEndUs, packet.ptsUs &+ packet.durationUs)
        trim()
    }

    /// Forgets everything.
    public mutating func removeAll() {
        groups.removeAll()
        first = 0
        sizeBytes = 0
        packetsHeld = 0
        newestEndUs = .min
    }

    /// Presentation time of the oldest packet, in microseconds of the run. nil: empty.
    public var oldestUs: Int64? { isEmpty ? nil : groups[first].startUs }
    /// End of the newest packet, in microseconds of the run.
    public var newestUs: Int64? { isEmpty ? nil : newestEndUs }
    /// Nothing is held.
    public var isEmpty: Bool { first >= groups.count }
    /// Number of packets held.
    public var count: Int { groups[first...].reduce(0) { $0 + $1.packets.count } }

    /// The newest video keyframe: what a snapshot is made of.
    public var newestKeyframe: MediaPacket? { isEmpty ? nil : groups.last?.packets.first }

    /// Packets in the order of arrival, from the last keyframe at or before `ptsUs` on, or from the oldest.
    public func packets(fromPtsUs ptsUs: Int64) -> [MediaPacket] {
        let held = groups[first...]
        let start = held.lastIndex { $0.startUs <= ptsUs } ?? held.startIndex
        return held[start...].flatMap(\.packets)
    }

    private mutating func trim() {
        let keepUs = Int64(min(maximumSeconds, 86_400) * 1_000_000)
        // The oldest group may go when the one after it alone reaches back far enough.
        // A time that does not fit 64 bits in microseconds saturates, and the end of such a packet may lie anywhere.
        while first + 1 < groups.count, newestEndUs &- groups[first + 1].startUs >= keepUs { dropOldest() }
        while sizeBytes > maximumBytes || packetsHeld > maximumPackets, !isEmpty {
            dropOldest()
            groupsDroppedForBytes += 1
        }
        // Amortised: the array moves only when half of it is spent.
        if first > 64 && first * 2 > groups.count {
            groups.removeFirst(first)
            first = 0
        }
    }

    private mutating func dropOldest() {
        sizeBytes -= groups[first].sizeBytes
        packetsHeld -= groups[first].packets.count
        groups[first] = Group(packets: [], sizeBytes: 0, startUs: groups[first].startUs)
        first += 1
        if isEmpty { removeAll() }
    }
}
