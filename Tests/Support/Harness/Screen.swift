// What a person sees on a terminal, compared with a file of Tests/Support/screens. Numbers that are others each time are told by a
// letter.

import Foundation

/// A screen of text.
public struct Screen {
    /// The text with every measured number replaced.
    public let text: String

    /// - Parameter text: what was printed.
    public init(_ text: String) {
        self.text = text.replacing(/127\.0\.0\.1:\d+/, with: "HOST:PORT")
            .replacing(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/, with: "TIME")
            .replacing(/(\d+h)?\d+m\d\ds/, with: "SPAN")
            .replacing(/\/tmp\/sg-\w+/, with: "FOLDER")
            .replacing(/\d+\.\d+/, with: "N")
            .replacing(/Name or service not known|Temporary failure in name resolution/, with: "WORDS")
            .replacing(/\d+ (packet|picture)/) { "N \($0.1)" }
    }

    /// The file that it has to equal: "probe/refused".
    public static func file(_ name: String) -> URL {
        Executables.repository.appendingPathComponent("Tests/Support/screens/\(name).txt")
    }

    /// What is in that file. With SIGHTGLASS_WRITE_SCREENS set the file is written first: look at what changed.
    public func recorded(as name: String) throws -> String {
        let file = Self.file(name)
        if ProcessInfo.processInfo.environment["SIGHTGLASS_WRITE_SCREENS"] != nil {
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try text.write(to: file, atomically: true, encoding: .utf8)
        }
        return try String(contentsOf: file, encoding: .utf8)
    }
}
