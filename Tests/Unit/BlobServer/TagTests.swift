// Index tags: what is taken, what is refused and with which code, and what an expression finds.
import Foundation
import Testing

@testable import BlobServer

@Suite struct TagTests {
    @Test(arguments: [
        ("camera=cam1&start=2026-11-30T05%3A00%3A00Z", "camera=cam1|start=2026-11-30T05:00:00Z"), ("", ""),
        ("b=2&a=x+y%2Bz", "a=x y+z|b=2"), ("empty=", "empty="), ("a", "InvalidHeaderValue"), ("=b", "EmptyTagName"),
        ("a=1&a=2", "DuplicateTagNames"), ("a=caf%C3%A9", "InvalidTag"), ("a=b%2Cc", "InvalidTag"),
        ("a=1&A=2", "A=2|a=1"),
    ])
    func readsTheHeader(_ header: String, _ expected: String) {
        do {
            let tags = try BlobTags.parse(header: header)
            #expect(tags.map { "\($0.name)=\($0.value)" }.joined(separator: "|") == expected)
        } catch {
            #expect(error.code == expected)
        }
    }

    @Test(arguments: [(10, 128, 256, true), (11, 128, 256, false), (10, 129, 256, false), (10, 128, 257, false)])
    func boundsCountNamesAndValues(_ count: Int, _ nameLength: Int, _ valueLength: Int, _ fits: Bool) {
        let pairs = (0..<count).map { index in
            "\(index % 10)" + String(repeating: "n", count: nameLength - 1) + "="
                + String(repeating: "v", count: valueLength)
        }
        if fits {
            #expect(throws: Never.self) { try BlobTags.parse(header: pairs.joined(separator: "&")) }
        } else {
            #expect(throws: ServiceError.tagsTooLarge) { try BlobTags.parse(header: pairs.joined(separator: "&")) }
        }
    }

    @Test func readsWhatItWrites() throws {
        let tags = [TagItem(name: "a", value: ""), TagItem(name: "b c", value: "1/2:3=4_5")]
        #expect(try BlobTags.parse(xml: Array(BlobTags.xml(tags).utf8)) == tags)
        let selfClosing = "<?xml version='1.0'?>\n<Tags> <TagSet><Tag><Key>a</Key><Value /></Tag></TagSet></Tags>\n"
        #expect(try BlobTags.parse(xml: Array(selfClosing.utf8)) == [TagItem(name: "a", value: "")])
        #expect(try BlobTags.parse(xml: Array("<Tags><TagSet/></Tags>".utf8)).isEmpty)
        for bad in [
            "", "<Tags/>", "<Tags><TagSet><Tag><Key>a</Key></Tag></TagSet></Tags>", "<Tags><TagSet></TagSet></Tags>x",
        ] {
            #expect(throws: ServiceError.invalidXML, "\(bad)") { try BlobTags.parse(xml: Array(bad.utf8)) }
        }
    }

    @Test(arguments: [
        (#""camera" = 'cam1'"#, true), (#""camera" = 'cam2'"#, false),
        (#""start" >= '2026' AND "start" < '2027'"#, true),
        (#"camera='cam1' and @container = 'other'"#, false), (#""x" = '1' OR "camera" > 'cam0'"#, true),
        (#""x" = '1' OR "camera" > 'cam0' AND "x" = '2'"#, false), (#""x" <> '1'"#, true),
        (#""camera" = cam1"#, nil), (#""camera" 'cam1'"#, nil), ("", nil), (#""a" = '1' NEAR "b" = '2'"#, nil),
    ])
    func findsByExpressions(_ text: String, _ expected: Bool?) {
        let tags = [TagItem(name: "camera", value: "cam1"), TagItem(name: "start", value: "2026-11-30")]
        #expect(TagExpression(text)?.holds(tags, container: "footage") == expected)
    }
}
