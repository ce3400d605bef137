// What registry and controllers answer, as JSON.

import Wire

extension JSONText {
    static func of(_ source: SourceName?) -> JSONText? { source.map { .text($0.shown) } }

    static func of(_ window: Window?) -> JSONText? {
        window.map { .object([("start_us", .integer($0.startUs)), ("end_us", .integer($0.endUs))]) }
    }

    static func of(_ issues: [Issue]) -> JSONText {
        .list(
            issues.map { issue in
                .object([
                    ("severity", .text(issue.severity?.name)), ("code", .text(issue.code)),
                    ("field", .text(issue.field)),
                    ("stream", .text(issue.stream)), ("message", .text(issue.message)),
                ])
            })
    }

    static func of(_ document: AppliedDocument) -> JSONText {
        .object([
            ("kind", .text(document.kind?.name)), ("name", .text(document.name)),
            ("revision", .unsigned(document.revision)),
            ("changed", .bool(document.changed)), ("issues", of(document.issues)),
        ])
    }

    static func of(_ document: StoredDocument) -> JSONText {
        .object([
            ("kind", .text(document.kind?.name)), ("name", .text(document.name)),
            ("revision", .unsigned(document.revision)),
            ("json", .text(document.json)), ("issues", of(document.issues)),
        ])
    }

    static func of(_ stream: StreamDefinition) -> JSONText {
        .object([
            ("asset", .text(stream.name?.asset)), ("stream", .text(stream.name?.stream)), ("source", of(stream.source)),
            ("enabled", .bool(stream.enabled)), ("settings", stream.settings.map(of)),
            ("desired", stream.desired.map(of)),
            ("revision", .unsigned(stream.revision)), ("issues", of(stream.issues)),
        ])
    }

    static func of(_ settings: TaskSettings) -> JSONText {
        .object([
            ("type", .text(settings.type?.name)), ("autostart", .bool(settings.autostart)),
            ("format", .text(settings.format)),
            ("snapshots_per_second", settings.snapshotsPerSecond.map { .real($0) }),
            ("duration_s", .unsigned(settings.durationS)), ("path", .text(settings.path)),
            ("media_server_url", .text(settings.mediaServerURL)),
            (
                "mqtt",
                settings.mqtt.map { mqtt in
                    .object([
                        ("topic", .text(mqtt.topic)), ("qos", .unsigned(mqtt.qos)), ("retain", .bool(mqtt.retain)),
                        ("ttl_s", .unsigned(mqtt.ttlS)),
                    ])
                }
            ), ("audio_enabled", .bool(settings.audioEnabled)),
        ])
    }

    static func of(_ desired: DesiredState) -> JSONText {
        .object([
            ("running", .bool(desired.running)), ("run_id", .text(desired.runID)),
            ("override_json", .text(desired.overrideJSON)), ("started_by", .text(desired.startedBy)),
            ("changed_us", .integer(desired.changedUs)), ("ends_at_us", .integer(desired.endsAtUs)),
        ])
    }

    static func of(_ lease: Lease) -> JSONText {
        .object([
            ("source", of(lease.source)), ("holder", .text(lease.holder)), ("epoch", .unsigned(lease.epoch)),
            ("remaining_ms", .unsigned(lease.remainingMs)), ("holder_address", .text(lease.holderAddress)),
        ])
    }

    static func of(_ status: SourceStatus) -> JSONText {
        .object([
            ("source", of(status.source)), ("state", .text(status.state?.name)), ("reason", .text(status.reason)),
            ("cause", .text(status.cause)), ("run_id", .text(status.runID)),
            ("lease_epoch", .unsigned(status.leaseEpoch)),
            ("video_codec", .text(status.videoCodec)), ("width_px", .unsigned(status.widthPx)),
            ("height_px", .unsigned(status.heightPx)), ("packets", .unsigned(status.packets)),
            ("bytes", .unsigned(status.bytes)), ("last_packet_us", .integer(status.lastPacketUs)),
            ("synced_to_us", .integer(status.syncedToUs)), ("ring_from_us", .integer(status.ringFromUs)),
            ("attempts", .unsigned(status.attempts)),
        ])
    }

    static func of(_ status: TaskStatus) -> JSONText {
        .object([
            ("asset", .text(status.stream?.asset)), ("stream", .text(status.stream?.stream)),
            ("source", of(status.source)),
            ("type", .text(status.type?.name)), ("state", .text(status.state?.name)), ("run_id", .text(status.runID)),
            ("error", .text(status.error)), ("produced", .unsigned(status.produced)),
            ("dropped", .unsigned(status.dropped)),
            ("last_output_us", .integer(status.lastOutputUs)), ("last_output", .text(status.lastOutput)),
        ])
    }

    static func of(_ volume: VolumeStatus) -> JSONText {
        .object([
            ("volume_id", .text(volume.volumeID)), ("role", .text(volume.role)),
            ("mount_path", .text(volume.mountPath)),
            ("writable", .bool(volume.writable)), ("error", .text(volume.error)),
            ("total_bytes", .unsigned(volume.totalBytes)), ("free_bytes", .unsigned(volume.freeBytes)),
            ("spooled_records", .unsigned(volume.spooledRecords)),
        ])
    }

    static func of(_ health: HealthReply) -> JSONText {
        .object([
            ("service", .text(health.service)), ("build", .text(health.build)), ("live", .bool(health.live)),
            ("ready", .bool(health.ready)), ("reasons", .list(health.reasons.map { .text($0) })),
            ("uptime_ms", .unsigned(health.uptimeMs)),
            (
                "neighbours",
                .list(
                    health.neighbours.map { neighbour in
                        .object([
                            ("role", .text(neighbour.role)), ("reachable", .bool(neighbour.reachable)),
                            ("error", .text(neighbour.error)),
                        ])
                    })
            ),
            (
                "metrics",
                .list(
                    health.metrics.map { metric in
                        .object([
                            ("name", .text(metric.name)), ("labels", .text(metric.labels)),
                            ("value", metric.value.map { .real($0) }),
                        ])
                    })
            ),
        ])
    }
}

extension SourceName {
    /// "cam1/main".
    var shown: String { "\(device ?? "")/\(endpoint ?? "")" }
}

extension StreamName {
    /// "line1/clips".
    var shown: String { "\(asset ?? "")/\(stream ?? "")" }
}
