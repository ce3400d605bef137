// SIGKILL at every request of an upload: before the storage has seen anything of it, in the middle of its body, and before its
// answer. Another uploader goes on by the list of blocks that the storage has.
import FaultProxy
import Foundation
import Harness
import Testing

@Suite struct FaultKillTests {
    /// Where a kill comes: at which request of an upload, and how far that is.
    private struct Moment: Sendable {
        let number: Int
        let fault: ProxyFault.Action
    }

    /// Every moment of an upload that nothing happens to.
    private static func moments() async throws -> [Moment] {
        var found: [Moment] = []
        try await FaultSite.with { faulty in
            let uploader = try faulty.start()
            let clean = try faulty.upload(.blocks, "nothing")
            faulty.offer([clean])
            try await faulty.done([clean])
            for (number, request) in faulty.proxy.requests(of: clean.mark).enumerated() {
                var faults: [ProxyFault.Action] = [.hold(afterBytes: 0), .holdReply]
                if request.bodyBytes > 0 { faults.append(.hold(afterBytes: 20_000)) }
                found += faults.map { Moment(number: number, fault: $0) }
            }
            #expect(found.count { $0.fault == .hold(afterBytes: 20_000) } >= FaultSite.blocks + 2)
            #expect(try await uploader.terminate() == 0)
        }
        return found
    }

    /// As many uploads as run at a time, each held at its moment; then the uploader is killed.
    private static func kill(at moments: [Moment]) async throws {
        try await FaultSite.with { faulty in
            let first = try faulty.start()
            let uploads = try moments.map { moment in
                let upload = try faulty.upload(.blocks, "killed at request \(moment.number + 1), \(moment.fault)")
                faulty.proxy.add([ProxyFault(moment.fault, pathContains: upload.mark, skip: moment.number)])
                return upload
            }
            faulty.offer(uploads)
            try await eventually("all are held", within: .seconds(30)) {
                faulty.proxy.requests.count { $0.isHeld } == moments.count ? true : nil
            }
            try await first.kill()
            // What was on its way arrives late.
            faulty.proxy.release()
            uploads.forEach { faulty.again($0.id, epoch: 2) }
            let second = try faulty.start()
            try await faulty.done(uploads)
            for upload in uploads {
                #expect(faulty.complaints(upload, interruptions: 1) == [])
                #expect(faulty.reasons(upload) == [])
            }
            #expect(try await second.terminate() == 0)
        }
    }

    @Test func aKillAtAnyRequestCostsWhatWasOnItsWay() async throws {
        let moments = try await Self.moments()
        let groups = stride(from: 0, to: moments.count, by: FaultSite.parallel).map {
            Array(moments[$0..<min($0 + FaultSite.parallel, moments.count)])
        }
        try await withThrowingTaskGroup(of: Void.self) { running in
            var waiting = groups[...]
            for _ in 0..<3 {
                if let group = waiting.popFirst() { running.addTask { try await Self.kill(at: group) } }
            }
            while try await running.next() != nil {
                if let group = waiting.popFirst() { running.addTask { try await Self.kill(at: group) } }
            }
        }
    }

    /// Killed as soon as a block more is there, until the file is there.
    @Test func aKillAfterEveryBlockStillComesToAnEnd() async throws {
        try await FaultSite.with { faulty in
            let upload = try faulty.upload(.blocks, "killed after every block")
            var kills = 0
            func storedBlocks() -> Int { faulty.site.accepted(.putBlock).count }
            while storedBlocks() < FaultSite.blocks {
                let before = storedBlocks()
                faulty.proxy.add([
                    ProxyFault(.holdReply, operation: "PUT block", pathContains: upload.mark, count: 100)
                ])
                faulty.again(upload.id, epoch: UInt64(kills) + 1)
                let uploader = try faulty.start()
                try await eventually("a block is there") { storedBlocks() > before ? true : nil }
                try await uploader.kill()
                faulty.proxy.clear()
                faulty.proxy.release()
                kills += 1
            }
            faulty.again(upload.id, epoch: UInt64(kills) + 1)
            let last = try faulty.start()
            try await faulty.done([upload])
            #expect(kills >= FaultSite.blocks / FaultSite.inFlight)
            #expect(faulty.complaints(upload, interruptions: kills) == [])
            try await last.waitForLog("going on where an earlier upload ended")
            #expect(try await last.terminate() == 0)
        }
    }
}
