// Leases of blobs and containers (Lease Blob, Lease Container): whoever holds one may write, or delete the container; others may
// not, until it ends, is released or is broken. Fixed ones last 15 to 60 seconds and are renewed; infinite ones last until they are
// given back. A broken or expired lease is remembered until the next write or the next lease, so that its holder can be told.
import Foundation
import NIOHTTP1

/// A lease that was taken. None is "available".
struct Lease: Sendable, Codable, Equatable {
    enum State: String {
        case leased
        case expired
        case breaking
        case broken
    }
    var id: String
    /// 15 to 60; nil: infinite.
    var seconds: Int?
    /// Nil: never.
    var endsAt: Date?
    /// When a breaking lease is broken, or was.
    var breaksAt: Date?

    func state(_ now: Date) -> State {
        if let breaksAt { return now < breaksAt ? .breaking : .broken }
        guard let endsAt, now >= endsAt else { return .leased }
        return .expired
    }

    /// Whether others are kept out.
    func isLocked(_ now: Date) -> Bool { [.leased, .breaking].contains(state(now)) }

    func isHeld(by id: String) -> Bool { self.id.lowercased() == id.lowercased() }
}

/// What x-ms-lease-action asks for.
enum LeaseAction: Equatable {
    /// - seconds: nil is infinite.
    case acquire(seconds: Int?, proposed: String?)
    case renew(String)
    case change(String, proposed: String)
    case release(String)
    case breakIt(seconds: Int?)

    init(_ request: BlobRequest) throws(ServiceError) {
        func mandatory(_ name: String) throws(ServiceError) -> String {
            guard let value = request.header(name) else { throw .missingHeader(name) }
            return try Self.identifier(name, value)
        }
        switch request.header("x-ms-lease-action")?.lowercased() {
        case nil: throw .missingHeader("x-ms-lease-action")
        case "acquire":
            guard let text = request.header("x-ms-lease-duration") else { throw .missingHeader("x-ms-lease-duration") }
            guard let seconds = Int(text), seconds == -1 || (15...60).contains(seconds) else {
                throw .invalidHeader("x-ms-lease-duration", text)
            }
            let given = request.header("x-ms-proposed-lease-id")
            var proposed: String?
            if let given { proposed = try Self.identifier("x-ms-proposed-lease-id", given) }
            self = .acquire(seconds: seconds == -1 ? nil : seconds, proposed: proposed)
        case "renew": self = .renew(try mandatory("x-ms-lease-id"))
        case "change":
            self = .change(try mandatory("x-ms-lease-id"), proposed: try mandatory("x-ms-proposed-lease-id"))
        case "release": self = .release(try mandatory("x-ms-lease-id"))
        case "break":
            guard let text = request.header("x-ms-lease-break-period") else {
                self = .breakIt(seconds: nil)
                return
            }
            guard let seconds = Int(text), (0...60).contains(seconds) else {
                throw .invalidHeader("x-ms-lease-break-period", text)
            }
            self = .breakIt(seconds: seconds)
        case let other?: throw .invalidHeader("x-ms-lease-action", other)
        }
    }

    private static func identifier(_ name: String, _ value: String) throws(ServiceError) -> String {
        guard UUID(uuidString: value) != nil else { throw .invalidHeader(name, value) }
        return value
    }

    /// The lease after this action, nil where it is given back. `newID` is taken where the client proposes none.
    func applied(to lease: Lease?, now: Date, newID: String) throws(ServiceError) -> Lease? {
        let state = lease?.state(now)
        switch self {
        case .acquire(let seconds, let proposed):
            if let lease, state == .leased || state == .breaking {
                guard let proposed, lease.isHeld(by: proposed) else { throw .leaseConflict(.alreadyPresent) }
                guard state == .leased else { throw .leaseConflict(.isBreakingAndCannotBeAcquired) }
            }
            return Lease(
                id: proposed ?? newID, seconds: seconds, endsAt: seconds.map { now + TimeInterval($0) }, breaksAt: nil)
        case .renew(let id):
            guard var lease, lease.isHeld(by: id) else { throw .leaseConflict(.idMismatch) }
            guard state == .leased || state == .expired else { throw .leaseConflict(.isBrokenAndCannotBeRenewed) }
            lease.endsAt = lease.seconds.map { now + TimeInterval($0) }
            return lease
        case .change(let id, let proposed):
            guard var lease, state == .leased || state == .breaking else { throw .leaseConflict(.notPresent) }
            guard lease.isHeld(by: id) || lease.isHeld(by: proposed) else { throw .leaseConflict(.idMismatch) }
            guard state == .leased else { throw .leaseConflict(.isBreakingAndCannotBeChanged) }
            lease.id = proposed
            return lease
        case .release(let id):
            guard let lease, lease.isHeld(by: id) else { throw .leaseConflict(.idMismatch) }
            return nil
        case .breakIt(let seconds):
            guard var lease else { throw .leaseConflict(.notPresent) }
            let wanted = seconds.map { now + TimeInterval($0) }
            switch state {
            case .leased: lease.breaksAt = [wanted, lease.endsAt].compactMap(\.self).min() ?? now
            case .breaking: lease.breaksAt = [wanted, lease.breaksAt].compactMap(\.self).min()
            default: lease.breaksAt = lease.breaksAt ?? now
            }
            return lease
        }
    }

