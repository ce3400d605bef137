// Topics and filters: what matches, what is valid, what is ours.

import Testing
import Wire

@testable import MQTTEdgeAdapter

@Suite struct TopicTests {
    @Test(arguments: [
        ("a/b", "a/b", true), ("a/b", "a/c", false), ("a/b", "a", false), ("a/b", "a/b/c", false), ("+/b", "a/b", true),
        ("a/+", "a/", true), ("a/+", "a", false), ("a/+/c", "a/b/c", true), ("+/+", "/b", true), ("+", "/b", false),
        ("#", "a/b/c", true), ("a/#", "a", true), ("a/#", "a/b/c", true), ("a/#", "ab", false), ("a/+/#", "a", false),
        ("a/+/#", "a/b", true), ("#", "$SYS/x", false), ("+/x", "$SYS/x", false),
    ])
    func filtersMatchAsMQTTSays(filter: String, topic: String, matches: Bool) throws {
        #expect(try #require(TopicFilter(filter)).matches(topic) == matches)
    }

    @Test(arguments: [
        "", "a#", "#/a", "a/#/b", "a+", "+a/b", "$share/g/a", "$SYS/#", "a\u{0}b", "a\nb", "a/##",
        // For Swift's Character none of these is a wildcard or a '$'; for the broker each is.
        "a/+\u{301}", "#\u{301}", "$\u{301}SYS/x",
    ])
    func refusesWhatIsNoFilter(text: String) {
        #expect(TopicFilter(text) == nil)
    }

    @Test func levelsAreWhatTheBrokerTakesForLevels() throws {
        #expect(try #require(TopicFilter("a/+")).matches("a/\u{301}b"))
        #expect(try #require(TopicFilter("a/+/c")).matches("a/\u{301}b/c"))
        #expect(try #require(TopicFilter("a/\u{301}b")).canMeet(try #require(TopicFilter("a/+"))))
    }

    @Test(arguments: ["a/+\u{301}", "#\u{301}", "$\u{301}a", "a+", "$a", ""])
    func refusesWhatCannotBePublishedTo(text: String) {
        #expect(!TopicName.isPublishable(text))
    }

    @Test func refusesAFilterThatIsTooLong() {
        #expect(TopicFilter(String(repeating: "a", count: 1_025)) == nil)
    }

    @Test(arguments: [
        ("a/+", "+/b", true), ("a/#", "a", true), ("#", "x/y", true), ("a/b", "a/c", false), ("a/+/c", "a/b", false),
        ("a/+/c", "a/b/#", true), ("a", "a/b", false),
    ])
    func tellsWhetherTwoFiltersCanMeet(one: String, other: String, meet: Bool) throws {
        let (one, other) = (try #require(TopicFilter(one)), try #require(TopicFilter(other)))
        #expect(one.canMeet(other) == meet)
        #expect(other.canMeet(one) == meet)
    }

    @Test(arguments: ["cam1", "line 1", "a/b", "50%", "a+b#c", "%2F", "é", "a\u{7}b", "%"])
    func aNameSurvivesItsLevel(name: String) {
        let level = TopicName.level(name)
        #expect(TopicName.isPublishable("x/\(level)"))
        #expect(!level.contains("/"))
        #expect(TopicName.name(ofLevel: level) == name)
    }

    @Test func aPercentThatEscapesNothingStandsForItself() {
        #expect(TopicName.name(ofLevel: "50%") == "50%")
        #expect(TopicName.name(ofLevel: "50%zz%4") == "50%zz%4")
    }

    let topics = Topics(namespace: "n") ?? Topics(namespace: "other")

    @Test(arguments: [
        ("n/asset-operations/cam1/clips/start", Route.command(.start, StreamName(asset: "cam1", stream: "clips"))),
        ("n/asset-operations/a%2Fb/s/state", .command(.state, StreamName(asset: "a/b", stream: "s"))),
        ("n/media-sync/archive", .archive), ("n/media-sync/cancel", .cancel),
    ])
    func routesWhatIsOurs(topic: String, route: Route) throws {
        #expect(try #require(topics).route(topic) == route)
    }

    @Test(arguments: [
        "", "n", "n/asset-operations", "n/asset-operations/cam1/start", "n/asset-operations/cam1/clips/fly",
        "n/asset-operations//clips/start", "n/asset-operations/cam1//start",
        "n/asset-operations/cam1/clips/start/response",
        "m/asset-operations/cam1/clips/start", "n/media-sync/archive/x", "n/media-sync",
        "n/asset-operations/a/b/c/start",
    ])
    func routesNothingElse(topic: String) throws {
        #expect(try #require(topics).route(topic) == nil)
    }

    @Test(arguments: ["", "/n", "n/", "a+", "#", "$n", "a\u{0}"])
    func refusesWhatIsNoNamespace(namespace: String) {
        #expect(Topics(namespace: namespace) == nil)
    }

    @Test func nothingThatIsPublishedIsTaken() throws {
        let topics = try #require(topics)
        for taken in topics.takenFilters {
            #expect(!topics.publishedFilters.contains { $0.canMeet(taken) })
        }
    }

    private let stream = StreamName(asset: "cam1", stream: "pics")

    @Test(arguments: [
        (SnapshotTopicMode.exact, "site/a", "site/a"), (.fixed, "site/a", "n/data/cam1/pics"),
        (.nested, "site/a", "n/data/cam1/site/a"), (.nested, "/site", "n/data/cam1/site"),
        (.exact, "", "n/data/cam1/pics"),
    ])
    func thePictureTopicFollowsTheMode(mode: SnapshotTopicMode, topic: String, expected: String) throws {
        let destination = MqttDestination(topic: topic)
        #expect(try #require(topics).picture(stream, destination: destination, mode: mode) == expected)
    }

    @Test(arguments: ["a/+", "a/#", "$SYS/x", "a\u{0}", "n/asset-operations/cam1/clips/start", "n/media-sync/archive"])
    func refusesPictureTopics(topic: String) throws {
        let topics = try #require(topics)
        #expect(throws: Problem.self) {
            try topics.picture(stream, destination: MqttDestination(topic: topic), mode: .exact)
        }
    }
}

/// An event id that no topic may hold once stopped all events behind it: its receipt could not be published.
@Suite struct MQTTTextTests {
    @Test(arguments: [0, 0x1F, 0x7F, 0x9F, 0xFDD0, 0xFFFE, 0xFFFF, 0x1FFFE, 0x10FFFF])
    func whatMQTTForbidsIsEscapedInTopicsAndReplacedInProperties(value: UInt32) throws {
        let text = String(Character(try #require(Unicode.Scalar(value))))
        #expect(!TopicName.hasValidText("a" + text))
        let level = TopicName.level("a" + text)
        #expect(TopicName.isPublishable(level) && TopicName.name(ofLevel: level) == "a" + text)
        #expect(MQTTText.clean("a\(text)b") == "a?b")
    }

    @Test func otherTextStaysAsItIs() {
        for text in ["", "plain", "äöü €", "\u{FFFD}", "\u{FDCF}", "🎥"] {
            #expect(MQTTText.clean(text) == text)
        }
        #expect(MQTTText.clean(String(repeating: "é", count: 40_000)).utf8.count <= MQTTText.maximumBytes)
    }
}
