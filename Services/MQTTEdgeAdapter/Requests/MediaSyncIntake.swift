// Events (scenario 2.2), archive requests and cancellations (2.3): from a message to the indexer and back to a receipt.
// The order is a promise: EnsureFootage first, then the indexer, then the receipt, then PUBACK. Every step can be done
// again with the same effect, because all of it happens again when the broker delivers again.

import Footage
import JSON
import Logging
import Metrics
import RPC
import ServiceKit
import Synchronization
import Wire

/// Takes what comes on the events session.
final class MediaSyncIntake: Sendable {
    /// One try at the indexer. It answers in milliseconds; five seconds is a disk that is busy with something else.
    private static let submitTimeout = Duration.seconds(5)
    /// Footage that was asked for is not asked for again within this time; the hold lasts 15 minutes.
    private static let ensureAgainAfter = Duration.seconds(60)
    /// An error that looks like a defect is tried so often before the message is refused: a poison message must not stop
    /// the ones behind it.
    private static let suspectAttempts = 5
    /// Messages under suspicion that are remembered.
    private static let maximumSuspects = 1_000

    private let rules: [EventRule]
    private let topics: Topics
    private let footage: FootageRequester
    private let indexer: RPCClient
    private let correspondence: Correspondence
    private let desk: CallDesk
    private let requests: RequestFollower
    private let patience: Duration
    private let clock: any WallClock
    private let logger: Logger
    private let suspects = Mutex<[String: Int]>([:])

    init(
        rules: [EventRule], topics: Topics, footage: FootageRequester, indexer: RPCClient,
        correspondence: Correspondence, desk: CallDesk, requests: RequestFollower, patience: Duration,
        clock: any WallClock,
        logger: Logger
    ) {
        self.rules = rules
        self.topics = topics
        self.footage = footage
        self.indexer = indexer
        self.correspondence = correspondence
        self.desk = desk
        self.requests = requests
        self.patience = patience
        self.clock = clock
        self.logger = logger
    }

    /// What a message asks for.
    private enum Errand {
        case event(MappedEvent)
        case archive(ArchiveCommand)
        case cancel(String)

        var key: String {
            switch self {
            case .event(let event): event.key
            case .archive(let command): command.requestID
            case .cancel(let id): id
            }
        }
    }

    /// Why a try did not end it.
    private enum Obstacle: Error {
        /// A neighbour is away; the same can work later.
        case transient(String)
        case rejected(Rejection)
    }

    /// Decides about a message, within `patience`.
    func handle(_ message: InboundMessage) async -> Verdict {
        guard topics.route(message.topic) != nil else {
            // An event is stored whatever properties it has; where they are those of a request it is answered as one.
            guard case .call(let call) = desk.look(at: message) else { return await decide(message, nil) }
            return await decide(message, call, isEvent: true)
        }
        switch await desk.admit(message) {
        case .plain: return await decide(message, nil)
        case .call(let call): return await decide(message, call)
        case nil: return .acknowledge
        }
    }

    private func decide(
        _ message: InboundMessage, _ call: CallRules.Call?, isEvent: Bool = false
    ) async -> Verdict {
        // It may have waited behind others.
        if let call, !isEvent, call.deadline <= .now { return .acknowledge }
        let end = ContinuousClock.now + patience
        let errand: Errand
        do throws(Rejection) {
            guard let read = try read(message) else { return .acknowledge }
            errand = read
        } catch {
            return await reject(message, error, call)
        }
        var backOff = BackOff(first: .milliseconds(100), maximum: .seconds(2))
        var ensured: (cameras: [RequestedCamera], at: ContinuousClock.Instant)?
        while true {
            do throws(Obstacle) {
                try await carryOut(errand, message, call, &ensured)
                return .acknowledge
            } catch {
                switch error {
                case .rejected(let rejection): return await reject(message, rejection, call)
                case .transient(let reason):
                    let pause = backOff.next()
                    if let call, !isEvent, ContinuousClock.now + pause >= call.deadline {
                        // Who asks by mRPC waits for this answer, and asks again. No receipt says that it is rejected: a
                        // neighbour that answered too late may have taken it.
                        let error = RPCError.unavailable("\(reason); ask again for \(errand.key)")
                        await correspondence.answer(call, .failed(error, CommandJSON.refused(nil, error)))
                        return .acknowledge
                    }
                    if ContinuousClock.now + pause >= end || Task.isCancelled {
                        return await giveUp(message, errand, reason, call)
                    }
                    do { try await Task.sleep(for: pause) } catch { return .withhold(reason: reason) }
                }
            }
        }
    }

