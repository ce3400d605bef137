// The plant and its operators: messages by MQTT with QoS 1, sent again until there is an answer, because a broker that is killed
// may forget what it acknowledged.

import Foundation
import Harness

struct Stimuli: Sendable {
    let site: Site
    let notebook: Notebook
    let questions: Questions

    /// A receipt that has not come after so long: the message goes out again. Longer than a service takes to start.
    static let resendAfter = Duration.seconds(8)
    /// mosquitto_pub hangs on a broker that is paused.
    static let publishWithin = Duration.seconds(4)

    /// Does one thing and waits for its answer; gives up when cancelled.
    func perform(_ stimulus: Stimulus) async {
        let atUs = nowUs() / 1000 * 1000
        // Nothing is asked for of before the campaign.
        let oldestMs = Int((atUs - notebook.startedUs) / 1000) - 3000
        switch stimulus {
        case .event(let key, let cameras, let ageMs, let preMs, let postMs, let copies):
            let eventUs = atUs - Int64(min(ageMs, oldestMs - preMs)) * 1000
            let window = Span(eventUs - Int64(preMs) * 1000, eventUs + Int64(postMs) * 1000)
            await notebook.say(
                "event", "\(key) on \(names(cameras)), \(window)\(copies > 1 ? ", sent \(copies) times" : "")")
            let payload = """
                {"eventId": "\(key)", "timestamp": \(eventUs / 1000), "cameras": [\(list(cameras))], \
                "preSeconds": \(Double(preMs) / 1000), "postSeconds": \(Double(postMs) / 1000), "reason": "fault campaign"}
                """
            let message = Ask.Message(topic: "events", payload: payload)
            await ask(Ask(key: key, isEvent: true, cameras: cameras, window: window, message: message), copies)
        case .archive(let key, let cameras, let ageMs, let durationMs, let manner):
            let startUs = atUs - Int64(min(ageMs, oldestMs)) * 1000
            let window = Span(startUs, startUs + Int64(durationMs) * 1000)
            let form = "\(manner.isClip ? " as clips" : "")\(manner.inCloud ? "" : ", to the archive only")"
            await notebook.say("archive", "\(key) of \(names(cameras))\(form), \(window)")
            let payload = """
                {"requestId": "\(key)", "cameras": [\(list(cameras))], "start": \(startUs / 1000), \
                "durationSeconds": \(Double(durationMs) / 1000), "reason": "fault campaign", \
                "mode": "\(manner.isClip ? "clip" : "files")", "delivery": "\(manner.inCloud ? "cloud" : "archive")"}
                """
            let message = Ask.Message(topic: "archive", payload: payload)
            await ask(
                Ask(key: key, isEvent: false, cameras: cameras, window: window, manner: manner, message: message), 1)
        case .again(let key): await again(key)
        case .cancel(let key): await cancel(key)
        case .task(let task, let isRunning): await set(task, isRunning: isRunning)
        }
    }

    private func names(_ cameras: [Camera]) -> String { cameras.map(\.rawValue).joined(separator: "+") }
    private func list(_ cameras: [Camera]) -> String { cameras.map { "\"\($0.rawValue)\"" }.joined(separator: ", ") }

    private func ask(_ ask: Ask, _ copies: Int) async {
        await notebook.asked(ask)
        await untilAnswered {
            await notebook.sent(ask.key)
            for _ in 0..<copies { await send(ask) }
        } isAnswered: {
            await notebook.ask(ask.key)?.receipts.isEmpty == false
        }
    }

    private func send(_ ask: Ask) async {
        guard let message = ask.message else { return }
        if await publish("media-sync/\(message.topic)", message.payload) { await notebook.count("messages") }
    }

    /// The same message after its answer: the answer to it is a receipt of its own.
    private func again(_ key: String) async {
        await until { await notebook.ask(key)?.receipts.isEmpty == false }
        guard let ask = await notebook.ask(key) else { return }
        await notebook.say("again", key)
        await untilAnswered {
            await send(ask)
        } isAnswered: {
            (await notebook.ask(key)?.receipts.count ?? 0) > ask.receipts.count
        }
    }

    private func cancel(_ key: String) async {
        await notebook.say("cancel", key)
        // Nobody can cancel what has no id yet.
        await until { await notebook.ask(key)?.requestID != nil }
        guard let id = await notebook.ask(key)?.requestID else { return }
        await untilAnswered {
            await notebook.cancelSent(key)
            _ = await publish("media-sync/cancel", "{\"requestId\": \"\(id)\"}")
        } isAnswered: {
            await notebook.ask(key)?.cancelAnswer != nil
        }
    }

    /// Commands until the registry says that the task is as wanted.
    func set(_ task: StreamTask, isRunning: Bool) async {
        await notebook.say("task", "\(task.name) \(isRunning ? "start" : "stop")")
        await notebook.wanted(task, isRunning: isRunning)
        // Short segments, so that each second has a seal or is near one.
        let body = isRunning && task.isRecording ? "{\"duration\": 3}" : "{}"
        await untilAnswered {
            _ = await publish("asset-operations/\(task.name)/\(isRunning ? "start" : "stop")", body)
        } isAnswered: {
            (try? await questions.isWanted(task)) == isRunning
        }
    }

    // MARK: Waiting

    private func publish(_ topic: String, _ payload: String) async -> Bool {
        (try? await site.publish(topic, payload, within: Self.publishWithin)) != nil
    }

    private func untilAnswered(_ send: () async -> Void, isAnswered: () async -> Bool) async {
        while !Task.isCancelled {
            await send()
            let end = ContinuousClock.now + Self.resendAfter
            while ContinuousClock.now < end, !Task.isCancelled {
                if await isAnswered() { return }
                try? await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    private func until(_ holds: () async -> Bool) async {
        while !Task.isCancelled, !(await holds()) { try? await Task.sleep(for: .milliseconds(50)) }
    }
}
