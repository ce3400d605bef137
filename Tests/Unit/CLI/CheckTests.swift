// What verify and fsck conclude from documents, and how it is told. With files on a disk: Tests/Service/CLI/VolumeCheckTests.

import JSON
import Testing
import Volume
import Wire

@testable import CLI

@Suite("Checks")
struct CheckTests {
    private static let sha256 = String(repeating: "ab", count: 32)

    @Test func aManifestIsRead() throws {
        let text = """
            {"request_id": "r-1", "part": 2, "parts": 3, "files": [
              {"path": "cam/a.mp4", "size_bytes": 12, "sha256": "\(Self.sha256)"},
              {"path": "cam/b.mp4", "error": "source is gone"}]}
            """
        let manifest = try ManifestDocument(Array(text.utf8))
        #expect(manifest.requestID == "r-1" && manifest.part == 2 && manifest.parts == 3)
        #expect(
            manifest.files == [
                .init(path: "cam/a.mp4", content: .init(sizeBytes: 12, sha256: Self.sha256), error: nil),
                .init(path: "cam/b.mp4", content: .init(sizeBytes: nil, sha256: nil), error: "source is gone"),
            ])
    }

    @Test(arguments: [
        ("", "cannot be read as JSON"), ("{\"request_id\": \"r\"}", "no manifest"), ("[]", "no manifest"),
        ("{\"request_id\": \"r\", \"files\": [{}]}", "files[0] has no \"path\""),
    ])
    func whatIsNoManifestIsNamed(text: String, problem: String) {
        #expect {
            try ManifestDocument(Array(text.utf8))
        } throws: { ($0 as? DocumentProblem)?.text.contains(problem) == true }
    }

    @Test func sizeComesBeforeHash() {
        let expected = ContentFacts(sizeBytes: 10, sha256: Self.sha256)
        func kinds(_ sizeBytes: Int64?, _ sha256: String?) -> [Finding.Kind] {
            expected.differences(.init(sizeBytes: sizeBytes, sha256: sha256), path: "p", by: "it").map(\.kind)
        }
        #expect(kinds(10, Self.sha256).isEmpty)
        #expect(kinds(11, "other") == [.size])
        #expect(kinds(10, "other") == [.hash])
        // What was not looked at is not wrong.
        #expect(kinds(nil, nil).isEmpty)
        #expect(ContentFacts().differences(.init(sizeBytes: 1, sha256: "x"), path: "p", by: "it").isEmpty)
    }

    @Test func aSidecarMustSayTheSame() throws {
        let path = try RelativePath("cam/a.mp4")
        let expected = ContentFacts(sizeBytes: 10, sha256: Self.sha256)
        func problems(_ text: String, _ depth: CheckDepth = .hashes) throws -> [Finding] {
            try SidecarContent(Array(text.utf8)).problems(of: path, expected, depth: depth)
        }
        let good = "{\"file_name\": \"a.mp4\", \"size_bytes\": 10, \"sha256\": \"\(Self.sha256)\"}"
        #expect(try problems(good).isEmpty)
        for (change, word) in [("a.mp4", "names"), ("10,", "bytes"), (Self.sha256, "SHA-256")] {
            let other = change == "10," ? "11," : "x"
            let found = try problems(good.replacing(change, with: other))
            #expect(found.count == 1 && found.first?.kind == .sidecar, "\(change)")
            #expect(found.first?.detail.contains(word) == true, "\(change)")
            #expect(try problems(good.replacing(change, with: other), .names).isEmpty)
        }
        #expect(try problems("{}").first?.detail.contains("nothing") == true)
        #expect(throws: DocumentProblem.self) { try problems("[]") }
    }

    @Test func whatIsGoneIsInTheCloudOrMissing() {
        let file = AbsentFile(requestID: "r-1", path: "cam/a.mp4")
        func kind(_ known: [String: DeliveredFile]?) -> Finding.Kind {
            DeliveredFiles.finding(of: file, known: known).kind
        }
        for state in [ItemState.uploaded, .evicted, .handedOver] {
            #expect(kind(["cam/a.mp4": DeliveredFile(state: state)]) == .evicted)
        }
        for state in [ItemState.archived, .pending, .poisoned] {
            #expect(kind(["cam/a.mp4": DeliveredFile(state: state)]) == .missing)
        }
        #expect(kind(["cam/b.mp4": DeliveredFile(state: .evicted)]) == .missing)
        #expect(kind(nil) == .missing)
    }

    @Test func allAreCountedAndFiftyShown() {
        var findings = Findings()
        for number in 0..<120 { findings.add(Finding(.missing, "file-\(number).", "of request r")) }
        findings.add(Finding(.foreign, "notes.txt", ""))
        let lines = findings.rendered.split(separator: "\n")
        #expect(lines.count { $0.hasPrefix("missing  ") } == 50)
        #expect(findings.rendered.contains("missing: 120, the first 50 are shown; "))
        #expect(findings.rendered.contains("notes.txt") && findings.rendered.contains("foreign: 1; "))
        #expect(findings.isWrong)
        let json = JSONValue.object(findings.json)
        #expect(json["findings"]?.elements?.count == 121 && json["counts"]?["missing"]?.integer == 120)
        #expect(json["ok"]?.bool == false)
    }

    @Test func whatIsGoodToKnowIsNotWrong() {
        var findings = Findings()
        #expect(findings.rendered.isEmpty && !findings.isWrong)
        findings.add(Finding(.evicted, "a", "https://a.example/a"))
        findings.add(Finding(.foreign, "b", ""))
        #expect(!findings.isWrong)
        #expect(findings.rendered.contains("evicted (uploaded): 1; "))
        #expect(!findings.rendered.contains("https://a.example/a"), "the count says enough")
        var other = Findings()
        other.add(Finding(.hash, "c", ""))
        findings.add(other)
        #expect(findings.isWrong && findings.of(.hash).count == 1)
    }

    @Test func everyKindSaysWhatToDo() {
        for kind in Finding.Kind.allCases { #expect(!kind.advice.isEmpty) }
        #expect(CheckDepth.names < .sizes && CheckDepth.sizes < .hashes)
    }
}
