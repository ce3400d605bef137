// Reads that take long: a backup, a check. Each has a connection of its own: the upkeep waits until no reader of the pool is
// busy, and whoever asks meanwhile waits behind it. While such a read is under way the write-ahead log is not cut back, because
// SQLite would wait for the reader with every write behind it; it grows by what is written in that time.

import GRDB
import RPC
import ServiceKit
import Synchronization

final class LongReads: Sendable {
    private let catalogue: Catalogue
    private let underWay = Atomic<Int>(0)

    init(catalogue: Catalogue) { self.catalogue = catalogue }

    /// Whether the log must be left as it is.
    var areUnderWay: Bool { underWay.load(ordering: .acquiring) > 0 }

    /// Runs `body` on `lane` and gives what it gives. When the task is cancelled, the statement that runs is interrupted.
    func run<Result: Sendable>(
        on lane: BlockingLane, _ body: @escaping @Sendable (LongRead) throws -> Result
    ) async throws -> Result {
        underWay.add(1, ordering: .acquiringAndReleasing)
        defer { underWay.subtract(1, ordering: .acquiringAndReleasing) }
        // The log may be about to be cut back: what is in the writer's queue ends before we begin to read. Whether this write
        // itself succeeds does not matter; a catalogue that takes none can still be read.
        _ = try? await catalogue.write { _ in true }
        let read = LongRead(path: catalogue.path)
        return try await withTaskCancellationHandler {
            try await lane.run {
                defer { read.close() }
                return try body(read)
            }
        } onCancel: {
            read.cancel()
        }
    }
}

/// A connection for one long read. Blocks: on a lane only.
final class LongRead: Sendable {
    private struct State {
        var connection: DatabaseQueue?
        var isCancelled = false
    }

    private let path: String
    private let state = Mutex(State())

    init(path: String) { self.path = path }

    /// Reads one consistent state. Errors: RPCError, for whoever asked, but for a file that is damaged: that is a DatabaseError
    /// (`isDamage`).
    func read<Value>(_ body: (Database) throws -> Value) throws -> Value {
        do {
            let connection = try open()
            try checkCancelled()
            return try connection.read(body)
        } catch let error as DatabaseError where !error.isDamage {
            if error.resultCode.primaryResultCode == .SQLITE_INTERRUPT {
                throw RPCError.cancelled("the catalogue was not read to the end: the caller does not wait any more")
            }
            throw RPCError.unavailable(
                "the catalogue cannot be read at present: \(error.message ?? "\(error.resultCode)")")
        }
    }

    /// Throws where nobody waits for the result any more.
    func checkCancelled() throws(RPCError) {
        guard state.withLock({ $0.isCancelled }) else { return }
        throw .cancelled("the catalogue was not read to the end: the caller does not wait any more")
    }

    /// From any thread.
    func cancel() {
        let connection = state.withLock { state in
            state.isCancelled = true
            return state.connection
        }
        connection?.interrupt()
    }

    fileprivate func close() {
        let connection = state.withLock { state in
            defer { state.connection = nil }
            return state.connection
        }
        try? connection?.close()
    }

    private func open() throws -> DatabaseQueue {
        if let known = state.withLock({ $0.connection }) { return known }
        var configuration = Configuration()
        configuration.readonly = true
        configuration.busyMode = .timeout(5)
        configuration.label = "catalogue, long read"
        let connection = try DatabaseQueue(path: path, configuration: configuration)
        state.withLock { $0.connection = connection }
        return connection
    }
}

extension DatabaseError {
    /// Whether the file itself is damaged, and not only out of reach.
    var isDamage: Bool {
        switch resultCode.primaryResultCode {
        case .SQLITE_CORRUPT, .SQLITE_NOTADB: true
        default: false
        }
    }
}
