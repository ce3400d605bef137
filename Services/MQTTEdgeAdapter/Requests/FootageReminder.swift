// Asks again for footage that nobody could be asked for when its request was accepted: the controller was starting, or away.
// Without it a camera that no task records would stay unrecorded for the rest of the window, although its controller is back.
//
// What waits is a value (UnaskedFootage); the follower of requests shows it every open request, also after a restart of this
// service, so that nothing has to be stored here.

import Footage
import ServiceKit
import Synchronization
import Wire

/// Open requests whose footage no controller has promised. Pure.
struct UnaskedFootage: Sendable {
    struct Question: Sendable, Equatable {
        /// The request's id: the promise of the request as a whole, beside those of its events.
        let key: String
        let window: Window
        let cameras: [RequestedCamera]
    }

    /// A window that ended so long ago is out of every ring of the default length; what is on disk needs no promise.
    static let pastUs: Int64 = 30_000_000
    /// Asked for at a time: an outage of a controller may meet a storm of events.
    static let mostAtOnce = 32

    /// By request. One without cameras has been answered: the indexer's word of it stays what it was at the acceptance.
    private var waiting: [String: Question] = [:]

    /// A request as it is now.
    mutating func saw(_ request: ArchiveRequest) {
        guard let id = request.requestID, let window = request.window else { return }
        let unasked = request.cameras.filter { !Self.isAnswered($0.footage) }
        if RequestJSON.isFinal(request.state) || unasked.isEmpty {
            waiting[id] = nil
        } else if waiting[id]?.window != window {
            waiting[id] = Question(key: id, window: window, cameras: unasked)
        }
    }

    /// What is to be asked now; those whose window ends first come first.
    mutating func due(nowUs: Int64) -> [Question] {
        waiting = waiting.filter { ($0.value.window.endUs ?? 0) + Self.pastUs > nowUs }
        return Array(
            waiting.values.filter { !$0.cameras.isEmpty }.sorted {
                ($0.window.endUs ?? 0, $0.key) < ($1.window.endUs ?? 0, $1.key)
            }
            .prefix(Self.mostAtOnce))
    }

    /// What came of a question: cameras that a controller answered for are not asked for again.
    mutating func answered(_ question: Question, _ cameras: [RequestedCamera]) {
        guard waiting[question.key] == question else { return }
        let left = cameras.filter { !Self.isAnswered($0.footage) }
        waiting[question.key] = Question(key: question.key, window: question.window, cameras: left)
    }

    /// Not held is no answer: a controller that starts holds nothing yet.
    private static func isAnswered(_ state: FootageState?) -> Bool {
        switch state {
        case .sealed, .recording, .dark, .notRecorded: true
        case .notHeld, .unspecified, .unrecognized, nil: false
        }
    }
}

/// Carries the questions out, one round a second while there are any.
final class FootageReminder: Sendable {
    /// Between two rounds: short against the windows of events.
    static let interval = Duration.seconds(1)

    private let footage: FootageRequester
    private let clock: any WallClock
    private let unasked = Mutex(UnaskedFootage())

    init(footage: FootageRequester, clock: any WallClock) {
        self.footage = footage
        self.clock = clock
    }

    /// A request as it is now.
    func saw(_ request: ArchiveRequest) { unasked.withLock { $0.saw(request) } }

    /// One round.
    func turn() async {
        let questions = unasked.withLock { $0.due(nowUs: clock.nowUs()) }
        await withTaskGroup(of: Void.self) { group in
            for question in questions {
                group.addTask { [self] in
                    // Asked as if nothing were known: what a lost answer said counts no more.
                    let cameras = await footage.ensure(
                        key: question.key, window: question.window, cameras: question.cameras)
                    unasked.withLock { $0.answered(question, cameras) }
                }
            }
        }
    }
}
