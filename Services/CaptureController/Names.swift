// The two names that everything here is keyed by, complete and comparable, and how they come out of the contract's
// messages, where every field may be absent.
import RPC
import ServiceKit
import Wire

/// A source of pictures: an inbound endpoint of a device. One camera session, one lease.
struct SourceKey: Hashable, Sendable, Comparable, CustomStringConvertible {
    let device: String
    let endpoint: String

    init(device: String, endpoint: String) {
        self.device = device
        self.endpoint = endpoint
    }

    /// Nil where a part is absent or empty: such a name belongs to nothing.
    init?(_ name: SourceName?) {
        guard let device = name?.device, let endpoint = name?.endpoint, !device.isEmpty, !endpoint.isEmpty else {
            return nil
        }
        self.init(device: device, endpoint: endpoint)
    }

    /// Of a request: INVALID_ARGUMENT names the part that is missing or wrong.
    init(checking name: SourceName, _ field: String) throws(RPCError) {
        let (device, endpoint) = try FieldCheck.source(name, field)
        self.init(device: device, endpoint: endpoint)
    }

    var wire: SourceName { SourceName(device: device, endpoint: endpoint) }
    var description: String { "\(device)/\(endpoint)" }

    static func < (left: SourceKey, right: SourceKey) -> Bool {
        (left.device, left.endpoint) < (right.device, right.endpoint)
    }
}

/// A stream of an asset: a source and what is to be done with it.
struct StreamKey: Hashable, Sendable, Comparable, CustomStringConvertible {
    let asset: String
    let stream: String

    init(asset: String, stream: String) {
        self.asset = asset
        self.stream = stream
    }

    /// Nil where a part is absent or empty.
    init?(_ name: StreamName?) {
        guard let asset = name?.asset, let stream = name?.stream, !asset.isEmpty, !stream.isEmpty else { return nil }
        self.init(asset: asset, stream: stream)
    }

    var wire: StreamName { StreamName(asset: asset, stream: stream) }
    var description: String { "\(asset)/\(stream)" }

    static func < (left: StreamKey, right: StreamKey) -> Bool {
        (left.asset, left.stream) < (right.asset, right.stream)
    }
}

/// A half-open span of wall time, `[startUs, endUs)`, in microseconds since 1970, UTC.
struct Span: Hashable, Sendable {
    var startUs: Int64
    var endUs: Int64

    var isEmpty: Bool { endUs <= startUs }

    func overlaps(_ other: Span) -> Bool { startUs < other.endUs && other.startUs < endUs }

    var wire: Window { Window(startUs: startUs, endUs: endUs) }
}
