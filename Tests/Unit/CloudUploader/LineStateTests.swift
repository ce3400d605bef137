// How many requests are on their way, on links and before services of all kinds; who waits for what, and in which order.
import Testing

@testable import CloudUploader

@Suite struct LineConvergenceTests {
    @Test func aFatLinkGetsAllThatIsAllowed() {
        var site = LineSimulation(.init())
        let limits = site.run(60)
        #expect(limits.last == 16 && limits.allSatisfy { (4...16).contains($0) })
        site.forgetCounts()
        site.run(60)
        // 4 MiB at 5 MB/s, and a round trip.
        #expect(site.answeredBytes / 60 > 0.9 * 16 * 4_194_304 / (0.839 + 0.15))
    }

    @Test(arguments: [(125e3, 1...1), (1.25e6, 1...3), (6e6, 6...16)] as [(Double, ClosedRange<Int>)])
    func aThinLinkGetsWhatItCarriesInSecondsAndIsFull(capacity: Double, allowed: ClosedRange<Int>) {
        var site = LineSimulation(.init(capacity: capacity))
        site.run(600)
        site.forgetCounts()
        let limits = site.run(600)
        #expect(limits.allSatisfy(allowed.contains), "\(Set(limits).sorted())")
        #expect(site.answeredBytes / 600 > 0.9 * capacity)
    }

    @Test func aLinkThatBreaksAboveSomeRequestsIsFoundOutAndSeldomTried() {
        var site = LineSimulation(.init(breaksAbove: 6))
        site.run(120)
        site.forgetCounts()
        let limits = site.run(1200)
        #expect(limits.max() == 7 && site.broken < 30, "\(site.broken)")
        #expect(site.answeredBytes / 1200 > 0.8 * 6 * 4_194_304 / (0.839 + 0.15))
    }

    /// 8 MB/s is more than one request makes and less than two; 0.5 MB/s is a tenth of what one makes.
    @Test(arguments: [20e6, 8e6, 0.5e6]) func aServiceThatThrottlesGetsLittleMoreThanItTakes(rate: Double) {
        var site = LineSimulation(.init(serviceRate: rate))
        site.run(300)
        site.forgetCounts()
        site.run(1200)
        let share = Double(site.throttled) / Double(site.throttled + site.answered)
        #expect(share < 0.15, "\(site.throttled) of \(site.throttled + site.answered)")
        #expect(site.answeredBytes / 1200 > 0.65 * rate, "\(site.answeredBytes / 1200 / rate)")
    }

    @Test func afterAnOutageAllIsAsBefore() {
        var site = LineSimulation(.init())
        site.run(120)
        site.world.isCut = true
        #expect(site.run(300).last == 1)
        site.world.isCut = false
        site.run(60)
        #expect(site.line.flights.limit == 16)
    }

    @Test func aLinkThatBecomesThinGetsLess() {
        var site = LineSimulation(.init())
        site.run(60)
        site.world.capacity = 1.25e6
        site.run(300)
        #expect(site.line.flights.limit <= 3)
        site.world.capacity = 125e6
        site.run(120)
        #expect(site.line.flights.limit == 16)
    }

    @Test func fewSendersRaiseNothing() {
        var site = LineSimulation(.init(), senders: 2)
        site.run(120)
        #expect(site.line.flights.limit == 4)
    }
}

@Suite struct FlightLimitTests {
    private let start = ContinuousClock.now
    private func flight(_ began: Double, filled: Bool = true) -> FlightLimit.Flight {
        .init(beganAt: start + .seconds(began), filledLimit: filled)
    }

    @Test func aCutThatBreaksAllIsOneStep() {
        var limit = FlightLimit(maximum: 8)
        for _ in 0..<4 { limit.ended(flight(0), .broken, inFlight: 4, now: start + .seconds(1)) }
        #expect(limit.limit == 2)
        limit.ended(flight(1), .broken, inFlight: 2, now: start + .seconds(2))
        #expect(limit.limit == 1)
    }

    @Test func smallBodiesCountInPartAndQuestionsNotAtAll() {
        var limit = FlightLimit(maximum: 8)
        for _ in 0..<100 { limit.ended(flight(0), .answered(bytes: 0), inFlight: 4, now: start + .seconds(1)) }
        #expect(limit.limit == 4)
        for _ in 0..<7 { limit.ended(flight(0), .answered(bytes: 128 << 10), inFlight: 4, now: start + .seconds(1)) }
        #expect(limit.limit == 4)
        limit.ended(flight(0), .answered(bytes: 128 << 10), inFlight: 4, now: start + .seconds(1))
        #expect(limit.limit == 5)
        for _ in 0..<100 {
            limit.ended(flight(0, filled: false), .answered(bytes: 1 << 20), inFlight: 1, now: start + .seconds(1))
        }
        #expect(limit.limit == 5)
    }

    @Test func theCeilingHoldsLongerEachTimeTheFirstStepAboveItGoesWrong() {
        var limit = FlightLimit(maximum: 16)
        var now = 0.0
        func grow(_ limit: inout FlightLimit) {
            for _ in 0..<200 {
                limit.ended(flight(now), .answered(bytes: 1 << 20), inFlight: limit.limit, now: start + .seconds(now))
            }
        }
        grow(&limit)
        #expect(limit.limit == 16)
        limit.ended(flight(now), .broken, inFlight: 9, now: start + .seconds(now))
        for seconds in [30.0, 60, 120, 240, 480, 600, 600] {
            now += seconds - 1
            grow(&limit)
            #expect(limit.limit == 8, "ceiling of \(seconds) s")
            now += 1
            for _ in 0..<9 {
                limit.ended(flight(now), .answered(bytes: 1 << 20), inFlight: 8, now: start + .seconds(now))
            }
            #expect(limit.limit == 9, "after \(seconds) s")
            limit.ended(flight(now), .broken, inFlight: 9, now: start + .seconds(now))
            #expect(limit.limit == 4)
        }
    }
}

