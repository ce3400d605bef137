// What volumes hold and what there is per day.

import Foundation
import GRDB
import RPC
import Testing
import Wire

@testable import Indexer

@Suite struct VolumeTests {
    typealias T = TestCatalogue

    @Test func aVolumeIsListedAsReportedWithWhatItHolds() async throws {
        let test = try T()
        try await test.recordFootage(-30, 0)
        let recording = VolumeStatus(
            volumeID: "vol1", role: "recording", writable: true, totalBytes: 100, freeBytes: 50)
        let archive = VolumeStatus(volumeID: "arch", role: "archive", writable: false, error: "read-only")
        let empty = VolumeStatus(volumeID: "vol2", role: "recording")
        for (status, owner) in [(recording, "cc-0"), (archive, "archiver-0"), (empty, "cc-1")] {
            _ = try await test.records.reportVolume(
                ReportVolumeRequest(volume: status, owner: owner, ownerAddress: owner == "cc-0" ? "ipc:///x" : nil))
        }
        let volumes = try await VolumeCalls(catalogue: test.catalogue).listVolumes().volumes
        #expect(volumes.map(\.volume) == [archive, recording, empty])
        #expect(volumes.map(\.owner) == ["archiver-0", "cc-0", "cc-1"])
        #expect(volumes.map(\.ownerAddress) == ["", "ipc:///x", ""])
        // Files on an archive volume are not counted, which is not the same as none.
        #expect(volumes.map(\.files) == [nil, 3, 0])
        #expect(volumes.map(\.bytes) == [nil, 3000, 0])
        #expect(volumes.allSatisfy { $0.reportedUs == T.startUs })
    }
}

@Suite struct DayTests {
    typealias T = TestCatalogue

    /// The zero of the tests is 05:00 UTC: the day began then.
    private static let midnight = -18_000.0
    private static let todayUs = T.us(midnight)

    private func days(
        _ test: T, asset: String? = nil, source: SourceName? = nil, _ from: Double = -86_400, _ to: Double = 10
    ) async throws -> CountDaysReply {
        try await VolumeCalls(catalogue: test.catalogue).countDays(
            CountDaysRequest(asset: asset, source: source, window: T.window(from, to)))
    }

    @Test func aFileCountsOnTheDayOnWhichItBegins() async throws {
        let test = try T()
        try await test.recordFootage(Self.midnight - 25, Self.midnight + 25)
        try await test.record([T.snapshot(-50), T.rendition(Self.midnight + 5, Self.midnight + 15)])
        let reply = try await days(test, asset: "cam1")
        #expect(
            reply.days == [
                DayCount(
                    camera: "cam1", source: T.source("cam1"), dayUs: Self.todayUs - Micro.day, segments: 3,
                    snapshots: 0,
                    bytes: 3000),
                // A rendition repeats footage: it takes room and is none.
                DayCount(
                    camera: "cam1", source: T.source("cam1"), dayUs: Self.todayUs, segments: 2, snapshots: 1,
                    bytes: 3050),
            ])
        #expect(reply.more == false)
        #expect(
            try await days(test, asset: "cam1", Self.midnight, Self.midnight + 1).days.map(\.dayUs) == [Self.todayUs])
        #expect(
            try await days(test, asset: "cam1", Self.midnight - 1, Self.midnight).days.map(\.dayUs)
                == [Self.todayUs - Micro.day], "the window is half-open")
    }

    @Test func whatIsDeletedIsNotCounted() async throws {
        let test = try T()
        try await test.recordFootage(-30, 0)
        let paths = try await test.records.known(ListFilesRequest(volumeID: "vol1")).files.compactMap(\.path)
        func delete(_ paths: [String]) async throws {
            _ = try await test.retention.reportDeleted(
                ReportDeletedRequest(volumeID: "vol1", owner: "cc-0", paths: paths))
        }
        try await delete([paths[0]])
        #expect(try await days(test).days.map(\.segments) == [2])
        try await delete(paths)
        #expect(try await days(test).days.isEmpty)
    }

    @Test func oneAssetOneSourceOrAll() async throws {
        let test = try T()
        try await test.recordFootage(-20, 0, camera: "cam2")
        try await test.recordFootage(-10, 0, camera: "cam1")
        try await test.record([T.gap(-5, 0, camera: "silent")])
        #expect(try await days(test).days.map(\.camera) == ["cam1", "cam2"])
        #expect(try await days(test, asset: "cam2").days.map(\.segments) == [2])
        #expect(try await days(test, source: T.source("cam1")).days.map(\.camera) == ["cam1"])
        #expect(try await days(test, asset: "nobody").days.isEmpty)
        #expect(try await days(test, source: T.source("silent")).days.isEmpty)
        // A source that two assets name is a line of each in a list, and only of the one that was asked for.
        var second = T.segment(-30, -20, camera: "cam1")
        second.file?.stream?.asset = "other"
        try await test.record([second])
        #expect(try await days(test).days.map(\.camera) == ["cam1", "other", "cam2"])
        #expect(try await days(test, asset: "other").days.map(\.camera) == ["other"])
    }

    @Test func moreThanAMessageIsCutAndSaid() async throws {
        let test = try T()
        let other = try DatabaseQueue(path: test.catalogue.path)
        let today = T.startUs / Micro.day
        try await other.write { db in
            try db.execute(
                sql: """
                    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
                    INSERT INTO sources (device, endpoint) SELECT 'camera-' || i, 'main' FROM n;
                    """)
            try db.execute(
                sql: """
                    WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 299)
                    INSERT INTO media_days SELECT source_id, 1, ? - i, 1440, 1000000000 FROM sources JOIN n
                    """, arguments: [today])
        }
        try other.close()
        let reply = try await days(test, -300 * 86_400, 0)
        #expect(reply.more == true)
        #expect(reply.days.count > 5000)
        #expect(reply.encoded().count < 1 << 20)
        #expect(reply.days.compactMap(\.dayUs) == reply.days.compactMap(\.dayUs).sorted())
    }

    @Test func aYearIsTakenAndADayMoreIsNot() async throws {
        let test = try T()
        let year = Double(366 * 86_400)
        _ = try await days(test, Self.midnight - year, Self.midnight)
        for end in [Self.midnight + 0.000001, Self.midnight + year] {
            await #expect {
                try await days(test, Self.midnight - year, end)
            } throws: {
                ($0 as? RPCError)?.code == .invalidArgument && ($0 as? RPCError)?.field == "window"
            }
        }
        #expect(DayRange(touchedBy: Span(1, 2)).count == 1)
        #expect(DayRange(touchedBy: Span(Micro.day - 1, Micro.day + 1)).count == 2)
    }
}
