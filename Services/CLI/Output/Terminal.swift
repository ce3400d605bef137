// What is known of the terminal, and lines on it that are written again and again while something goes on.

import Foundation
import Synchronization

enum Terminal {
    static var isOutput: Bool { isatty(STDOUT_FILENO) == 1 }
    static var isError: Bool { isatty(STDERR_FILENO) == 1 }

    /// Columns: COLUMNS where it is set, as a person may wish, else those of the terminal, else 80.
    static func width(of descriptor: Int32) -> Int {
        var size = winsize()
        let isKnown = ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
        return width(
            columns: ProcessInfo.processInfo.environment["COLUMNS"], terminal: isKnown ? Int(size.ws_col) : nil)
    }

    /// Lines of the terminal, else 24.
    static func height(of descriptor: Int32) -> Int {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_row > 0 else { return 24 }
        return Int(size.ws_row)
    }

    /// Narrower than 40 holds no timeline, wider than 500 is no terminal but a mistake.
    static func width(columns: String?, terminal: Int?) -> Int {
        let wanted = columns.flatMap { Int($0) } ?? 0
        return min(500, max(40, wanted > 0 ? wanted : terminal ?? 80))
    }

    /// Whether the locale says that what is printed is read as UTF-8: the first of the three that is set decides.
    static func readsUTF8(_ environment: [String: String]) -> Bool {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].compactMap { environment[$0] }.first { !$0.isEmpty }
        let name = (locale ?? "").lowercased()
        return name.contains("utf-8") || name.contains("utf8")
    }

    /// Whether blocks and shades can be shown there.
    static func showsBlocks(isTerminal: Bool) -> Bool {
        isTerminal && readsUTF8(ProcessInfo.processInfo.environment)
    }
}

/// The signs that bars and timelines are made of.
struct BarSigns: Sendable, Equatable {
    let full: Character
    let part: Character
    let none: Character

    static let blocks = BarSigns(full: "█", part: "▒", none: "·")
    static let ascii = BarSigns(full: "#", part: "+", none: ".")

    /// A bar of so many cells: full up to `done`, shaded up to `half`, both of `total`.
    func bar(cells: Int, done: UInt64, half: UInt64 = 0, of total: UInt64) -> String {
        let filled = Self.share(of: done, total, parts: cells)
        let shaded = max(filled, Self.share(of: half, total, parts: cells))
        return String(repeating: full, count: filled) + String(repeating: part, count: shaded - filled)
            + String(repeating: none, count: cells - shaded)
    }

    /// Cut, so that the last part is full only when all is there. Of nothing there is no part.
    static func share(of bytes: UInt64, _ total: UInt64, parts: Int) -> Int {
        guard total > 0 else { return 0 }
        if bytes >= total { return parts }
        return Int(Double(bytes) / Double(total) * Double(parts))
    }

    /// "40.0 %", cut like the bar.
    static func percent(of bytes: UInt64, _ total: UInt64) -> String {
        let tenths = share(of: bytes, total, parts: 1000)
        return "\(tenths / 10).\(tenths % 10) %"
    }
}

/// Lines on standard error that take their own place again. Where that is no terminal nothing is shown.
final class StatusLine: Sendable {
    let isShown: Bool
    /// Lines that are shown.
    private let open = Mutex(0)

    init() { isShown = Terminal.isError }

    /// Shows a line, cut to the terminal.
    func show(_ text: String) { show([text]) }

    /// Shows lines, each cut to the terminal.
    func show(_ lines: [String]) {
        guard isShown else { return }
        let width = Terminal.width(of: STDERR_FILENO) - 1
        let cut = lines.map { Table.printable($0).prefix(width) + "\u{1B}[K" }.joined(separator: "\n")
        open.withLock { open in
            // What was longer before goes from below the last line on.
            let rest = lines.count < open ? "\u{1B}[J" : ""
            FileHandle.standardError.write(Data((Self.begin(of: open) + cut + rest).utf8))
            open = lines.count
        }
    }

    /// Removes the lines, so that something else can be printed.
    func clear() {
        open.withLock { open in
            if open > 0 {
                FileHandle.standardError.write(Data((Self.begin(of: open) + (open > 1 ? "\u{1B}[J" : "\u{1B}[K")).utf8))
            }
            open = 0
        }
    }

    /// To the begin of the first of so many lines.
    private static func begin(of lines: Int) -> String { "\r" + (lines > 1 ? "\u{1B}[\(lines - 1)A" : "") }
}

/// A screen on standard output that is shown again and again: in its place where that is a terminal, else one below the other.
struct LiveScreen {
    private let isTerminal = Terminal.isOutput

    /// Shows what `make` gives for so many columns and lines. Where no terminal is, nothing is cut.
    func show(_ make: (_ width: Int, _ height: Int) -> [String]) {
        guard isTerminal else { return write(make(.max, .max).joined(separator: "\n") + "\n\n") }
        let lines = make(Terminal.width(of: STDOUT_FILENO), Terminal.height(of: STDOUT_FILENO) - 1)
        // Home, each line with what is left of the one before behind it removed, and what is left below.
        write("\u{1B}[H" + lines.map { Table.printable($0) + "\u{1B}[K\n" }.joined() + "\u{1B}[J")
    }

    /// A line for a program.
    func line(_ text: String) { write(text + "\n") }

    /// At once: what is buffered is no live screen.
    private func write(_ text: String) { FileHandle.standardOutput.write(Data(text.utf8)) }
}
