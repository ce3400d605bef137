// Tells what a commit changed: hints for other services, rings for our own waiters. Hints may be lost; Changes may not.

import Metrics
import RPC
import Wire

struct Herald: Sendable {
    let bell: WorkBell
    let publish: @Sendable (_ topic: String, _ name: String, _ cursor: UInt64) -> Void

    func announce(_ effects: Effects) {
        let cursor = UInt64(clamping: effects.cursor)
        for request in effects.requests.sorted() { publish("requests/", request, cursor) }
        for camera in effects.cameras.sorted() { publish("media/", camera, cursor) }
        if effects.archiveWork {
            publish("claims/archive", "", cursor)
            bell.ring(.archive)
        }
        if effects.uploadWork {
            publish("claims/upload", "", cursor)
            bell.ring(.upload)
        }
        if effects.timing { bell.ring(.timing) }
    }
}

/// What is counted, for Health/Check and whoever collects it.
struct IndexerCounters: Sendable {
    private let acknowledged = Counter(label: "sightglass_indexer_records_total")
    private let rejected = Counter(label: "sightglass_indexer_records_rejected_total")
    private let deletedFiles = Counter(label: "sightglass_indexer_files_deleted_total")

    func recorded(_ count: Int, rejected refused: Int) {
        acknowledged.increment(by: count)
        if refused > 0 { rejected.increment(by: refused) }
    }

    func submitted(_ receipt: Receipt) {
        Counter(label: "sightglass_indexer_requests_total", dimensions: [("receipt", receipt.name)]).increment()
    }

    func claimed(_ count: Int, _ work: Work) {
        Counter(label: "sightglass_indexer_items_claimed_total", dimensions: [("work", work.name)]).increment(by: count)
    }

    func completed(_ work: Work, bytes: Int64) {
        Counter(label: "sightglass_indexer_items_completed_total", dimensions: [("work", work.name)]).increment()
        Counter(label: "sightglass_indexer_bytes_completed_total", dimensions: [("work", work.name)]).increment(
            by: bytes)
    }

    func failed(_ work: Work) {
        Counter(label: "sightglass_indexer_items_failed_total", dimensions: [("work", work.name)]).increment()
    }

    func deleted(_ count: Int) { deletedFiles.increment(by: count) }
}
