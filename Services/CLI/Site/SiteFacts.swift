// What doctor knows of a site beyond its status. Values only.

import Wire

/// A certificate that is used, and when it ends.
struct CertificateFact: Sendable, Equatable {
    /// "operator", "indexer at tls+tcp://centre:7003".
    let name: String
    /// Nil where it could not be read.
    let endsUs: Int64?
    /// Why it could not be read.
    let problem: String?
}

struct SiteFacts: Sendable {
    var status: SiteStatus
    /// The controllers asked once more, somewhat later.
    var later: [ListStatusReply] = []
    /// Nil where the indexer did not answer.
    var volumes: [KnownVolume]?
    /// Nil where the indexer did not answer.
    var catalogue: CheckCatalogueReply?
    /// Requests that failed, the newest first.
    var failed: [ArchiveRequest] = []
    var certificates: [CertificateFact] = []
}
