// Conditional headers: If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, as the service weighs them for
// reads and for writes.
import Foundation

struct Conditions {
    private let ifMatch: String?
    private let ifNoneMatch: String?
    private let ifModifiedSince: Date?
    private let ifUnmodifiedSince: Date?

    init(_ request: BlobRequest) throws(ServiceError) {
        func date(_ name: String) throws(ServiceError) -> Date? {
            guard let text = request.header(name) else { return nil }
            guard let date = HTTPDate.parseRFC1123(text) else { throw .invalidHeader(name, text) }
            return date
        }
        ifMatch = request.header("if-match")
        ifNoneMatch = request.header("if-none-match")
        ifModifiedSince = try date("if-modified-since")
        ifUnmodifiedSince = try date("if-unmodified-since")
    }

    /// For a resource that is there. An unchanged one is 304 without a body.
    func checkRead(etag: String, modifiedAt: Date) throws(ServiceError) {
        if let ifMatch, !Self.matches(ifMatch, etag) { throw .conditionNotMet }
        if let ifUnmodifiedSince, Self.seconds(modifiedAt) > Self.seconds(ifUnmodifiedSince) { throw .conditionNotMet }
        if let ifNoneMatch, Self.matches(ifNoneMatch, etag) { throw .notModified }
        if let ifModifiedSince, Self.seconds(modifiedAt) <= Self.seconds(ifModifiedSince) { throw .notModified }
    }

    /// For a blob that may be there. `If-None-Match: *` on one that is there has an error code of its own.
    func checkWrite(existing: BlobRecord?) throws(ServiceError) {
        guard let existing else {
            if ifMatch != nil { throw .conditionNotMet }
            return
        }
        if ifNoneMatch == "*" { throw .blobAlreadyExists }
        if let ifMatch, !Self.matches(ifMatch, existing.etag) { throw .conditionNotMet }
        if let ifNoneMatch, Self.matches(ifNoneMatch, existing.etag) { throw .conditionNotMet }
        let modified = Self.seconds(existing.modifiedAt)
        if let ifModifiedSince, modified <= Self.seconds(ifModifiedSince) { throw .conditionNotMet }
        if let ifUnmodifiedSince, modified > Self.seconds(ifUnmodifiedSince) { throw .conditionNotMet }
    }

    private static func matches(_ condition: String, _ etag: String) -> Bool {
        if condition == "*" { return true }
        let plain = etag.filter { $0 != "\"" }
        return condition.split(separator: ",").contains { item in
            item.trimmingCharacters(in: .whitespaces).filter { $0 != "\"" } == plain
        }
    }

    /// Last-Modified has no fractions, so neither has the comparison.
    private static func seconds(_ date: Date) -> Int {
        Int(floor(date.timeIntervalSince1970))
    }
}
