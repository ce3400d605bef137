// The life of an archive request, without I/O: what is known of its cameras and files goes in, the next state and what is
// to be done come out. RequestProgress.swift collects the facts and carries the actions out, in one transaction.
//
//   accepted -> waiting -> copying -> uploading -> done | partial | failed         cancelled from any open state
//
// waiting: the window has not ended, or no camera's footage is complete. copying: some file is to be archived.
// uploading (delivery cloud): all is archived, some file is not in the cloud. Nothing leaves a final state, but that partial and
// failed go back to copying when a file that was set aside is tried again.

import Wire

/// How far an item is, as its requests see it; the numbers are those of `request_items.progress`.
enum ItemProgress: Int, Sendable, CaseIterable {
    case open = 0
    case archived = 1
    case delivered = 2
    case poisoned = 3
    case poisonedUpload = 4
}

/// What a request's manifests are, taken together.
enum ManifestProgress: Sendable, Equatable {
    case none
    case open
    case archived
    case delivered
    /// It could not be archived, or not be uploaded.
    case poisoned
}

/// All that the next state depends on.
struct RequestFacts: Sendable, Equatable {
    var cameras = 1
    /// Cameras whose footage is complete and whose items exist.
    var fixedCameras = 0
    /// Media items by progress; absent means none.
    var items: [ItemProgress: Int] = [:]
    var manifest = ManifestProgress.none
    var hasGaps = false
    /// Why something is missing, for a person; one sentence each, the most important first.
    var shortfalls: [String] = []

    func count(_ progress: ItemProgress) -> Int { items[progress] ?? 0 }
    var itemCount: Int { items.values.reduce(0, +) }
    /// Files that reached the archive, whatever came after.
    var archivedCount: Int { count(.archived) + count(.delivered) + count(.poisonedUpload) }
}

/// What the owner of the machine is to do.
enum RequestAction: Sendable, Equatable {
    /// Make the manifest's items, then advance again.
    case makeManifest
    /// Every media file is in the cloud or given up: the manifest may follow. Given again until it has; that is harmless.
    case uploadManifest
    /// The request ended: let go of its holds, tell who asked.
    case finish
}

struct RequestMachine: Sendable, Equatable {
    private(set) var state: RequestState
    private(set) var reason: String
    let delivery: Delivery
    private(set) var copyingUs: Int64?
    private(set) var archivedUs: Int64?
    private(set) var finishedUs: Int64?

    init(
        state: RequestState = .accepted, reason: String = "", delivery: Delivery, copyingUs: Int64? = nil,
        archivedUs: Int64? = nil, finishedUs: Int64? = nil
    ) {
        self.state = state
        self.reason = reason
        self.delivery = delivery
        self.copyingUs = copyingUs
        self.archivedUs = archivedUs
        self.finishedUs = finishedUs
    }

    static func isOpen(_ state: RequestState) -> Bool {
        switch state {
        case .accepted, .waiting, .copying, .uploading: true
        case .done, .partial, .failed, .cancelled, .unspecified, .unrecognized: false
        }
    }

    var isOpen: Bool { Self.isOpen(state) }

    /// Takes the facts of this moment. Ask again after carrying out `makeManifest`.
    mutating func advance(_ facts: RequestFacts, nowUs: Int64) -> [RequestAction] {
        var actions: [RequestAction] = []
        while let next = step(facts, nowUs: nowUs, &actions) { state = next }
        return actions
    }

    /// Ends an open request on somebody's word. False where it had ended before.
    mutating func cancel(by who: String, nowUs: Int64) -> Bool {
        guard isOpen else { return false }
        state = .cancelled
        reason = "cancelled by \(who)"
        finishedUs = nowUs
        return true
    }

    /// Whether it may go on when a file is tried again that was set aside at `work`. What somebody cancelled or what had to make
    /// room stays ended.
    func isRevived(by work: Work) -> Bool {
        switch state {
        case .accepted, .waiting, .copying, .uploading, .partial, .failed:
            !reason.hasPrefix(Self.evicted) && (work == .archive || delivery == .cloud)
        case .done, .cancelled, .unspecified, .unrecognized: false
        }
    }

    /// Goes back to where files are open, for one that is tried again; the caller has asked `isRevived`. `advance` then finds
    /// the place. False where it is there.
    mutating func reopen() -> Bool {
        guard state == .partial || state == .failed || state == .uploading else { return false }
        (state, reason, finishedUs) = (.copying, "", nil)
        return true
    }

    /// Ends an open request because its footage had to make room.
    mutating func evict(nowUs: Int64, because why: String, facts: RequestFacts) -> Bool {
        guard isOpen else { return false }
        state = facts.archivedCount > 0 ? .partial : .failed
        reason = Self.evicted + why
        finishedUs = nowUs
        return true
    }

    /// How the reason of a request begins that had to make room.
    private static let evicted = "evicted: "

    private mutating func step(
        _ facts: RequestFacts, nowUs: Int64, _ actions: inout [RequestAction]
    ) -> RequestState? {
        let allFixed = facts.fixedCameras >= facts.cameras
        switch state {
        case .accepted, .waiting:
            if facts.itemCount > 0 {
                copyingUs = copyingUs ?? nowUs
                return .copying
            }
            if allFixed { return end(.failed, facts, nowUs: nowUs, &actions) }
            return state == .accepted ? .waiting : nil
        case .copying:
            guard allFixed, facts.count(.open) == 0 else { return nil }
            if facts.archivedCount == 0 { return end(.failed, facts, nowUs: nowUs, &actions) }
            if facts.manifest == .none {
                if !actions.contains(.makeManifest) { actions.append(.makeManifest) }
                return nil
            }
            guard facts.manifest != .open else { return nil }
            archivedUs = archivedUs ?? nowUs
            if delivery == .cloud { return .uploading }
            return end(outcome(facts), facts, nowUs: nowUs, &actions)
        case .uploading:
            guard facts.count(.archived) == 0, facts.count(.open) == 0 else { return nil }
            if facts.count(.delivered) == 0 { return end(.failed, facts, nowUs: nowUs, &actions) }
            if facts.manifest == .archived { actions.append(.uploadManifest) }
            guard facts.manifest == .delivered || facts.manifest == .poisoned else { return nil }
            return end(outcome(facts), facts, nowUs: nowUs, &actions)
        case .done, .partial, .failed, .cancelled, .unspecified, .unrecognized:
            return nil
        }
    }

    private func outcome(_ facts: RequestFacts) -> RequestState {
        // Whether a shared file reached the cloud does not matter to a request that wants it archived only.
        let given = facts.count(.poisoned) + (delivery == .cloud ? facts.count(.poisonedUpload) : 0)
        return facts.hasGaps || given > 0 || facts.manifest == .poisoned ? .partial : .done
    }

    private mutating func end(
        _ final: RequestState, _ facts: RequestFacts, nowUs: Int64, _ actions: inout [RequestAction]
    ) -> RequestState {
        finishedUs = nowUs
        if final != .done {
            reason = facts.shortfalls.isEmpty ? "not recorded" : facts.shortfalls.prefix(8).joined(separator: "; ")
        }
        actions.append(.finish)
        return final
    }
}
