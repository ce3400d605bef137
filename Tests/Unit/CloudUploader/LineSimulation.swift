// A link and a service in virtual time, for the state machine of the line: steps of 50 ms, no clock and no chance.
@testable import CloudUploader

struct LineSimulation {
    /// What the requests meet.
    struct World {
        /// Of the link, in bytes a second, shared by all bodies on their way.
        var capacity = 125e6
        /// What one connection carries at most.
        var perConnection = 5e6
        var roundTrip = 0.1
        /// A request that begins beyond so many is cut after a second.
        var breaksAbove: Int?
        /// The service takes so many bytes a second, with two seconds or two bodies to make up for; else it answers
        /// 503.
        var serviceRate: Double?
        /// Nothing gets through: each request ends without an answer after 3 s.
        var isCut = false
    }

    private struct Transfer {
        let id: UInt64
        let beganAt: Double
        let isThrottled: Bool
        let isBroken: Bool
        var left: Double
    }

    static let step = 0.05
    private static let start = ContinuousClock.now

    private(set) var line: LineState
    var world: World
    /// Bytes of each body.
    let bodyBytes: Int
    /// Who always wants to send, one body after the other.
    let senders: Int

    private(set) var seconds = 0.0
    private(set) var answeredBytes = 0.0
    private(set) var answered = 0
    private(set) var throttled = 0
    private(set) var broken = 0
    private var transfers: [Transfer] = []
    private var waiting = 0
    private var lastID: UInt64 = 0
    private var serviceBytes = 0.0

    init(_ world: World, maximum: Int = 16, bodyBytes: Int = 4 << 20, senders: Int = 16) {
        self.world = world
        self.bodyBytes = bodyBytes
        self.senders = senders
        line = LineState(maximum: maximum, bandwidth: .unlimited, now: Self.start)
    }

    private var now: ContinuousClock.Instant { Self.start + .seconds(seconds) }

    /// Counts from here on.
    mutating func forgetCounts() { (answeredBytes, answered, throttled, broken) = (0, 0, 0, 0) }

    /// Runs for so many seconds. Gives the limit after each of them.
    @discardableResult mutating func run(_ duration: Double) -> [Int] {
        var limits: [Int] = []
        for step in 0..<Int(duration / Self.step) {
            turn()
            if step % Int(1 / Self.step) == 0 { limits.append(line.flights.limit) }
        }
        return limits
    }

    private mutating func turn() {
        seconds += Self.step
        let rate = world.serviceRate ?? 0
        serviceBytes = min(serviceBytes + rate * Self.step, max(rate * 2, Double(2 * bodyBytes)))
        while transfers.count + waiting < senders {
            lastID += 1
            if line.askToBegin(lastID, now: now) { begin(lastID) } else { waiting += 1 }
        }
        carry()
        for id in line.release(now: now) {
            waiting -= 1
            begin(id)
        }
    }

    private mutating func begin(_ id: UInt64) {
        let isBeyond = world.breaksAbove.map { line.inFlight > $0 } ?? false
        var isThrottled = false
        if world.serviceRate != nil {
            isThrottled = serviceBytes < Double(bodyBytes)
            if !isThrottled { serviceBytes -= Double(bodyBytes) }
        }
        transfers.append(
            Transfer(
                id: id, beganAt: seconds, isThrottled: isThrottled, isBroken: isBeyond, left: Double(bodyBytes)))
    }

    private mutating func carry() {
        let moving = transfers.filter { seconds - $0.beganAt > world.roundTrip && !$0.isThrottled }.count
        let rate = min(world.perConnection, world.capacity / Double(max(moving, 1)))
        var left: [Transfer] = []
        for var transfer in transfers {
            let age = seconds - transfer.beganAt
            if world.isCut || transfer.isBroken {
                guard age >= (world.isCut ? 3 : 1) else {
                    left.append(transfer)
                    continue
                }
                broken += 1
                line.end(transfer.id, .broken, now: now)
            } else if age <= world.roundTrip {
                left.append(transfer)
            } else if transfer.isThrottled {
                throttled += 1
                line.end(transfer.id, .throttled(retryAfter: nil), now: now)
            } else {
                transfer.left -= rate * Self.step
                if transfer.left > 0 {
                    left.append(transfer)
                } else {
                    answered += 1
                    answeredBytes += Double(bodyBytes)
                    line.end(transfer.id, .answered(sentBytes: bodyBytes), now: now)
                }
            }
        }
        transfers = left
    }
}
