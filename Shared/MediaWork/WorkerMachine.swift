// What follows from how a try ended: an answer, another try, a pause before the next start. Pure: events in, decisions out.

/// How one try to get a picture from a worker ended.
enum TryOutcome: Sendable {
    /// The worker answered, with a picture or an error of its own.
    case answered(Result<Picture, PictureError>)
    /// The worker ended, or said what is none of our messages; why.
    case died(String)
    /// The worker did not answer in the time allowed and was killed.
    case overdue
    /// No worker could be started; why.
    case notStarted(String)
}

/// One worker's life as its thread sees it: one request at a time, at most two tries each.
struct WorkerMachine: Sendable {
    /// What to do after a try.
    enum Next: Sendable {
        /// Give this to whoever asked.
        case finish(Result<Picture, PictureError>)
        /// The same request once more, with a new worker.
        case tryAgain
    }

    /// The first pause, after the second death in a row. The first is not waited for: one picture may have killed the worker,
    /// or someone tidied up.
    static let firstPause: Duration = .milliseconds(50)
    /// The longest: a picture that kills its worker costs a start a second, and the pictures of others wait no longer.
    static let longestPause: Duration = .seconds(1)

    private(set) var deathsInARow = 0
    private var tries = 0

    /// To be waited before a worker is started.
    var pause: Duration {
        guard deathsInARow > 1 else { return .zero }
        return min(Self.firstPause * (1 << min(deathsInARow - 2, 10)), Self.longestPause)
    }

    /// A new request is taken up.
    mutating func begin() { tries = 0 }

    /// A worker that had nothing to do was found dead.
    mutating func foundDead() { deathsInARow += 1 }

    /// `isWanted`: somebody still waits for this picture.
    mutating func after(_ outcome: TryOutcome, isWanted: Bool) -> Next {
        tries += 1
        switch outcome {
        case .answered(let result):
            deathsInARow = 0
            return .finish(result)
        case .overdue:
            deathsInARow += 1
            return .finish(.failure(PictureError(.overdue, "the media-worker took too long over it and was ended")))
        case .died(let why), .notStarted(let why):
            deathsInARow += 1
            if tries < 2 && isWanted { return .tryAgain }
            return .finish(.failure(PictureError(.unavailable, why)))
        }
    }
}
