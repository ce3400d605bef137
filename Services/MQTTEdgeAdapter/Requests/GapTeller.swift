// Tells of gaps in the footage as the catalogue learns of them: N/source-gaps/{device}/{endpoint}. Not retained: the catalogue
// has them all, and a request's status those of its window.

import JSON
import RPC
import Wire

/// Publishes each gap once.
actor GapTeller {
    /// A change names the source only; its gaps are looked for in so much time before it.
    private static let lookBackUs: Int64 = 24 * 3_600_000_000
    /// What the catalogue concludes from what is missing, which nobody has recorded: more footage may come.
    private static let concluded: Set = ["not_recorded", "expired"]
    private static let lookAheadUs: Int64 = 60_000_000
    private static let timeout = Duration.seconds(5)
    /// Gaps that are remembered as told, for each source.
    private static let maximumTold = 200

    private let indexer: RPCClient
    private let outbound: OutboundSession
    private let topics: Topics
    private var told: [SourceName: [Int64]] = [:]

    init(indexer: RPCClient, outbound: OutboundSession, topics: Topics) {
        (self.indexer, self.outbound, self.topics) = (indexer, outbound, topics)
    }

    /// A gap of a source ("device/endpoint") was recorded.
    func tell(_ source: SourceName, atUs: Int64) async throws(RPCError) {
        let window = Window(startUs: max(1, atUs - Self.lookBackUs), endUs: atUs + Self.lookAheadUs)
        let reply = try await indexer.call(
            IndexerMethods.coverage, CoverageRequest(source: source, window: window), timeout: Self.timeout)
        let isFirst = told[source] == nil
        for gap in reply.gaps {
            // The edges of the window are no gaps that anybody recorded.
            guard !Self.concluded.contains(gap.cause ?? ""), let startUs = gap.window?.startUs,
                let endUs = gap.window?.endUs, startUs > window.startUs ?? 0,
                endUs < window.endUs ?? 0, told[source]?.contains(startUs) != true
            else { continue }
            told[source, default: []].append(startUs)
            // Those before this process's first look were told by the one before it.
            guard !isFirst || endUs >= atUs - Self.lookAheadUs else { continue }
            var message = OutboundMessage(
                topic: topics.gaps(source), payload: RequestJSON.gap(gap).encoded())
            message.properties = .json
            outbound.post(message)
        }
        if let count = told[source]?.count, count > Self.maximumTold {
            told[source]?.removeFirst(count - Self.maximumTold)
        }
        if isFirst, told[source] == nil { told[source] = [] }
    }
}
