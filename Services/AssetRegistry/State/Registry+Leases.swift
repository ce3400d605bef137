// AcquireLeases, ReleaseLeases and ListLeases.

import RPC
import Wire

extension Registry {
    /// More than any host can take in; a number above it is a mistake.
    static let maximumCapacity: UInt32 = 10_000

    func acquireLeases(_ request: AcquireLeasesRequest) throws(RPCError) -> AcquireLeasesReply {
        let holder = try checkedHolder(request.holder)
        let address = request.holderAddress ?? ""
        do {
            _ = try RPCAddress(parsing: address, allowInsecure: true)
        } catch {
            throw .invalidArgument("holder_address", "holder_address: \(error.message)")
        }
        guard let capacity = request.capacity, capacity <= Self.maximumCapacity else {
            throw .invalidArgument("capacity", "capacity must be 0 to \(Self.maximumCapacity)")
        }
        let believed = try checkedLeases(request.held, field: "held")
        var leases = leaseTable
        let outcome = leases.acquire(
            holder: holder, address: address, capacity: Int(capacity), believed: believed,
            eligible: model.eligibleSources(), nowMs: options.nowMs())
        if outcome.changed.isEmpty {
            // A renewal changes nothing that has to be durable.
            renew(leases)
        } else {
            var write = RegistryWrite(model, nowUs: nowUs)
            record(outcome.changed, of: leases, &write)
            try commit(write, leases: leases)
        }
        return AcquireLeasesReply(
            leases: outcome.held, renewAfterMs: UInt32(options.leaseMs / 4), configurationRevision: model.revision)
    }

    func releaseLeases(_ request: ReleaseLeasesRequest) throws(RPCError) -> ReleaseLeasesReply {
        let holder = try checkedHolder(request.holder)
        let sources = try checkedLeases(request.leases, field: "leases")
        var leases = leaseTable
        let freed = leases.release(holder: holder, sources: sources)
        if !freed.isEmpty {
            var write = RegistryWrite(model, nowUs: nowUs)
            record(freed, of: leases, &write)
            try commit(write, leases: leases)
        }
        return ReleaseLeasesReply()
    }

    func listLeases() -> ListLeasesReply {
        ListLeasesReply(leases: leaseTable.leases(nowMs: options.nowMs()))
    }

    private func checkedHolder(_ holder: String?) throws(RPCError) -> String {
        guard let holder else {
            throw .invalidArgument("holder", "holder is missing: it is the instance of the controller, such as cc-0")
        }
        if let problem = Names.problem(holder) { throw .invalidArgument("holder", "holder \(problem)") }
        return holder
    }

    private func checkedLeases(_ leases: [Lease], field: String) throws(RPCError) -> [SourceName: UInt64] {
        var result: [SourceName: UInt64] = [:]
        for (index, lease) in leases.enumerated() {
            guard let source = lease.source, source.device != nil, source.endpoint != nil, let epoch = lease.epoch
            else {
                throw .invalidArgument("\(field)[\(index)]", "\(field)[\(index)] needs source and epoch")
            }
            result[source] = epoch
        }
        return result
    }
}
