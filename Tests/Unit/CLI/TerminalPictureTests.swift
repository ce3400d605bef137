// Pictures in terminals: who can show them, and how.

import Foundation
import Testing

@testable import CLI

@Suite struct TerminalPictureTests {
    struct Terminal: Sendable {
        let variables: [String: String]
        let way: PictureProtocol?
    }

    @Test(arguments: [
        Terminal(variables: ["TERM": "xterm-kitty"], way: .kitty),
        Terminal(variables: ["TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"], way: .kitty),
        Terminal(variables: ["TERM": "xterm-ghostty"], way: .kitty),
        Terminal(variables: ["TERM_PROGRAM": "iTerm.app"], way: .iterm),
        Terminal(variables: ["TERM_PROGRAM": "WezTerm"], way: .iterm),
        Terminal(variables: ["LC_TERMINAL": "iTerm2"], way: .iterm),
        Terminal(variables: ["TERM": "foot"], way: .sixel), Terminal(variables: ["TERM": "xterm-sixel"], way: .sixel),
        Terminal(variables: ["TERM": "xterm-256color"], way: nil), Terminal(variables: [:], way: nil),
        Terminal(variables: ["TERM": "xterm-kitty", "TMUX": "/tmp/tmux-0/default"], way: nil),
    ])
    func whoCanShowOne(terminal: Terminal) {
        #expect(PictureProtocol(terminal.variables) == terminal.way)
    }

    @Test(arguments: [0, 1, 3_072, 3_073, 10_000]) func kittyHasPieces(count: Int) throws {
        let picture = (0..<count).map { UInt8($0 % 251) }
        let text = String(decoding: try #require(PictureProtocol.kitty.sequence(picture)), as: UTF8.self)
        let pieces = text.components(separatedBy: "\u{1B}_G").dropFirst().map {
            $0.components(separatedBy: "\u{1B}\\")[0]
        }
        #expect(pieces.count == max(1, (count + 3_071) / 3_072))
        #expect(pieces.first?.hasPrefix("a=T,f=100,m=") == true)
        #expect(pieces.last?.split(separator: ";")[0].hasSuffix("m=0") == true)
        #expect(pieces.dropLast().allSatisfy { $0.contains("m=1;") })
        let joined = pieces.map { $0.split(separator: ";", omittingEmptySubsequences: false)[1] }.joined()
        #expect(Data(base64Encoded: joined).map(Array.init) == picture)
    }

    @Test func itermHasOneSequence() throws {
        let bytes = try #require(PictureProtocol.iterm.sequence([1, 2, 3]))
        #expect(String(decoding: bytes, as: UTF8.self) == "\u{1B}]1337;File=inline=1;size=3:AQID\u{07}\n")
    }

    /// A BMP of 24 bits, with lines from below.
    private func bitmap(_ lines: [[(UInt8, UInt8, UInt8)]]) -> [UInt8] {
        let width = lines[0].count
        var bytes = [UInt8](repeating: 0, count: 54)
        (bytes[0], bytes[1], bytes[10], bytes[18], bytes[22], bytes[28]) = (
            0x42, 0x4D, 54, UInt8(width), UInt8(lines.count), 24
        )
        for line in lines.reversed() {
            var row = line.flatMap { [$0.2, $0.1, $0.0] }
            while row.count % 4 != 0 { row.append(0) }
            bytes += row
        }
        return bytes
    }

    @Test func sixelsAreBandsOfSixLines() throws {
        let red: (UInt8, UInt8, UInt8) = (255, 0, 0)
        let black: (UInt8, UInt8, UInt8) = (0, 0, 0)
        // Seven lines of five: the first is black, and the last alone in a second band.
        let lines = [[(UInt8, UInt8, UInt8)]](repeating: [red, red, red, red, red], count: 6)
        let picture = bitmap([[black, black, black, black, black]] + lines)
        let text = String(decoding: try #require(PictureProtocol.sixel.sequence(picture)), as: UTF8.self)
        // Red is 5 * 36. The first line is bit 0 ('@'), the five others bits 1 to 5 ('}').
        #expect(text == "\u{1B}Pq\"1;1;5;7#0;2;0;0;0#180;2;100;0;0#0!5@$#180!5}$-#180!5@$-\u{1B}\\\n")
    }

    @Test func whatIsNoBitmapIsNotShown() {
        let whole = bitmap([[(1, 2, 3)]])
        for count in 0..<whole.count { #expect(SixelPicture(bitmap: Array(whole.prefix(count))) == nil) }
        #expect(SixelPicture(bitmap: whole) != nil)
        for place in 0..<54 {
            var torn = whole
            torn[place] = 0xFF
            _ = SixelPicture(bitmap: torn)?.sequence
        }
    }
}
