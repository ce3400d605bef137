// What to do when the Blob service does not say yes. Values only: the answer, the number of the attempt and chance go in, the
// next step comes out.
//
//   no answer                    again here, three times in all; then nothing is claimed until the storage answers
//   429, 503                     the same, not before Retry-After; Line.swift holds up everybody else meanwhile
//   408, other 5xx               again here, three times in all; then the item waits
//   Crc64Mismatch, InvalidXml…   the same: bytes were damaged on the way
//   401, 403                     the storage account refuses us, also with a fresh credential (BlobClient has tried where
//                                there is one): nothing is claimed until it does not
//   ContainerNotFound            make it where that is allowed; else the operator has to
//   409, 412                     the item waits: a lease, a copy or another uploader is in the way, and passes
//   anything else                the item fails for good: sending the same again gives the same
//
// Each wait is spread by chance, so that uploaders that were cut off together do not come back together. An item whose failure
// comes with a pause is not at fault, and the indexer does not count the attempt; of those above only damage counts.
import Foundation
import ServiceKit

/// Why an upload did not come about.
struct UploadProblem: Error, Sendable, Equatable {
    /// For a person: names the thing, what was wrong, what to do. Free of credentials.
    let reason: String
    let isRetryable: Bool
    /// When to try again. Set where the cause lies outside of this file: the indexer does not count the attempt then. Nil: the
    /// indexer backs off, and sets the file aside after `upload-attempts`.
    var retryAfter: Duration?
    /// True where it concerns the storage and not this one file: nothing else can be uploaded either.
    var concernsStorage = false
}

/// How a call ended that was not accepted.
enum CallFailure: Sendable, Equatable {
    /// The connection could not be made, broke, or took too long.
    case noAnswer(String)
    case refused(Refusal)

    /// An answer that is an error.
    struct Refusal: Sendable, Equatable {
        let status: Int
        /// x-ms-error-code.
        let code: String
        /// 0 to 3600; see RetryAfter.swift.
        var retryAfterSeconds: Int?
        /// The service says that our clock is wrong.
        var isAboutTime = false

        /// The service wants less of everything, not of this one file.
        var isThrottling: Bool { status == 429 || status == 503 }
    }
}

extension LineOutcome {
    /// What a failure says of the line. A refusal is an answer like any other, unless it asks to wait.
    init(_ failure: CallFailure, sentBytes: Int) {
        switch failure {
        case .noAnswer: self = .broken
        case .refused(let refusal) where refusal.isThrottling || refusal.retryAfterSeconds != nil:
            self = .throttled(retryAfter: refusal.retryAfterSeconds.map { .seconds($0) })
        case .refused: self = .answered(sentBytes: sentBytes)
        }
    }
}

/// What to do next.
enum NextStep: Sendable, Equatable {
    case again(after: Duration)
    case createContainer
    case giveUp(UploadProblem)
}

struct RetryTable: Sendable {
    let endpoint: String
    let container: String
    let mayCreateContainer: Bool
    /// For the words.
    var credential = CredentialWords.key

    /// Tries of one request before the item has to wait.
    static let attempts = 3
    /// A longer Retry-After is given to the indexer, so that the worker is free for other items.
    static let longestWaitHere = Duration.seconds(10)
    /// Pause for what only an operator can mend.
    static let operatorPause = Duration.seconds(60)
    /// Pause of an item after its storage did not answer or wanted less. Short: nothing is claimed before the storage answers.
    static let storagePause = Duration.seconds(15)
    /// Waits here without Retry-After: half a second, doubled, a fifth more or less.
    static let backOff = BackOff(first: .milliseconds(500), maximum: longestWaitHere)

    /// `attempt` counts from 1; `chance` is in 0..<1.
    func next(_ failure: CallFailure, attempt: Int, chance: Double = .random(in: 0..<1)) -> NextStep {
        switch failure {
        case .noAnswer(let text):
            guard attempt >= Self.attempts else {
                return .again(after: Self.backOff.wait(after: attempt, chance: chance))
            }
            return .giveUp(
                UploadProblem(
                    reason: "\(endpoint) does not answer (\(text)); check the network and the address",
                    isRetryable: true, retryAfter: Self.storagePause, concernsStorage: true))
        case .refused(let refusal): return next(refusal, attempt: attempt, chance)
        }
    }

