// Log lines and redaction: both forms, injection, and canaries that must never get out.
import Foundation
import Logging
import Synchronization
import Testing

@testable import ServiceKit

private final class Lines: Sendable {
    private let lines = Mutex<[String]>([])
    var all: [String] { lines.withLock { $0 } }

    func logger(_ format: LogFormat, level: Logger.Level = .info) -> Logger {
        Logger(label: "catalogue") { label in
            StandardErrorLog(
                label: label, service: "indexer-0", level: level, format: format,
                clock: ManualWallClock(us: 1_795_410_372_123_456)
            ) { [self] line in lines.withLock { $0.append(line) } }
        }
    }
}

@Suite("Log lines")
struct LogTests {
    @Test func aTextLineIsReadable() {
        let lines = Lines()
        var logger = lines.logger(.text)
        logger[metadataKey: "request"] = "r1"
        logger.info("accepted", metadata: ["window_ms": "30000", "reason": "two words"])
        logger.debug("not shown")
        #expect(
            lines.all == [
                "2026-11-23T05:06:12.123Z info indexer-0: accepted [reason=\"two words\" request=r1 window_ms=30000]\n"
            ])
    }

    @Test func aJSONLineIsOneObject() throws {
        let lines = Lines()
        lines.logger(.json).error(
            "quote \" back \\ line\nbell \u{7} Süd",
            metadata: ["list": ["a", "b"], "level": "clash", "map": ["k": "v"]])
        let line = try #require(lines.all.first)
        #expect(line.filter(\.isNewline) == "\n")
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String])
        #expect(
            object == [
                "time": "2026-11-23T05:06:12.123Z", "level": "error", "service": "indexer-0", "logger": "catalogue",
                "message": "quote \" back \\ line\nbell \u{7} Süd", "list": "[a,b]", "level_": "clash", "map": "{k=v}",
            ])
    }

    @Test func aMessageCannotForgeALine() throws {
        let lines = Lines()
        let hostile = "x\n2026-11-23T05:06:12.123Z info indexer-0: forged\r\u{1b}[2J\u{2028}"
        lines.logger(.text).info("\(hostile)", metadata: ["topic": "\(hostile)", "a\nb": "c"])
        let line = try #require(lines.all.first)
        #expect(line.filter(\.isNewline) == "\n")
        #expect(!line.unicodeScalars.contains("\u{1b}"))
    }

    @Test func aPayloadIsCut() throws {
        let lines = Lines()
        lines.logger(.text).info("\(String(repeating: "x", count: 1_000_000))")
        #expect(try #require(lines.all.first).utf8.count < 2 * LogLine.maximumBytes)
    }

    @Test(arguments: LogFormat.allCases)
    func canariesNeverGetOut(format: LogFormat) {
        let lines = Lines()
        let logger = lines.logger(format)
        logger.info("open rtsp://admin:canary@cam/1", metadata: ["url": "http://u:canary@h/"])
        logger.info("x", metadata: ["password": "canary", "nested": ["token": "canary", "list": ["sig=canary"]]])
        logger.info("request", metadata: ["headers": "Authorization: SharedKey account:canary"])
        struct Failure: Error, CustomStringConvertible {
            let description = "PUT https://a/b?sv=1&sig=canary%2F&se=2 failed"
        }
        logger.error("failed", metadata: ["error": "\(Failure())"])
        logger.info("\(Redacted("canary")) rtsp://a:canary@b")
        for line in lines.all { #expect(!line.contains("canary"), "\(line)") }
        #expect(lines.all.count == 5)
    }
}

