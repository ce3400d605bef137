// How many sources each controller is to have, and which moves bring that about. Pure and deterministic: the same holders in any
// order give the same plan.
//
//   S1  A share is in proportion to the capacity: of N sources a holder's is N x capacity / all capacities, rounded down or up. Where
//       there are more sources than room, everybody is to be full.
//   S2  Who is within its share, rounded down or up, gives nothing up and gets nothing by a move. So a plan that was carried out asks
//       for no other one.
//   S3  A holder above its share gives up only what one below its own can take. The moves are as few as lead there: the larger of
//       what is too much at some holders and what is too little at others.
//   S4  A free source goes to who lacks most of its share.
//   S5  A holder that drains has no share. What it has goes where there is room, whatever shares say.

import Wire

struct SharePlan: Sendable {
    /// A controller that is alive.
    struct Holder: Sendable, Equatable {
        let name: String
        var capacity: Int
        /// Sources that it has, or is taking over; not those that somebody takes over from it.
        var count: Int
        /// Sources that it still has open although they are on their way to another.
        var leaving = 0
        var isDraining = false
        /// It answers promptly and may be given more.
        var takesMore = true
    }

    /// The range of counts that is a holder's share (S1).
    struct Share: Sendable, Equatable {
        var low: Int
        var high: Int
    }

    private var holders: [Holder]
    private let sources: Int
    private let room: Int

    /// - Parameter sources: how many there are in all, free ones included.
    init(sources: Int, holders: [Holder]) {
        self.holders = holders.sorted { $0.name < $1.name }
        self.sources = sources
        room = holders.filter { !$0.isDraining }.reduce(0) { $0 + $1.capacity }
    }

    /// A holder's share; nil where there is no such holder.
    func share(of name: String) -> Share? { holders.first { $0.name == name }.map(share) }

    private func share(_ holder: Holder) -> Share {
        guard !holder.isDraining, room > 0 else { return Share(low: 0, high: 0) }
        guard sources < room else { return Share(low: holder.capacity, high: holder.capacity) }
        let (whole, rest) = (sources * holder.capacity).quotientAndRemainder(dividingBy: room)
        return Share(low: whole, high: whole + (rest > 0 ? 1 : 0))
    }

    /// What a holder lacks of its exact share, times `room`, so that it stays whole.
    private func lack(_ holder: Holder) -> Int {
        guard sources < room else { return (holder.capacity - holder.count) * max(room, 1) }
        return sources * holder.capacity - holder.count * room
    }

    /// Who gets the next free source (S4); nil where nobody has room. The plan counts it as given.
    mutating func grant() -> String? {
        guard let to = taker(canTake) else { return nil }
        holders[to].count += 1
        return holders[to].name
    }

    /// Who gives a source to whom next (S2, S3, S5); nil where nothing is to move. The plan counts it as moved.
    /// - Parameters:
    ///   - gives: how many sources a holder has that may move now.
    ///   - balances: whether anything but a drain may move a source.
    mutating func move(gives: (String) -> Int, balances: Bool) -> (from: String, to: String)? {
        guard let (from, to) = drain(gives) ?? (balances ? balance(gives) : nil) else { return nil }
        holders[from].count -= 1
        holders[from].leaving += 1
        holders[to].count += 1
        return (holders[from].name, holders[to].name)
    }

    private func drain(_ gives: (String) -> Int) -> (Int, Int)? {
        guard let from = holders.firstIndex(where: { $0.isDraining && gives($0.name) > 0 }),
            let to = taker(canTake)
        else { return nil }
        return (from, to)
    }

    private func balance(_ gives: (String) -> Int) -> (Int, Int)? {
        if let from = giver({ $0.count > share($0).high && gives($0.name) > 0 }),
            let to = taker({ canTake($0) && $0.count < share($0).high })
        {
            return (from, to)
        }
        guard let from = giver({ $0.count > share($0).low && gives($0.name) > 0 }),
            let to = taker({ canTake($0) && $0.count < share($0).low })
        else { return nil }
        return (from, to)
    }

    private func canTake(_ holder: Holder) -> Bool {
        !holder.isDraining && holder.takesMore && holder.count + holder.leaving < holder.capacity
    }

    /// Of those that suit, the one that has most beyond its share.
    private func giver(_ suits: (Holder) -> Bool) -> Int? {
        holders.indices.filter { !holders[$0].isDraining && suits(holders[$0]) }
            .min { (lack(holders[$0]), $0) < (lack(holders[$1]), $1) }
    }

    /// Of those that suit, the one that lacks most of its share.
    private func taker(_ suits: (Holder) -> Bool) -> Int? {
        holders.indices.filter { suits(holders[$0]) }
            .max { (lack(holders[$0]), $1) < (lack(holders[$1]), $0) }
    }
}
