// Where the media-worker is looked for.
import Foundation
import MediaWork
import Testing

@Suite struct PlaceTests {
    @Test func itIsBesideTheRunningExecutable() throws {
        let running = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let folder = URL(fileURLWithPath: running).deletingLastPathComponent()
        #expect(MediaWorkerClient.besideThisProgram() == folder.appendingPathComponent("media-worker").path)
    }
}
