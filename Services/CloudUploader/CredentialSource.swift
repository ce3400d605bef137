// Which way of authentication a site has chosen, from its settings. Exactly one: a service that guesses between two sends with the
// one that nobody watches.
import Foundation
import ServiceKit

/// The words of the setting `authentication`.
enum AuthenticationWay: String, Sendable, CaseIterable {
    case key
    case signature = "sas"
    case connectionString = "connection-string"
    case workloadIdentity = "workload-identity"
    case clientSecret = "client-secret"
    case clientCertificate = "client-certificate"
    case managedIdentity = "managed-identity"
    case arcIdentity = "arc-identity"

    /// The setting that names its file; nil for what has none.
    var file: Setting<String>? {
        switch self {
        case .key: UploaderKeys.keyFile
        case .signature: UploaderKeys.sasFile
        case .connectionString: UploaderKeys.connectionStringFile
        case .workloadIdentity: UploaderKeys.federatedTokenFile
        case .clientSecret: UploaderKeys.clientSecretFile
        case .clientCertificate: UploaderKeys.clientCertificateFile
        case .managedIdentity, .arcIdentity: nil
        }
    }
}

/// An application in Entra ID.
struct EntraApplication: Sendable, Equatable {
    let tenantID: String
    let clientID: String
    /// Without a slash at its end.
    let authority: String

    /// Where its tokens come from; also the audience of what the application signs.
    var tokenEndpoint: String { "\(authority)/\(tenantID)/oauth2/v2.0/token" }
}

/// Where the credential for the storage comes from.
enum CredentialSource: Sendable, Equatable {
    case key(account: String, path: String)
    case signature(path: String)
    case connectionString(path: String)
    case federatedToken(path: String, EntraApplication)
    case clientSecret(path: String, EntraApplication)
    case clientCertificate(path: String, EntraApplication)
    /// `clientID` is empty for the identity of the machine itself.
    case managedIdentity(endpoint: String, clientID: String)
    case arcIdentity(endpoint: String, keyFolder: String)

    private static let publicAuthority = "https://login.microsoftonline.com"

    /// `environment` counts where a setting is empty: AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_AUTHORITY_HOST and
    /// AZURE_FEDERATED_TOKEN_FILE as the webhook of workload identity sets them, IDENTITY_ENDPOINT as Azure Arc does.
    init(_ settings: Settings, environment: [String: String] = [:]) throws(SettingsError) {
        func value(_ setting: Setting<String>, or variable: String) -> String {
            let value = settings[setting]
            return value.isEmpty ? environment[variable] ?? "" : value
        }
        func application() throws(SettingsError) -> EntraApplication {
            try Self.application(
                tenant: value(UploaderKeys.tenantID, or: "AZURE_TENANT_ID"),
                client: value(UploaderKeys.clientID, or: "AZURE_CLIENT_ID"),
                authority: value(UploaderKeys.authorityHost, or: "AZURE_AUTHORITY_HOST"))
        }
        let token = value(UploaderKeys.federatedTokenFile, or: "AZURE_FEDERATED_TOKEN_FILE")
        let way = try Self.way(settings, hasTokenFile: !token.isEmpty)
        let path = way.file.map { settings[$0] } ?? ""
        switch way {
        case .key:
            guard !settings[UploaderKeys.account].isEmpty else {
                throw SettingsError("setting 'account' is needed with key-file: \(UploaderKeys.account.help)")
            }
            self = .key(account: settings[UploaderKeys.account], path: path)
        case .signature: self = .signature(path: path)
        case .connectionString: self = .connectionString(path: path)
        case .workloadIdentity: self = .federatedToken(path: token, try application())
        case .clientSecret: self = .clientSecret(path: path, try application())
        case .clientCertificate: self = .clientCertificate(path: path, try application())
        case .managedIdentity:
            let endpoint = settings[UploaderKeys.identityEndpoint]
            self = .managedIdentity(
                endpoint: try Self.identityEndpoint(endpoint, or: IdentityEndpoint.metadataAddress, settings),
                clientID: value(UploaderKeys.clientID, or: "AZURE_CLIENT_ID"))
        case .arcIdentity:
            let endpoint = value(UploaderKeys.identityEndpoint, or: "IDENTITY_ENDPOINT")
            self = .arcIdentity(
                endpoint: try Self.identityEndpoint(endpoint, or: IdentityEndpoint.arcAddress, settings),
                keyFolder: settings[UploaderKeys.arcKeyFolder])
        }
    }

