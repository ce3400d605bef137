// Records on their way into the spool. Whoever seals a file or ends a run puts the record here and goes on; an own thread
// writes them to SQLite, many at a time. A record that a kill catches between file and spool is rebuilt from the file when
// the volume is reconciled.
import Foundation
import Logging
import Metrics
import Synchronization
import Wire

final class Outbox: Sendable {
    private let mailbox = Mailbox<MediaRecord>(maximumBytes: 64 << 20)
    private let spool: Spool
    private let inventory: Inventory
    private let logger: Logger
    private let finished = Mailbox<Bool>(maximumBytes: 0)
    private let wakers = Mutex<[@Sendable () -> Void]>([])
    private let dropped = Counter(label: "sightglass_controller_records_dropped_total")

    init(spool: Spool, inventory: Inventory, logger: Logger) {
        self.spool = spool
        self.inventory = inventory
        self.logger = logger
        startThread("outbox") { [self] in run() }
    }

    /// Called after each write to the spool.
    func onSpooled(_ waker: @escaping @Sendable () -> Void) { wakers.withLock { $0.append(waker) } }

    /// Takes a record. Never waits.
    func put(_ record: MediaRecord) {
        if !mailbox.put(record, bytes: Self.recordBytes) { dropped.increment() }
    }

    /// What a record takes in memory, roughly: with the mailbox's bound 65 536 records may wait for a state directory that
    /// takes none.
    static let recordBytes = 1024

    /// Writes what waits and ends the thread.
    func close() {
        mailbox.close()
        _ = finished.take(waitingAtMost: 3)
    }

    private func run() {
        var waiting: [MediaRecord] = []
        var isFailing = false
        while true {
            if waiting.isEmpty {
                guard let taken = mailbox.take(waitingAtMost: 60) else { break }
                waiting = taken
                if waiting.isEmpty { continue }
            }
            do {
                try write(waiting)
                waiting = []
                isFailing = false
            } catch {
                if !isFailing {
                    logger.error(
                        "records could not be spooled, they are tried again each second; see the state directory",
                        metadata: ["records": "\(waiting.count)", "error": "\(error)"])
                }
                isFailing = true
                if mailbox.isClosed {
                    // Those of files come back when the volume is reconciled, gaps from its journal.
                    dropped.increment(by: waiting.count)
                    waiting = []
                } else {
                    Thread.sleep(forTimeInterval: 1)
                }
            }
        }
        finished.put(true)
    }

    private func write(_ records: [MediaRecord]) throws {
        try inventory.add(records.compactMap(\.file))
        let lost = try spool.append(records)
        if lost > 0 {
            dropped.increment(by: lost)
            logger.error(
                "the spool is full; its oldest records were dropped. Bring the indexer back; files are reconciled then",
                metadata: ["dropped": "\(lost)", "bound": "\(spool.bound)"])
        }
        for waker in wakers.withLock({ $0 }) { waker() }
    }
}
