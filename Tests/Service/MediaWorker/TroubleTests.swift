// media-workers that die, hang, lie or cannot be started: what the parent's client makes of it.
import Foundation
import Harness
import Media
import Testing

@testable import MediaWork

@Suite struct TroubleTests {
    /// A client that has made a picture, and its worker.
    private func running() async throws -> (client: MediaWorkerClient, request: PictureRequest, worker: Int32) {
        let client = try realClient()
        let request = try await Keyframes.request()
        _ = try await ask(client, request).get()
        return (client, request, try #require(client.counters.processIDs.first))
    }

    @Test func killedBetweenRequests() async throws {
        let (client, request, worker) = try await running()
        kill(worker, SIGKILL)
        _ = try await ask(client, request).get()
        #expect(client.counters.processIDs.first != worker)
        #expect(client.counters.died == 1 && client.counters.started == 2)
    }

    @Test func killedDuringARequest() async throws {
        let (client, request, worker) = try await running()
        // Stopped, so that the request is under way when it dies.
        kill(worker, SIGSTOP)
        async let result = ask(client, request)
        try await eventually("the worker has the request") { client.counters.underWay == 1 ? true : nil }
        kill(worker, SIGKILL)
        _ = try await result.get()
        #expect(client.counters.died == 1 && client.counters.started == 2)
        _ = try await ask(client, request).get()
        #expect(client.counters.started == 2)
    }

    @Test func aStoppedWorkerIsReplacedAfterTheDeadline() async throws {
        let (client, request, worker) = try await running()
        kill(worker, SIGSTOP)
        let late = await ask(client, request, within: .milliseconds(300))
        #expect(late.error?.cause == .overdue, "\(late)")
        _ = try await ask(client, request).get()
        #expect(client.counters.overdue == 1 && client.counters.processIDs.first != worker)
        #expect(!ProcessFacts.isRunning(worker))
    }

    /// Time in the queue is not held against the worker: it is not ended for a request that came to it late.
    @Test func whoWaitsInVainBehindAnotherIsOverdueAndForgotten() async throws {
        let (client, request, worker) = try await running()
        kill(worker, SIGSTOP)
        async let first = ask(client, request)
        try await eventually("the worker has the request") { client.counters.underWay == 1 ? true : nil }
        let second = await ask(client, request, within: .milliseconds(100))
        #expect(second.error?.cause == .overdue)
        kill(worker, SIGCONT)
        _ = try await first.get()
        _ = try await ask(client, request).get()
        #expect(client.counters.processIDs == [worker])
    }

    @Test func aWorkerThatDiesAtOnceIsAnError() async throws {
        let folder = try TemporaryDirectory()
        let client = try scriptedClient("exit 3", in: folder)
        let result = await ask(client, try await Keyframes.request())
        #expect(result.error?.cause == .unavailable)
        #expect(result.error?.description.contains("exit code 3") == true, "\(result)")
        #expect(client.counters.started == 2)
        // And so is the next one.
        #expect(await ask(client, try await Keyframes.request()).error?.cause == .unavailable)
        #expect(client.counters.started == 4 && client.counters.processIDs.isEmpty)
    }

    @Test func aCrashIsNamed() async throws {
        let folder = try TemporaryDirectory()
        let client = try scriptedClient("kill -SEGV $$", in: folder)
        let result = await ask(client, try await Keyframes.request())
        #expect(result.error?.description.contains("signal 11") == true, "\(result)")
    }

    /// It dies of one picture, twice; the next one finds a worker.
    @Test func onePictureThatKillsDoesNotStopTheOthers() async throws {
        let folder = try TemporaryDirectory()
        let worker = try Executables.path(of: "media-worker").path
        let script =
            "echo >> \(folder.path("starts")); [ $(wc -l < \(folder.path("starts"))) -gt 2 ] || exit 3; exec \(worker)"
        let client = try scriptedClient(script, in: folder)
        let request = try await Keyframes.request()
        #expect(await ask(client, request).error?.cause == .unavailable)
        _ = try await ask(client, request).get()
        #expect(client.counters.started == 3)
    }

    @Test(arguments: [
        "printf 'this is no frame of ours at all'",
        // Version 2; a header that promises 4 GiB; the picture of another request; a request.
        #"printf '\002\002\000\000\000\001\000\000\000\005\000\000\000\001'"#,
        #"printf '\001\002\000\000\000\001\000\000\000\005\377\377\377\377'"#,
        #"printf '\001\003\000\000\011\011\000\000\000\002\000\000\000\000\001x'"#,
        #"printf '\001\001\000\000\000\001\000\000\000\007\000\000\000\001\001\001\125\000\000\000\000x'"#,
    ])
    func anAnswerThatMakesNoSenseIsAnError(output: String) async throws {
        let folder = try TemporaryDirectory()
        let client = try scriptedClient("\(output) >&3; exec cat <&3 >&3", in: folder)
        let result = await ask(client, try await Keyframes.request())
        #expect(result.error?.cause == .unavailable)
        #expect(result.error?.description.contains("makes no sense") == true, "\(result)")
        #expect(client.counters.died == 2 && client.counters.processIDs.isEmpty)
    }

    @Test func aMissingExecutableIsNamed() async throws {
        let folder = try TemporaryDirectory()
        let client = MediaWorkerClient(executable: folder.path("nowhere"), workers: 1)
        let result = await ask(client, try await Keyframes.request())
        #expect(result.error?.cause == .unavailable)
        #expect(result.error?.description.contains(folder.path("nowhere")) == true)
        #expect(result.error?.description.contains("setting media-worker") == true, "\(result)")
    }

    @Test func closingEndsWorkersAndWhatWaits() async throws {
        let (client, request, worker) = try await running()
        kill(worker, SIGSTOP)
        async let first = ask(client, request)
        async let second = ask(client, request)
        try await eventually("one is under way, one waits") {
            client.counters.underWay == 1 && client.counters.waiting == 1 ? true : nil
        }
        client.close()
        #expect(await first.error?.cause == .unavailable)
        #expect(await second.error?.cause == .unavailable)
        #expect(await ask(client, request).error?.cause == .unavailable)
        try await eventually("the worker ends") { ProcessFacts.isRunning(worker) ? nil : true }
    }

    @Test func aClientThatIsLetGoEndsItsWorkers() async throws {
        let worker: Int32
        do {
            let (client, _, running) = try await running()
            worker = running
            #expect(client.counters.processIDs == [worker] && ProcessFacts.isRunning(worker))
        }
        try await eventually("the worker ends") { ProcessFacts.isRunning(worker) ? nil : true }
    }
}
