// Where in a message an event rule finds a value. Pure.

import JSON

/// A place in a JSON value: "attributes.devices[0].score", with or without "$." in front.
struct JSONPath: Sendable, Equatable {
    enum Step: Sendable, Equatable {
        case field(String)
        case element(Int)
    }

    let steps: [Step]
    let text: String

    /// Nil where the text is no path: an empty step, a bracket that does not close, an index that is no number.
    init?(_ text: String) {
        self.text = text
        var rest = Substring(text)
        if rest.hasPrefix("$.") { rest = rest.dropFirst(2) }
        guard !rest.isEmpty else { return nil }
        var steps: [Step] = []
        for part in rest.split(separator: ".", omittingEmptySubsequences: false) {
            guard let (name, indices) = Self.split(part) else { return nil }
            steps.append(.field(name))
            steps += indices.map(Step.element)
        }
        self.steps = steps
    }

    /// "devices[0][1]" as its name and its indices.
    private static func split(_ part: Substring) -> (name: String, indices: [Int])? {
        guard let bracket = part.firstIndex(of: "[") else {
            return part.isEmpty || part.contains("]") ? nil : (String(part), [])
        }
        let name = part[..<bracket]
        guard !name.isEmpty, part.hasSuffix("]") else { return nil }
        let inner = part[part.index(after: bracket)...].dropLast()
        var indices: [Int] = []
        for digits in inner.split(separator: "][", omittingEmptySubsequences: false) {
            guard let index = Int(digits), index >= 0 else { return nil }
            indices.append(index)
        }
        return indices.isEmpty ? nil : (String(name), indices)
    }

    /// What is there; nil where nothing is, or null.
    func value(in root: JSONValue) -> JSONValue? {
        var current = root
        for step in steps {
            switch step {
            case .field(let name):
                guard let next = current[given: name] else { return nil }
                current = next
            case .element(let index):
                guard let elements = current.elements, index < elements.count else { return nil }
                current = elements[index]
            }
        }
        return current.isNull ? nil : current
    }
}
