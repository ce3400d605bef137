// Names, folders and topics of documents: what would mean something else to a file system or a broker.

import Testing

@testable import AssetRegistry

@Suite struct NameTests {
    @Test(arguments: ["", "a/b", ".a", "a\u{0}", "a\n", "a/\u{301}b", ".\u{301}a", String(repeating: "a", count: 129)])
    func refusesWhatCannotBeAFolder(name: String) {
        #expect(Names.problem(name) != nil)
    }

    @Test(arguments: ["a", "press 4", "Tor Süd", "a.b", "é"])
    func takesOrdinaryNames(name: String) {
        #expect(Names.problem(name) == nil)
    }

    @Test(arguments: ["", "a/+", "a/#", "$SYS/a", "a/+\u{301}", "#\u{301}", "$\u{301}a", "a\u{0}"])
    func refusesWhatCannotBePublishedTo(topic: String) {
        #expect(Names.topicProblem(topic) != nil)
    }

    @Test(arguments: ["rtsp://a:b@c/", "rtsp://a:b@\u{301}c/", "x rtsp:\\/\\/a:b@c"])
    func seesACredentialInAnAddress(text: String) {
        #expect(StreamURL.holdsUserInformation(text))
    }
}

@Suite struct CredentialInAddressTests {
    @Test(arguments: [
        "rtsp://cam/live?user=a&password=hunter2", "rtsp://cam/user=admin_password=hunter2_channel=1",
        "rtsp://cam/live?PASSWD=hunter2", "rtsp://cam/live;token=hunter2",
    ])
    func isRefusedAndNotRepeated(address: String) throws {
        #expect(throws: StreamURL.Problem.credential) {
            try StreamURL(parsing: address, schemes: StreamURL.cameraSchemes)
        }
        #expect(!StreamURL.Problem.credential.advice.contains("hunter2"))
    }

    @Test(arguments: [
        "rtsp://cam/cam/realmonitor?channel=1&subtype=0", "rtsp://cam/live?profile=token", "rtsp://cam/password",
        "rtsp://cam/live?password=&channel=1",
    ])
    func whatIsNoneIsTaken(address: String) throws {
        #expect(try StreamURL(parsing: address, schemes: StreamURL.cameraSchemes).text == address)
    }
}
