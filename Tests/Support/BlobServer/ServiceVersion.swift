// Versions of the protocol. A request names one (x-ms-version, or `sv` of a signature) and gets its rules; the answer names it
// again. What a version did not have yet is refused, so that a client that names too old a version notices.

/// What `x-ms-version` may say, and since when the service has what.
enum ServiceVersion {
    /// The oldest whose rules this server follows; older ones sign differently.
    static let oldest = "2015-02-21"
    /// CRC-64 as a checksum of bodies; from here on an answer has Content-MD5 only where the request had one.
    static let withCRC64 = "2019-02-02"
    /// Index tags, blocks of 4000 MiB.
    static let withTags = "2019-12-12"
    /// 401 with a challenge for a token that is not taken, instead of 403.
    static let withChallenges = "2019-12-12"

    /// Those that were published up to the ones that the pinned Python SDK and rclone speak. The service knows no others.
    static let known: Set<String> = [
        "2015-02-21", "2015-04-05", "2015-07-08", "2015-12-11", "2016-05-31", "2017-04-17", "2017-07-29", "2017-11-09",
        "2018-03-28", "2018-11-09", "2019-02-02", "2019-07-07", "2019-10-10", "2019-12-12", "2020-02-10", "2020-04-08",
        "2020-06-12", "2020-08-04", "2020-10-02", "2020-12-06", "2021-02-12", "2021-04-10", "2021-06-08", "2021-08-06",
        "2021-10-04", "2021-12-02", "2022-11-02", "2023-01-03", "2023-05-03", "2023-08-03", "2023-11-03", "2024-02-04",
        "2024-05-04", "2024-08-04", "2024-11-04", "2025-01-05", "2025-05-05", "2025-07-05", "2025-11-05", "2026-02-06",
        "2026-04-06", "2026-06-06", "2026-10-06", "2026-12-06",
    ]

    /// Throws where the request names a version that does not exist, or uses what its version has not.
    static func check(_ request: BlobRequest, _ operation: BlobOperation) throws(ServiceError) {
        if let version = request.header("x-ms-version") {
            guard known.contains(version) else { throw .invalidHeader("x-ms-version", version) }
        } else if request.header("authorization") != nil {
            throw .missingHeader("x-ms-version")
        }
        if [.getBlobTags, .setBlobTags, .findBlobsByTags].contains(operation), request.version < withTags {
            throw .invalidQuery("comp", request.queryValue("comp") ?? "", "Not known in this version.")
        }
        for (name, since) in [
            ("x-ms-content-crc64", withCRC64), ("x-ms-range-get-content-crc64", withCRC64), ("x-ms-tags", withTags),
            ("x-ms-if-tags", withTags),
        ] {
            guard let value = request.header(name), request.version < since else { continue }
            throw ServiceError(
                .badRequest, "UnsupportedHeader",
                "One of the HTTP headers specified in the request is not supported.",
                details: [.init(name: "HeaderName", value: name), .init(name: "HeaderValue", value: value)])
        }
    }
}

extension BlobRequest {
    /// The version whose rules the request asks for; the oldest where it names none.
    var version: String { header("x-ms-version") ?? queryValue("sv") ?? ServiceVersion.oldest }
}