    private static func way(_ settings: Settings, hasTokenFile: Bool) throws(SettingsError) -> AuthenticationWay {
        let named = AuthenticationWay.allCases.filter { $0.file.map { !settings[$0].isEmpty } ?? false }
        let key = UploaderKeys.authentication.key
        if let chosen = AuthenticationWay(rawValue: settings[UploaderKeys.authentication]) {
            if let other = named.first(where: { $0 != chosen })?.file {
                throw SettingsError(
                    "settings '\(key)' (\(chosen.rawValue)) and '\(other.key)': two ways of authentication; leave one")
            }
            guard let file = chosen.file, named.isEmpty, chosen != .workloadIdentity || !hasTokenFile else {
                return chosen
            }
            throw SettingsError("setting '\(file.key)' is needed with \(key) \(chosen.rawValue): \(file.help)")
        }
        let files = named.compactMap(\.file)
        guard files.count < 2 else {
            throw SettingsError(
                "settings '\(files[0].key)' and '\(files[1].key)': two ways of authentication; leave one")
        }
        if let way = named.first { return way }
        if hasTokenFile { return .workloadIdentity }
        let choices = AuthenticationWay.allCases.compactMap { $0.file?.key }.joined(separator: ", ")
        throw SettingsError(
            "target blob needs one way of authentication: set one of \(choices), or \(key) to managed-identity or arc-identity"
        )
    }

    private static func application(
        tenant: String, client: String, authority: String
    ) throws(SettingsError) -> EntraApplication {
        for (setting, value) in [(UploaderKeys.tenantID, tenant), (UploaderKeys.clientID, client)] {
            // An id or a domain: it becomes a part of an address.
            guard !value.isEmpty, value.utf8.count <= 253, value.utf8.allSatisfy(isOfName) else {
                let what = value.isEmpty ? "is needed" : "must be an id or a domain"
                throw SettingsError("setting '\(setting.key)' \(what): \(setting.help)")
            }
        }
        let text = authority.isEmpty ? publicAuthority : authority
        let key = UploaderKeys.authorityHost.key
        let address = try ServiceAddress(text, setting: key, example: publicAuthority)
        guard address.isEncrypted || address.isLoopback else {
            throw SettingsError("setting '\(key)': http shows credentials to the network; use https")
        }
        return EntraApplication(tenantID: tenant, clientID: client, authority: address.text)
    }

    private static func isOfName(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "-"), UInt8(ascii: "."): true
        default: false
        }
    }

    private static func identityEndpoint(
        _ given: String, or usual: String, _ settings: Settings
    ) throws(SettingsError) -> String {
        let key = UploaderKeys.identityEndpoint.key
        let address = try ServiceAddress(given.isEmpty ? usual : given, setting: key, example: usual)
        guard address.isLoopback || address.host.hasPrefix("169.254.") || settings[CommonSettings.insecure] else {
            throw SettingsError(
                "setting '\(key)': \(address.host) is not this host; tokens would cross the network readably. Use an address "
                    + "of this host, or set insecure")
        }
        return address.text
    }
}

/// The address of a service, checked.
struct ServiceAddress: Sendable, Equatable {
    /// Without a slash at its end.
    let text: String
    let host: String
    let isEncrypted: Bool

    var isLoopback: Bool { ["127.0.0.1", "localhost", "[::1]", "::1"].contains(host) }

    /// Throws where `given` is no address of http or https, or carries more than host, port and path. `setting` and `example`
    /// are for the words.
    init(_ given: String, setting: String, example: String) throws(SettingsError) {
        var text = given
        while text.hasSuffix("/") { text.removeLast() }
        guard let parts = URLComponents(string: text), let host = parts.host, !host.isEmpty,
            parts.scheme == "https" || parts.scheme == "http"
        else {
            throw SettingsError("setting '\(setting)': must be like \(example)")
        }
        guard parts.query == nil, parts.fragment == nil, parts.user == nil, parts.password == nil else {
            throw SettingsError(
                "setting '\(setting)': must not carry a query or a user; credentials are in files that settings like sas-file name"
            )
        }
        self.text = text
        self.host = host
        isEncrypted = parts.scheme == "https"
    }
}
