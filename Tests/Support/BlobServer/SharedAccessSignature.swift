// Shared access signatures made with the account's key: of the service (one container or blob) and of the account.
// Each signs its own list of query parameters; which list depends on the version in `sv`. Stored access policies
// (`si`) and user delegation keys (`skoid`) are refused, because this server has neither.
import Crypto
import Foundation

struct SharedAccessSignature {
    let account: String
    let key: [UInt8]

    /// True where the request's query carries a signature; then no other authorization counts.
    static func isPresent(_ request: BlobRequest) -> Bool {
        request.queryValue("sig") != nil
    }

    /// Throws unless the signature is ours, in its time, and gives the right to do `operation`.
    /// `blobExists` decides whether a write creates: a signature with only `c` may not overwrite.
    func verify(
        _ request: BlobRequest, operation: BlobOperation, now: Date, blobExists: Bool
    ) throws(ServiceError) {
        guard request.account == account else {
            throw .authenticationFailed("The account being accessed does not exist or is not served here.")
        }
        guard request.queryValue("si") == nil, request.queryValue("skoid") == nil else {
            throw .authenticationFailed("Signed identifiers and user delegation keys are not known to this server.")
        }
        guard let version = request.queryValue("sv"), version >= "2015-04-05", version.utf8.count == 10 else {
            throw .authenticationFailed("sv is mandatory, and must be 2015-04-05 or later.")
        }
        let isAccountSignature = request.queryValue("ss") != nil
        let text =
            isAccountSignature
            ? accountStringToSign(request, version: version) : serviceStringToSign(request, version: version)
        guard let given = Data(base64Encoded: request.queryValue("sig") ?? ""),
            HMAC<SHA256>.isValidAuthenticationCode(
                given, authenticating: Data(text.utf8), using: SymmetricKey(data: key))
        else {
            throw .authenticationFailed("Signature did not match. String to sign used was \(text)")
        }
        try checkTime(request, now: now)
        if request.queryValue("spr") == "https" { throw .protocolMismatch }
        if let allowed = request.queryValue("sip"), let remote = request.remoteAddress {
            guard Self.contains(allowed, remote) else { throw .sourceIPMismatch }
        }
        if isAccountSignature {
            guard request.queryValue("ss")?.contains("b") == true else { throw .serviceMismatch }
            let type: Character = operation.isOnBlob ? "o" : request.container.isEmpty ? "s" : "c"
            guard request.queryValue("srt")?.contains(type) == true else { throw .resourceTypeMismatch }
        } else {
            try checkResource(request, operation: operation)
        }
        let granted = Set(request.queryValue("sp") ?? "")
        let needed = Self.needed(operation, blobExists: blobExists, isAccountSignature: isAccountSignature)
        guard !granted.isDisjoint(with: needed) else { throw .permissionMismatch }
        if request.header("x-ms-tags") != nil || request.header("x-ms-if-tags") != nil {
            guard granted.contains("t") else { throw .permissionMismatch }
        }
    }

    private func checkTime(_ request: BlobRequest, now: Date) throws(ServiceError) {
        guard let expiryText = request.queryValue("se"), let expiry = HTTPDate.parseISO8601(expiryText) else {
            throw .authenticationFailed("se is mandatory. Cannot be empty")
        }
        guard now < expiry else {
            throw .authenticationFailed(
                "Signed expiry time [\(HTTPDate.rfc1123(expiry))] must be after signed start time or now "
                    + "[\(HTTPDate.rfc1123(now))]")
        }
        guard let startText = request.queryValue("st"), !startText.isEmpty else { return }
        guard let start = HTTPDate.parseISO8601(startText) else {
            throw .authenticationFailed("st is not a time in ISO 8601.")
        }
        guard now >= start else {
            throw .authenticationFailed(
                "Signature not valid in the specified time frame: Start [\(HTTPDate.rfc1123(start))] - Expiry "
                    + "[\(HTTPDate.rfc1123(expiry))] - Current [\(HTTPDate.rfc1123(now))]")
        }
    }

    private func checkResource(_ request: BlobRequest, operation: BlobOperation) throws(ServiceError) {
        switch (request.queryValue("sr"), operation.isOnBlob) {
        case ("b", true), ("c", true): return
        case ("c", false) where [.listBlobs, .findBlobsByTags].contains(operation): return
        case ("c", false): throw .permissionMismatch
        default: throw .resourceTypeMismatch
        }
    }

    /// Any of these letters is enough.
    private static func needed(_ operation: BlobOperation, blobExists: Bool, isAccountSignature: Bool) -> Set<Character>
    {
        switch operation {
        case .listContainers, .listBlobs: ["l"]
        case .findBlobsByTags: ["f"]
        case .getBlobTags, .setBlobTags: ["t"]
        case .leaseContainer, .leaseBlob: ["w"]
        case .createContainer: isAccountSignature ? ["c", "w"] : []
        case .setContainerMetadata: ["w"]
        case .deleteContainer, .deleteBlob: ["d"]
        case .putBlob: blobExists ? ["w"] : ["c", "w"]
        case .putBlock, .putBlockList, .setBlobProperties, .setBlobMetadata: ["w"]
        case .getContainerProperties, .getBlob, .getBlobProperties, .getBlobMetadata, .getBlockList: ["r"]
        }
    }

    private func serviceStringToSign(_ request: BlobRequest, version: String) -> String {
        let isOfContainer = request.queryValue("sr") == "c"
        let resource = "/blob/\(account)/\(request.container)" + (isOfContainer ? "" : "/\(request.blob)")
        func value(_ name: String) -> String { request.queryValue(name) ?? "" }
        var lines = [value("sp"), value("st"), value("se"), resource, value("si"), value("sip"), value("spr"), version]
        if version >= "2018-11-09" { lines += [value("sr"), value("snapshot")] }
        if version >= "2020-12-06" { lines.append(value("ses")) }
        lines += ["rscc", "rscd", "rsce", "rscl", "rsct"].map(value)
        return lines.joined(separator: "\n")
    }

    private func accountStringToSign(_ request: BlobRequest, version: String) -> String {
        func value(_ name: String) -> String { request.queryValue(name) ?? "" }
        var lines = [account] + ["sp", "ss", "srt", "st", "se", "sip", "spr"].map(value) + [version]
        if version >= "2020-12-06" { lines.append(value("ses")) }
        return lines.joined(separator: "\n") + "\n"
    }

    /// "168.1.5.65" or "168.1.5.60-168.1.5.70".
    static func contains(_ allowed: String, _ address: String) -> Bool {
        func number(_ text: Substring) -> UInt32? {
            let parts = text.split(separator: ".").compactMap { UInt32($0) }
            guard parts.count == 4, parts.allSatisfy({ $0 < 256 }) else { return nil }
            return parts.reduce(0) { $0 << 8 | $1 }
        }
        let ends = allowed.split(separator: "-").map(number)
        guard let lowest = ends.first ?? nil, let highest = ends.last ?? nil, let actual = number(address[...]) else {
            return false
        }
        return lowest <= actual && actual <= highest
    }
}
