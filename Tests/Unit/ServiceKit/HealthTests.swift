// Health, metrics, clocks, back-off, lanes: what a service says of itself and how its loops wait.
import CoreMetrics
import Foundation
import Logging
import Metrics
import RPC
import Synchronization
import Testing
import Wire

@testable import ServiceKit

@Suite("Health")
struct HealthTests {
    @Test func readyMeansAllConditions() {
        let health = HealthRegister()
        #expect(health.isReady)
        health.set("volume", ready: false, reason: "not mounted")
        health.set("database", ready: true)
        #expect(!health.isReady)
        #expect(health.reasons == ["volume: not mounted"])
        health.set("volume", ready: true)
        #expect(health.isReady)
        health.set("broker", ready: false)
        #expect(health.reasons == ["broker"])
        health.remove("broker")
        #expect(health.isReady)
    }

    @Test func conditionsAreBoundedAndReasonsRedacted() {
        let health = HealthRegister()
        for number in 0..<10_000 { health.set("c\(number)", ready: false, reason: "rtsp://a:canary@b") }
        #expect(health.reasons.count == HealthRegister.maximumConditions)
        #expect(!health.reasons.joined().contains("canary"))
    }

    @Test func theReplyShowsNeighboursWithoutBecomingUnready() {
        let health = HealthRegister()
        let reply = HealthReport.reply(
            service: "archiver/archiver-0", build: "1", health: health, uptimeUs: 5_400_000,
            neighbours: [
                .init(role: "indexer", problem: "not connected"), .init(role: "asset-registry", problem: nil),
            ],
            metrics: [MetricSample(name: "a_total", labels: "x=\"y\"", value: 2)])
        #expect(reply.ready == true)
        #expect(reply.live == true)
        #expect(reply.uptimeMs == 5_400)
        #expect(reply.neighbours.map(\.reachable) == [false, true])
        #expect(reply.neighbours[0].error == "not connected")
        #expect(reply.metrics == [MetricValue(name: "a_total", labels: "x=\"y\"", value: 2)])
        health.set("volume", ready: false, reason: "missing")
        let unready = HealthReport.reply(
            service: "", build: "", health: health, uptimeUs: 0, neighbours: [], metrics: [])
        #expect(unready.ready == false)
        #expect(unready.reasons == ["volume: missing"])
    }

    @Test func aRuntimeAnswersHealthCheckOverItsSocket() async throws {
        var settings = Settings()
        let folder = NSTemporaryDirectory() + "sk-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        settings[CommonSettings.runDirectory] = folder
        let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let runtime = ServiceRuntime(role: "indexer", settings: settings, logger: quiet)
        let server = try runtime.makeServer()
        try await server.start()
        let running = Task { try await server.run() }
        let other = ServiceRuntime(role: "archiver", settings: settings, logger: quiet)
        let client = try other.makeClient(role: "indexer")
        let reply = try await client.call(HealthMethods.check, HealthRequest())
        #expect(reply.service == "indexer/indexer-0")
        #expect(reply.ready == true)
        #expect(other.healthReply().neighbours == [Neighbour(role: "indexer", reachable: true)])
        server.stop()
        try await running.value
        other.close()
    }

    @Test func addressesThatCannotBeUsedNameTheirSetting() {
        let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        func refusal(_ address: String) -> String? {
            var settings = Settings()
            settings[CommonSettings.listen] = [address]
            do {
                _ = try ServiceRuntime(role: "indexer", settings: settings, logger: quiet).makeServer()
                return nil
            } catch {
                return error.description
            }
        }
        #expect(refusal("tcp://0.0.0.0:1")?.hasPrefix("setting 'listen': ") == true)
        #expect(refusal("tls+tcp://host:1")?.contains("tls-authorities") == true)
        #expect(refusal("tcp://127.0.0.1:1") == nil)
    }
}

@Suite("Metrics")
struct MetricsTests {
    @Test func countersGaugesAndTimersAreShown() {
        let store = MetricsStore()
        let counter = store.makeCounter(label: "a_total", dimensions: [("source", "c\"1\\\n")])
        counter.increment(by: 2)
        store.makeCounter(label: "a_total", dimensions: [("source", "c\"1\\\n")]).increment(by: 1)
        let gauge = store.makeRecorder(label: "g", dimensions: [], aggregate: false)
        gauge.record(5.0)
        gauge.record(3.0)
        let timer = store.makeTimer(label: "t_seconds", dimensions: [])
        timer.recordNanoseconds(1_500_000_000)
        timer.recordNanoseconds(500_000_000)
        store.makeMeter(label: "m", dimensions: []).decrement(by: 4)
        #expect(
            store.samples() == [
                MetricSample(name: "a_total", labels: "source=\"c\\\"1\\\\\\n\"", value: 3),
                MetricSample(name: "g", labels: "", value: 3), MetricSample(name: "m", labels: "", value: -4),
                MetricSample(name: "t_seconds_count", labels: "", value: 2),
                MetricSample(name: "t_seconds_sum", labels: "", value: 2),
            ])
    }

    @Test func labelsThatGrowWithoutEndAreRefusedAndCounted() throws {
        let store = MetricsStore()
        for number in 0..<1_000 {
            store.makeCounter(label: "a_total", dimensions: [("request", "\(number)")]).increment(by: 1)
        }
        store.makeCounter(label: "b_total", dimensions: []).increment(by: 1)
        let samples = store.samples()
        #expect(samples.filter { $0.name == "a_total" }.count == MetricsStore.maximumSeriesPerName)
        #expect(samples.contains(MetricSample(name: "b_total", labels: "", value: 1)))
        let refused = try #require(samples.first { $0.name == MetricsStore.refusedName })
        #expect(refused.value == Double(1_000 - MetricsStore.maximumSeriesPerName))
        for name in 0..<100 {
            for number in 0..<100 { _ = store.makeCounter(label: "n\(name)", dimensions: [("x", "\(number)")]) }
        }
        #expect(store.samples().count == MetricsStore.maximumSeries + 1)
    }

    @Test func aForgottenSeriesMakesRoom() {
        let store = MetricsStore()
        let counters = (0..<MetricsStore.maximumSeriesPerName).map {
            store.makeCounter(label: "a", dimensions: [("x", "\($0)")])
        }
        store.destroyCounter(counters[0])
        store.makeCounter(label: "a", dimensions: [("x", "new")]).increment(by: 1)
        #expect(store.samples().contains(MetricSample(name: "a", labels: "x=\"new\"", value: 1)))
    }
}

