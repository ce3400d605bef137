// Planned moves: a source goes to another controller while its holder records on (L6 of LeaseTable.swift).
//
//   M1  The successor gets an epoch of its own before it opens the camera, so what both record has an order.
//   M2  When the successor is ready it is the holder; the one before learns by its next question that it holds nothing.
//   M3  For the balance few sources move at a time, none that its holder calls busy, and none until the controllers have been the same
//       for a while: one that starts again and again moves nothing.
//   M4  A move for the balance whose successor does not get ready in time is given up, and the source stays for a while: a camera
//       that is recorded is never given to somebody who cannot reach it, or that it lets in beside nobody.
//   M5  A holder that drains gives everything at once to who has room. What is not ready when it goes is its successor's all the same.

import Wire

extension LeaseTable {
    /// A successor has so long to get ready before a move for the balance is given up: connecting takes up to 10 s, the ring
    /// that a source without a recording needs takes 10 s more.
    static let moveMs: Int64 = 25_000
    /// Moves for the balance at a time: each one doubles a camera's load and its part of the network.
    static let movesAtOnce = 4

    /// A holder that is to be given something must have asked within half the lease time: it renews twice in it.
    var promptMs: Int64 { leaseMs / 2 }

    /// Begins the moves that are due, and gives up those that take too long. Gives what changed.
    mutating func beginMoves(nowMs: Int64) -> [SourceName] {
        var changed = giveUpMoves(nowMs: nowMs)
        // A quick look, because this is asked several times a second.
        let drains = members.contains { $0.value.asker.isDraining }
        let isSettled = nowMs - membersChangedAtMs >= rebalanceAfterMs
        guard members.count > 1, drains || isSettled else { return changed }
        var movable: [String: [SourceName]] = [:]
        var underWay = 0
        for (source, entry) in entries.sorted(by: { SourceName.precedes($0.key, $1.key) }) {
            guard let holder = entry.holder, !isFree(source, nowMs: nowMs) else { continue }
            guard entry.move == nil else {
                underWay += 1
                continue
            }
            let drains = members[holder]?.asker.isDraining ?? false
            if drains || (!entry.isBusy && entry.staysUntilMs <= nowMs) { movable[holder, default: []].append(source) }
        }
        let held = entries.keys.filter { !isFree($0, nowMs: nowMs) }.count
        var plan = sharePlan(sources: held, nowMs: nowMs, forMoves: true)
        while let next = plan.move(
            gives: { movable[$0]?.count ?? 0 }, balances: isSettled && underWay < Self.movesAtOnce)
        {
            guard let source = movable[next.from]?.popLast(), let address = members[next.to]?.asker.address,
                let epoch = entries[source]?.nextEpoch
            else { break }
            entries[source]?.move = Move(successor: next.to, address: address, epoch: epoch, beganAtMs: nowMs)
            entries[source]?.issuedEpoch = epoch
            underWay += 1
            changed.append(source)
        }
        return changed
    }

    private mutating func giveUpMoves(nowMs: Int64) -> [SourceName] {
        let late = entries.filter { _, entry in
            guard let move = entry.move, nowMs - move.beganAtMs >= Self.moveMs else { return false }
            return !(entry.holder.flatMap { members[$0]?.asker.isDraining } ?? false)
        }.keys
        for source in late {
            entries[source]?.move = nil
            entries[source]?.staysUntilMs = nowMs + stayMs
        }
        return late.sorted(by: SourceName.precedes)
    }

    /// The successor becomes the holder. False where there is none.
    @discardableResult mutating func promote(_ source: SourceName, nowMs: Int64) -> Bool {
        guard let entry = entries[source], let move = entry.move else { return false }
        entries[source] = Entry(
            epoch: move.epoch, holder: move.successor, holderAddress: move.address, expiresAtMs: nowMs + leaseMs,
            issuedEpoch: max(entry.issuedEpoch, move.epoch))
        return true
    }

    /// Whether a successor may still come.
    func isAwaited(_ move: Move, nowMs: Int64) -> Bool {
        guard let member = members[move.successor] else { return nowMs - move.beganAtMs < leaseMs }
        return !member.asker.isDraining
    }

    /// The controllers that are alive, with what they have by now and what moves to them.
    func sharePlan(sources: Int, nowMs: Int64, forMoves: Bool = false) -> SharePlan {
        var counts: [String: Int] = [:]
        var leaving: [String: Int] = [:]
        for (source, entry) in entries where !isFree(source, nowMs: nowMs) {
            if let name = entry.move?.successor ?? entry.holder { counts[name, default: 0] += 1 }
            if entry.move != nil, let name = entry.holder { leaving[name, default: 0] += 1 }
        }
        return SharePlan(
            sources: sources,
            holders: members.map { name, member in
                SharePlan.Holder(
                    name: name, capacity: member.asker.capacity, count: counts[name] ?? 0, leaving: leaving[name] ?? 0,
                    isDraining: member.asker.isDraining,
                    takesMore: nowMs - member.heardAtMs < promptMs && (!forMoves || member.asker.takesOver))
            })
    }
}