    private func next(_ refusal: CallFailure.Refusal, attempt: Int, _ chance: Double) -> NextStep {
        let told = "\(refusal.status) \(refusal.code)"
        switch (refusal.status, refusal.code) {
        case (408, _), (429, _), (500..., _),
            (400, _) where refusal.status != 400 || Self.isDamage(refusal.code):
            let asked = refusal.retryAfterSeconds.map { Duration.seconds($0) }
            // Never sooner than asked, and not everybody at that moment.
            let wait = max(Self.backOff.wait(after: attempt, chance: chance), (asked ?? .zero) * (1 + chance / 10))
            if attempt < Self.attempts, wait <= Self.longestWaitHere { return .again(after: wait) }
            return .giveUp(busy(refusal, asked, told))
        case (401, _), (403, _): return .giveUp(refused(refusal, told))
        case (404, "ContainerNotFound"):
            if mayCreateContainer, attempt < Self.attempts { return .createContainer }
            return .giveUp(
                UploadProblem(
                    reason: "there is no container '\(container)' at \(endpoint); make it, or set create-container",
                    isRetryable: true, retryAfter: Self.operatorPause, concernsStorage: true))
        case (409, "ContainerBeingDeleted"), (409, "ContainerAlreadyExists"):
            return .giveUp(
                UploadProblem(
                    reason:
                        "container '\(container)' at \(endpoint) is being deleted (\(told)); wait, then make it anew",
                    isRetryable: true, retryAfter: Self.operatorPause, concernsStorage: true))
        case (400, "InvalidBlobOrBlock"):
            return .giveUp(
                UploadProblem(
                    reason:
                        "another program left blocks of this blob at \(endpoint) (\(told)); delete the blob, or wait "
                        + "a week until they expire",
                    isRetryable: true, retryAfter: .seconds(3600)))
        case (409, _), (412, _):
            return .giveUp(
                UploadProblem(
                    reason:
                        "\(endpoint) refuses it as the blob is (\(told)): another program holds or changes it; nothing was "
                        + "replaced",
                    isRetryable: true, retryAfter: Self.operatorPause))
        default:
            return .giveUp(
                UploadProblem(
                    reason: "\(endpoint) refuses it (\(told)); trying again gives the same", isRetryable: false))
        }
    }

    /// After the last attempt.
    private func busy(_ refusal: CallFailure.Refusal, _ asked: Duration?, _ told: String) -> UploadProblem {
        if Self.isDamage(refusal.code) {
            return UploadProblem(
                reason: "what arrives at \(endpoint) is not what was sent (\(told)); the network damages data",
                isRetryable: true, retryAfter: asked)
        }
        let isThrottled = refusal.isThrottling
        return UploadProblem(
            reason: isThrottled
                ? "\(endpoint) wants fewer requests (\(told)); check the account's limits"
                : "\(endpoint) cannot take it now (\(told))",
            isRetryable: true, retryAfter: asked ?? (isThrottled ? Self.storagePause : Self.operatorPause),
            concernsStorage: isThrottled)
    }

    /// Whether the service got other bytes than we sent: our lists of blocks are well-formed, and each body has its CRC-64.
    private static func isDamage(_ code: String) -> Bool {
        ["Crc64Mismatch", "Md5Mismatch", "InvalidXmlDocument", "InvalidXmlNodeValue"].contains(code)
    }

    private func refused(_ refusal: CallFailure.Refusal, _ told: String) -> UploadProblem {
        let reason: String
        if refusal.isAboutTime {
            reason = "the storage account refuses requests because the clock of this host is wrong; set it by NTP"
        } else if refusal.code == "AuthenticationFailed" || refusal.status == 401 {
            reason =
                "the storage account refuses the \(credential.name) (\(told)); check \(credential.source)"
        } else {
            reason =
                "the storage account does not allow this (\(told)); check the rights of the \(credential.holder) "
                + "and the account's network rules"
        }
        return UploadProblem(
            reason: "\(endpoint): \(reason)", isRetryable: true, retryAfter: Self.operatorPause, concernsStorage: true)
    }
}