/// What a lane ran.
private final class Order: Sendable {
    let numbers = Mutex<[Int]>([])
}

@Suite("Waiting")
struct WaitingTests {
    @Test func waitsGrowToTheMaximumAndStartAgainAfterASuccess() {
        var backOff = BackOff(first: .seconds(1), maximum: .seconds(10), factor: 2, jitter: 0)
        let waits = (0..<6).map { _ in backOff.next(chance: 0.5) }
        #expect(waits == [.seconds(1), .seconds(2), .seconds(4), .seconds(8), .seconds(10), .seconds(10)])
        backOff.reset()
        #expect(backOff.next(chance: 0.5) == .seconds(1))
    }

    @Test func theTableOfTheDocumentationHolds() {
        for (chance, expected) in [
            (0.0, [400, 800, 1_600, 3_200, 6_400, 12_800, 24_000]),
            (0.5, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000]),
        ] {
            var backOff = BackOff()
            #expect(expected.map { _ in Int((backOff.next(chance: chance) / .milliseconds(1)).rounded()) } == expected)
        }
        var backOff = BackOff()
        for _ in 0..<10_000 { #expect(backOff.next(chance: 0.999) <= .seconds(30)) }
    }

    @Test func retryGoesOnUntilItWorksOrMakesNoSense() async throws {
        struct Away: Error {}
        struct Wrong: Error {}
        let quick = BackOff(first: .milliseconds(1), maximum: .milliseconds(1), jitter: 0)
        let attempts = Mutex(0)
        let result = try await retry(backOff: quick) {
            let attempt = attempts.withLock { count -> Int in
                count += 1
                return count
            }
            if attempt < 4 { throw Away() }
            return attempt
        }
        #expect(result == 4)
        await #expect(throws: Wrong.self) {
            try await retry(backOff: quick, onFailure: { error, _ in error is Away }) { throw Wrong() }
        }
        let forever = Task {
            try await retry(backOff: BackOff(first: .seconds(3_600), maximum: .seconds(3_600))) { throw Away() }
        }
        forever.cancel()
        await #expect(throws: CancellationError.self) { try await forever.value }
    }

    @Test func aLaneRunsInOrderAndRefusesWhatIsTooMuch() async throws {
        let lane = BlockingLane("test", maximumWaiting: 2)
        let order = Order()
        let gate = DispatchSemaphore(value: 0)
        let (started, signal) = AsyncStream.makeStream(of: Void.self)
        let blocker = Task {
            try await lane.run {
                signal.yield()
                gate.wait()
            }
        }
        for await _ in started { break }
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<5 {
                group.addTask {
                    do {
                        try await lane.run { order.numbers.withLock { $0.append(number) } }
                        return true
                    } catch is BlockingLaneError {
                        return false
                    }
                }
            }
            // Three of the five are refused while the lane is blocked; only then does it go on.
            var refused = 0
            while refused < 3, let done = try await group.next() { refused += done ? 0 : 1 }
            #expect(refused == 3)
            gate.signal()
            try await group.waitForAll()
        }
        try await blocker.value
        #expect(order.numbers.withLock { $0.count } == 2)
        #expect(throws: Never.self) { lane.close() }
        await #expect(throws: BlockingLaneError.closed(lane: "test")) { try await lane.run {} }
    }

    @Test func aLaneKeepsTheOrderOfArrivalAndPassesErrors() async throws {
        struct Failure: Error {}
        let lane = BlockingLane("test")
        #expect(try await lane.run { 7 } == 7)
        await #expect(throws: Failure.self) { try await lane.run { throw Failure() } }
    }

    @Test func aManualClockStandsUntilMoved() {
        let clock = ManualWallClock(us: 10)
        #expect(clock.nowUs() == 10)
        clock.advance(us: -3)
        #expect(clock.nowUs() == 7)
        clock.set(us: 1)
        #expect(clock.nowUs() == 1)
        #expect(SystemWallClock().nowUs() > 1_700_000_000_000_000)
        let before = MonotonicTime.nowUs()
        #expect(MonotonicTime.nowUs() >= before)
    }
}
