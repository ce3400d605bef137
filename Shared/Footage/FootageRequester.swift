// Makes sure that the footage of a window is kept, before anybody else is told of the request: names to sources, sources
// to controllers, one EnsureFootage to each, all at once and bounded. Who asks: the adapter for events and archive
// requests from MQTT, the command line for an operator.

import RPC
import Wire

/// Resolves camera names and asks the controllers to keep footage. What the registry said last is kept, so that pre-event
/// footage survives a registry that is away.
public actor FootageRequester {
    /// How long the controllers together may take. Two seconds: long against a local call, short against a ring of 30 s.
    public static let defaultBound = Duration.seconds(2)

    private let neighbours: any FootageNeighbours
    private let bound: Duration
    private var configuration: Configuration?
    private var directory = CameraDirectory(Configuration())
    private var leases: [Lease] = []

    /// - Parameter bound: the longest time that `ensure` waits for the controllers.
    public init(neighbours: any FootageNeighbours, bound: Duration = FootageRequester.defaultBound) {
        self.neighbours = neighbours
        self.bound = bound
    }

    /// The present configuration; the last one that was seen while the registry is away.
    public func currentConfiguration() async throws(FootageError) -> Configuration {
        do {
            let answer = try await neighbours.configuration(known: configuration?.revision)
            if let known = configuration, answer.revision == known.revision, answer.streams.isEmpty,
                answer.endpoints.isEmpty
            {
                return known
            }
            configuration = answer
            directory = CameraDirectory(answer)
            return answer
        } catch {
            guard let configuration else { throw .noConfiguration(error) }
            return configuration
        }
    }

    /// Learns the present configuration and leases, so that they are known when the registry is away later. Gives the
    /// configuration where one is known.
    @discardableResult public func refresh() async -> Configuration? {
        if let fresh = try? await neighbours.leases() { leases = fresh }
        return try? await currentConfiguration()
    }

    /// The cameras that the names mean. Throws `unknownCamera` for the first name that the configuration does not have.
    public func resolve(_ names: [String]) async throws(FootageError) -> [RequestedCamera] {
        guard !names.isEmpty else { throw .noCameras }
        _ = try await currentConfiguration()
        return try directory.resolve(names)
    }

    /// Has the footage of a window kept. Never fails: where nobody could be asked, the camera says so in its
    /// `footageReason` and its `footage` stays UNSPECIFIED; the request is worth making all the same.
    ///
    /// - Parameters:
    ///   - key: event key or request id; the same again only prolongs the hold.
    ///   - holdMs: length of the soft hold; nil for the controller's default of 15 minutes.
    public func ensure(
        key: String, window: Window, cameras: [RequestedCamera], holdMs: UInt32? = nil
    ) async -> [RequestedCamera] {
        var current = true
        do { leases = try await neighbours.leases() } catch { current = false }
        let plan = FootagePlan(cameras: cameras, leases: leases, leasesAreCurrent: current)
        let neighbours = self.neighbours
        let bound = self.bound
        let answers = await withTaskGroup(of: (String, FootagePlan.Answer).self) { group in
            for (address, sources) in plan.questions {
                let request = EnsureFootageRequest(key: key, sources: sources, window: window, holdMs: holdMs)
                group.addTask {
                    do throws(RPCError) {
                        let reply = try await neighbours.ensureFootage(request, at: address, timeout: bound)
                        return (address, .ensured(reply.sources))
                    } catch {
                        return (address, .failed(error))
                    }
                }
            }
            var answers: [String: FootagePlan.Answer] = [:]
            for await (address, answer) in group { answers[address] = answer }
            return answers
        }
        return plan.merged(answers)
    }

    /// Where the controller that holds a source answers; nil where nobody holds it.
    public func controllerAddress(of source: SourceName) async -> String? {
        if let fresh = try? await neighbours.leases() { leases = fresh }
        return leases.first { $0.source == source && $0.holderAddress?.isEmpty == false }?.holderAddress
    }
}
