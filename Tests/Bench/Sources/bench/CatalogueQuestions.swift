// CatalogueQuestions: the same questions to a large and to a small catalogue, in turn with an empty call, and the figures of it.

import Foundation
import RPC
import Wire

struct CatalogueQuestions: Sendable {
    /// A catalogue that is asked.
    struct Catalogue: Sendable {
        let client: RPCClient
        let footage: MadeFootage
        /// Segments of each camera.
        let numbers: Int
    }

    /// How long each call took, in microseconds.
    struct Answers: Sendable {
        var empty: [Double] = []
        var media: [Double] = []
        var coverage: [Double] = []
        var smallMedia: [Double] = []
        var smallCoverage: [Double] = []
        var files = 0

        var figures: [Figure] {
            [("query", media, smallMedia), ("coverage", coverage, smallCoverage)].flatMap { name, large, small in
                let p99 = quantile(0.99, of: large)
                return [
                    Figure(
                        name: "catalogue.\(name).p99", value: p99, unit: "us", peer: quantile(0.99, of: empty),
                        peerName: "empty call", bar: .ratioAtMost(3)),
                    Figure(
                        name: "catalogue.\(name).p99-beside-small", value: p99, unit: "us",
                        peer: quantile(0.99, of: small), peerName: "small catalogue", bar: .ratioAtMost(1.5)),
                    Figure(
                        name: "catalogue.\(name).p50", value: quantile(0.5, of: large), unit: "us",
                        peer: quantile(0.5, of: empty), peerName: "empty call", bar: .none),
                ]
            } + [
                Figure(
                    name: "catalogue.query.files", value: Double(files) / Double(max(1, media.count)), unit: "files",
                    bar: .none)
            ]
        }
    }

    let large: Catalogue
    let small: Catalogue
    private static let windowUs: Int64 = 600_000_000

    /// Asks so often, each kind once in each turn.
    func ask(_ turns: Int) async throws -> Answers {
        var answers = Answers()
        for _ in 0..<turns {
            answers.empty.append(
                try await Self.timed {
                    let reply = try await large.client.call(IndexerMethods.listHolds, ListHoldsRequest())
                    guard reply.holds.isEmpty else { throw BenchError("there are holds: the empty call is not empty") }
                })
            for (catalogue, isLarge) in [(large, true), (small, false)] {
                let (source, window) = Self.place(catalogue)
                var files = 0
                let mediaUs = try await Self.timed {
                    let reply = try await catalogue.client.call(
                        IndexerMethods.queryMedia, QueryMediaRequest(source: source, window: window))
                    try Self.check(reply, source, window)
                    files = reply.files.count
                }
                let coverageUs = try await Self.timed {
                    let reply = try await catalogue.client.call(
                        IndexerMethods.coverage, CoverageRequest(source: source, window: window))
                    guard reply.gaps.isEmpty, Int(clamping: reply.segments ?? 0) == files else {
                        throw BenchError("coverage does not say what the list of files says")
                    }
                }
                if isLarge {
                    answers.media.append(mediaUs)
                    answers.coverage.append(coverageUs)
                    answers.files += files
                } else {
                    answers.smallMedia.append(mediaUs)
                    answers.smallCoverage.append(coverageUs)
                }
            }
        }
        return answers
    }

    /// Ten minutes of one camera, anywhere.
    private static func place(_ catalogue: Catalogue) -> (SourceName, Window) {
        let footage = catalogue.footage
        let lengthUs = Int64(catalogue.numbers) * footage.segmentUs
        let startUs = footage.zeroUs + .random(in: 0...max(0, lengthUs - windowUs))
        return (
            footage.source(.random(in: 0..<footage.cameras)), Window(startUs: startUs, endUs: startUs + windowUs)
        )
    }

    /// All files of the window, and no other.
    private static func check(_ reply: QueryMediaReply, _ source: SourceName, _ window: Window) throws {
        let (startUs, endUs) = (window.startUs ?? 0, window.endUs ?? 0)
        guard (60...61).contains(reply.files.count), reply.nextPageToken == nil,
            let first = reply.files.first, let last = reply.files.last, first.source == source, last.source == source,
            (first.startUs ?? .max) <= startUs, (last.startUs ?? .max) < endUs, (last.endUs ?? 0) >= endUs,
            first.path?.contains(CompactTime(us: first.startUs ?? 0).text) == true
        else { throw BenchError("a window of ten minutes was answered with \(reply.files.count) files, or wrong ones") }
    }

    private static func timed(_ body: () async throws -> Void) async rethrows -> Double {
        let began = ContinuousClock.now
        try await body()
        return began.duration(to: .now) / .microseconds(1)
    }
}
