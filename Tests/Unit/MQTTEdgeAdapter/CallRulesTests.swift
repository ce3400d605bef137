// mRPC as AIO's SDKs define it, rule by rule (aio-compatibility 4.2 to 4.6): what a request must have, what is answered to one
// that has not, the cache, the clock.

import JSON
import RPC
import Testing
import Wire

@testable import MQTTEdgeAdapter

private let guid: [UInt8] = Array(1...16)
private let taken = ["n/asset-operations/+/+/start"].compactMap { TopicFilter($0) }

private func request(_ change: (inout InboundMessage) -> Void = { _ in }) -> InboundMessage {
    var message = InboundMessage(topic: "n/asset-operations/a/s/start", payload: [])
    message.responseTopic = "clients/me/answers"
    message.correlationData = guid
    message.expiryS = 10
    message.contentType = "application/json"
    change(&message)
    return message
}

private func check(
    _ message: InboundMessage, follow: (HybridStamp) throws(HybridClock.Refusal) -> Void = { _ in }
) -> CallRules.Outcome {
    CallRules.check(message, takenFilters: taken, follow: follow)
}

private func property(_ name: String, _ value: String) -> (inout InboundMessage) -> Void {
    { $0.userProperties.append(UserProperty(name: name, value: value)) }
}

extension CallAnswer {
    fileprivate func first(_ name: String) -> String? { properties.first { $0.name == name }?.value }
}

@Suite struct CallRulesTests {
    @Test func withoutResponseTopicAndCorrelationItIsAPlainPublish() {
        let plain = request {
            ($0.responseTopic, $0.correlationData, $0.expiryS) = (nil, nil, nil)
            $0.contentType = "text/plain"
        }
        #expect(check(plain) == .plain)
    }

    static let taken: [(what: String, change: @Sendable (inout InboundMessage) -> Void)] = [
        ("all there", { _ in }),
        ("no content type", { $0.contentType = nil }),
        ("content type with parameters", { $0.contentType = "application/json; charset=utf-8" }),
        ("format indicator 0", { $0.formatIndicator = 0 }), ("format indicator 1", { $0.formatIndicator = 1 }),
        ("no __ts", { _ in }), ("__ts", { property("__ts", "000001763870706:00000:me")(&$0) }),
        ("version 1.0", { property("__protVer", "1.0")(&$0) }), ("version 1.9", { property("__protVer", "1.9")(&$0) }),
        ("unknown property", { property("colour", "red")(&$0) }), ("unknown reserved", { property("__new", "x")(&$0) }),
        ("$partition", { property("$partition", "me")(&$0) }),
        ("$high_priority", { property("$high_priority", "")(&$0) }),
    ]

    @Test(arguments: taken.indices)
    func takes(index: Int) {
        guard case .call(let call) = check(request(Self.taken[index].change)) else {
            Issue.record("\(Self.taken[index].what) is refused")
            return
        }
        #expect(call.responseTopic == "clients/me/answers" && call.correlation == guid)
    }

    /// Status, __propName and __propVal by what is wrong.
    static let refused:
        [(change: @Sendable (inout InboundMessage) -> Void, status: Int, name: String?, value: String?)] = [
            ({ $0.correlationData = nil }, 400, "Correlation Data", nil),
            ({ $0.correlationData = [1, 2] }, 400, "Correlation Data", "0102"),
            ({ $0.expiryS = nil }, 400, "Message Expiry", nil),
            ({ $0.contentType = "text/plain" }, 415, "Content Type", "text/plain"),
            ({ $0.formatIndicator = 2 }, 415, "Payload Format Indicator", "2"),
            ({ property("__ts", "soon")(&$0) }, 400, "__ts", "soon"),
            ({ property("__ts", "1:2")(&$0) }, 400, "__ts", "1:2"),
            ({ property("__protVer", "2.0")(&$0) }, 505, nil, nil),
            ({ property("__protVer", "0.1")(&$0) }, 505, nil, nil),
            ({ property("__protVer", "one")(&$0) }, 505, nil, nil),
            ({ property("__protVer", "1.0.0")(&$0) }, 505, nil, nil),
        ]

    @Test(arguments: refused.indices)
    func refuses(index: Int) {
        let row = Self.refused[index]
        guard case .refused(let call, let answer) = check(request(row.change)) else {
            Issue.record("row \(index) is not refused")
            return
        }
        #expect(call.responseTopic == "clients/me/answers")
        #expect(answer.status == row.status && answer.first("__stat") == String(row.status))
        #expect(answer.first("__propName") == row.name && answer.first("__propVal") == row.value)
        #expect(answer.first("__apErr") == "false")
        #expect((answer.first("__supProtMajVer") == "1") == (row.status == 505))
        #expect((answer.first("__requestProtVer") != nil) == (row.status == 505))
    }

    @Test(arguments: [nil, "", "a/#", "a/+/b", "$SYS/a", "n/asset-operations/a/s/start"] as [String?])
    func nobodyIsAnsweredWhereTheResponseTopicCannotBeUsed(topic: String?) {
        guard case .silent = check(request { $0.responseTopic = topic }) else {
            Issue.record("\(topic ?? "none") is used")
            return
        }
    }

