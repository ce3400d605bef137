// The methods of the contract, each handed to the registry.

import RPC
import ServiceKit
import Wire

enum RegistryHandlers {
    /// Registers every method of AssetRegistry.
    static func register(_ registry: Registry, on server: RPCServer) {
        server.handle(AssetRegistryMethods.apply) { request, _ in try await registry.apply(request) }
        server.handle(AssetRegistryMethods.getConfiguration) { request, _ in await registry.getConfiguration(request) }
        server.handle(AssetRegistryMethods.getDocuments) { request, _ in try await registry.getDocuments(request) }
        server.handle(AssetRegistryMethods.deleteDocument) { request, _ in try await registry.deleteDocument(request) }
        server.handle(AssetRegistryMethods.setDesiredState) { request, context in
            try await registry.setDesiredState(
                request, caller: context.caller, idempotencyKey: context.idempotencyKey)
        }
        server.handle(AssetRegistryMethods.changes) { request, _ in try await registry.changes(request) }
        server.handle(AssetRegistryMethods.acquireLeases) { request, _ in try await registry.acquireLeases(request) }
        server.handle(AssetRegistryMethods.releaseLeases) { request, _ in try await registry.releaseLeases(request) }
        server.handle(AssetRegistryMethods.listLeases) { _, _ in await registry.listLeases() }
    }
}
