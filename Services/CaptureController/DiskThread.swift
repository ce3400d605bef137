// The only thread that writes to the recording volume, and its queue. Sources put work into it and never wait; the queue is
// bounded in bytes, and what it refuses the recorder drops by whole groups of pictures. The work itself: DiskWriter.swift.
import Logging
import Metrics
import ServiceKit
import Wire

final class DiskThread: Sendable {
    private let mailbox: Mailbox<DiskWork>
    private let finished = Mailbox<Bool>(maximumBytes: 0)
    let busy = BusyNames()
    private let queueBytes = Gauge(label: "sightglass_controller_disk_queue_bytes")

    /// Taken from the queue at once: what is taken no longer counts there, so it adds to the memory that the queue may take.
    static let batchBytes = 4 << 20

    /// `record` is called on the disk thread and must not wait.
    init(
        keeper: VolumeKeeper, queueBytes: Int, syncIntervalUs: Int64, logger: Logger,
        record: @escaping @Sendable (MediaRecord) -> Void
    ) {
        mailbox = Mailbox(maximumBytes: queueBytes)
        startThread("disk") { [self] in
            let writer = DiskWriter(
                keeper: keeper, busy: busy, syncIntervalUs: syncIntervalUs, logger: logger,
                record: record, nowUs: { monotonicUs() })
            while let works = mailbox.take(waitingAtMost: Double(syncIntervalUs) / 2e6, atMostBytes: Self.batchBytes) {
                self.queueBytes.record(mailbox.waitingBytes)
                for work in works { writer.take(work) }
                writer.syncWhenDue()
            }
            writer.sync()
            finished.put(true)
        }
    }

    /// Adds work. False where it does not fit; only fragments and pictures have a size.
    func put(_ work: DiskWork) -> Bool { mailbox.put(work, bytes: work.queuedBytes) }

    /// Does what waits, seals nothing by itself, and ends. Waits at most `seconds`.
    func close(waitingAtMost seconds: Double) {
        mailbox.close()
        _ = finished.take(waitingAtMost: seconds)
    }
}
