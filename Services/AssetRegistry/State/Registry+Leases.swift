// AcquireLeases, ReleaseLeases and ListLeases.

import RPC
import ServiceKit
import Wire

extension Registry {
    /// More than any host can take in; a number above it is a mistake.
    static let maximumCapacity = 10_000

    func acquireLeases(_ request: AcquireLeasesRequest) throws(RPCError) -> AcquireLeasesReply {
        let holder = try checkedHolder(request.holder)
        let address = try FieldCheck.address(request.holderAddress, "holder_address")
        guard request.capacity != nil else {
            throw FieldCheck.wrong("capacity", "is missing: give how many sources the holder can take in all")
        }
        let capacity = try FieldCheck.bounded(request.capacity, "capacity", default: 0, 0...Self.maximumCapacity)
        let believed = try checkedLeases(request.held, field: "held").mapValues { lease in
            LeaseTable.Belief(
                epoch: lease.epoch ?? 0, isReady: lease.ready ?? false, isBusy: lease.busy ?? false)
        }
        var leases = presentLeases()
        let outcome = leases.acquire(
            LeaseTable.Asker(
                name: holder, address: address, capacity: capacity, takesOver: request.takesOver ?? false,
                isDraining: request.draining ?? false),
            believed: believed, eligible: model.eligibleSources(), nowMs: options.nowMs())
        if outcome.changed.isEmpty {
            // A renewal changes nothing that has to be durable.
            renew(leases)
        } else {
            var write = RegistryWrite(model, nowUs: nowUs)
            record(outcome.changed, of: leases, &write)
            try commit(write, leases: leases)
        }
        return AcquireLeasesReply(
            leases: outcome.held, renewAfterMs: UInt32(options.leaseMs / 4), configurationRevision: model.revision,
            leaving: UInt32(clamping: outcome.leaving))
    }

    func releaseLeases(_ request: ReleaseLeasesRequest) throws(RPCError) -> ReleaseLeasesReply {
        let holder = try checkedHolder(request.holder)
        let sources = try checkedLeases(request.leases, field: "leases").mapValues { $0.epoch ?? 0 }
        var leases = presentLeases()
        let freed = leases.release(holder: holder, sources: sources, nowMs: options.nowMs())
        if freed.isEmpty {
            renew(leases)
        } else {
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
            throw FieldCheck.wrong("holder", "is missing: it is the instance of the controller, such as cc-0")
        }
        if let problem = Names.problem(holder) { throw FieldCheck.wrong("holder", problem) }
        return holder
    }

    private func checkedLeases(_ leases: [Lease], field: String) throws(RPCError) -> [SourceName: Lease] {
        try FieldCheck.entries(leases, field, 0...Self.maximumCapacity)
        var result: [SourceName: Lease] = [:]
        for (index, lease) in leases.enumerated() {
            let (device, endpoint) = try FieldCheck.source(lease.source, "\(field)[\(index)].source")
            guard lease.epoch != nil else {
                throw FieldCheck.wrong("\(field)[\(index)].epoch", "is missing: give the lease's")
            }
            result[SourceName(device: device, endpoint: endpoint)] = lease
        }
        return result
    }
}
