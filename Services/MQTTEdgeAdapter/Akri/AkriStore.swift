// The asset-registry as a connector under Akri uses it: it looks whose a document is before it writes or removes it.

import JSON
import Logging
import RPC
import Wire

/// Documents of this connector in the asset-registry.
struct AkriStore: Sendable {
    private static let timeout = Duration.seconds(10)

    let registry: RPCClient
    /// Names this connector in its documents.
    let origin: String
    let logger: Logger

    /// What a look for a document gave.
    private enum Found {
        case none
        case document(JSONValue)
        /// The registry did not answer.
        case unknown
    }

    /// A document as it is stored; nil where there is none, or none can be had at present.
    func document(_ kind: DocumentKind, _ name: String) async -> JSONValue? {
        if case .document(let json) = await find(kind, name) { json } else { nil }
    }

    private func find(_ kind: DocumentKind, _ name: String) async -> Found {
        do throws(RPCError) {
            let reply = try await registry.call(
                AssetRegistryMethods.getDocuments, GetDocumentsRequest(kind: kind, name: name), timeout: Self.timeout)
            guard let text = reply.documents.first?.json, let json = try? JSONReader.read(text, .registry) else {
                return .none
            }
            return .document(json)
        } catch { return FailureKind(error.code) == .final ? .none : .unknown }
    }

    /// Brings a document. Gives its issues; nil where the registry did not answer. One that it refuses as a whole, or that is
    /// somebody else's, has that as its issue.
    func bring(_ kind: DocumentKind, _ name: String, _ document: JSONValue) async -> [Issue]? {
        switch await find(kind, name) {
        case .unknown: return nil
        case .document(let stored) where !AkriDocuments.isOfAkri(stored):
            return [
                Issue(
                    severity: .error, code: "already_exists",
                    message: "a \(kind.name) of this name was applied by hand; delete it to have this one")
            ]
        case .none, .document: break
        }
        do throws(RPCError) {
            let reply = try await registry.call(
                AssetRegistryMethods.apply, ApplyRequest(text: document.text(), origin: origin), timeout: Self.timeout)
            return reply.documents.flatMap(\.issues)
        } catch {
            guard FailureKind(error.code) == .final else {
                logger.warning(
                    "the asset-registry takes no document at present", metadata: ["reason": "\(error.message)"])
                return nil
            }
            return [Issue(severity: .error, code: error.code.name, message: error.message, field: error.field)]
        }
    }

    /// Removes a document of ours; others stay. False where it has to be tried again.
    func delete(_ kind: DocumentKind, _ name: String) async -> Bool {
        switch await find(kind, name) {
        case .unknown: return false
        case .none: return true
        case .document(let stored): guard AkriDocuments.origin(of: stored) == origin else { return true }
        }
        do throws(RPCError) {
            _ = try await registry.call(
                AssetRegistryMethods.deleteDocument, DeleteDocumentRequest(kind: kind, name: name),
                timeout: Self.timeout)
            logger.info("a document is removed", metadata: ["kind": "\(kind.name)", "name": "\(name)"])
            return true
        } catch { return FailureKind(error.code) == .final }
    }

    /// The devices and assets that there are; nil where the registry did not answer.
    func names() async -> (devices: Set<String>, assets: Set<String>)? {
        guard let configuration = await configuration() else { return nil }
        return (
            Set(configuration.endpoints.compactMap { $0.source?.device }),
            Set(configuration.streams.compactMap { $0.name?.asset })
        )
    }

    /// The streams of an asset; nil where the registry did not answer.
    func streams(of asset: String) async -> [StreamDefinition]? {
        await configuration()?.streams.filter { $0.name?.asset == asset }
    }

    private func configuration() async -> Configuration? {
        try? await registry.call(
            AssetRegistryMethods.getConfiguration, GetConfigurationRequest(), timeout: Self.timeout)
    }
}
