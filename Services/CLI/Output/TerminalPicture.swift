// Pictures in terminals that can show them: how it is known that one can, and the bytes that show one. Pure.
//
//   kitty   https://sw.kovidgoyal.net/kitty/graphics-protocol: PNG in Base64, in pieces of 4096 bytes
//   iterm   https://iterm2.com/documentation-images.html: any file in Base64, one sequence
//   sixel   DEC's bands of six lines in a palette, made of a BMP here

import ArgumentParser
import Foundation

/// How a terminal is shown a picture.
enum PictureProtocol: String, Sendable, CaseIterable, ExpressibleByArgument {
    case kitty, iterm, sixel

    /// What the controller is asked for.
    var format: String {
        switch self {
        case .kitty: "png"
        case .iterm: "jpeg"
        case .sixel: "bmp"
        }
    }

    /// Wider ones fill more than a window, or more than one message.
    var widthPx: UInt32 { self == .sixel ? 480 : 800 }

    /// By the variables that terminals set; nil: none that is known. A multiplexer in between would take the bytes for text.
    init?(_ environment: [String: String]) {
        let term = environment["TERM"] ?? ""
        let program = environment["TERM_PROGRAM"] ?? ""
        if environment["TMUX"] != nil || environment["STY"] != nil { return nil }
        if environment["KITTY_WINDOW_ID"] != nil || term == "xterm-kitty" || term == "xterm-ghostty" {
            self = .kitty
        } else if ["iTerm.app", "WezTerm"].contains(program) || environment["LC_TERMINAL"] == "iTerm2" {
            self = .iterm
        } else if term.contains("sixel") || term.hasPrefix("foot") || term.hasPrefix("mlterm") || program == "mintty" {
            self = .sixel
        } else {
            return nil
        }
    }

    /// The bytes that show a picture of `format`; nil where it is none.
    func sequence(_ picture: [UInt8]) -> [UInt8]? {
        switch self {
        case .kitty: Self.kittySequence(picture)
        case .iterm:
            Array(
                "\u{1B}]1337;File=inline=1;size=\(picture.count):\(Data(picture).base64EncodedString())\u{07}\n".utf8)
        case .sixel: SixelPicture(bitmap: picture)?.sequence
        }
    }

    private static func kittySequence(_ picture: [UInt8]) -> [UInt8] {
        let text = Array(Data(picture).base64EncodedString().utf8)
        var bytes: [UInt8] = []
        for start in stride(from: 0, to: max(1, text.count), by: 4096) {
            let end = min(text.count, start + 4096)
            // The first piece says what it is; all but the last that more comes.
            let head = (start == 0 ? "a=T,f=100," : "") + "m=\(end < text.count ? 1 : 0)"
            bytes += Array("\u{1B}_G\(head);".utf8) + text[start..<end] + Array("\u{1B}\\".utf8)
        }
        return bytes + [0x0A]
    }
}

/// A picture as sixels, in a palette of 6 by 6 by 6 colours.
struct SixelPicture {
    let width: Int
    let height: Int
    /// Colours of the palette, line by line from above.
    private let colours: [UInt8]

    /// From a BMP of 24 or 32 bits without compression, as media-worker writes them; nil where it is none.
    init?(bitmap: [UInt8]) {
        func number(_ place: Int, bytes: Int) -> Int? {
            guard place + bytes <= bitmap.count else { return nil }
            return (0..<bytes).reduce(0) { $0 | Int(bitmap[place + $1]) << (8 * $1) }
        }
        guard bitmap.starts(with: [0x42, 0x4D]), let start = number(10, bytes: 4), let width = number(18, bytes: 4),
            let rawHeight = number(22, bytes: 4), let bits = number(28, bytes: 2), bits == 24 || bits == 32,
            (1...4096).contains(width)
        else { return nil }
        // A negative height, as 32 bits have it: the first line comes first.
        let isFromAbove = rawHeight >= 1 << 31
        let height = isFromAbove ? (1 << 32) - rawHeight : rawHeight
        let pixel = bits / 8
        let stride = (width * pixel + 3) / 4 * 4
        guard (1...4096).contains(height), start + stride * height <= bitmap.count else { return nil }
        (self.width, self.height) = (width, height)
        var colours: [UInt8] = []
        colours.reserveCapacity(width * height)
        for line in 0..<height {
            let from = start + (isFromAbove ? line : height - 1 - line) * stride
            for column in 0..<width {
                let place = from + column * pixel
                func level(_ value: UInt8) -> UInt8 { UInt8((Int(value) * 5 + 127) / 255) }
                colours.append(level(bitmap[place + 2]) * 36 + level(bitmap[place + 1]) * 6 + level(bitmap[place]))
            }
        }
        self.colours = colours
    }

    /// The bytes that show it.
    var sequence: [UInt8] {
        var bytes = Array("\u{1B}Pq\"1;1;\(width);\(height)".utf8)
        for colour in Set(colours).sorted() {
            let number = Int(colour)
            bytes += Array("#\(number);2;\(number / 36 * 20);\(number / 6 % 6 * 20);\(number % 6 * 20)".utf8)
        }
        for top in stride(from: 0, to: height, by: 6) { band(top, &bytes) }
        return bytes + Array("\u{1B}\\\n".utf8)
    }

    /// Six lines: for each colour in them the columns that have it, "$" goes back to the first column, "-" to the next band.
    private func band(_ top: Int, _ bytes: inout [UInt8]) {
        let lines = top..<min(height, top + 6)
        var columns: [UInt8: [UInt8]] = [:]
        for line in lines {
            for column in 0..<width {
                columns[colours[line * width + column], default: [UInt8](repeating: 0, count: width)][column] |=
                    1 << UInt8(line - top)
            }
        }
        for (colour, bits) in columns.sorted(by: { $0.key < $1.key }) {
            bytes += Array("#\(colour)".utf8)
            var column = 0
            while column < width {
                let end = bits[column...].firstIndex { $0 != bits[column] } ?? width
                let sign = UInt8(63) + bits[column]
                bytes +=
                    end - column > 3
                    ? Array("!\(end - column)".utf8) + [sign] : [UInt8](repeating: sign, count: end - column)
                column = end
            }
            bytes.append(UInt8(ascii: "$"))
        }
        bytes.append(UInt8(ascii: "-"))
    }
}
