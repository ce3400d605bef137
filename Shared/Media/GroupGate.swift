// Which packets may pass to a consumer that can be too slow: whole groups of pictures only, so that what it gets can be decoded.

/// The gate in front of one consumer. Shut until the first keyframe.
public struct GroupGate: Sendable, Equatable {
    /// Nothing passes up to the next keyframe.
    public private(set) var isDropping = true
    /// Groups dropped so far, wholly or from some picture on.
    public private(set) var groupsDropped: UInt64 = 0

    /// A gate that waits for a keyframe.
    public init() {}

    /// True where the packet may be offered to the consumer.
    public mutating func admits(isVideoKeyframe: Bool) -> Bool {
        if isVideoKeyframe { isDropping = false }
        return !isDropping
    }

    /// The consumer refused a packet: drop up to the next keyframe.
    public mutating func refused() {
        guard !isDropping else { return }
        isDropping = true
        groupsDropped += 1
    }

    /// A new session begins with a keyframe.
    public mutating func restart() { isDropping = true }
}
