// From the settings to what speaks to the storage: the address, the credential and the way out belong together.
import Foundation
import Logging
import ServiceKit

extension BlobClient {
    /// Checks all that the settings say about it, and reads the files that are read at start.
    convenience init(_ runtime: ServiceRuntime, line: any Line) throws(SettingsError) {
        let source = try CredentialSource(runtime.settings, environment: ProcessInfo.processInfo.environment)
        let location = try BlobLocation(runtime.settings, source, runtime.secrets)
        let outbound = Outbound(try OutboundSettings(runtime.settings, runtime.secrets))
        let authorizer = source.authorizer(
            of: location, secrets: runtime.secrets, clock: runtime.clock, outbound: outbound, logger: runtime.logger)
        self.init(
            location: location, authorizer: authorizer, outbound: outbound, clock: runtime.clock, line: line)
    }
}

extension CredentialSource {
    func authorizer(
        of location: BlobLocation, secrets: SecretStore, clock: any WallClock, outbound: Outbound, logger: Logger
    ) -> any Authorizer {
        func file(_ file: FileAuthorizer.File) -> any Authorizer { FileAuthorizer(file: file, secrets: secrets) }
        func entra(_ application: EntraApplication, _ proof: EntraToken.Proof) -> any Authorizer {
            cache(
                EntraToken(application: application, proof: proof, secrets: secrets, clock: clock, outbound: outbound))
        }
        func host(_ kind: IdentityEndpoint.Kind, _ address: String) -> any Authorizer {
            cache(IdentityEndpoint(kind: kind, address: address, clock: clock, outbound: outbound))
        }
        func cache(_ source: any TokenFetch) -> any Authorizer { TokenCache(source: source, logger: logger) }
        return switch self {
        case .key(let account, let path): file(.key(account: account, path: path))
        case .signature(let path): file(.signature(path: path))
        case .connectionString(let path): file(.connectionString(path: path, endpoint: location.endpoint))
        case .federatedToken(let path, let application): entra(application, .federatedToken(path: path))
        case .clientSecret(let path, let application): entra(application, .secret(path: path))
        case .clientCertificate(let path, let application): entra(application, .certificate(path: path))
        case .managedIdentity(let endpoint, let clientID): host(.machine(clientID: clientID), endpoint)
        case .arcIdentity(let endpoint, let keyFolder): host(.arc(keyFolder: keyFolder), endpoint)
        }
    }
}
