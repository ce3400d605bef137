// What to do when the Blob service does not say yes. Values only: the answer and the number of the attempt go in, the next
// step comes out.
//
//   no answer, 408, 429, 5xx     again here, three times in all; then the item waits
//   Md5Mismatch, InvalidXml…     the same: bytes were damaged on the way
//   401, 403                     the storage account refuses us: nothing is claimed until it does not
//   ContainerNotFound            make it where that is allowed; else the operator has to
//   anything else                the item fails for good: sending the same again gives the same
import Foundation

/// Why an upload did not come about.
struct UploadProblem: Error, Sendable, Equatable {
    /// For a person: names the thing, what was wrong, what to do. Free of credentials.
    let reason: String
    let isRetryable: Bool
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
        var retryAfterSeconds: Int?
        /// The service says that our clock is wrong.
        var isAboutTime = false
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
    /// True with a shared access signature, for the words.
    var isSignature = false

    /// Tries of one request before the item has to wait.
    static let attempts = 3
    /// A longer Retry-After is given to the indexer, so that the worker is free for other items.
    static let longestWaitHere = Duration.seconds(10)
    /// Pause for what only an operator can mend.
    static let operatorPause = Duration.seconds(60)

    /// The wait before attempt `attempt` + 1: half a second, doubled.
    static func pause(after attempt: Int) -> Duration {
        .milliseconds(500 << min(max(attempt - 1, 0), 5))
    }

    /// `attempt` counts from 1.
    func next(_ failure: CallFailure, attempt: Int) -> NextStep {
        switch failure {
        case .noAnswer(let text):
            guard attempt >= Self.attempts else { return .again(after: Self.pause(after: attempt)) }
            return .giveUp(
                UploadProblem(
                    reason: "\(endpoint) does not answer (\(text)); check the network and the address",
                    isRetryable: true, concernsStorage: true))
        case .refused(let refusal): return next(refusal, attempt: attempt)
        }
    }

    private func next(_ refusal: CallFailure.Refusal, attempt: Int) -> NextStep {
        let told = "\(refusal.status) \(refusal.code)"
        switch (refusal.status, refusal.code) {
        case (408, _), (429, _), (500..., _),
            (400, _) where refusal.status != 400 || Self.isDamage(refusal.code):
            let wait = max(
                Self.pause(after: attempt), refusal.retryAfterSeconds.map { .seconds($0) } ?? .zero)
            if attempt < Self.attempts, wait <= Self.longestWaitHere { return .again(after: wait) }
            let reason =
                Self.isDamage(refusal.code)
                ? "what arrives at \(endpoint) is not what was sent (\(told)); the network damages data"
                : "\(endpoint) cannot take it now (\(told))"
            return .giveUp(
                UploadProblem(
                    reason: reason, isRetryable: true, retryAfter: refusal.retryAfterSeconds.map { .seconds($0) }))
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
        default:
            return .giveUp(
                UploadProblem(
                    reason: "\(endpoint) refuses it (\(told)); trying again gives the same", isRetryable: false))
        }
    }

    /// Whether the service got other bytes than we sent: our lists of blocks are well-formed, and each body has its MD5.
    private static func isDamage(_ code: String) -> Bool {
        ["Md5Mismatch", "InvalidXmlDocument", "InvalidXmlNodeValue"].contains(code)
    }

    private func refused(_ refusal: CallFailure.Refusal, _ told: String) -> UploadProblem {
        let reason: String
        if refusal.isAboutTime {
            reason = "the storage account refuses requests because the clock of this host is wrong; set it by NTP"
        } else if refusal.code == "AuthenticationFailed" || refusal.status == 401 {
            reason =
                "the storage account refuses the \(isSignature ? "signature" : "key") (\(told)); check "
                + "\(isSignature ? "sas-file and its time" : "account and key-file")"
        } else {
            reason =
                "the storage account does not allow this (\(told)); check the rights of the "
                + "\(isSignature ? "signature" : "account") and its network rules"
        }
        return UploadProblem(
            reason: "\(endpoint): \(reason)", isRetryable: true, retryAfter: Self.operatorPause, concernsStorage: true)
    }
}
