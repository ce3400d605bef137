// The life of one item under claims, without I/O: who may work on it, whose result counts, when it is given up.
// ClaimTable.swift loads one, asks it, and stores it again in the same transaction.
//
//   work archive:  pending -> claimed -> archived | handed_over | poisoned
//   work upload:   archived (claimed without showing it) -> uploaded | handed_over | poisoned;  uploaded -> evicted
//
// Each claim has an epoch that is one more than the last. Only the present epoch's holder is listened to; a result that
// counted already is answered again. A claim that is not renewed falls back when its time is over.

import RPC
import Volume
import Wire

/// How claims end and how often they are tried.
struct ClaimPolicy: Sendable, Equatable {
    /// Attempts until an item is poisoned, for archive and upload; 0: never.
    var archiveAttempts: Int64 = 8
    var uploadAttempts: Int64 = 50

    /// 1 s, 4 s, 16 s, 64 s, 256 s, then 5 minutes: soon for a hiccup, seldom for an outage; eight take a quarter of an hour.
    static func backOffUs(attempts: Int64) -> Int64 {
        min(Micro.second << (2 * min(max(attempts - 1, 0), 5)), 300 * Micro.second)
    }

    /// A worker that says when to try again means that the item is not at fault: a volume is away, the storage does not answer,
    /// the worker is being stopped. For an archive item that is not counted for a day; then it is, so that a request does not
    /// stay open for ever, because its footage will be deleted. For an upload it is never counted: the copy on the archive
    /// volume waits as long as the storage is away.
    static let forgivenUs = Micro.day

    func forgives(_ work: Work, failingForUs: Int64) -> Bool {
        work == .upload || failingForUs < Self.forgivenUs
    }

    func bound(_ work: Work) -> Int64 { work == .archive ? archiveAttempts : uploadAttempts }
}

/// A worker's result, its fields checked.
struct ItemResult: Sendable, Equatable {
    var sizeBytes: Int64?
    var sha256: [UInt8]?
    var crc64: UInt64?
    var archiveVolumeID: String?
    var blobURL: String?
    var handedOver = false
}

struct ItemMachine: Sendable, Equatable {
    var state: ItemState = .pending
    /// `.unspecified`: nothing to do.
    var work: Work = .unspecified
    var epoch: Int64 = 0
    var worker: String?
    var readyUs: Int64 = 0
    var attempts: Int64 = 0
    var sizeBytes: Int64?
    var sha256: [UInt8]?
    /// Of the bytes that have `sha256`.
    var crc64: UInt64?
    var archiveVolumeID: String?
    var blobURL: String?
    var error = ""
    /// When the present work failed first; nil: it has not.
    var failingSinceUs: Int64?
    var archiveEpoch: Int64?
    var uploadEpoch: Int64?
    var archivedUs: Int64?
    var uploadedUs: Int64?

    /// What the item's requests see.
    var progress: ItemProgress {
        switch state {
        case .archived: .archived
        case .handedOver, .uploaded, .evicted: .delivered
        case .poisoned: archivedUs == nil ? .poisoned : .poisonedUpload
        case .pending, .claimed, .staged, .unspecified, .unrecognized: .open
        }
    }

    /// Whether `work` may be claimed now.
    func isClaimable(for wanted: Work, nowUs: Int64) -> Bool {
        work == wanted && work != .unspecified && readyUs <= nowUs
    }

    /// A request wants it: archived, and uploaded where `inCloud`. A poisoned item gets another chance. True where there
    /// is new work.
    mutating func want(inCloud: Bool) -> Bool {
        switch state {
        case .pending, .claimed, .staged, .unspecified, .unrecognized:
            guard work == .unspecified else { return false }
            return begin(.archive, as: .pending)
        case .poisoned:
            if archivedUs == nil { return begin(.archive, as: .pending) }
            return inCloud ? begin(.upload, as: .archived) : false
        case .archived:
            return inCloud && work == .unspecified ? begin(.upload, as: .archived) : false
        case .handedOver, .uploaded, .evicted:
            return false
        }
    }

    /// Nobody wants its present work any more. A worker that has the claim learns it by its epoch.
    mutating func drop() {
        guard work != .unspecified else { return }
        if worker != nil { epoch += 1 }
        if state == .claimed { state = .pending }
        (work, worker, readyUs, attempts, failingSinceUs) = (.unspecified, nil, 0, 0, nil)
    }

    /// Gives the item to a worker. The caller has asked `isClaimable`.
    mutating func claim(by name: String, nowUs: Int64, leaseUs: Int64) {
        epoch += 1
        attempts += 1
        worker = name
        readyUs = nowUs + leaseUs
        if work == .archive { state = .claimed }
    }

