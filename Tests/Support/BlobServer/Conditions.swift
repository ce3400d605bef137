// Conditional headers: If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, x-ms-if-tags, as the service weighs them
// for reads and for writes.
import Foundation

struct Conditions {
    private let ifMatch: String?
    private let ifNoneMatch: String?
    private let ifModifiedSince: Date?
    private let ifUnmodifiedSince: Date?
    private let ifTags: TagExpression?

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
        if let text = request.header("x-ms-if-tags") {
            guard let expression = TagExpression(text) else { throw .invalidHeader("x-ms-if-tags", text) }
            ifTags = expression
        } else {
            ifTags = nil
        }
    }

    /// For a blob that is there. An unchanged one is 304 without a body. Of If-None-Match and If-Modified-Since one is enough.
    func checkRead(_ blob: BlobRecord, in container: String) throws(ServiceError) {
        if ifNoneMatch == "*" {
            throw ServiceError(
                .badRequest, "UnsatisfiableCondition",
                "The request includes an unsatisfiable condition for this operation.")
        }
        try checkTags(blob, in: container)
        let modified = Self.seconds(blob.modifiedAt)
        if let ifMatch, !Self.matches(ifMatch, blob.etag) { throw .conditionNotMet }
        if let ifUnmodifiedSince, modified > Self.seconds(ifUnmodifiedSince) { throw .conditionNotMet }
        let isOther = ifNoneMatch.map { !Self.matches($0, blob.etag) }
        let isNewer = ifModifiedSince.map { modified > Self.seconds($0) }
        if [isOther, isNewer].contains(false), ![isOther, isNewer].contains(true) { throw .notModified }
    }

    /// For a blob that may be there. `If-None-Match: *` on one that is there has an error code of its own.
    func checkWrite(existing: BlobRecord?, in container: String) throws(ServiceError) {
        try checkCombination()
        guard let existing else {
            if ifMatch != nil || ifTags != nil { throw .conditionNotMet }
            return
        }
        if ifNoneMatch == "*" { throw .blobAlreadyExists }
        try checkTags(existing, in: container)
        try checkWrite(etag: existing.etag, modifiedAt: existing.modifiedAt)
    }

    /// For a container, whose operations know the dates only.
    func checkWrite(_ container: ContainerRecord) throws(ServiceError) {
        try checkCombination()
        try checkWrite(etag: container.etag, modifiedAt: container.modifiedAt)
    }

    /// For operations on tags, which know no other condition.
    func checkTags(_ blob: BlobRecord, in container: String) throws(ServiceError) {
        if let ifTags, !ifTags.holds(blob.tags, container: container) { throw .conditionNotMet }
    }

    /// A write may name one condition, or an entity tag and the date that goes with it; the tag decides then.
    private func checkCombination() throws(ServiceError) {
        let matches = [ifMatch == nil, ifUnmodifiedSince == nil].filter { !$0 }.count
        let differs = [ifNoneMatch == nil, ifModifiedSince == nil].filter { !$0 }.count
        guard matches == 0 || differs == 0, ![ifMatch, ifNoneMatch].contains(where: { $0?.contains(",") == true })
        else {
            throw ServiceError(
                .badRequest, "MultipleConditionHeadersNotSupported", "Multiple condition headers are not supported.")
        }
    }

    private func checkWrite(etag: String, modifiedAt: Date) throws(ServiceError) {
        let modified = Self.seconds(modifiedAt)
        if let ifMatch {
            guard Self.matches(ifMatch, etag) else { throw .conditionNotMet }
        } else if let ifNoneMatch {
            guard !Self.matches(ifNoneMatch, etag) else { throw .conditionNotMet }
        } else if let ifModifiedSince {
            guard modified > Self.seconds(ifModifiedSince) else { throw .conditionNotMet }
        } else if let ifUnmodifiedSince {
            guard modified <= Self.seconds(ifUnmodifiedSince) else { throw .conditionNotMet }
        }
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
