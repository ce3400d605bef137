// EventTimelines: from the publication of an event by MQTT to its footage on the archive volume, and to the blob committed.
//
// A whole site (deploy/local/site: broker, cameras, Blob server, six services, each a process of its own) records three cameras
// in clips of one second. Each event asks for a moment inside one sealed clip that no other event touches; the next is
// published when the one before is done and a pause of random length has passed, so that no event meets the same phase of any
// timer. Recording goes on all the while.
//
//   published   before the line is given to a mosquitto_pub that is connected already
//   archived    when the clip got its name on the archive volume: the change time of the file, by its file system
//   committed   when the indexer knew every blob of the request as committed: not earlier than the commit
//   told        when the retained status said "done" to a mosquitto_sub

import Foundation

/// Events and how each went.
struct EventTimelines {
    /// A request's way, in milliseconds after publication.
    struct Timeline {
        let accepted: Double
        let archived: Double
        let committed: Double
        let told: Double
    }

    private(set) var timelines: [Timeline] = []
    /// Events that did not end as done, with one clip delivered.
    private(set) var lost: [String] = []

    /// - Parameters:
    ///   - events: how many, each for footage of its own.
    ///   - bin: folder of the services' executables.
    init(events: Int, bin: String) throws {
        let site = try BenchSite(bin: bin)
        defer { site.down() }
        try site.up()
        for camera in ["line1", "line2", "dock"] {
            try site.publish("asset-operations/\(camera)/clips/start", #"{"duration": 1}"#)
        }
        let watcher = try site.watch("media-sync/#")
        defer { watcher.end() }
        let publisher = try site.publisher(to: "media-sync/events")
        defer { publisher.end() }

        var used: Set<String> = []
        while timelines.count + lost.count < events {
            let clip = try site.sealedClip(besides: used)
            used.insert(clip.path)
            let key = "e2e-\(used.count)"
            if let timeline = try Self.event(key, clip, site, publisher, watcher) {
                timelines.append(timeline)
            } else {
                lost.append(key)
            }
            Thread.sleep(forTimeInterval: .random(in: 0.02...0.12))
        }
    }

    /// Half and ninety-nine hundredths of the events took at most so long.
    func figures(_ name: String, _ bar: Bar, _ part: (Timeline) -> Double) -> [Figure] {
        let values = timelines.map(part)
        let spread = values.min().flatMap { least in values.max().map { least...$0 } }
        return [
            Figure(name: "\(name).p50", value: quantile(0.5, of: values), unit: "ms", bar: bar, spread: spread),
            Figure(name: "\(name).p99", value: quantile(0.99, of: values), unit: "ms", bar: .none),
        ]
    }

    /// Those that did not come through, and their names for the reader.
    func addLost(_ name: String, to report: inout Report) {
        report.figures.append(Figure(name: name, value: Double(lost.count), unit: "events", bar: .atMost(0)))
        if !lost.isEmpty { report.notes.append("not done: \(lost.joined(separator: " "))") }
    }

    /// Publishes one event and follows it to its end; nil where it did not end as done, with one clip delivered.
    private static func event(
        _ key: String, _ clip: BenchSite.Clip, _ site: BenchSite, _ publisher: LinePublisher, _ watcher: TopicWatcher
    ) throws -> Timeline? {
        let published = Date().timeIntervalSince1970
        let middle = (clip.start + clip.end) / 2
        try publisher.publish(
            """
            {"eventId": "\(key)", "timestamp": \(Int64(middle * 1000)), "cameras": ["\(clip.camera)"], \
            "preSeconds": 0, "postSeconds": 0.1}
            """)
        guard let receipt = watcher.wait("media-sync/receipts/\(key)", seconds: 10, { $0["requestId"] is String }),
            let id = receipt.fields["requestId"] as? String
        else { return nil }
        let ends: Set = ["done", "partial", "failed", "cancelled"]
        let topic = "media-sync/requests/\(id)"
        guard let end = watcher.wait(topic, seconds: 30, { ends.contains($0["state"] as? String ?? "") }),
            end.fields["state"] as? String == "done", let files = end.fields["files"] as? [[String: Any]],
            let finished = seconds(end.fields["finishedAt"])
        else { return nil }
        let paths = files.compactMap { $0["archivePath"] as? String }
        guard !paths.isEmpty else { return nil }
        let archived = try paths.map { try changeTime(of: "\(site.folder)/archive/\($0)") }.max() ?? .nan
        func since(_ time: Double) -> Double { (time - published) * 1000 }
        return Timeline(
            accepted: since(receipt.arrived), archived: since(archived), committed: since(finished),
            told: since(end.arrived))
    }

    private static func seconds(_ value: Any?) -> Double? {
        guard let text = value as? String else { return nil }
        let format = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        return (try? format.parse(text)).map(\.timeIntervalSince1970)
    }

    private static func changeTime(of path: String) throws -> Double {
        var status = stat()
        guard stat(path, &status) == 0 else { throw BenchError("\(path) is not there") }
        return Double(status.st_ctim.tv_sec) + Double(status.st_ctim.tv_nsec) / 1e9
    }
}
