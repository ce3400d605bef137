// Figure: one measured number beside its peer's, and whether it reaches its bar. Report: all figures of a run, as text and as
// JSON, with the machine that they were measured on.

import Foundation

/// What a figure must reach.
enum Bar: Codable, Equatable {
    /// The ratio to the peer is at most this.
    case ratioAtMost(Double)
    /// The ratio to the peer is at least this.
    case ratioAtLeast(Double)
    /// The value itself is at most this.
    case atMost(Double)
    /// The value itself is at least this.
    case atLeast(Double)
    /// For the reader; nothing is demanded.
    case none
}

/// One line of a bench.
struct Figure: Codable {
    /// "rpc.64B.sequential.p50".
    let name: String
    /// Median over the rounds.
    let value: Double
    /// "us", "calls/s", "MB/s", "ms", "files".
    let unit: String
    /// The peer's median over the same rounds; nil where there is none.
    var peer: Double?
    /// Who the peer is: "nng in C".
    var peerName: String?
    let bar: Bar
    /// Lowest and highest round of the value.
    var spread: ClosedRange<Double>?
    /// Lowest and highest round of the peer.
    var peerSpread: ClosedRange<Double>?

    /// Value over peer.
    var ratio: Double? { peer.flatMap { $0 == 0 ? nil : value / $0 } }

    /// Whether the bar is reached.
    var isOK: Bool {
        switch bar {
        case .none: true
        case .atMost(let most): value <= most
        case .atLeast(let least): value >= least
        case .ratioAtMost(let most): ratio.map { $0 <= most } ?? false
        case .ratioAtLeast(let least): ratio.map { $0 >= least } ?? false
        }
    }

    /// "name value unit peer ratio bar ok|short".
    var line: String {
        let barText =
            switch bar {
            case .none: "-"
            case .atMost(let most): "<=\(Self.text(most))"
            case .atLeast(let least): ">=\(Self.text(least))"
            case .ratioAtMost(let most): "ratio<=\(Self.text(most))"
            case .ratioAtLeast(let least): "ratio>=\(Self.text(least))"
            }
        return [
            name, Self.text(value), unit, peer.map(Self.text) ?? "-", ratio.map(Self.text) ?? "-", barText,
            isOK ? "ok" : "short",
        ].joined(separator: " ")
    }

    /// Three digits that matter.
    static func text(_ value: Double) -> String {
        if value == value.rounded(), abs(value) < 1e6 { return String(Int(value)) }
        let digits = abs(value) >= 100 ? 0 : abs(value) >= 10 ? 1 : abs(value) >= 1 ? 2 : 3
        return String(format: "%.\(digits)f", value)
    }
}

/// All that one bench found.
struct Report: Codable {
    let bench: String
    let machine: Machine
    let rounds: Int
    var figures: [Figure] = []
    /// What a reader must know beside the figures.
    var notes: [String] = []

    /// Prints the lines and writes the JSON file. Gives the exit code: 1 if any figure is short.
    func finish(writingTo folder: String) throws -> Int32 {
        for figure in figures {
            print(figure.line)
            if let own = figure.spread {
                let other = figure.peerSpread.map {
                    "; \(figure.peerName ?? "peer") \(Figure.text($0.lowerBound)) to \(Figure.text($0.upperBound))"
                }
                print("#   rounds \(Figure.text(own.lowerBound)) to \(Figure.text(own.upperBound))\(other ?? "")")
            }
        }
        for note in notes { print("# \(note)") }
        print("# \(machine.description)")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        let path = "\(folder)/\(bench).json"
        try encoder.encode(self).write(to: URL(fileURLWithPath: path))
        print("# also in \(path)")
        return figures.allSatisfy(\.isOK) ? 0 : 1
    }
}

/// Numbers over repeated rounds.
struct Rounds {
    private(set) var values: [Double]

    init(_ values: [Double] = []) { self.values = values }

    mutating func add(_ value: Double) { values.append(value) }

    var median: Double { quantile(0.5, of: values) }
    var spread: ClosedRange<Double>? {
        guard let least = values.min(), let most = values.max() else { return nil }
        return least...most
    }
}

/// The value below which a share of the values lies; NaN of nothing.
func quantile(_ share: Double, of values: [Double]) -> Double {
    guard !values.isEmpty else { return .nan }
    let sorted = values.sorted()
    return sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
}
