// CatalogueFill: fills a catalogue with made-up footage. By RecordMedia, as controllers send what waited in their spools; or, where
// that would take too long, by Tests/Bench/fill-catalogue, which writes rows into the database of an indexer that is stopped.

import Foundation
import RPC
import Synchronization
import Wire

struct CatalogueFill {
    let site: ServiceSite
    let footage: MadeFootage

    /// Each controller has a part of the cameras and one batch under way, as a spool is emptied.
    static let controllers = 4
    /// As many as a batch may have.
    private static let batch = 500

    /// Tells the runs, which come before their segments.
    func recordRuns() throws {
        let client = try site.client("indexer")
        let records = (0..<footage.cameras).map { footage.run($0, spoolID: UInt64($0)) }
        try waiting { try await Self.send(records, client, "cc-0") }
    }

    /// Records the segments of all cameras with these numbers, in the order of time; gives the seconds that it took.
    func record(_ numbers: Range<Int>) throws -> Double {
        let footage = footage
        var clients: [RPCClient] = []
        for _ in 0..<Self.controllers { clients.append(try site.newClient("indexer")) }
        defer { clients.forEach { $0.close() } }
        let senders = clients
        let began = ContinuousClock.now
        try waiting {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (controller, client) in senders.enumerated() {
                    let cameras = (0..<footage.cameras).filter { $0 % Self.controllers == controller }
                    group.addTask {
                        try await Self.send(footage, cameras, numbers, client, "cc-\(controller)")
                    }
                }
                try await group.waitForAll()
            }
        }
        return began.duration(to: .now) / .seconds(1)
    }

    private static func send(
        _ footage: MadeFootage, _ cameras: [Int], _ numbers: Range<Int>, _ client: RPCClient, _ controller: String
    ) async throws {
        let perBatch = max(1, batch / max(1, cameras.count))
        for first in stride(from: numbers.lowerBound, to: numbers.upperBound, by: perBatch) {
            var records: [MediaRecord] = []
            records.reserveCapacity(batch)
            for number in first..<min(first + perBatch, numbers.upperBound) {
                for camera in cameras {
                    records.append(footage.segment(camera, number, spoolID: UInt64(records.count)))
                }
            }
            try await send(records, client, controller)
        }
    }

    static func send(_ records: [MediaRecord], _ client: RPCClient, _ controller: String) async throws {
        let reply = try await client.call(
            IndexerMethods.recordMedia, RecordMediaRequest(controllerID: controller, records: records),
            timeout: .seconds(120))
        guard reply.acknowledged.count == records.count else {
            throw BenchError("the indexer refused a record: \(reply.rejected.first?.message ?? "no reason given")")
        }
    }

    /// Adds the segments with these numbers to the database itself; the indexer is stopped meanwhile. The newest segment of each camera
    /// is the pattern.
    func write(_ numbers: Range<Int>) throws {
        site.stop("indexer")
        _ = try bench.run([
            "/usr/bin/env", "python3", "Tests/Bench/fill-catalogue", site.database, "\(numbers.lowerBound)",
            "\(numbers.upperBound)", "\(footage.zeroUs)", "\(footage.segmentUs)",
        ])
        try site.startIndexer()
    }
}
