// What a task's status counts. Shared between the task's own thread and whoever asks for the status.
import Synchronization

final class TaskCounters: Sendable {
    struct Values: Sendable, Equatable {
        var produced: UInt64 = 0
        var dropped: UInt64 = 0
        var lastOutputUs: Int64?
        var lastOutput: String?
        /// The last error; nil again once the task runs well.
        var error: String?
        /// What the last output lacks, though nothing failed.
        var note: String?
        /// A push that is connected, a picture task that gives pictures.
        var isWell = false
    }
    private let values = Mutex(Values())

    var now: Values { values.withLock { $0 } }

    func produced(_ output: String, atUs us: Int64, note: String = "") {
        values.withLock {
            $0.note = note.isEmpty ? nil : note
            $0.produced += 1
            $0.lastOutputUs = us
            $0.lastOutput = output
            $0.error = nil
            $0.isWell = true
        }
    }

    func dropped(_ count: Int, error: String? = nil) {
        guard count > 0 || error != nil else { return }
        values.withLock {
            $0.dropped += UInt64(count)
            if let error {
                $0.error = error
                $0.isWell = false
            }
        }
    }

    /// A push opened or ended; packets are counted in one step because there are many.
    func pushed(_ packets: UInt64, url: String, atUs us: Int64) {
        values.withLock {
            $0.produced = packets
            $0.lastOutput = url
            $0.lastOutputUs = us
            $0.error = nil
            $0.isWell = true
        }
    }

    func failed(_ error: String) {
        values.withLock {
            $0.error = error
            $0.isWell = false
        }
    }
}
