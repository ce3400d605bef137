// Tables for people: a heading, columns as wide as their widest cell.

struct Table {
    private let heading: [String]
    private var rows: [[String]] = []
    /// Printed instead of a table without rows.
    private let whenEmpty: String

    init(_ heading: [String], whenEmpty: String) {
        self.heading = heading
        self.whenEmpty = whenEmpty
    }

    mutating func add(_ cells: [String]) { rows.append(cells.map(Self.printable)) }

    var rendered: String {
        if rows.isEmpty { return whenEmpty }
        let all = [heading] + rows
        let widths = heading.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in
            let cells = row.enumerated().map { column, cell in
                column == row.count - 1 ? cell : cell + String(repeating: " ", count: widths[column] - cell.count)
            }
            let line = cells.joined(separator: "  ")
            return String(line[...(line.lastIndex { $0 != " " } ?? line.startIndex)])
        }.joined(separator: "\n")
    }

    /// Names and reasons come from outside: they must not move the cursor of a terminal.
    static func printable(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? " " : $0 }))
    }
}

/// "1 file", "2 files".
func counted(_ count: some BinaryInteger, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

/// "12.3 MiB".
func sizeText(_ bytes: UInt64?) -> String {
    guard let bytes else { return "-" }
    if bytes < 1024 { return "\(bytes) B" }
    var value = Double(bytes) / 1024
    for unit in ["KiB", "MiB", "GiB"] {
        if value < 1024 { return tenths(value) + " " + unit }
        value /= 1024
    }
    return tenths(value) + " TiB"
}

func tenths(_ value: Double) -> String {
    let scaled = Int((value * 10).rounded())
    return "\(scaled / 10).\(scaled % 10)"
}