    /// Prolongs a claim. False where it is lost.
    mutating func renew(epoch claimed: Int64, worker name: String, nowUs: Int64, leaseUs: Int64) -> Bool {
        guard claimed == epoch, worker == name else { return false }
        readyUs = nowUs + leaseUs
        return true
    }

    /// A claim whose time is over falls back. True where there was one.
    mutating func expire(nowUs: Int64, _ policy: ClaimPolicy) -> Bool {
        guard let holder = worker, readyUs <= nowUs else { return false }
        release(because: "\(holder) did not renew its claim", at: 0, nowUs: nowUs, retryable: true, policy)
        return true
    }

    /// A worker's result. Throws FAILED_PRECONDITION where somebody else's counts, INVALID_ARGUMENT where it does not fit.
    mutating func complete(
        _ result: ItemResult, work done: Work, epoch claimed: Int64, nowUs: Int64
    ) throws(RPCError) {
        if isRepeated(done, claimed) { return }
        try checkClaim(claimed, done)
        if let expected = sha256, let given = result.sha256, expected != given {
            throw .invalidArgument(
                "sha256", "the file should have the SHA-256 \(shown(expected)), not \(shown(given)): copy it again")
        }
        if let expected = sizeBytes, let given = result.sizeBytes, expected != given {
            throw .invalidArgument("size_bytes", "the file should have \(expected) bytes, not \(given): copy it again")
        }
        sizeBytes = result.sizeBytes ?? sizeBytes
        // An uploader tells none; whoever tells another SHA-256 speaks of other bytes.
        if done == .archive || (result.sha256 ?? sha256) != sha256 { crc64 = result.crc64 }
        sha256 = result.sha256 ?? sha256
        archiveVolumeID = result.archiveVolumeID ?? archiveVolumeID
        blobURL = result.blobURL ?? blobURL
        if done == .archive {
            state = result.handedOver ? .handedOver : .archived
            (archiveEpoch, archivedUs) = (claimed, nowUs)
        } else {
            state = result.handedOver ? .handedOver : .uploaded
            (uploadEpoch, uploadedUs) = (claimed, nowUs)
        }
        (work, worker, readyUs, attempts, failingSinceUs, error) = (.unspecified, nil, 0, 0, nil, "")
    }

    /// A worker could not do it. Throws FAILED_PRECONDITION where the claim is not the present one.
    mutating func fail(
        _ reason: String, work failed: Work, epoch claimed: Int64, nowUs: Int64, retryable: Bool,
        retryAfterUs: Int64?, _ policy: ClaimPolicy
    ) throws(RPCError) {
        // The same report again, after its answer was lost, changes nothing.
        if claimed == epoch, worker == nil, !isRepeated(failed, claimed) { return }
        try checkClaim(claimed, failed)
        let waitUs = retryAfterUs ?? ClaimPolicy.backOffUs(attempts: attempts)
        let sinceUs = failingSinceUs ?? nowUs
        failingSinceUs = sinceUs
        if retryable, retryAfterUs != nil, policy.forgives(failed, failingForUs: nowUs - sinceUs) {
            attempts = max(0, attempts - 1)
        }
        release(because: reason, at: nowUs + waitUs, nowUs: nowUs, retryable: retryable, policy)
    }

    /// The archive volume's owner has removed an uploaded file.
    mutating func evict() -> Bool {
        guard state == .uploaded else { return false }
        state = .evicted
        return true
    }

    private mutating func begin(_ next: Work, as shown: ItemState) -> Bool {
        (work, state, worker, readyUs, attempts, failingSinceUs) = (next, shown, nil, 0, 0, nil)
        return true
    }

    private mutating func release(
        because reason: String, at readyAgainUs: Int64, nowUs: Int64, retryable: Bool, _ policy: ClaimPolicy
    ) {
        error = reason
        worker = nil
        readyUs = readyAgainUs
        let bound = policy.bound(work)
        if !retryable || (bound > 0 && attempts >= bound) {
            if retryable { error = "given up after \(attempts) attempts: \(reason)" }
            (state, work, readyUs) = (.poisoned, .unspecified, 0)
        } else if work == .archive {
            state = .pending
        }
    }

    private func isRepeated(_ done: Work, _ claimed: Int64) -> Bool {
        done == .archive ? archiveEpoch == claimed : done == .upload && uploadEpoch == claimed
    }

    private func checkClaim(_ claimed: Int64, _ named: Work) throws(RPCError) {
        guard claimed == epoch else {
            throw .failedPrecondition(
                "the claim's epoch \(claimed) is not the present one, \(epoch): drop this work and claim anew")
        }
        guard worker != nil || readyUs > 0, work == named else {
            throw .failedPrecondition("the item is not claimed for this work: it is \(state.name); claim anew")
        }
    }

    /// Enough of a SHA-256 to tell two apart.
    private func shown(_ bytes: [UInt8]) -> String {
        Digest.hexadecimal(Array(bytes.prefix(8))) + "…"
    }
}