    /// Nil where the message is no event of any rule.
    private func read(_ message: InboundMessage) throws(Rejection) -> Errand? {
        switch topics.route(message.topic) {
        case .archive: return .archive(try ArchiveCommand(message))
        case .cancel: return .cancel(try ArchiveCommand.cancelledID(message))
        case .command, .read, .list, nil: break
        }
        switch try EventMapping.map(message, by: EventMapping.rules(rules, for: message.topic)) {
        case .event(let event): return .event(event)
        case .passedOver:
            Counter(label: "sightglass_adapter_events_passed_over_total").increment()
            return nil
        }
    }

    private func carryOut(
        _ errand: Errand, _ message: InboundMessage, _ call: CallRules.Call?,
        _ ensured: inout (cameras: [RequestedCamera], at: ContinuousClock.Instant)?
    ) async throws(Obstacle) {
        let json: JSONValue
        switch errand {
        case .cancel(let id):
            let request = try await submit(
                message, IndexerMethods.cancelRequest, CancelRequestRequest(requestID: id, requestedBy: message.origin),
                id)
            await requests.show(request)
            json = ReceiptJSON.cancelled(request, topic: message.topic, atUs: clock.nowUs())
        case .event(let event):
            let cameras = try await cameras(event.cameraNames, errand.key, event.window, &ensured)
            let request = SubmitEventRequest(
                eventKey: event.key, rule: event.rule, eventUs: event.eventUs, startOffsetMs: event.startOffsetMs,
                endOffsetMs: event.endOffsetMs, maximumMs: event.maximumMs, cameras: cameras,
                requestedBy: message.origin, reason: event.reason?.prefixed(1024), delivery: event.delivery,
                mode: event.mode,
                priority: event.priority, kinds: event.kinds, dueUs: event.dueUs)
            json = try await accepted(
                message, try await submit(message, IndexerMethods.submitEvent, request, errand.key), errand.key)
        case .archive(let command):
            let cameras = try await cameras(command.cameraNames, errand.key, command.window, &ensured)
            let request = SubmitArchiveRequest(
                requestID: command.requestID, window: command.window, cameras: cameras, requestedBy: message.origin,
                reason: command.reason?.prefixed(1024), delivery: command.delivery, mode: command.mode,
                // Between events (100) and routine (0).
                priority: 50, kinds: command.kinds, dueUs: command.dueUs)
            json = try await accepted(
                message, try await submit(message, IndexerMethods.submitArchive, request, errand.key), errand.key)
        }
        guard await correspondence.receipt(json, key: errand.key) else {
            throw .transient("its receipt could not be published")
        }
        await answer(.done(json), message, call)
        suspects.withLock { $0[message.digest] = nil }
    }

    private func accepted(
        _ message: InboundMessage, _ reply: SubmitReply, _ key: String
    ) async throws(Obstacle) -> JSONValue {
        let receipt = reply.receipt ?? .accepted
        Counter(label: "sightglass_adapter_requests_total", dimensions: [("receipt", receipt.name)]).increment()
        logger.info(
            "a request is \(receipt.name)",
            metadata: [
                "key": "\(key.prefixed(128))", "request": "\(reply.request?.requestID ?? "")",
                "topic": "\(message.shortTopic)",
            ])
        if let request = reply.request { await requests.show(request) }
        return ReceiptJSON.accepted(reply, key: key, topic: message.topic, atUs: clock.nowUs())
    }

