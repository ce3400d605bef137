// StatusPages: what a service shows over plain HTTP to those who speak nothing else, Prometheus and Kubernetes: /metrics, /healthz and
// /readyz, made of the same answer as Health/Check. Pure; StatusListener.swift has the socket.
import Wire

/// An answer to one request.
struct StatusPage: Sendable, Equatable {
    /// 200, 404, 405, 503.
    let status: Int
    let contentType: String
    let body: String

    /// Prometheus's text format, version 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats).
    private static let metricsType = "text/plain; version=0.0.4; charset=utf-8"
    private static let plainType = "text/plain; charset=utf-8"

    /// The page that a request asks for.
    ///
    /// - Parameter head: the request up to its empty line; only the first line counts.
    static func answer(to head: String, _ health: HealthReply) -> StatusPage {
        let words = head.prefix { $0 != "\r" && $0 != "\n" && $0 != "\r\n" }.split(separator: " ")
        guard words.count == 3, words[2].hasPrefix("HTTP/1.") else {
            return StatusPage(status: 400, contentType: plainType, body: "this is no HTTP/1.1 request\n")
        }
        guard words[0] == "GET" || words[0] == "HEAD" else {
            return StatusPage(status: 405, contentType: plainType, body: "only GET and HEAD are answered\n")
        }
        switch words[1].prefix(while: { $0 != "?" }) {
        case "/metrics": return StatusPage(status: 200, contentType: metricsType, body: metrics(health))
        case "/healthz": return StatusPage(status: 200, contentType: plainType, body: "live\n")
        case "/readyz":
            guard health.ready == true else {
                return StatusPage(
                    status: 503, contentType: plainType, body: "not ready\n" + health.reasons.map { $0 + "\n" }.joined()
                )
            }
            return StatusPage(status: 200, contentType: plainType, body: "ready\n")
        default:
            return StatusPage(
                status: 404, contentType: plainType, body: "there are /metrics, /healthz and /readyz\n")
        }
    }

    /// The bytes of the answer; a HEAD has its head alone.
    func text(isHead: Bool) -> String {
        let reasons = [200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"]
        return """
            HTTP/1.1 \(status) \(reasons[status] ?? "Service Unavailable")\r
            Content-Type: \(contentType)\r
            Content-Length: \(body.utf8.count)\r
            Cache-Control: no-store\r
            Connection: close\r
            \r

            """ + (isHead ? "" : body)
    }

    // MARK: Prometheus

    private struct Family {
        let kind: String
        var lines: [String] = []
    }

    /// All numbers, those of one name together, each name with its kind.
    private static func metrics(_ health: HealthReply) -> String {
        var families: [String: Family] = [:]
        func add(_ sample: String, _ labels: String, _ value: Double) {
            let (name, kind) = family(of: sample)
            let line = "\(sample)\(labels.isEmpty ? "" : "{\(labels)}") \(number(value))"
            families[name, default: Family(kind: kind)].lines.append(line)
        }
        for metric in health.metrics { add(metric.name ?? "", metric.labels ?? "", metric.value ?? 0) }
        let role = (health.service ?? "").split(separator: "/").first.map(String.init) ?? ""
        add("sightglass_build_info", "service=\"\(role)\",version=\"\(health.build ?? "")\"", 1)
        add("sightglass_ready", "", health.ready == true ? 1 : 0)
        add("sightglass_uptime_seconds", "", Double(health.uptimeMs ?? 0) / 1000)
        for neighbour in health.neighbours {
            add(
                "sightglass_neighbour_reachable", "role=\"\(neighbour.role ?? "")\"",
                neighbour.reachable == true ? 1 : 0)
        }
        return families.sorted { $0.key < $1.key }.map { name, family in
            "# TYPE \(name) \(family.kind)\n" + family.lines.map { $0 + "\n" }.joined()
        }.joined()
    }

    /// A sample's family and what it is. Names tell: MetricsStore makes a count and a sum of what is timed, and what only grows ends in
    /// "_total".
    private static func family(of sample: String) -> (name: String, kind: String) {
        for end in ["_count", "_sum"] where sample.hasSuffix("_seconds" + end) {
            return (String(sample.dropLast(end.count)), "summary")
        }
        return (sample, sample.hasSuffix("_total") ? "counter" : "gauge")
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return Int64(exactly: value).map(String.init) ?? "\(value)"
    }
}
