// The thread of one media-worker: takes a request from the queue, has the worker do it, decides by WorkerMachine what follows.

/// Runs requests one after the other, with one worker at a time.
final class WorkerThread: Sendable {
    private let executable: String
    private let queue: Gate<WorkQueue>

    init(_ executable: String, _ queue: Gate<WorkQueue>) {
        self.executable = executable
        self.queue = queue
    }

    /// Until the queue is closed.
    func run() {
        var machine = WorkerMachine()
        var child: WorkerChild?
        var number: UInt32 = 0
        while let job = next() {
            machine.begin()
            var result: Result<Picture, PictureError>?
            while result == nil {
                number &+= 1
                let outcome = attempt(job, number, &child, &machine)
                switch machine.after(outcome, isWanted: job.isWanted && !isClosed) {
                case .finish(let final): result = final
                case .tryAgain: break
                }
            }
            queue.change { $0.counters.underWay -= 1 }
            job.finish(result ?? .failure(WorkQueue.closed))
        }
        if let child { end(child) }
    }

    private var isClosed: Bool { queue.change { $0.isClosed } }

    private func next() -> WorkJob? {
        let taken: WorkJob?? = queue.wait { queue in
            if let job = queue.take() { return .some(job) }
            return queue.isClosed ? .some(nil) : nil
        }
        return taken ?? nil
    }

    private func attempt(
        _ job: WorkJob, _ number: UInt32, _ child: inout WorkerChild?, _ machine: inout WorkerMachine
    ) -> TryOutcome {
        if let idle = child, idle.hasEnded {
            // Between two requests: no request's fault, so it is none's try.
            machine.foundDead()
            queue.change { $0.counters.died += 1 }
            end(idle)
            child = nil
        }
        let worker: WorkerChild
        do throws(PictureError) {
            if let running = child { worker = running } else { worker = try start(after: machine.pause) }
            child = worker
        } catch {
            return .notStarted(error.description)
        }
        let deadline = ContinuousClock.now.advanced(by: job.limit)
        do throws(FrameSocket.Failure) {
            try worker.socket.send(.request(job.request), number: number, until: deadline)
            let answer = try worker.socket.receive(until: deadline)
            switch answer.message {
            case .picture(let picture) where answer.number == number && picture.format == job.request.style.format:
                return .answered(.success(picture))
            case .failure(let error) where answer.number == number: return .answered(.failure(error))
            default: throw .nonsense(WorkProtocolError("an answer to something else"))
            }
        } catch {
            child = nil
            let isOverdue = error == .overdue
            queue.change { queue in
                if isOverdue { queue.counters.overdue += 1 } else { queue.counters.died += 1 }
            }
            let how = end(worker)
            switch error {
            case .overdue: return .overdue
            case .closed: return .died("the media-worker ended over this picture (\(how))")
            case .nonsense(let what): return .died("the media-worker's answer makes no sense: \(what)")
            case .system(let code): return .died("the way to the media-worker broke (error \(code))")
            }
        }
    }

    /// Starts a worker once `pause` is over, or at once where the queue is closed meanwhile: the caller finds that out.
    private func start(after pause: Duration) throws(PictureError) -> WorkerChild {
        if pause > .zero { _ = queue.wait(atMost: pause) { $0.isClosed ? true : nil } }
        if isClosed { throw WorkQueue.closed }
        let child = try WorkerChild(executable)
        queue.change { $0.add(child) }
        return child
    }

    @discardableResult private func end(_ child: WorkerChild) -> String {
        queue.change { $0.remove(child) }
        return child.end()
    }
}
