// What Prometheus and Kubernetes are shown: /metrics, /healthz, /readyz.
import Foundation
import Harness
import Testing
import Wire

@testable import ServiceKit

@Suite("Status pages")
struct StatusPageTests {
    private static let health = HealthReply(
        service: "indexer/indexer-0", build: "0.1.0", live: true, ready: true, uptimeMs: 1500,
        neighbours: [Neighbour(role: "asset-registry", reachable: false, error: "not connected")],
        metrics: [
            MetricValue(name: "sightglass_rpc_request_seconds_count", labels: "method=\"a\"", value: 2),
            MetricValue(name: "sightglass_rpc_request_seconds_count", labels: "method=\"b\"", value: 1),
            MetricValue(name: "sightglass_rpc_request_seconds_sum", labels: "method=\"a\"", value: 0.25),
            MetricValue(name: "sightglass_rpc_requests_total", labels: "method=\"a\"", value: 3),
        ])

    private static func answer(_ line: String, _ health: HealthReply = health) -> StatusPage {
        StatusPage.answer(to: line + "\r\nHost: a\r\n\r\n", health)
    }

    @Test func numbersOfOneNameStandTogetherWithTheirKind() {
        let page = Self.answer("GET /metrics HTTP/1.1")
        #expect(page.status == 200)
        #expect(page.contentType == "text/plain; version=0.0.4; charset=utf-8")
        #expect(
            page.body == """
                # TYPE sightglass_build_info gauge
                sightglass_build_info{service="indexer",version="0.1.0"} 1
                # TYPE sightglass_neighbour_reachable gauge
                sightglass_neighbour_reachable{role="asset-registry"} 0
                # TYPE sightglass_ready gauge
                sightglass_ready 1
                # TYPE sightglass_rpc_request_seconds summary
                sightglass_rpc_request_seconds_count{method="a"} 2
                sightglass_rpc_request_seconds_count{method="b"} 1
                sightglass_rpc_request_seconds_sum{method="a"} 0.25
                # TYPE sightglass_rpc_requests_total counter
                sightglass_rpc_requests_total{method="a"} 3
                # TYPE sightglass_uptime_seconds gauge
                sightglass_uptime_seconds 1.5

                """)
    }

    @Test func readinessIsThatOfHealthAndLivenessIsNot() {
        var unready = Self.health
        (unready.ready, unready.reasons) = (false, ["volume: not mounted", "database: locked"])
        #expect(Self.answer("GET /readyz HTTP/1.1").status == 200)
        let page = Self.answer("GET /readyz HTTP/1.1", unready)
        #expect(page.status == 503)
        #expect(page.body == "not ready\nvolume: not mounted\ndatabase: locked\n")
        #expect(Self.answer("GET /healthz HTTP/1.1", unready).status == 200)
        #expect(Self.answer("GET /healthz?verbose=1 HTTP/1.0", unready).body == "live\n")
    }

    @Test(arguments: [
        ("GET / HTTP/1.1", 404), ("GET /metrics/../etc HTTP/1.1", 404), ("POST /metrics HTTP/1.1", 405),
        ("GET /metrics", 400), ("", 400), ("GET  /metrics HTTP/1.1 x", 400), ("\u{16}\u{3}\u{1} tls", 400),
    ])
    func whatIsNoneOfThemIsToldSo(_ line: String, _ status: Int) { #expect(Self.answer(line).status == status) }

    @Test func aHeadIsTheSameWithoutItsBody() {
        let page = Self.answer("HEAD /healthz HTTP/1.1")
        #expect(page.text(isHead: false) == page.text(isHead: true) + "live\n")
        #expect(page.text(isHead: true).hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(page.text(isHead: true).contains("\r\nContent-Length: 5\r\n"))
        #expect(page.text(isHead: true).hasSuffix("\r\n\r\n"))
    }

    @Test(arguments: ["", "9464", "host", "127.0.0.1:", ":9464", "::1:9464", "127.0.0.1:70000", "localhost:9464"])
    func whatIsNoAddressIsRefused(_ address: String) {
        #expect(throws: SettingsError.self) { _ = try StatusListener(address) { Self.health } }
    }

    @Test(arguments: ["127.0.0.1:0", "[::1]:0"]) func pagesComeOverASocketWhateverOthersSend(address: String)
        async throws
    {
        let listener = try StatusListener(address) { Self.health }
        defer { listener.stop() }
        let host = address.hasPrefix("[") ? "[::1]" : "127.0.0.1"
        let script = """
            import socket, urllib.request
            port = \(listener.port)
            family = socket.AF_INET6 if "\(host)" == "[::1]" else socket.AF_INET
            for bad in [b"", b"x" * 20000, b"GET", bytes(range(256)) + b"\\r\\n\\r\\n"]:
                one = socket.socket(family)
                one.connect(("\(host)".strip("[]"), port))
                try:
                    one.sendall(bad)
                    one.shutdown(socket.SHUT_WR)
                    one.recv(1 << 16)
                except OSError:
                    pass
                one.close()
            print(urllib.request.urlopen(f"http://\(host):{port}/readyz").read().decode(), end="")
            """
        let result = try await runTool("python3", ["-c", script])
        #expect(result.output == "ready\n", "\(result.error)")
    }

    @Test func anAddressInUseIsNamed() throws {
        let listener = try StatusListener("127.0.0.1:0") { Self.health }
        defer { listener.stop() }
        let error = #expect(throws: StatusListener.Unavailable.self) {
            _ = try StatusListener("127.0.0.1:\(listener.port)") { Self.health }
        }
        #expect(error?.description == "http-listen 127.0.0.1:\(listener.port): Address already in use")
    }
}
