// Another chance for what was set aside: its items are work again, with all their attempts, and the requests that want them are
// open again. ItemMachine and RequestMachine decide whether that may be.

import GRDB
import Wire

extension Turn {
    static let mostRevivedAtOnce = 500

    /// Revives those of `itemIDs` that were set aside at `work` (nil: at either) and that a request still wants. Gives how many
    /// it were, and the last of `itemIDs`.
    func revive(_ itemIDs: [Int64], of work: Work?, by who: String) throws -> (revived: Int, lastID: Int64?) {
        var revived = 0
        // A request may have lost a thousand files: it is opened, and told of, once.
        var filesOfRequests: [String: Int] = [:]
        for itemID in itemIDs {
            guard var item = try db.item(itemID), item.machine.state == .poisoned else { continue }
            let lost: Work = item.machine.archivedUs == nil ? .archive : .upload
            guard work == nil || work == lost else { continue }
            let requests = try db.requestIDs(ofItem: itemID).compactMap { try db.request($0) }
                .filter { $0.machine.isRevived(by: lost) }
            guard !requests.isEmpty, item.machine.want(inCloud: lost == .upload) else { continue }
            try saveItem(item)
            try change(.item, String(itemID))
            revived += 1
            for request in requests {
                // Its manifest says of a file that it could not be archived.
                try reopen(request.requestID, remakesManifest: lost == .archive && item.kind != .manifest)
                filesOfRequests[request.requestID, default: 0] += 1
            }
        }
        for (requestID, files) in filesOfRequests.sorted(by: { $0.key < $1.key }) {
            try advance(requestID)
            try audit(
                .revived, by: who, subject: requestID,
                detail: "\(files) \(files == 1 ? "file" : "files") set aside before")
        }
        return (revived, itemIDs.last)
    }

    /// Opens a request that ended without what is now tried again. Where its manifest may change another one is made, beside
    /// the one that somebody may have read.
    private func reopen(_ requestID: String, remakesManifest: Bool) throws {
        if remakesManifest {
            try run("DELETE FROM request_items WHERE request_id = ? AND is_manifest = 1", [requestID])
        }
        guard var request = try db.request(requestID), request.machine.reopen() else { return }
        try holdFootage(of: request)
        try change(.hold, request.requestID)
        try saveRequest(request)
    }
}
