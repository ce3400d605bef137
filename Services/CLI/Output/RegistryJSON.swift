// What registry and controllers answer, as JSON for programs, in the manner of FootageJSON.swift.

import JSON
import Wire

extension JSONValue {
    static func of(_ source: SourceName?) -> JSONValue? { source.map { .string($0.text) } }

    static func of(_ window: Window?) -> JSONValue? {
        window.map { .fields(["start_us": .integer(optional: $0.startUs), "end_us": .integer(optional: $0.endUs)]) }
    }

    static func of(_ issues: [Issue]) -> JSONValue {
        .array(
            issues.map { issue in
                .fields([
                    "severity": .string(optional: issue.severity?.name), "code": .string(optional: issue.code),
                    "field": .string(optional: issue.field),
                    "stream": .string(optional: issue.stream), "message": .string(optional: issue.message),
                ])
            })
    }

    static func of(_ document: AppliedDocument) -> JSONValue {
        .fields([
            "kind": .string(optional: document.kind?.name), "name": .string(optional: document.name),
            "revision": .integer(optional: document.revision),
            "changed": .bool(optional: document.changed), "issues": of(document.issues),
        ])
    }

    static func of(_ document: StoredDocument) -> JSONValue {
        .fields([
            "kind": .string(optional: document.kind?.name), "name": .string(optional: document.name),
            "revision": .integer(optional: document.revision),
            "json": .string(optional: document.json), "issues": of(document.issues),
        ])
    }

    static func of(_ stream: StreamDefinition) -> JSONValue {
        .fields([
            "asset": .string(optional: stream.name?.asset), "stream": .string(optional: stream.name?.stream),
            "source": of(stream.source),
            "enabled": .bool(optional: stream.enabled), "settings": stream.settings.map(of),
            "desired": stream.desired.map(of),
            "revision": .integer(optional: stream.revision), "issues": of(stream.issues),
        ])
    }

    static func of(_ settings: TaskSettings) -> JSONValue {
        .fields([
            "type": .string(optional: settings.type?.name), "autostart": .bool(optional: settings.autostart),
            "format": .string(optional: settings.format),
            "snapshots_per_second": settings.snapshotsPerSecond.map { .real($0) },
            "duration_s": .integer(optional: settings.durationS), "path": .string(optional: settings.path),
            "media_server_url": .string(optional: settings.mediaServerURL),
            "mqtt":
                settings.mqtt.map { mqtt in
                    .fields([
                        "topic": .string(optional: mqtt.topic), "qos": .integer(optional: mqtt.qos),
                        "retain": .bool(optional: mqtt.retain),
                        "ttl_s": .integer(optional: mqtt.ttlS),
                    ])
                }, "audio_enabled": .bool(optional: settings.audioEnabled),
        ])
    }

    static func of(_ desired: DesiredState) -> JSONValue {
        .fields([
            "running": .bool(optional: desired.running), "run_id": .string(optional: desired.runID),
            "override_json": .string(optional: desired.overrideJSON),
            "started_by": .string(optional: desired.startedBy),
            "changed_us": .integer(optional: desired.changedUs), "ends_at_us": .integer(optional: desired.endsAtUs),
        ])
    }

    static func of(_ lease: Lease) -> JSONValue {
        .fields([
            "source": of(lease.source), "holder": .string(optional: lease.holder),
            "epoch": .integer(optional: lease.epoch),
            "remaining_ms": .integer(optional: lease.remainingMs),
            "holder_address": .string(optional: lease.holderAddress), "successor": .string(optional: lease.successor),
        ])
    }

    static func of(_ status: SourceStatus) -> JSONValue {
        .fields([
            "source": of(status.source), "state": .string(optional: status.state?.name),
            "reason": .string(optional: status.reason),
            "cause": .string(optional: status.cause), "run_id": .string(optional: status.runID),
            "lease_epoch": .integer(optional: status.leaseEpoch),
            "video_codec": .string(optional: status.videoCodec), "width_px": .integer(optional: status.widthPx),
            "height_px": .integer(optional: status.heightPx), "packets": .integer(optional: status.packets),
            "bytes": .integer(optional: status.bytes), "last_packet_us": .integer(optional: status.lastPacketUs),
            "synced_to_us": .integer(optional: status.syncedToUs),
            "ring_from_us": .integer(optional: status.ringFromUs),
            "attempts": .integer(optional: status.attempts),
        ])
    }

    static func of(_ status: TaskStatus) -> JSONValue {
        .fields([
            "asset": .string(optional: status.stream?.asset), "stream": .string(optional: status.stream?.stream),
            "source": of(status.source),
            "type": .string(optional: status.type?.name), "state": .string(optional: status.state?.name),
            "run_id": .string(optional: status.runID),
            "error": .string(optional: status.error), "produced": .integer(optional: status.produced),
            "dropped": .integer(optional: status.dropped),
            "last_output_us": .integer(optional: status.lastOutputUs),
            "last_output": .string(optional: status.lastOutput),
        ])
    }

    static func of(_ volume: VolumeStatus) -> JSONValue {
        .fields([
            "volume_id": .string(optional: volume.volumeID), "role": .string(optional: volume.role),
            "mount_path": .string(optional: volume.mountPath),
            "writable": .bool(optional: volume.writable), "error": .string(optional: volume.error),
            "total_bytes": .integer(optional: volume.totalBytes), "free_bytes": .integer(optional: volume.freeBytes),
            "spooled_records": .integer(optional: volume.spooledRecords),
        ])
    }

    static func of(_ health: HealthReply) -> JSONValue {
        .fields([
            "service": .string(optional: health.service), "build": .string(optional: health.build),
            "live": .bool(optional: health.live),
            "ready": .bool(optional: health.ready), "reasons": .array(health.reasons.map { .string($0) }),
            "uptime_ms": .integer(optional: health.uptimeMs),
            "neighbours":
                .array(
                    health.neighbours.map { neighbour in
                        .fields([
                            "role": .string(optional: neighbour.role),
                            "reachable": .bool(optional: neighbour.reachable),
                            "error": .string(optional: neighbour.error),
                        ])
                    }),
            "metrics":
                .array(
                    health.metrics.map { metric in
                        .fields([
                            "name": .string(optional: metric.name), "labels": .string(optional: metric.labels),
                            "value": metric.value.map { .real($0) },
                        ])
                    }),
        ])
    }
}
