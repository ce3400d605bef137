// Collects what is wrong or unusual in one document. The words for programs stand together here.

import Wire

/// The words of `Issue.code`.
enum IssueCode: String {
    // Warnings: accepted, but not as written.
    case alias = "Alias"
    case unknownKey = "UnknownKey"
    case notUsed = "NotUsed"
    case unprotectedCredentials = "UnprotectedCredentials"
    // Errors: the named stream or endpoint does not run because of it.
    case invalidValue = "InvalidValue"
    case malformedJSON = "MalformedJSON"
    case missingTaskType = "MissingTaskType"
    case unknownTaskType = "UnknownTaskType"
    case unsupportedEndpointType = "UnsupportedEndpointType"
    case unsupportedScheme = "UnsupportedScheme"
    case unsupportedAuthentication = "UnsupportedAuthentication"
    case duplicateName = "DuplicateName"
    case invalidName = "InvalidName"
    case deviceNotFound = "DeviceNotFound"
    case deviceDisabled = "DeviceDisabled"
    case endpointNotFound = "EndpointNotFound"
    case endpointFaulty = "EndpointFaulty"
}

/// Issues in the order in which they were found, bounded so that a document of nothing but mistakes fits into an answer.
struct IssueList: Sendable {
    /// A person reads the first few; the answer to Apply has 1 MiB for all documents.
    static let maximum = 100

    private(set) var issues: [Issue] = []

    var hasErrors: Bool { issues.contains { $0.severity == .error } }

    mutating func warn(_ code: IssueCode, _ field: String, _ message: String, stream: String? = nil) {
        add(Issue(severity: .warning, code: code.rawValue, message: message, field: field, stream: stream))
    }

    mutating func fail(_ code: IssueCode, _ field: String, _ message: String, stream: String? = nil) {
        add(Issue(severity: .error, code: code.rawValue, message: message, field: field, stream: stream))
    }

    mutating func add(_ issue: Issue) {
        if issues.count < Self.maximum {
            issues.append(issue)
        } else if issue.severity == .error, let warning = issues.lastIndex(where: { $0.severity == .warning }) {
            // An error says why a stream does not run: it must not drown in warnings.
            issues[warning] = issue
        }
    }

    mutating func add(contentsOf other: [Issue]) {
        for issue in other { add(issue) }
    }
}

extension String {
    /// For messages: the text in quotes, cut so that a message stays a sentence.
    var quotedForMessage: String { "\"" + (count > 64 ? prefix(64) + "…" : Substring(self)) + "\"" }
}
