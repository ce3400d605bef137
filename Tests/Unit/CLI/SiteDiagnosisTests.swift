// What doctor makes of a site: each thing that can be wrong is named, with its weight and what to do.

import Testing
import Wire

@testable import CLI

@Suite struct SiteDiagnosisTests {
    private static let nowUs: Int64 = 1_795_410_000_000_000
    private static let source = SourceName(device: "cam1", endpoint: "main")

    private func health(_ role: Role, _ change: (inout HealthReply) -> Void = { _ in }) -> ServiceHealth {
        var reply = HealthReply(service: role.rawValue, build: "1.4", live: true, ready: true, uptimeMs: 1000)
        change(&reply)
        return ServiceHealth(role: role, address: "ipc:///x", reply: reply, error: nil)
    }

    private func streaming(lastPacketUs: Int64) -> ListStatusReply {
        ListStatusReply(
            controllerID: "cc-0",
            sources: [
                SourceStatus(
                    source: Self.source, state: .streaming, videoCodec: "h264", lastPacketUs: lastPacketUs,
                    syncedToUs: lastPacketUs)
            ],
            volumes: [
                VolumeStatus(
                    volumeID: "v1", role: "recording", mountPath: "/mnt/recording", writable: true,
                    totalBytes: 1 << 40, freeBytes: 2 << 30, spooledRecords: 2)
            ])
    }

    /// A site that is well.
    private var well: SiteFacts {
        var status = SiteStatus(atUs: Self.nowUs)
        status.services = Role.allCases.map { health($0) }
        status.configuration = Configuration(
            revision: 1, endpoints: [InboundEndpoint(source: Self.source, address: "rtsp://cam1/main", enabled: true)],
            streams: [StreamDefinition(source: Self.source, enabled: true)])
        status.leases = [Lease(source: Self.source, holder: "cc-0", holderAddress: "ipc:///x")]
        status.controllers = [streaming(lastPacketUs: Self.nowUs - 40_000)]
        status.uploads = ListUploadsReply(waitingFiles: 0, waitingBytes: 0)
        status.openRequests = []
        var facts = SiteFacts(status: status)
        facts.volumes = []
        facts.catalogue = CheckCatalogueReply(rows: 100)
        return facts
    }

    /// What is not well after a change.
    private func bad(_ change: (inout SiteFacts) -> Void) -> [Check] {
        var facts = well
        change(&facts)
        let bad = SiteDiagnosis(facts: facts).checks.checks.filter { $0.verdict != .good }
        #expect(bad.allSatisfy { !$0.advice.isEmpty && !$0.seen.isEmpty && !$0.code.isEmpty })
        return bad
    }

    /// The one thing that is not well after a change.
    private func the(_ code: String, _ verdict: Check.Verdict, _ change: (inout SiteFacts) -> Void) {
        let found = bad(change)
        #expect(found.map(\.code) == [code], "\(found)")
        #expect(found.map(\.verdict) == [verdict], "\(found)")
    }

    @Test func aSiteThatIsWellNeedsNobody() {
        #expect(bad { _ in }.isEmpty)
        #expect(SiteDiagnosis(facts: well).checks.verdict == .good)
    }

    @Test func servicesThatAreAwayOrNotReady() {
        func away(_ role: Role) -> (inout SiteFacts) -> Void {
            { facts in
                facts.status.services.removeAll { $0.role == role }
                facts.status.services.append(ServiceHealth(role: role, address: "ipc:///y", reply: nil, error: nil))
            }
        }
        the("away", .wrong, away(.indexer))
        the("away", .attention, away(.cloudUploader))
        the("away", .attention, away(.mqttEdgeAdapter))
        the("away", .wrong) {
            away(.cloudUploader)(&$0)
            $0.status.uploads?.waitingFiles = 3
        }
        the("not_ready", .wrong) {
            $0.status.services[0] = health(.assetRegistry) { ($0.ready, $0.reasons) = (false, ["the disk is full"]) }
        }
        the("neighbour_away", .attention) {
            $0.status.services[3] = health(.archiver) {
                $0.neighbours = [Neighbour(role: "indexer", reachable: false, error: "refused")]
            }
        }
        the("versions", .attention) { $0.status.services[2] = health(.indexer) { $0.build = "1.3" } }
    }

