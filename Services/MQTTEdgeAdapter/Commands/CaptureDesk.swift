// The verb capture: a snapshot or a clip of a camera, now. A snapshot comes from the controller that holds the camera; where
// that takes longer than a moment the answer says that it is under way, and the retained status says how it ended. A clip is
// an archive request whose window lies around now.

import Footage
import Foundation
import JSON
import RPC
import ServiceKit
import Wire

/// Takes snapshots and asks for clips.
struct CaptureDesk: Sendable {
    /// A verb is answered within a second; what is left is for the way.
    private static let answerWithin = Duration.milliseconds(900)
    /// A controller may have to wait for a decoder, or for the next keyframe.
    private static let captureTimeout = Duration.seconds(10)
    /// A controller that is not connected is away: who asked is told so in time.
    private static let connectTime = Duration.milliseconds(700)
    private static let indexerTimeout = Duration.seconds(5)

    let topics: Topics
    let indexer: RPCClient
    let controllers: ControllerClients
    let footage: FootageRequester
    let requests: RequestFollower
    let correspondence: Correspondence
    let clock: any WallClock

    /// Takes a picture. `limit` as for every command.
    func snapshot(
        _ definition: StreamDefinition, _ body: CaptureBody, _ limit: Duration
    ) async throws(RPCError) -> JSONValue {
        let stream = definition.name ?? StreamName()
        let controller = try await holder(of: definition)
        let request = TakeSnapshotRequest(
            stream: stream, format: body.format, jpegQuality: body.quality, maxWidthPx: body.maxWidthPx,
            maxHeightPx: body.maxHeightPx)
        let timeout = controller.isConnected ? Self.captureTimeout : Self.connectTime
        let task = Task { () -> Result<JSONValue, RPCError> in
            let result: Result<JSONValue, RPCError>
            do throws(RPCError) {
                result = .success(
                    CommandJSON.captured(
                        stream,
                        try await controller.call(
                            CaptureControllerMethods.takeSnapshot, request, timeout: timeout)))
            } catch { result = .failure(error) }
            let json =
                switch result {
                case .success(let json): json
                case .failure(let error): CommandJSON.refused(stream, error)
                }
            await correspondence.retain(json, on: topics.lastCapture(stream), what: "the outcome of a capture")
            return result
        }
        guard let result = await first(of: task, within: min(limit, Self.answerWithin)) else {
            return CommandJSON.capturing(stream, topics.lastCapture(stream))
        }
        return try result.get()
    }

    /// What the task gave; nil where it goes on.
    private func first<T: Sendable>(of task: Task<T, Never>, within limit: Duration) async -> T? {
        let (results, feed) = AsyncStream.makeStream(of: T?.self, bufferingPolicy: .bufferingOldest(1))
        Task { feed.yield(await task.value) }
        let timer = Task {
            try? await Task.sleep(for: limit)
            feed.yield(nil)
        }
        defer { timer.cancel() }
        for await result in results { return result }
        return nil
    }

    /// Asks for the footage around now.
    func clip(
        _ definition: StreamDefinition, _ body: CaptureBody, _ message: InboundMessage, _ limit: Duration
    ) async throws(RPCError) -> JSONValue {
        guard let source = definition.source, let asset = definition.name?.asset else {
            throw .failedPrecondition("the stream \(definition.name?.text ?? "") has no camera; see its issues")
        }
        let nowUs = clock.nowUs()
        let window = Window(startUs: nowUs - body.preMs * 1_000, endUs: nowUs + body.postMs * 1_000)
        // The same request once more is the same clip; a plain publish twice is two.
        let id =
            body.requestID ?? message.correlationData.map { _ in "capture-\(message.requestDigest.prefix(32))" }
            ?? "capture-\(UUID().uuidString.lowercased())"
        let cameras = await footage.ensure(
            key: id, window: window,
            cameras: [RequestedCamera(camera: asset, source: source, footage: .unspecified)])
        let reply = try await submit(
            SubmitArchiveRequest(
                requestID: id, window: window, cameras: cameras, requestedBy: message.origin, reason: body.reason,
                delivery: body.delivery, mode: body.mode,
                // As every operator's request: between events (100) and routine (0).
                priority: 50, kinds: [.segment]), within: min(Self.indexerTimeout, limit))
        if let request = reply.request { await requests.show(request) }
        return CommandJSON.clip(definition.name ?? StreamName(), reply, statusTopic: topics.request(id))
    }

    /// The request that there is, where the id is known already: a second copy of a message has another "now".
    private func submit(_ request: SubmitArchiveRequest, within limit: Duration) async throws(RPCError) -> SubmitReply {
        do throws(RPCError) {
            return try await indexer.call(IndexerMethods.submitArchive, request, timeout: limit)
        } catch {
            guard error.code == .alreadyExists, let id = request.requestID else { throw error }
            let known = try await indexer.call(
                IndexerMethods.getRequest, GetRequestRequest(requestID: id), timeout: limit)
            return SubmitReply(receipt: .duplicate, request: known)
        }
    }

    /// The controller that has the camera of a stream.
    func holder(of definition: StreamDefinition) async throws(RPCError) -> RPCClient {
        guard let source = definition.source, let address = await footage.controllerAddress(of: source) else {
            throw .unavailable("no capture controller holds the camera at present; it is tried again by itself")
        }
        return try await controllers.client(at: address)
    }
}
