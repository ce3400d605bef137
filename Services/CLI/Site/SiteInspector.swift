// Asks for what doctor wants to know of a site beyond its status.

import Foundation
import RPC
import ServiceKit
import Wire

struct SiteInspector: Sendable {
    let connections: Connections
    /// So much later the controllers are asked again: a camera with one picture a second has sent one.
    private static let secondLook = Duration.milliseconds(1_200)
    /// A quick check of a large catalogue.
    private static let catalogueTakes = Duration.seconds(60)

    func read() async throws -> SiteFacts {
        let reader = SiteReader(connections: connections)
        let status = try await reader.read()
        var facts = SiteFacts(status: status)
        let indexer = try connections.client(.indexer)
        async let later = again(status, reader)
        // Asked only where the indexer answered just now: three more waits tell nothing new.
        if status.uploads != nil {
            facts.volumes = try? await indexer.call(IndexerMethods.listVolumes, ListVolumesRequest()).volumes
            facts.catalogue = try? await indexer.call(
                IndexerMethods.checkCatalogue, CheckCatalogueRequest(level: .quick), within: Self.catalogueTakes)
            let failed = try? await indexer.call(
                IndexerMethods.listRequests, ListRequestsRequest(state: .failed, limit: 50))
            facts.failed = failed?.requests ?? []
        }
        facts.later = try await later
        facts.certificates = try await certificates(status)
        return facts
    }

    private func again(_ status: SiteStatus, _ reader: SiteReader) async throws -> [ListStatusReply] {
        guard !status.controllers.isEmpty else { return [] }
        try await Task.sleep(for: Self.secondLook)
        return try await reader.controllers(holding: status.leases)
    }

    // MARK: Certificates

    private func certificates(_ status: SiteStatus) async throws -> [CertificateFact] {
        let paths = connections.tlsPaths
        let shown = status.services.filter { $0.address.hasPrefix("tls+") }
        guard paths.certificate != nil || paths.authorities != nil || !shown.isEmpty else { return [] }
        return try await BlockingLane.disks.run {
            var facts: [CertificateFact] = []
            if let path = paths.certificate { facts.append(CertificateReader.file(path, name: "operator's own")) }
            if let folder = paths.authorities {
                let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
                for name in names.sorted() where name.hasSuffix(".pem") {
                    facts.append(CertificateReader.file("\(folder)/\(name)", name: "authority of \(name.dropLast(4))"))
                }
            }
            for service in shown {
                let place = service.address.drop { $0 != ":" }.drop { ":/".contains($0) }
                guard let colon = place.lastIndex(of: ":") else { continue }
                let host = place[..<colon].filter { !"[]".contains($0) }
                facts.append(
                    CertificateReader.shown(
                        host: host, port: String(place[place.index(after: colon)...]),
                        name: "\(service.name) at \(service.address)", certificatePath: paths.certificate,
                        keyPath: paths.key))
            }
            return facts
        }
    }
}
