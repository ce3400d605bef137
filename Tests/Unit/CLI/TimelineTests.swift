// Footage as a picture: which cell shows what, where times stand, and that no line is wider than the terminal.

import Testing

@testable import CLI

@Suite("Timeline")
struct TimelineTests {
    private static let second: Int64 = 1_000_000
    /// 2026-11-23T05:00:00Z.
    private static let startUs: Int64 = 1_795_410_000_000_000

    private static func span(_ from: Double, _ to: Double) -> Range<Int64> {
        startUs + Int64(from * 1_000_000)..<startUs + Int64(to * 1_000_000)
    }

    /// A timeline of so many cells and a name of three letters.
    private static func timeline(_ window: Range<Int64>, cells: Int) -> Timeline {
        Timeline(window: window, width: cells + 14, signs: .ascii)
    }

    private static func bar(_ window: Range<Int64>, cells: Int, _ covered: [Range<Int64>]) -> String {
        let text = timeline(window, cells: cells).rendered([.init(name: "cam", covered: covered)])
        return String(text.split(separator: "\n").last ?? "")
    }

    @Test func aCellIsFullEmptyOrSomethingOfBoth() {
        let covered = [Self.span(6.5, 10), Self.span(0, 5)]
        #expect(Self.bar(Self.span(0, 10), cells: 10, covered) == "cam  #####.+###   85.0 %")
        #expect(Self.bar(Self.span(0, 10), cells: 10, []) == "cam  ..........    0.0 %")
        #expect(Self.bar(Self.span(0, 10), cells: 10, [Self.span(-5, 99)]) == "cam  ##########  100.0 %")
        // Where two meet there is no gap, and what overlaps counts once.
        let meeting = [Self.span(0, 3.3), Self.span(3.3, 6), Self.span(2, 5)]
        #expect(Self.bar(Self.span(0, 10), cells: 10, meeting) == "cam  ######....   60.0 %")
    }

    @Test func theSmallestGapAndTheSmallestFootageShow() {
        let day = Self.span(0, 86_400)
        let gapUs = Self.startUs + 40_000 * Self.second
        let bar = Self.bar(day, cells: 60, [day.lowerBound..<gapUs, gapUs + 1..<day.upperBound])
        #expect(bar.count { $0 == "+" } == 1 && bar.count { $0 == "#" } == 59)
        #expect(bar.hasSuffix("   99.9 %"), "only what is whole is 100 %")
        let sliver = Self.bar(day, cells: 60, [gapUs..<gapUs + 1])
        #expect(sliver.count { $0 == "+" } == 1 && sliver.hasSuffix("0.1 %"))
    }

    @Test func timesStandAtTheirCells() {
        #expect(
            Timeline.scale(Self.span(0, 30), cells: 60)
                == "|05:00:00 |05:00:05 |05:00:10 |05:00:15 |05:00:20 |05:00:25 ")
        // 05:00:05 is the first round time of a window that begins between two.
        #expect(Timeline.scale(Self.span(2.5, 22.5), cells: 40) == "     |05:00:05 |05:00:10 |05:00:15      ")
        let hours = Timeline.scale(Self.span(0, 86_400), cells: 72)
        #expect(hours.hasPrefix("   |06:00   |09:00   |12:00") && hours.contains("|00:00"))
    }

    @Test(arguments: [40, 41, 80, 133, 500])
    func noLineIsWiderThanTheTerminal(width: Int) {
        let names = ["a", "line1", String(repeating: "long", count: 40), "Tor Süd"]
        for lengthS in [0.5, 1, 30, 600, 5000, 86_400] {
            let timeline = Timeline(window: Self.span(1.25, 1.25 + lengthS), width: width, signs: .blocks)
            let text = timeline.rendered(names.map { .init(name: $0, covered: [Self.span(1.5, 1.75)]) })
            let lines = text.split(separator: "\n")
            #expect(lines.count == names.count + 1)
            // The scale ends with its last cell, the bars with the share.
            #expect(lines.dropFirst().allSatisfy { $0.count == width }, "\(lengthS) s")
            #expect(lines.allSatisfy { $0.count <= width }, "\(lengthS) s")
        }
    }

    @Test func aNameFromOutsideMovesNoCursor() {
        let text = Self.timeline(Self.span(0, 1), cells: 10).rendered([.init(name: "a\u{1B}b", covered: [])])
        #expect(!text.contains("\u{1B}"))
    }

    @Test func theWidthIsThatOfTheTerminalUnlessAPersonSaysOtherwise() {
        #expect(Terminal.width(columns: nil, terminal: nil) == 80)
        #expect(Terminal.width(columns: nil, terminal: 132) == 132)
        #expect(Terminal.width(columns: "100", terminal: 132) == 100)
        #expect(Terminal.width(columns: "wide", terminal: 132) == 132)
        #expect(Terminal.width(columns: "3", terminal: nil) == 40)
        #expect(Terminal.width(columns: "100000", terminal: nil) == 500)
    }

    @Test func theFirstLocaleThatIsSetDecides() {
        #expect(Terminal.readsUTF8(["LANG": "en_US.UTF-8"]))
        #expect(Terminal.readsUTF8(["LC_ALL": "", "LC_CTYPE": "C.utf8", "LANG": "C"]))
        #expect(!Terminal.readsUTF8(["LC_ALL": "C", "LANG": "en_US.UTF-8"]))
        #expect(!Terminal.readsUTF8([:]))
    }
}
