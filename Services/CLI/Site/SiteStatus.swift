// How a whole site is at one moment, as its services say. Values only; SiteReader.swift asks.

import JSON
import Wire

/// Whether a service answered, and what.
struct ServiceHealth: Sendable, Equatable {
    let role: Role
    /// Where it was asked.
    let address: String
    let reply: HealthReply?
    let error: String?

    /// Role and instance where it said them.
    var name: String { reply?.service.flatMap { $0.hasPrefix(role.rawValue) ? $0 : nil } ?? role.rawValue }

    var json: JSONValue {
        .fields([
            "role": .string(role.rawValue), "address": .string(address), "answers": .bool(reply != nil),
            "error": .string(optional: error), "health": reply.map { .of($0) },
        ])
    }
}

/// What becomes of a camera's pictures.
enum Landing: String, Sendable, CaseIterable {
    /// They are safe on disk within seconds.
    case lands
    /// They are kept in memory; nothing asks for more.
    case memory
    /// They come, and the disk does not take them.
    case stuck
    /// A session is on its way.
    case connecting
    /// None come.
    case dark
    /// No controller holds the camera.
    case unheld
    /// Nothing is asked of it.
    case idle

    var isWell: Bool { ![.stuck, .dark, .unheld].contains(self) }

    /// - Parameters:
    ///   - status: what the controller says that holds it; nil: none does.
    ///   - nowUs: by the clock of whoever asks. A host whose clock is fast has footage of the future, which lands.
    init(_ status: SourceStatus?, nowUs: Int64) {
        guard let status else {
            self = .unheld
            return
        }
        switch status.state {
        case .idle: self = .idle
        case .connecting where status.cause == nil: self = .connecting
        case .streaming:
            guard let last = status.lastPacketUs, nowUs - last < SourceDiagnosis.silentUs else {
                self = .dark
                return
            }
            guard let synced = status.syncedToUs else {
                self = .memory
                return
            }
            self = nowUs - synced < SourceDiagnosis.unsyncedUs ? .lands : .stuck
        default: self = .dark
        }
    }
}

/// How a site is.
struct SiteStatus: Sendable {
    /// When it was asked, by the clock of whoever asks.
    var atUs: Int64
    var services: [ServiceHealth] = []
    /// Nil where the registry did not answer.
    var configuration: Configuration?
    var leases: [Lease] = []
    var controllers: [ListStatusReply] = []
    /// Nil where the indexer did not answer.
    var uploads: ListUploadsReply?
    /// Of 200 at most; nil where the indexer did not answer.
    var openRequests: [ArchiveRequest]?

    var sources: [SourceStatus] { controllers.flatMap(\.sources) }
    var tasks: [TaskStatus] { controllers.flatMap(\.tasks) }
    var volumes: [VolumeStatus] { controllers.flatMap(\.volumes) }

    /// A camera of the site.
    struct Camera: Sendable {
        let source: SourceName
        /// Nil where no controller says anything of it.
        let status: SourceStatus?
        let landing: Landing
    }

    /// All enabled cameras by name; where the registry is away, those that the controllers know.
    var cameras: [Camera] {
        let enabled = configuration?.endpoints.filter { $0.enabled == true } ?? []
        return Set(sources.compactMap(\.source) + enabled.compactMap(\.source)).sorted { $0.text < $1.text }.map {
            source in
            // Two controllers can know it while it moves: the one that has more counts.
            let all = sources.filter { $0.source == source }
            let status = all.max { ($0.leaseEpoch ?? 0) < ($1.leaseEpoch ?? 0) }
            return Camera(source: source, status: status, landing: Landing(status, nowUs: atUs))
        }
    }

    /// No service answered.
    var isSilent: Bool { services.allSatisfy { $0.reply == nil } }

    /// Nothing needs a person.
    var isWell: Bool {
        services.allSatisfy { $0.reply?.ready == true } && cameras.allSatisfy(\.landing.isWell)
            && !tasks.contains { $0.state == .failed } && !sources.contains { $0.state == .backingOff }
            && !volumes.contains { $0.writable == false } && (uploads?.setAsideFiles ?? 0) == 0
    }

    var json: JSONValue {
        .fields([
            "at_us": .integer(atUs), "well": .bool(isWell), "services": .array(services.map(\.json)),
            "cameras": .array(
                cameras.map { camera in
                    .fields(["source": .of(camera.source), "footage": .string(camera.landing.rawValue)])
                }),
            "sources": .array(sources.map { .of($0) }), "tasks": .array(tasks.map { .of($0) }),
            "volumes": .array(volumes.map { .of($0) }),
            "open_requests": openRequests.map { .integer($0.count) }, "uploads": uploads.map { .of($0) },
            "configuration_revision": .integer(optional: configuration?.revision),
        ])
    }
}
