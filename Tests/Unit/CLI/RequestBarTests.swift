// How far a request is, in one line.

import Testing
import Wire

@testable import CLI

@Suite("Request bar")
struct RequestBarTests {
    private static let mebibyte: UInt64 = 1 << 20

    private static func request(
        _ state: RequestState, _ delivery: Delivery, total: UInt64?, archived: UInt64 = 0, uploaded: UInt64 = 0,
        files: [ItemState] = []
    ) -> ArchiveRequest {
        ArchiveRequest(
            requestID: "r", state: state, delivery: delivery, files: files.map { DeliveredFile(state: $0) },
            bytesTotal: total.map { $0 * mebibyte }, bytesArchived: archived * mebibyte,
            bytesUploaded: uploaded * mebibyte)
    }

    private static func line(_ request: ArchiveRequest, width: Int = 80) -> String {
        RequestBar(width: width, signs: .ascii).line(request)
    }

    private static func bar(_ line: String) -> (full: Int, part: Int, none: Int) {
        let cells = line.dropFirst(11).prefix { $0 != " " }
        return (cells.count { $0 == "#" }, cells.count { $0 == "+" }, cells.count { $0 == "." })
    }

    @Test func archivedButNotUploadedIsShaded() {
        let request = Self.request(
            .uploading, .cloud, total: 100, archived: 100, uploaded: 50, files: [.uploaded, .handedOver, .archived])
        let line = Self.line(request, width: 140)
        #expect(line.hasPrefix("uploading  "))
        #expect(line.contains("50.0 %") && line.contains("2 of 3 files, uploaded 50.0 MiB of 100.0 MiB"))
        #expect(Self.bar(line) == (full: 20, part: 20, none: 0))
    }

    @Test func onTheWayToTheArchiveTheArchivedBytesAreTold() {
        let line = Self.line(
            Self.request(.copying, .cloud, total: 100, archived: 25, files: [.archived, .pending]), width: 140)
        #expect(line.contains(" 0.0 %") && line.contains("0 of 2 files, archived 25.0 MiB of 100.0 MiB"))
        #expect(Self.bar(line) == (full: 0, part: 10, none: 30))
    }

    @Test func anArchiveRequestIsFullWhenAllIsArchived() {
        let whole = Self.request(.done, .archive, total: 3, archived: 3, files: [.archived])
        #expect(Self.line(whole).contains("100.0 %") && Self.line(whole).contains("1 of 1 file, 3.0 MiB of 3.0 MiB"))
        #expect(Self.bar(Self.line(whole)).none == 0)
        var almost = whole
        almost.bytesArchived = (whole.bytesTotal ?? 0) - 1
        #expect(Self.line(almost).contains("99.9 %") && Self.bar(Self.line(almost)).none == 1)
    }

    @Test func aRequestWithoutFilesHasAnEmptyBar() {
        let line = Self.line(Self.request(.waiting, .cloud, total: nil))
        #expect(line.contains("waiting") && line.contains("0.0 %") && line.contains("no files yet"))
        #expect(Self.bar(line).full == 0 && Self.bar(line).part == 0)
    }

    @Test(arguments: [40, 60, 80, 200])
    func theLineNeverWraps(width: Int) {
        let request = Self.request(
            .uploading, .cloud, total: 1 << 40, archived: 1 << 40, uploaded: 1 << 39,
            files: Array(repeating: .uploaded, count: 12_345))
        #expect(Self.line(request, width: width).count < width)
    }
}
