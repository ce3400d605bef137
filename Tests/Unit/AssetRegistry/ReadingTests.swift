// Texts to values: places in messages, duplicates, and texts made to hurt the reader.

import JSON
import Testing

@testable import AssetRegistry

@Suite struct YAMLReaderTests {
    @Test func readsDocumentsAndPassesOverEmptyOnes() throws {
        let values = try YAMLReader.readDocuments("---\na: 1\n---\n---\n# nothing\n---\na: 2\n")
        #expect(values.map { $0["a"]?.integer } == [1, 2])
    }

    @Test func followsTheCoreSchema() throws {
        let value = try #require(
            YAMLReader.readDocuments("{n: no, o: 012, q: \"1\", t: true, f: 0.5, z: ~, s: 1:30, e: }").first)
        #expect(value["n"]?.string == "no")
        #expect(value["o"]?.string == "012")
        #expect(value["q"]?.string == "1")
        #expect(value["t"]?.bool == true)
        #expect(value["f"]?.number == 0.5)
        #expect(value["z"]?.isNull == true)
        #expect(value["s"]?.string == "1:30")
        #expect(value["e"]?.isNull == true)
    }

    @Test(arguments: [
        ("a: 1\nb: [1, 2\nc: 3\n", 3), ("b: 2\na: 1\nb: 3\n", 1), ("a:\n\t- b\n", 2), ("a: \"x\n", 2), ("a: b: c\n", 1),
    ])
    func namesTheLineOfAMistake(text: String, line: Int) {
        let error = #expect(throws: YAMLReader.Mistake.self) { try YAMLReader.readDocuments(text) }
        #expect(error.map { abs($0.place.line - line) <= 1 } == true, "\(error.map(\.description) ?? "")")
    }

    @Test(arguments: [
        "a: &x 1\nb: *x\n", "- *x\n", "[1, *x]", "{*x : 1}", "a:\n  *x\n", "*x : 1\n",
    ])
    func refusesAliases(text: String) {
        let error = #expect(throws: YAMLReader.Mistake.self) { try YAMLReader.readDocuments(text) }
        #expect(error?.problem.contains("alias") == true)
    }

    @Test(arguments: ["? [a, b]\n: 1\n", "{? [a] : 1}", "- ? a\n  : b\n"])
    func refusesExplicitKeys(text: String) {
        let error = #expect(throws: YAMLReader.Mistake.self) { try YAMLReader.readDocuments(text) }
        #expect(error?.problem.contains("explicit keys") == true)
    }

    @Test(arguments: ["a: Line 1 *north* camera", "a: '*/5 * * * *'", "a: what?", "a: \"[::1]:554\"", "a: 5 * 3"])
    func takesTextsThatLookSimilar(text: String) throws {
        #expect(try YAMLReader.readDocuments(text).first?["a"]?.string != nil)
    }

    @Test func refusesAnAliasBombWithoutBuildingIt() {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
        for level in 1...30 {
            let aliases = Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", ")
            text += "a\(level): &a\(level) [\(aliases)]\n"
        }
        let error = #expect(throws: YAMLReader.Mistake.self) { try YAMLReader.readDocuments(text) }
        #expect(error?.place == TextPlace(line: 2, column: 10))
    }

    @Test func refusesDeepNesting() {
        for text in [
            String(repeating: "[", count: 500_000), String(repeating: "{a: ", count: 100_000),
            (0..<200).map { String(repeating: " ", count: $0) + "a:\n" }.joined(),
        ] {
            #expect(throws: YAMLReader.Mistake.self) { try YAMLReader.readDocuments(text) }
        }
    }

    /// What is read here is stored as JSON and read again at the next start: it must not be taken once only.
    @Test func takesNothingThatCannotBeReadAgainAsJSON() throws {
        let depth = JSONReader.Rules.documents.maximumDepth
        let deepest = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        let value = try #require(YAMLReader.readDocuments(deepest).first)
        #expect(try JSONReader.read(value.text(), .documents) == value)
        for text in ["[\(deepest)]", "a: \"\\0\"", "\"a\\0\": 1"] {
            #expect(throws: YAMLReader.Mistake.self) { try YAMLReader.readDocuments(text) }
        }
    }

    @Test func refusesCollectionsAsKeys() {
        let text = "{" + String(repeating: "[a]: 1, ", count: 5000) + "}"
        #expect(throws: YAMLReader.Mistake.self) { try YAMLReader.readDocuments(text) }
        #expect(throws: YAMLReader.Mistake.self) { try YAMLReader.readDocuments("{[a]: 1}") }
    }
}
