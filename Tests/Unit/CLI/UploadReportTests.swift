// Rate, estimate, bars and tables of the uploads.

import Testing
import Wire

@testable import CLI

@Suite("Upload report")
struct UploadReportTests {
    struct Pace: Sendable, CustomTestStringConvertible {
        let name: String
        var waiting: UInt64 = 0
        var minute: (files: UInt64, bytes: UInt64) = (0, 0)
        var hour: (files: UInt64, bytes: UInt64) = (0, 0)
        var sent: UInt64?
        let rate: UInt64?
        let left: UInt64?
        var testDescription: String { name }
    }

    @Test(arguments: [
        Pace(name: "nothing at all", rate: nil, left: 0),
        Pace(name: "offline", waiting: 1000, rate: nil, left: nil),
        Pace(
            name: "many small files: the minute", waiting: 600, minute: (10, 600), hour: (500, 999_999), rate: 10,
            left: 60),
        Pace(name: "few large files: the hour", waiting: 720, minute: (1, 7200), hour: (2, 7200), rate: 2, left: 360),
        Pace(name: "all of it in this minute", waiting: 120, minute: (1, 120), hour: (1, 120), rate: 2, left: 60),
        Pace(name: "what is under way is partly there", waiting: 720, hour: (3, 7200), sent: 700, rate: 2, left: 10),
        Pace(name: "rounded up", waiting: 3, hour: (3, 7200), rate: 2, left: 2),
        Pace(name: "slower than a byte a second", waiting: 3, hour: (1, 100), rate: 0, left: nil),
        Pace(name: "more sent than is left", waiting: 3, hour: (3, 7200), sent: 9, rate: 2, left: 0),
    ])
    func pace(_ row: Pace) {
        let pace = UploadPace(
            ListUploadsReply(
                items: row.sent.map { [UploadItem(sentBytes: $0)] } ?? [], waitingBytes: row.waiting,
                minuteFiles: row.minute.files, minuteBytes: row.minute.bytes, hourFiles: row.hour.files,
                hourBytes: row.hour.bytes))
        #expect(pace.bytesPerSecond == row.rate)
        #expect(pace.secondsLeft == row.left)
    }

    private static let items = [
        UploadItem(itemID: 1, state: .archived, archivePath: "a.mp4", sizeBytes: 1000, sentBytes: 400, worker: "u"),
        UploadItem(itemID: 2, state: .archived, archivePath: "b.mp4", sizeBytes: 1000, sentBytes: 0, worker: "v"),
        UploadItem(
            itemID: 3, state: .archived, archivePath: "c.mp4", attempts: 3, error: "slow\ndown", retryUs: 1_000_000),
        UploadItem(itemID: 4, state: .poisoned, archivePath: "d.mp4", error: "403", requestIDs: ["r", "s"]),
    ]

    @Test func eachPartOfTheListHasItsPlace() {
        let report = UploadReport(uploads: ListUploadsReply(items: Self.items), nowUs: 0)
        let bars = report.bars(width: 100, signs: .ascii)
        #expect(bars.map { $0.prefix(20) } == ["########............", "...................."])
        #expect(bars[0].hasSuffix(" 40.0 %  400 B of 1000 B  a.mp4"))
        #expect(report.next?.contains("c.mp4") == true && report.next?.contains("slow down") == true)
        #expect(report.next?.contains("b.mp4") == false && report.next?.contains("d.mp4") == false)
        #expect(report.failed.contains("403") && report.failed.contains("r,s") && !report.failed.contains("c.mp4"))
    }

    @Test func anEmptyListSaysSo() {
        let report = UploadReport(uploads: ListUploadsReply(), nowUs: 0)
        #expect(report.totals == ["to upload: nothing", "on its way: nothing", "uploaded: nothing in the last hour"])
        #expect(
            report.next == nil && report.failed == "nothing is set aside"
                && report.bars(width: 80, signs: .ascii).isEmpty)
        #expect(report.line == "0 files to upload, 0 B")
    }
}
