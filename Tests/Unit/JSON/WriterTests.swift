// Writing: what comes out reads back as what went in, and never ends a line or drives a terminal.

import Foundation
import JSON
import Testing

@Suite struct WriterTests {
    @Test(arguments: [
        #"{"a":[1,2.50,-3e+2,true,false,null,"ä\n\"\\\u0001"],"b":{}}"#, "[]", #"{"":""}"#, #""😀""#, "1e400",
    ])
    func whatIsReadIsWrittenTheSame(text: String) throws {
        #expect(try JSONReader.read(text, .strict).text() == text)
    }

    @Test func everyScalarReadsBack() throws {
        let scalars = [1...0x2FF, 0x2000...0x206F, 0xFE00...0xFFFF, 0x1F600...0x1F60F, 0x10FFF0...0x10FFFF].joined()
        let text = String(String.UnicodeScalarView(scalars.compactMap { Unicode.Scalar(UInt32($0)) }))
        let written = JSONValue.string(text).text()
        #expect(try JSONReader.read(written, .strict).string?.utf8.elementsEqual(text.utf8) == true)
        // A reader that is not ours.
        let read = try JSONDecoder().decode([String].self, from: Data("[\(written)]".utf8))
        #expect(read.first?.utf8.elementsEqual(text.utf8) == true)
    }

    @Test func nothingWrittenEndsALineOrDrivesATerminal() {
        let scalars = (0...0x202F).compactMap { Unicode.Scalar(UInt32($0)) }
        let written = JSONValue.string(String(String.UnicodeScalarView(scalars))).text()
        #expect(!written.unicodeScalars.contains { $0.properties.generalCategory == .control })
        #expect(!written.contains { $0.isNewline })
    }

    @Test func indentedForPeople() {
        let value = JSONValue.fields(["a": .array([.integer(1), .object([])]), "b": .array([]), "c": nil])
        #expect(
            value.text(.indented) == """
                {
                  "a": [
                    1,
                    {}
                  ],
                  "b": []
                }
                """)
    }

    @Test func sortedKeysMakeOneTextOfWhatSaysTheSame() throws {
        let left = try JSONReader.read(#"{"b":1,"a":{"d":2,"c":3},"e\u0301":4,"\u00e9":5}"#, .strict)
        let right = try JSONReader.read(#"{"\u00e9":5,"a":{"c":3,"d":2},"e\u0301":4,"b":1}"#, .strict)
        #expect(left.text(sortedKeys: true) == right.text(sortedKeys: true))
        #expect(left.text(sortedKeys: true).hasPrefix(#"{"a":{"c":3,"d":2},"b":1,"#))
    }

    @Test func whatIsAbsentIsLeftOut() {
        let nothing: String? = nil
        #expect(
            JSONValue.fields(["a": .string(optional: nothing), "b": .bool(true), "c": .null]).text()
                == #"{"b":true,"c":null}"#)
    }

    @Test func whatIsNoNumberIsNull() {
        #expect(JSONValue.real(.infinity) == .null)
        #expect(JSONValue.real(.nan) == .null)
        #expect(JSONValue.real(0.5).text() == "0.5")
        #expect(JSONValue.integer(UInt64.max).text() == "18446744073709551615")
    }
}