    /// The cameras, with the footage asked for.
    private func cameras(
        _ names: [String], _ key: String, _ window: Window,
        _ ensured: inout (cameras: [RequestedCamera], at: ContinuousClock.Instant)?
    ) async throws(Obstacle) -> [RequestedCamera] {
        if let ensured, ContinuousClock.now - ensured.at < Self.ensureAgainAfter,
            ensured.cameras.allSatisfy({ $0.footage != .unspecified })
        {
            return ensured.cameras
        }
        let cameras: [RequestedCamera]
        do throws(FootageError) { cameras = try await footage.resolve(names) } catch {
            if error.isTransient { throw .transient(error.description) }
            throw .rejected(Rejection(field: nil, reason: error.description, key: key, code: .notFound))
        }
        let answered = await footage.ensure(key: key, window: window, cameras: cameras)
        ensured = (answered, .now)
        return answered
    }

    private func submit<Q: WireMessage, R: WireMessage>(
        _ message: InboundMessage, _ method: RPCMethod<Q, R>, _ request: Q, _ key: String
    ) async throws(Obstacle) -> R {
        do throws(RPCError) {
            return try await indexer.call(method, request, timeout: Self.submitTimeout)
        } catch {
            switch FailureKind(error.code) {
            case .transient: throw .transient("the indexer does not take it: \(error.message)")
            case .final:
                // A conflict must not cover the receipt of the request that has the id.
                throw .rejected(
                    Rejection(
                        field: error.field, reason: error.message, key: error.code == .alreadyExists ? nil : key,
                        code: error.code))
            case .suspect:
                let attempts = suspects.withLock { suspects -> Int in
                    if suspects.count >= Self.maximumSuspects { suspects = [:] }
                    suspects[message.digest, default: 0] += 1
                    return suspects[message.digest] ?? 1
                }
                guard attempts >= Self.suspectAttempts else {
                    throw .transient("the indexer failed on it: \(error.message)")
                }
                suspects.withLock { $0[message.digest] = nil }
                throw .rejected(
                    Rejection(reason: "the indexer failed on it \(attempts) times: \(error.message)", key: key))
            }
        }
    }

    private func reject(_ message: InboundMessage, _ rejection: Rejection, _ call: CallRules.Call?) async -> Verdict {
        await refuse(
            message, RPCError(code: rejection.code, message: rejection.description, field: rejection.field),
            rejection.key ?? message.digest, call)
    }

    private func refuse(
        _ message: InboundMessage, _ error: RPCError, _ key: String, _ call: CallRules.Call?
    ) async -> Verdict {
        Counter(label: "sightglass_adapter_requests_total", dimensions: [("receipt", "rejected")]).increment()
        logger.notice(
            "a message is rejected",
            metadata: [
                "key": "\(key.prefixed(128))", "topic": "\(message.shortTopic)",
                "reason": "\(error.message.prefixed(500))",
            ])
        let json = ReceiptJSON.rejected(error, key: key, topic: message.topic, atUs: clock.nowUs())
        let isKnown = await correspondence.receipt(json, key: key)
        guard isKnown else { return .withhold(reason: "the receipt of its rejection could not be published") }
        await answer(.failed(error, json), message, call)
        return .acknowledge
    }

    /// What came with QoS 0 does not come again, so its sender is told.
    private func giveUp(
        _ message: InboundMessage, _ errand: Errand, _ reason: String, _ call: CallRules.Call?
    ) async -> Verdict {
        guard message.qos == 0 else { return .withhold(reason: reason) }
        return await reject(
            message, Rejection(reason: "\(reason); publish with QoS 1 to have it kept", key: errand.key), call)
    }

    /// An event may name a response topic too; it is no mRPC request for that.
    private func answer(_ answer: CallAnswer, _ message: InboundMessage, _ call: CallRules.Call?) async {
        if let call {
            await correspondence.answer(call, answer)
        } else if message.responseTopic != nil {
            await correspondence.answerBelow(message, answer)
        }
    }
}

/// What an error of a neighbour means for a message.
enum FailureKind: Sendable, Equatable {
    /// It can work later as it is.
    case transient
    /// Perhaps a defect, perhaps passing.
    case suspect
    /// It can never work as it is.
    case final

    init(_ code: Code) {
        switch code {
        case .unavailable, .deadlineExceeded, .resourceExhausted, .cancelled, .aborted: self = .transient
        case .internal, .unknown, .dataLoss, .unrecognized, .ok: self = .suspect
        case .invalidArgument, .notFound, .alreadyExists, .permissionDenied, .failedPrecondition, .outOfRange,
            .unimplemented, .unauthenticated:
            self = .final
        }
    }
}
