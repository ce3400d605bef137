// How often an HTTP camera is asked, through virtual time.

import Media
import Testing

@testable import RTSP

@Suite struct HTTPPaceTests {
    private static let picture: [UInt8] =
        [0xFF, 0xD8, 0xFF, 0xC0, 0, 11, 8, 0, 240, 1, 64, 1, 1, 0x11, 0, 0xFF, 0xDA, 0, 2, 1, 1, 0xFF, 0xD9]

    /// Runs a camera that answers after `answerNs` each time; gives the times of the requests.
    private func requests(pollNs: Int64, answerNs: Int64, count: Int) throws -> [Int64] {
        var machine = HTTPCameraMachine(
            url: try #require(HTTPURL("http://camera/")), pollNs: pollNs, silenceNs: 60_000_000_000,
            clientNonce: { "n" })
        let answer =
            Array("HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: \(Self.picture.count)\r\n\r\n".utf8)
            + Self.picture
        var nowNs: Int64 = 1_000
        var times: [Int64] = []
        var actions = machine.begin(nowNs: nowNs)
        while times.count < count {
            var next: [HTTPCameraMachine.Action] = []
            for action in actions {
                switch action {
                case .connect: next += machine.connected(nowNs: nowNs)
                case .send:
                    times.append(nowNs)
                    nowNs += answerNs
                    next += answer.withUnsafeBytes { machine.received($0, nowNs: nowNs).actions }
                case .pollAt(let ns):
                    nowNs = max(nowNs, ns)
                    next += machine.poll(nowNs: nowNs)
                case .picture: break
                case .needsUser, .over: Issue.record("\(action)")
                }
            }
            guard !next.isEmpty else { break }
            actions = next
        }
        return times
    }

    @Test func thePaceIsThatOfTheRequests() throws {
        let times = try requests(pollNs: 100_000_000, answerNs: 30_000_000, count: 50)
        #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 == 100_000_000 })
    }

    @Test func aSlowCameraIsAskedWhenItHasAnswered() throws {
        let times = try requests(pollNs: 100_000_000, answerNs: 250_000_000, count: 20)
        #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 == 250_000_000 })
    }

    @Test func noCameraIsAskedMoreThanSixtyTimesASecond() throws {
        let times = try requests(pollNs: 0, answerNs: 1_000, count: 61)
        #expect(times[60] - times[0] >= 999_000_000)
    }
}
