// Whom to ask for which footage, and what the answers come to. Pure: leases in, questions out; answers in, cameras out.

import RPC
import Wire

/// One round of `EnsureFootage`: the question for each controller, and the cameras as the answers leave them.
public struct FootagePlan: Sendable, Equatable {
    /// What one controller answered.
    public enum Answer: Sendable, Equatable {
        /// It answered for the sources that it was asked for.
        case ensured([EnsuredSource])
        /// It could not be asked; the error says why.
        case failed(RPCError)
    }

    /// Sources by the address of the controller that is to be asked for them.
    public let questions: [String: [SourceName]]
    private let cameras: [RequestedCamera]

    /// A source is asked of the controller that holds its lease. Where the registry is away and no lease is known, all
    /// known controllers are asked: one of them may hold it, the others say NOT_HELD, and asking changes nothing there.
    public init(cameras: [RequestedCamera], leases: [Lease], leasesAreCurrent: Bool) {
        self.cameras = cameras
        let addresses = leases.compactMap(\.holderAddress).filter { !$0.isEmpty }
        var questions: [String: [SourceName]] = [:]
        for source in cameras.compactMap(\.source) {
            let holder = leases.first { $0.source == source && $0.holderAddress?.isEmpty == false }
            if let address = holder?.holderAddress {
                questions[address, default: []].append(source)
            } else if !leasesAreCurrent {
                for address in Set(addresses) { questions[address, default: []].append(source) }
            }
        }
        self.questions = questions
    }

    /// The cameras with what the controllers answered. A source of which nobody could be asked stays UNSPECIFIED, with
    /// the reason; of several answers the one that knows most counts.
    public func merged(_ answers: [String: Answer]) -> [RequestedCamera] {
        cameras.map { camera in
            guard let source = camera.source else { return camera }
            var camera = camera
            var best: EnsuredSource?
            var errors: [String] = []
            for (address, asked) in questions.sorted(by: { $0.key < $1.key }) where asked.contains(source) {
                switch answers[address] {
                case .ensured(let sources):
                    for candidate in sources where candidate.source == source {
                        if best.map({ Self.rank(candidate) > Self.rank($0) }) ?? true { best = candidate }
                    }
                case .failed(let error): errors.append(error.message)
                case nil: errors.append("it did not answer in time")
                }
            }
            let reason: String?
            if let best {
                camera.footage = best.state ?? .unspecified
                reason = best.reason
            } else if let error = errors.first {
                reason = "the controller that holds this camera could not be asked: \(error)"
            } else {
                reason = "no controller holds this camera at present"
            }
            // The contract's bound: beyond it the indexer would refuse the event for its explanation.
            camera.footageReason = reason?.prefixed(1024)
            return camera
        }
    }

    /// Footage that is there beats footage that may come, which beats knowing that there is none.
    private static func rank(_ ensured: EnsuredSource) -> Int {
        switch ensured.state {
        case .sealed: 5
        case .recording: 4
        case .dark: 3
        case .notRecorded: 2
        case .notHeld: 1
        case .unspecified, .unrecognized, nil: 0
        }
    }
}
