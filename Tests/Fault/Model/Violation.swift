// What should not be, and what shows it.

struct Violation: Sendable, Hashable {
    /// What a promise of the product was broken by. The names stand in reports and beside seeds.
    enum Rule: String, Sendable, Hashable, CaseIterable {
        /// Sent until it was answered, and still no receipt.
        case unanswered
        /// A message that is right was refused.
        case rejected
        /// One event became two requests, or none; or a request came from nowhere.
        case identity
        /// An accepted request did not end, or not as its receipt and its retained status say.
        case ending
        /// Footage is missing where no fault excuses it.
        case gap
        /// A request ended before footage that there is had come to it.
        case early
        /// Time without footage that no gap names.
        case unexplained
        /// A delivered file is not what was promised, or not there, or there twice.
        case delivery
        /// The manifest does not say what was delivered.
        case manifest
        /// The document beside a file does not say what the file is.
        case sidecar
        /// A clip does not show what there was of its window.
        case clip
        /// Catalogue and volume do not agree.
        case catalogue
        /// Two segments of one camera hold the same moment.
        case overlap
        /// Something is left in staging, in a queue, on a volume or in the Blob server.
        case leftover
        /// A file does not play.
        case playback
        /// A process ended by itself, or not as it was asked to.
        case process
        /// A camera, a task or a service was not back in time.
        case recovery
        /// A log says that something broke that must not break.
        case log
        /// A secret where none may be.
        case secret
    }

    let rule: Rule
    /// What it is about: a request, a path, a process.
    let subject: String
    /// What was found, for a person.
    let evidence: String

    init(_ rule: Rule, _ subject: String, _ evidence: String) {
        self.rule = rule
        self.subject = subject
        self.evidence = evidence
    }
}
