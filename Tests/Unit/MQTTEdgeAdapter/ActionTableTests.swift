// Management actions of assets: which of them are verbs of ours, and on which topics they are called.

import JSON
import Testing
import Wire

@testable import MQTTEdgeAdapter

@Suite struct ActionTableTests {
    private func table(_ groups: String) throws -> ActionTable {
        let topics = try #require(Topics(namespace: "n"))
        var table = ActionTable()
        let document = try JSONReader.read(
            #"{"properties": {"streams": [{"name": "clips"}, {"name": "live"}], "managementGroups": "# + groups + "}}",
            .registry)
        table.add(asset: "line1", document: document, topics: topics)
        return table
    }

    @Test func anActionMeansTheVerbThatItsTargetNames() throws {
        let table = try table(
            #"""
            [{"name": "Camera", "defaultTimeoutInSeconds": 3, "actions": [
                {"name": "Begin", "actionType": "Call", "targetUri": "clips/start"},
                {"name": "End", "targetUri": "clips/stop", "topic": "site/line1/end", "timeoutInSeconds": 0.5}]}]
            """#)
        let clips = StreamName(asset: "line1", stream: "clips")
        #expect(
            table.actions["n/asset-operations/line1/Camera/Begin"]
                == ManagementAction(verb: .start, stream: clips, timeout: .seconds(3)))
        #expect(
            table.actions["site/line1/end"] == ManagementAction(verb: .stop, stream: clips, timeout: .milliseconds(500))
        )
        let topics = try #require(Topics(namespace: "n"))
        #expect(
            table.filters(beside: topics.takenFilters) == ["n/asset-operations/line1/Camera/Begin", "site/line1/end"])
    }

    @Test func aGroupNamedLikeAStreamNeedsNoTarget() throws {
        let table = try table(#"[{"name": "live", "actions": [{"name": "start"}]}]"#)
        #expect(
            table.actions["n/asset-operations/line1/live/start"]
                == ManagementAction(verb: .start, stream: StreamName(asset: "line1", stream: "live"), timeout: nil))
        // It is subscribed to already.
        #expect(table.filters(beside: try #require(Topics(namespace: "n")).takenFilters) == [])
    }

    @Test(arguments: [
        #"[{"name": "PTZ", "actions": [{"name": "RelativeMove", "targetUri": "ptz/move"}]}]"#,
        #"[{"name": "clips", "actions": [{"name": "explode"}]}]"#,
        #"[{"name": "x", "actions": [{"name": "start", "targetUri": "other/start"}]}]"#,
        #"[{"name": "x", "actions": [{"name": "a", "targetUri": "clips/start", "topic": "a/#"}]}]"#,
        #"[{"actions": 5}, 7, {"name": "clips", "actions": [{}, null]}]"#, #""groups""#,
    ])
    func whatIsNoVerbOfOursIsPassedOver(groups: String) throws { #expect(try table(groups).actions.isEmpty) }

    /// An action on a topic that the adapter publishes on would call itself for ever.
    @Test func topicsThatCannotHoldCommandsAreRefused() throws {
        let topics = try #require(Topics(namespace: "n"))
        var table = ActionTable()
        let document = try JSONReader.read(
            #"""
            {"properties": {"streams": [{"name": "clips"}], "managementGroups": [{"name": "g", "actions": [
              {"name": "a", "targetUri": "clips/state", "topic": "n/asset-status/line1/clips"},
              {"name": "b", "targetUri": "clips/start", "topic": "plant/alarms"}]}]}}
            """#, .registry)
        table.add(
            asset: "line1", document: document, topics: topics,
            forbidden: topics.publishedFilters + [try #require(TopicFilter("plant/#"))])
        #expect(table.actions.isEmpty)
    }
}
