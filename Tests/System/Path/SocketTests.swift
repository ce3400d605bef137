// Malformed, deeply nested and oversized messages, unknown methods and wrong versions on the socket of every service of one
// site: a clear error where an answer is possible, and the service goes on serving. The list: Support/Harness/BadMessages.

import Harness
import Testing

@Suite struct SocketTests {
    @Test func everySocketAnswersBadMessagesAndGoesOn() async throws {
        let site = try await Site.up()
        for service in serviceNames {
            let complaints = await BadMessage.complaints(to: "ipc://\(site.path)/run/\(service).rpc")
            #expect(complaints.isEmpty, "\(service)")
        }
        try await site.down()
    }
}