    /// The answer's status.
    var status: HTTPResponseStatus {
        switch self {
        case .acquire: .created
        case .renew, .change, .release: .ok
        case .breakIt: .accepted
        }
    }
}

/// Whether a request that is about a leased thing may go on.
enum LeaseCheck {
    enum Thing: String {
        case blob = "Blob"
        case container = "Container"
    }

    /// For what a lease protects: the holder's id must come with it.
    static func write(_ lease: Lease?, _ thing: Thing, _ request: BlobRequest, now: Date) throws(ServiceError) {
        if request.header("x-ms-lease-id") == nil, lease?.isLocked(now) == true {
            let name = thing.rawValue.lowercased()
            throw ServiceError(
                .preconditionFailed, "LeaseIdMissing",
                "There is currently a lease on the \(name) and no lease ID was specified in the request.")
        }
        try read(lease, thing, request, now: now)
    }

    /// For what a lease does not protect: an id need not come, and must be right where it does.
    static func read(_ lease: Lease?, _ thing: Thing, _ request: BlobRequest, now: Date) throws(ServiceError) {
        guard let id = request.header("x-ms-lease-id") else { return }
        let name = thing.rawValue.lowercased()
        guard let lease else {
            throw ServiceError(
                .preconditionFailed, "LeaseNotPresentWith\(thing.rawValue)Operation",
                "There is currently no lease on the \(name).")
        }
        guard lease.isHeld(by: id) else {
            throw ServiceError(
                .preconditionFailed, "LeaseIdMismatchWith\(thing.rawValue)Operation",
                "The lease ID specified did not match the lease ID for the \(name).")
        }
        guard lease.isLocked(now) else {
            throw ServiceError(
                .preconditionFailed, "LeaseLost",
                "A lease ID was specified, but the lease for the \(name) has expired.")
        }
    }
}

extension ServiceError {
    /// Why a lease action is refused, with 409.
    enum LeaseConflict: String {
        case alreadyPresent = "LeaseAlreadyPresent"
        case isBreakingAndCannotBeAcquired = "LeaseIsBreakingAndCannotBeAcquired"
        case isBreakingAndCannotBeChanged = "LeaseIsBreakingAndCannotBeChanged"
        case isBrokenAndCannotBeRenewed = "LeaseIsBrokenAndCannotBeRenewed"
        case idMismatch = "LeaseIdMismatchWithLeaseOperation"
        case notPresent = "LeaseNotPresentWithLeaseOperation"

        var message: String {
            switch self {
            case .alreadyPresent: "There is already a lease present."
            case .isBreakingAndCannotBeAcquired:
                "The lease ID matched, but the lease is currently in breaking state and cannot be acquired until it is broken."
            case .isBreakingAndCannotBeChanged:
                "The lease ID matched, but the lease is currently in breaking state and cannot be changed."
            case .isBrokenAndCannotBeRenewed:
                "The lease ID matched, but the lease has been broken explicitly and cannot be renewed."
            case .idMismatch:
                "The lease ID specified did not match the lease ID for the resource with the specified lease operation."
            case .notPresent: "There is currently no lease on the resource."
            }
        }
    }

    static func leaseConflict(_ reason: LeaseConflict) -> ServiceError {
        ServiceError(.conflict, reason.rawValue, reason.message)
    }
}
