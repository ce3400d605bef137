// Which cameras there are, by the names people use. Pure: made from the registry's configuration, asked by name.
// Beside it: FootagePlan.swift (whom to ask), FootageRequester.swift (the calls), ControllerClients.swift (the sockets).

import RPC
import Wire

/// Why footage could not be asked for.
public enum FootageError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The configuration has no such asset and no such source. `known` holds the names that it has, in order.
    case unknownCamera(name: String, known: [String])
    /// No camera was named at all.
    case noCameras
    /// The registry did not answer, and no earlier answer of it is here. Trying again later can work.
    case noConfiguration(RPCError)

    /// True where the same request can succeed later without being changed.
    public var isTransient: Bool {
        switch self {
        case .noConfiguration: true
        case .unknownCamera, .noCameras: false
        }
    }

    /// For a person: names the camera and what to do.
    public var description: String {
        switch self {
        case .unknownCamera(let name, let known):
            return "no camera \"\(Self.clipped(name))\": \(Self.choice(of: known))"
        case .noCameras:
            return "no camera is named: give the name of an asset, or device/endpoint"
        case .noConfiguration(let error):
            return "the asset registry does not answer and nothing is known of its cameras yet: \(error.message)"
        }
    }

    /// The names in an error message end here, so that a site with a thousand cameras still gives a message of one line.
    static let namesInMessage = 20

    private static func choice(of known: [String]) -> String {
        guard !known.isEmpty else { return "the registry knows none; apply a device and an asset first" }
        let shown = known.prefix(namesInMessage).joined(separator: ", ")
        let rest = known.count - namesInMessage
        return rest > 0 ? "known are \(shown) and \(rest) more" : "known are \(shown)"
    }

    /// A name comes from outside: an absurdly long one must not fill the log.
    private static func clipped(_ name: String) -> String {
        name.count <= 200 ? name : "\(name.prefix(200))…"
    }
}

/// The cameras of one configuration, by name. A camera is called by the asset that has streams of it, or by
/// `device/endpoint`. A source that an asset names is called by the asset even when asked for as `device/endpoint`,
/// because that is what its footage is called in the archive; of several assets the first by name counts.
public struct CameraDirectory: Sendable, Equatable {
    private let sourcesByAsset: [String: [SourceName]]
    private let assetBySource: [SourceName: String]
    private let sources: Set<SourceName>

    /// Reads the names out of a configuration. Disabled streams count too: footage of the past may be there.
    public init(_ configuration: Configuration) {
        var sourcesByAsset: [String: [SourceName]] = [:]
        var assetBySource: [SourceName: String] = [:]
        var sources = Set(configuration.endpoints.compactMap(\.source))
        for stream in configuration.streams {
            guard let asset = stream.name?.asset, let source = stream.source else { continue }
            sources.insert(source)
            if !sourcesByAsset[asset, default: []].contains(source) {
                sourcesByAsset[asset, default: []].append(source)
            }
            assetBySource[source] = min(assetBySource[source] ?? asset, asset)
        }
        self.sourcesByAsset = sourcesByAsset.mapValues { $0.sorted { $0.text < $1.text } }
        self.assetBySource = assetBySource
        self.sources = sources
    }

    /// All names that can be asked for: assets, then the sources that no asset names; each in order.
    public var names: [String] {
        sourcesByAsset.keys.sorted() + sources.filter { assetBySource[$0] == nil }.map(\.text).sorted()
    }

    /// The cameras that the names mean, each source once, in the order of the names. `footage` is UNSPECIFIED in all.
    public func resolve(_ names: [String]) throws(FootageError) -> [RequestedCamera] {
        guard !names.isEmpty else { throw .noCameras }
        var seen: Set<SourceName> = []
        var cameras: [RequestedCamera] = []
        for name in names {
            for camera in try resolve(name) {
                guard let source = camera.source, seen.insert(source).inserted else { continue }
                cameras.append(camera)
            }
        }
        return cameras
    }

    private func resolve(_ name: String) throws(FootageError) -> [RequestedCamera] {
        if let found = sourcesByAsset[name] {
            return found.map { RequestedCamera(camera: name, source: $0, footage: .unspecified) }
        }
        guard let source = SourceName(path: name), sources.contains(source) else {
            throw .unknownCamera(name: name, known: self.names)
        }
        return [RequestedCamera(camera: assetBySource[source] ?? name, source: source, footage: .unspecified)]
    }
}

extension SourceName {
    /// Reads `device/endpoint`; nil where it is not two names with one slash between them.
    public init?(path: String) {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
        self.init(device: String(parts[0]), endpoint: String(parts[1]))
    }
}