    @Test func aStampFarAheadIsRefusedAndSoIsOneTooMany() {
        let stamped = request(property("__ts", "000001763870706:00003:me"))
        guard case .refused(_, let drift) = check(stamped, follow: { _ throws(HybridClock.Refusal) in throw .drift }),
            case .refused(_, let counter) = check(stamped, follow: { _ throws(HybridClock.Refusal) in throw .counter })
        else {
            Issue.record("it is taken")
            return
        }
        #expect(
            drift.status == 503 && drift.first("__propName") == "MaxClockDrift" && drift.first("__propVal") == "PT60S")
        #expect(counter.status == 500 && counter.first("__propName") == "Counter" && counter.first("__propVal") == "3")
    }

    @Test(arguments: [
        (RPCError.invalidArgument("duration", "is 0"), 400, "false", nil),
        (.notFound("no stream"), 500, "true", "not_found"),
        (.failedPrecondition("no camera"), 500, "true", "failed_precondition"),
        (.alreadyExists("another request has this id"), 500, "true", "already_exists"),
        (.unavailable("the registry is away"), 503, "false", nil), (.resourceExhausted("full"), 503, "false", nil),
        (.internal("a defect"), 500, "false", nil), (.deadlineExceeded("late"), 408, "false", nil),
    ])
    func anErrorOfTheCommandHasItsStatus(error: RPCError, status: Int, isApplications: String, code: String?) {
        let answer = CallAnswer.failed(error, CommandJSON.refused(nil, error))
        #expect(answer.first("__stat") == String(status) && answer.first("__apErr") == isApplications)
        #expect(answer.first("AppErrCode") == code && (answer.first("AppErrPayload") != nil) == (code != nil))
        #expect(answer.first("__stMsg") == error.message)
        #expect((answer.first("__propName") == "ExecutionTimeout") == (status == 408))
        #expect(answer.first("$high_priority") == "")
    }
}

@Suite struct HybridClockTests {
    @Test func itFollowsWhatItReceives() throws {
        var clock = HybridClock(node: "me")
        #expect(clock.next(nowUs: 5_000_000) == "000000000005000:00000:me")
        try clock.follow(HybridStamp(milliseconds: 8_000, counter: 4, node: "x"), nowUs: 5_000_000)
        #expect(clock.next(nowUs: 5_000_000) == "000000000008000:00006:me")
        // An older one moves it by one.
        try clock.follow(HybridStamp(milliseconds: 1, counter: 9, node: "x"), nowUs: 5_000_000)
        #expect(clock.next(nowUs: 5_000_000) == "000000000008000:00008:me")
        #expect(clock.next(nowUs: 9_000_000) == "000000000009000:00000:me")
    }

    @Test func itDoesNotFollowTooFarNorBeyondItsCounter() throws {
        var clock = HybridClock(node: "me")
        try clock.follow(HybridStamp(milliseconds: 65_000, counter: 0, node: "x"), nowUs: 5_000_000)
        #expect(throws: HybridClock.Refusal.drift) {
            try clock.follow(HybridStamp(milliseconds: 65_001, counter: 0, node: "x"), nowUs: 5_000_000)
        }
        #expect(throws: HybridClock.Refusal.counter) {
            try clock.follow(HybridStamp(milliseconds: 65_000, counter: 99_999, node: "x"), nowUs: 5_000_000)
        }
    }

    @Test(arguments: [
        "", "1:2", "a:1:x", "1:b:x", "1:2:", "-1:0:x", "1234567890123456:0:x", "1:123456:x", " 1:0:x", "1:0x:x",
    ])
    func whatIsNoStampIsNone(text: String) { #expect(HybridStamp(text) == nil) }

    @Test func aStampIsWrittenAsItIsRead() {
        let text = "000001763870706:00012:node:with:colons"
        #expect(HybridStamp(text)?.text == text)
    }
}

@Suite struct AnswerCacheTests {
    private let now = ContinuousClock.now
    private let answer = CallAnswer.done(.fields(["a": .integer(1)]))

    @Test func anAnswerIsKeptForAMinuteBeyondItsRequest() {
        var cache = AnswerCache()
        cache.keep(answer, "k", expiresAt: now + .seconds(10), now: now)
        #expect(cache.answer("k", now: now + .seconds(69)) == answer)
        #expect(cache.answer("k", now: now + .seconds(71)) == nil)
        #expect(cache.answer("other", now: now) == nil)
    }

    @Test func theFirstAnswerCounts() {
        var cache = AnswerCache()
        cache.keep(answer, "k", expiresAt: now + .seconds(10), now: now)
        cache.keep(.done(.fields(["a": .integer(2)])), "k", expiresAt: now + .seconds(10), now: now)
        #expect(cache.answer("k", now: now) == answer)
    }

    @Test func itStaysWithinItsBounds() {
        var cache = AnswerCache()
        let large = CallAnswer.done(.string(String(repeating: "x", count: 100_000)))
        for index in 0..<1_000 { cache.keep(large, "k\(index)", expiresAt: now + .seconds(3_600), now: now) }
        #expect(cache.bytes <= AnswerCache.maximumBytes && cache.count > 100)
        #expect(cache.answer("k999", now: now) != nil && cache.answer("k0", now: now) == nil)
        var many = AnswerCache()
        for index in 0..<25_000 { many.keep(answer, "k\(index)", expiresAt: now + .seconds(3_600), now: now) }
        #expect(many.count == AnswerCache.maximumEntries)
    }

    @Test func whatIsOverMakesRoom() {
        var cache = AnswerCache()
        for index in 0..<100 { cache.keep(answer, "k\(index)", expiresAt: now, now: now) }
        cache.keep(answer, "late", expiresAt: now + .seconds(100), now: now + .seconds(61))
        #expect(cache.count == 1)
    }
}