    @Test func clocksOfControllers() {
        the("clock", .wrong) { $0.status.controllers = [streaming(lastPacketUs: Self.nowUs + 3_000_000)] }
        #expect(bad { $0.status.controllers = [streaming(lastPacketUs: Self.nowUs + 1_000_000)] }.isEmpty)
        // Three seconds behind, and moving on: a clock. Not moving on: a camera that hesitates.
        the("clock", .wrong) {
            $0.status.controllers = [streaming(lastPacketUs: Self.nowUs - 3_000_000)]
            $0.later = [streaming(lastPacketUs: Self.nowUs - 1_800_000)]
        }
        #expect(
            bad {
                $0.status.controllers = [streaming(lastPacketUs: Self.nowUs - 3_000_000)]
                $0.later = $0.status.controllers
            }.isEmpty)
    }

    @Test func camerasAndLeases() {
        the("unauthorized", .wrong) {
            $0.status.controllers[0].sources[0] = SourceStatus(
                source: Self.source, state: .backingOff, reason: "refuses the password", cause: "unauthorized")
        }
        the("no_lease", .wrong) { $0.status.leases = [] }
        the("controller_away", .wrong) { $0.status.controllers = [] }
        the("no_cameras", .attention) { $0.status.configuration?.endpoints[0].enabled = false }
        the("lease_of_nothing", .attention) {
            $0.status.leases.append(Lease(source: SourceName(device: "old", endpoint: "main"), holder: "cc-0"))
        }
        let two = bad {
            $0.status.leases = []
            $0.status.configuration?.endpoints.append(
                InboundEndpoint(source: SourceName(device: "cam2", endpoint: "main"), enabled: true))
        }
        #expect(two.map(\.subject) == ["cam1/main", "cam2/main"])
    }

    @Test(arguments: [
        (UInt64(900) << 20, Check.Verdict.attention), (200 << 20, .wrong), (1 << 30, .good),
    ])
    func spaceOfARecordingVolume(free: UInt64, verdict: Check.Verdict) {
        let found = bad { $0.status.controllers[0].volumes[0].freeBytes = free }
        #expect(found.map(\.verdict) == (verdict == .good ? [] : [verdict]))
    }

    @Test func volumesOfTheArchiveAreThoseThatWereReported() {
        func archive(_ change: (inout VolumeStatus) -> Void) -> (inout SiteFacts) -> Void {
            var volume = VolumeStatus(
                volumeID: "a1", role: "archive", mountPath: "/mnt/archive", writable: true, totalBytes: 1 << 40,
                freeBytes: 1 << 39)
            change(&volume)
            return { [volume] in $0.volumes = [KnownVolume(volume: volume)] }
        }
        #expect(bad(archive { _ in }).isEmpty)
        the("disk_full", .attention, archive { $0.freeBytes = 40 << 30 })
        the("disk_full", .wrong, archive { $0.freeBytes = 500 << 20 })
        the("volume", .wrong, archive { ($0.writable, $0.error) = (false, "another volume is mounted there") })
        // The controller's own word counts, not what it said some time ago.
        #expect(bad { $0.volumes = [KnownVolume(volume: VolumeStatus(volumeID: "v1", writable: false))] }.isEmpty)
    }

    @Test func spoolsAndCatalogue() {
        the("spool", .attention) { $0.status.controllers[0].volumes[0].spooledRecords = 1_000 }
        the("spool", .wrong) { $0.status.controllers[0].volumes[0].spooledRecords = 100_000 }
        the("catalogue", .wrong) { $0.catalogue = CheckCatalogueReply(problems: ["page 7 is torn"]) }
        the("catalogue_unknown", .attention) { $0.catalogue = nil }
    }

    @Test func uploadsAndRequests() {
        func waiting(sinceUs: Int64) -> (inout SiteFacts) -> Void {
            {
                $0.status.uploads = ListUploadsReply(
                    waitingFiles: 5, waitingBytes: 1000, oldestUs: Self.nowUs - sinceUs)
            }
        }
        #expect(bad(waiting(sinceUs: 3_000_000_000)).isEmpty)
        the("upload_backlog", .attention, waiting(sinceUs: 4_000_000_000))
        the("upload_backlog", .wrong, waiting(sinceUs: 90_000_000_000))
        the("set_aside", .wrong) { $0.status.uploads?.setAsideFiles = 2 }
        the("requests_failed", .attention) {
            $0.failed = [ArchiveRequest(requestID: "r", state: .failed, finishedUs: Self.nowUs - 1)]
        }
        #expect(
            bad {
                $0.failed = [ArchiveRequest(requestID: "r", state: .failed, finishedUs: Self.nowUs - 90_000_000_000)]
            }.isEmpty, "what failed the day before yesterday was seen")
    }

    @Test(arguments: [
        "sightglass_controller_records_dropped_total", "sightglass_controller_late_syncs_total",
        "sightglass_indexer_records_rejected_total", "sightglass_adapter_messages_lost_total",
    ])
    func countersOfLosses(name: String) {
        func counted(_ values: [Double]) -> [Check] {
            bad { facts in
                facts.status.services[1] = health(.captureController) {
                    $0.metrics = values.map { MetricValue(name: name, value: $0) }
                }
            }
        }
        #expect(counted([0, 0]).isEmpty)
        #expect(counted([0, 3, 4]).map(\.verdict) == [.attention])
        #expect(counted([3, 4]).first?.seen.hasPrefix("7 ") == true)
        #expect(counted([.infinity]).count == 1)
    }

    @Test func certificatesThatEndSoon() {
        func ends(inDays days: Int64) -> (inout SiteFacts) -> Void {
            {
                $0.certificates = [
                    CertificateFact(name: "operator's own", endsUs: Self.nowUs + days * 86_400_000_000, problem: nil)
                ]
            }
        }
        #expect(bad(ends(inDays: 31)).isEmpty)
        the("certificate_ends", .attention, ends(inDays: 29))
        the("certificate_ends", .wrong, ends(inDays: 6))
        the("certificate_ends", .wrong, ends(inDays: -1))
        the("certificate_unknown", .attention) {
            $0.certificates = [CertificateFact(name: "x", endsUs: nil, problem: "cannot be read")]
        }
    }
}
