// What controllers call: PublishSnapshot and ReportStatus.

import Foundation
import Logging
import Metrics
import RPC
import ServiceKit
import Wire

/// The handlers of MqttEdgeAdapter.
struct PublishCalls: Sendable {
    /// A picture is answered this long before its caller gives up, so that the caller learns why.
    private static let margin = Duration.milliseconds(50)
    /// The contract's bound of a picture.
    private static let maximumPictureBytes = (32 << 20) - (64 << 10)

    let topics: Topics
    let topicMode: SnapshotTopicMode
    let clientID: String
    let outbound: OutboundSession
    let status: RetainedStatus
    let stamps: Stamps
    let clock: any WallClock
    /// Told of every status; nil where Akri is not there.
    let akri: AkriFollower?
    let references: RegistryReferences

    func register(on server: RPCServer) {
        server.handle(MqttEdgeAdapterMethods.publishSnapshot) { request, context in
            try await publish(request, context)
        }
        server.handle(MqttEdgeAdapterMethods.reportStatus) { request, _ in
            let reply = try report(request)
            await akri?.saw(sources: request.sources, tasks: request.tasks)
            return reply
        }
    }

    private func publish(_ request: PublishSnapshotRequest, _ context: RPCContext) async throws -> PublishSnapshotReply
    {
        let stream = try checked(request)
        let topic: String
        do throws(Problem) {
            topic = try topics.picture(stream, destination: request.destination, mode: topicMode)
        } catch { throw RPCError.invalidArgument("destination.topic", error.description) }
        guard outbound.isConnected else {
            throw RPCError.unavailable("there is no connection to the MQTT broker at present; Health/Check says why")
        }
        let message = PictureMessage.make(
            request, stream: stream, topic: topic, id: UUID().uuidString.lowercased(), clientID: clientID,
            timestamp: stamps.next(nowUs: clock.nowUs()),
            references: references.pair(device: request.source?.device, asset: stream.asset))
        if let maximum = outbound.maximumPacketBytes, message.maximumPacketBytes > maximum {
            throw RPCError.invalidArgument(
                "picture",
                "the picture's message has \(message.maximumPacketBytes) bytes, the broker takes \(maximum): choose a "
                    + "smaller picture, or raise the broker's maximum packet size")
        }
        let expiresAt = request.expiresInMs.map { ContinuousClock.now + .milliseconds(Int64($0)) }
        let deadline = min(expiresAt ?? context.deadline, context.deadline - Self.margin)
        do throws(OutboundQueue.Dropped) {
            guard deadline > .now else { throw .expired }
            try await outbound.deliver(message, lane: .picture, deadline: deadline)
            return PublishSnapshotReply(published: true, topic: topic)
        } catch {
            switch error {
            case .expired:
                Counter(label: "sightglass_adapter_pictures_expired_total").increment()
                return PublishSnapshotReply(
                    published: false, reason: "its time was over before the broker had it", topic: topic)
            case .full: throw RPCError.resourceExhausted("too many pictures wait for the MQTT broker")
            case .disconnected: throw RPCError.unavailable("the connection to the MQTT broker was lost")
            case .refused(let reason):
                throw RPCError.failedPrecondition("the MQTT broker refuses a picture on \(topic): \(reason)")
            case .replaced: return PublishSnapshotReply(published: true, topic: topic)
            }
        }
    }

    private func checked(_ request: PublishSnapshotRequest) throws(RPCError) -> StreamName {
        let (asset, name) = try FieldCheck.stream(request.stream, "stream")
        if let source = request.source { try FieldCheck.source(source, "source") }
        guard let picture = request.picture, !picture.isEmpty else {
            throw FieldCheck.wrong("picture", "of \(asset)/\(name) is empty")
        }
        guard picture.count <= Self.maximumPictureBytes else {
            throw FieldCheck.wrong(
                "picture", "of \(asset)/\(name) has \(picture.count) bytes: at most 32 MiB less 64 KiB are allowed")
        }
        try FieldCheck.timeIfAny(request.capturedUs, "captured_us")
        _ = try FieldCheck.bounded(request.destination?.qos, "destination.qos", default: 1, 0...1)
        guard request.destination?.ttlS != 0 else {
            throw FieldCheck.wrong("destination.ttl_s", "is 0: such a picture reaches nobody; 1 and more are allowed")
        }
        _ = try FieldCheck.text(request.runID, "run_id", maximumBytes: 128)
        return StreamName(asset: asset, stream: name)
    }

    private func report(_ request: ReportStatusRequest) throws(RPCError) -> ReportStatusReply {
        let id = try FieldCheck.text(request.controllerID, "controller_id", maximumBytes: 128)
        for (index, source) in request.sources.enumerated() {
            let field = "sources[\(index)]"
            try FieldCheck.source(source.source, field + ".source")
            try FieldCheck.timeIfAny(source.lastPacketUs, field + ".last_packet_us")
            try FieldCheck.timeIfAny(source.syncedToUs, field + ".synced_to_us")
            try FieldCheck.timeIfAny(source.ringFromUs, field + ".ring_from_us")
        }
        for (index, task) in request.tasks.enumerated() {
            let field = "tasks[\(index)]"
            try FieldCheck.stream(task.stream, field + ".stream")
            if let source = task.source { try FieldCheck.source(source, field + ".source") }
            try FieldCheck.timeIfAny(task.lastOutputUs, field + ".last_output_us")
        }
        for (index, volume) in request.volumes.enumerated() where volume.volumeID != nil {
            _ = try FieldCheck.someText(volume.volumeID, "volumes[\(index)].volume_id")
        }
        status.show(
            request.tasks.compactMap { StatusJSON.task($0, controllerID: id, topics: topics) }
                + request.sources.compactMap { StatusJSON.source($0, controllerID: id, topics: topics) }
                + request.volumes.compactMap { StatusJSON.volume($0, controllerID: id, topics: topics) })
        return ReportStatusReply()
    }
}