@Suite struct LineStateTests {
    private let start = ContinuousClock.now
    private func at(_ seconds: Double) -> ContinuousClock.Instant { start + .seconds(seconds) }

    private func line(_ text: String = "unlimited", maximum: Int = 2) throws -> LineState {
        LineState(maximum: maximum, bandwidth: try Bandwidth(text), now: start)
    }

    @Test func requestsBeginInTheOrderOfAsking() throws {
        var line = try line()
        #expect((1...5).map { line.askToBegin($0, now: start) } == [true, true, false, false, false])
        line.forget(3)
        #expect(line.release(now: at(1)).isEmpty && line.nextRelease(now: at(1)) == nil)
        line.end(1, .answered(sentBytes: 0), now: at(1))
        #expect(line.release(now: at(1)) == [4])
        // Nobody passes who came later, though there is room.
        line.end(2, .answered(sentBytes: 0), now: at(2))
        line.end(4, .answered(sentBytes: 0), now: at(2))
        let isFree = line.askToBegin(6, now: at(2))
        #expect(!isFree)
        #expect(line.release(now: at(2)) == [5, 6])
    }

    @Test func retryAfterHoldsAllAndNeverForEver() throws {
        var line = try line()
        for id: UInt64 in 1...2 { _ = line.askToBegin(id, now: start) }
        line.end(1, .throttled(retryAfter: .seconds(20)), now: at(1))
        // A shorter one does not shorten it.
        line.end(2, .throttled(retryAfter: .seconds(5)), now: at(2))
        let isFree = line.askToBegin(3, now: at(3))
        #expect(!isFree && line.nextRelease(now: at(3)) == at(21))
        #expect(line.release(now: at(20.9)).isEmpty)
        #expect(line.release(now: at(21)) == [3])
        #expect(line.heldUntil == nil && line.heldTime == .seconds(20))
        line.end(3, .throttled(retryAfter: .seconds(86_400)), now: at(30))
        #expect(line.heldUntil == at(630))
    }

    @Test func bytesGoAtTheBandwidthWhoeverAsksAndInOrder() throws {
        // 1 MB/s.
        var line = try line("8 Mbit/s")
        var sent: [(id: UInt64, at: Double)] = []
        for id: UInt64 in 1...50 where line.askToSend(id, bytes: 64_000, now: start) { sent.append((id, 0)) }
        var now = start
        while let next = line.nextRelease(now: now) {
            now = max(now, next)
            for id in line.release(now: now) { sent.append((id, (now - start) / .seconds(1))) }
        }
        #expect(sent.map(\.id) == Array(1...50))
        for (index, piece) in sent.enumerated() {
            #expect(abs(piece.at - Double(index) * 0.064) < 0.001, "\(piece)")
        }
    }

    @Test func unusedTimeIsMadeUpForByATenthOfASecondOnly() throws {
        var line = try line("8 Mbit/s")
        // After a minute without anything: what a tenth of a second fills, and one piece that is owed.
        let free = (1...10).map { line.askToSend($0, bytes: 50_000, now: at(60)) }
        #expect(free == [true, true, true, false, false, false, false, false, false, false])
        #expect(line.release(now: at(60.049)).isEmpty)
        #expect(line.release(now: at(60.051)) == [4])
    }

    @Test func aChangeOfTheBandwidthAppliesAtOnceToThoseWhoWait() throws {
        var line = try line("8 Mbit/s")
        _ = line.askToSend(1, bytes: 4_000_000, now: start)
        _ = line.askToSend(2, bytes: 1, now: start)
        #expect(line.nextRelease(now: start) == at(4))
        // A quarter of it is paid; the rest at four times the rate.
        line.set(try Bandwidth("32 Mbit/s"), now: at(1))
        #expect(abs(((line.nextRelease(now: at(1)) ?? start) - at(1.75)) / .seconds(1)) < 0.001)
        line.set(.nothing, now: at(1))
        #expect(line.nextRelease(now: at(1)) == nil && line.release(now: at(3600)).isEmpty)
        line.set(.unlimited, now: at(3600))
        #expect(line.release(now: at(3600)) == [2])
    }

    @Test func whileNothingMayBeSentNothingBeginsAndWhatIsCutThenSaysNothing() throws {
        var line = try line(maximum: 8)
        for id: UInt64 in 1...4 { _ = line.askToBegin(id, now: start) }
        line.set(.nothing, now: at(1))
        let isFree = line.askToBegin(5, now: at(2))
        #expect(!isFree && line.nextRelease(now: at(2)) == nil)
        line.end(1, .broken, now: at(100))
        line.end(2, .answered(sentBytes: 1 << 20), now: at(100))
        #expect(line.flights.limit == 4 && line.release(now: at(100)).isEmpty)
        line.set(.unlimited, now: at(200))
        #expect(line.release(now: at(200)) == [5])
    }
}
