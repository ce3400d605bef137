// CheckCatalogue: whether the catalogue is whole. CatalogueCheck.swift has what is looked at.

import RPC
import ServiceKit
import Wire

struct CheckCalls: Sendable {
    let longReads: LongReads
    /// One check at a time: each reads the whole file.
    private let lane = BlockingLane("check", maximumWaiting: 2)

    init(longReads: LongReads) { self.longReads = longReads }

    func register(on server: RPCServer) {
        server.handle(IndexerMethods.checkCatalogue) { request, _ in try await checkCatalogue(request) }
    }

    func checkCatalogue(_ request: CheckCatalogueRequest) async throws -> CheckCatalogueReply {
        let isFull: Bool
        switch request.level {
        case .quick, .unspecified, nil: isFull = false
        case .full: isFull = true
        case .unrecognized: throw FieldCheck.wrong("level", "is unknown: quick and full are allowed")
        }
        do {
            return try await longReads.run(on: lane) { read in
                var check = CatalogueCheck(read)
                return try check.run(isFull: isFull)
            }
        } catch let error as BlockingLaneError {
            throw RPCError.resourceExhausted("\(error)")
        }
    }
}
