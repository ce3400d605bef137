// What whoever copies footage asks other services for: which segments there are, who has which volume, and bytes that are elsewhere.
import RPC
import Synchronization
import Wire

/// The calls behind a clip, or a copy.
public protocol FootageCalls: Sendable {
    /// Asks the indexer.
    func queryMedia(_ request: QueryMediaRequest) async throws(RPCError) -> QueryMediaReply
    /// Asks the indexer.
    func listVolumes() async throws(RPCError) -> ListVolumesReply
    /// Asks the controller at `address`.
    func readSegment(_ request: ReadSegmentRequest, at address: String) async throws(RPCError) -> ReadSegmentReply
}

/// The calls as they are: of an indexer, and of whatever controllers it names.
public final class RPCFootageCalls: FootageCalls {
    /// Makes a client for an address that the indexer names.
    public typealias Connect = @Sendable (_ address: String) throws -> RPCClient
    /// The most that ReadSegment gives at once, so that the reply fits into one message.
    public static let mostBytes: UInt32 = 921_600

    private let indexer: RPCClient
    private let timeout: Duration
    private let connect: Connect
    private let controllers = Mutex<[String: RPCClient]>([:])

    /// - Parameters:
    ///   - timeout: of one call.
    ///   - connect: called once for each address.
    public init(indexer: RPCClient, timeout: Duration = .seconds(15), connect: @escaping Connect) {
        (self.indexer, self.timeout, self.connect) = (indexer, timeout, connect)
    }

    /// Asks the indexer.
    public func queryMedia(_ request: QueryMediaRequest) async throws(RPCError) -> QueryMediaReply {
        try await indexer.call(IndexerMethods.queryMedia, request, timeout: timeout)
    }

    /// Asks the indexer.
    public func listVolumes() async throws(RPCError) -> ListVolumesReply {
        try await indexer.call(IndexerMethods.listVolumes, ListVolumesRequest(), timeout: timeout)
    }

    /// Asks the controller at `address`.
    public func readSegment(
        _ request: ReadSegmentRequest, at address: String
    ) async throws(RPCError) -> ReadSegmentReply {
        try await controller(address).call(CaptureControllerMethods.readSegment, request, timeout: timeout)
    }

    private func controller(_ address: String) throws(RPCError) -> RPCClient {
        do {
            return try controllers.withLock { known in
                if let client = known[address] { return client }
                let made = try connect(address)
                known[address] = made
                return made
            }
        } catch let error as RPCError {
            throw error
        } catch {
            throw .unavailable("\(error)")
        }
    }

    /// Closes the connections to controllers.
    public func close() {
        for client in controllers.withLock({ $0 }).values { client.close() }
    }
}