@Suite("Redaction")
struct RedactionTests {
    @Test(arguments: [
        ("rtsp://admin:pw@cam:554/1", "rtsp://***@cam:554/1"),
        ("rtsp://admin@cam/1", "rtsp://***@cam/1"),
        ("rtsp://admin:p/w?#@x@cam/1 ok", "rtsp://***@cam/1 ok"),
        ("two rtsp://a:b@c and http://d:e@f/", "two rtsp://***@c and http://***@f/"),
        ("\"http://a:b@c\"", "\"http://***@c\""),
        ("https://host/path@2 x", "https://host/path@2 x"),
        ("password=pw next", "password=*** next"),
        ("PASSWORD = pw, next", "PASSWORD = ***, next"),
        ("mqtt_password=pw;x=1", "mqtt_password=***;x=1"),
        ("{\"password\":\"p w\",\"a\":1}", "{\"password\":\"***\",\"a\":1}"),
        ("password: pw", "password: ***"),
        ("https://a.b/c?sv=1&sig=Ab%2B&se=3", "https://a.b/c?sv=1&sig=***&se=3"),
        ("AccountName=a;AccountKey=QUJD+/==;EndpointSuffix=x", "AccountName=a;AccountKey=***;EndpointSuffix=x"),
        ("SharedAccessSignature=sv=1", "SharedAccessSignature=***"),
        ("Authorization: Basic dXNlcjpwdw==", "Authorization: ***"),
        ("authorization: Digest username=\"a\", response=\"b\"\nHost: x", "authorization: ***\nHost: x"),
        ("{\"Authorization\":\"Bearer abc\",\"x\":1}", "{\"Authorization\":\"***\",\"x\":1}"),
        ("got Bearer eyJhbGciOiJI.x.y here", "got Bearer *** here"),
        ("SharedKey account:c2ln", "SharedKey ***"),
    ])
    func removesCredentials(text: String, expected: String) {
        #expect(Redaction.redact(text) == expected)
    }

    @Test(arguments: [
        "", "plain", "design=new config=x", "Basic settings apply", "cannot read secret: no such file",
        "token: unexpected end", "https://host:8080/a?b=c", "a@b.c", "signal=15", "assign = 3", "ipc:///run/x.rpc",
        "2026-11-23T05:06:12Z", "compass=3", "password", "password=",
    ])
    func leavesTheRestAlone(text: String) {
        #expect(Redaction.redact(text) == text)
    }

    @Test func secretsThatWereReadStayHiddenWhateverStandsBesideThem() {
        Redaction.remember("canary-one")
        Redaction.remember("canary-one-and-more")
        // A shorter secret must not leave the rest of a longer one, and an accent behind it makes it no other text.
        #expect(Redaction.redact("x canary-one-and-more y") == "x *** y")
        #expect(Redaction.redact("canary-one\u{301}") == "***\u{301}")
    }

    @Test func theSecretsReadLastAreRemembered() {
        var secrets = RememberedSecrets()
        secrets.add(Array("forgotten".utf8))
        secrets.add(Array("old, in use".utf8))
        for number in 1..<RememberedSecrets.maximumCount {
            if number == 500 { secrets.add(Array("old, in use".utf8)) }
            secrets.add(Array("number \(number).".utf8))
        }
        #expect(secrets.removed(from: "old, in use") == "***")
        #expect(secrets.removed(from: "number 1. number 1023. number 1024.") == "*** *** number 1024.")
        #expect(secrets.removed(from: "forgotten") == "forgotten")
    }

    @Test func aSecretAtTheCutIsNotCutInHalf() throws {
        let lines = Lines()
        Redaction.remember("canary-at-the-cut")
        let text = String(repeating: "x", count: LogLine.maximumBytes - 9) + "canary-at-the-cut"
        lines.logger(.text).info("\(text)", metadata: ["m": "\(text)"])
        let line = try #require(lines.all.first)
        #expect(!line.contains("canary"))
    }

    @Test func redactingTwiceChangesNothingMore() {
        for text in ["rtsp://a:b@c", "password=x", "Authorization: Basic abc", "sig=a&b=c"] {
            let once = Redaction.redact(text)
            #expect(Redaction.redact(once) == once)
        }
    }

    @Test func hiddenValuesStayHiddenHoweverTheyArePrinted() {
        struct Holder { let secret = Redacted("canary") }
        var dumped = ""
        dump(Holder(), to: &dumped)
        for text in ["\(Holder())", String(reflecting: Holder()), dumped] { #expect(!text.contains("canary")) }
        #expect(Holder().secret.revealed == "canary")
    }
}
