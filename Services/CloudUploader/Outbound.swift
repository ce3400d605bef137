// The way out of the site: the HTTP clients that everything of the uploader sends with, with the site's authorities and its proxy.
//
// Authorities of `ca-file` are trusted beside those of the system, TLS is 1.2 or later, and redirects are not followed: a request
// carries a credential for the host that it was made for. A request through a proxy goes by CONNECT, so that the proxy sees the
// host's name and nothing else of what is encrypted.
import AsyncHTTPClient
import Foundation
import NIOCore
import NIOSSL
import ServiceKit

/// What the settings say about the way out, checked.
struct OutboundSettings: Sendable {
    struct Proxy: Sendable, Equatable {
        let host: String
        let port: Int
        /// "user:password"; nil where the proxy asks for none.
        let credential: Redacted<String>?
    }
    var authorities: [NIOSSLCertificate] = []
    var proxy: Proxy?
    var exceptions = ProxyExceptions([])

    /// Without authorities of its own and without a proxy.
    init() {}

    /// Reads the files that the settings name.
    init(_ settings: Settings, _ secrets: SecretStore) throws(SettingsError) {
        exceptions = ProxyExceptions(settings[UploaderKeys.noProxy])
        let authorities = settings[UploaderKeys.caFile]
        if !authorities.isEmpty { self.authorities = try Self.certificates(authorities, secrets) }
        let address = settings[UploaderKeys.proxy]
        let password = settings[UploaderKeys.proxyPasswordFile]
        guard !address.isEmpty else {
            guard password.isEmpty else {
                throw SettingsError(
                    "setting '\(UploaderKeys.proxyPasswordFile.key)': there is no proxy; set \(UploaderKeys.proxy.key) too"
                )
            }
            return
        }
        let (host, port) = try Self.hostAndPort(address)
        proxy = Proxy(
            host: host, port: port, credential: password.isEmpty ? nil : try Self.credential(password, secrets))
    }

    private static func hostAndPort(_ address: String) throws(SettingsError) -> (String, Int) {
        let (key, example) = (UploaderKeys.proxy.key, "http://proxy.site:3128")
        let checked = try ServiceAddress(address, setting: key, example: example)
        guard let parts = URLComponents(string: checked.text), !checked.isEncrypted, parts.path.isEmpty,
            let port = parts.port, (1...65_535).contains(port)
        else {
            throw SettingsError("setting '\(key)': must be http, a host and a port, like \(example)")
        }
        return (checked.host, port)
    }

    private static func credential(_ path: String, _ secrets: SecretStore) throws(SettingsError) -> Redacted<String> {
        let key = UploaderKeys.proxyPasswordFile.key
        let text: Redacted<String>
        do throws(SecretError) {
            text = try secrets.read(path: path)
        } catch {
            throw SettingsError("setting '\(key)': \(error)")
        }
        guard let colon = text.revealed.firstIndex(of: ":"), colon != text.revealed.startIndex else {
            throw SettingsError("setting '\(key)': the file must hold USER:PASSWORD")
        }
        Redaction.remember(String(text.revealed[text.revealed.index(after: colon)...]))
        return text
    }

    private static func certificates(
        _ path: String, _ secrets: SecretStore
    ) throws(SettingsError) -> [NIOSSLCertificate] {
        let key = UploaderKeys.caFile.key
        let bytes: [UInt8]
        do throws(SecretError) {
            bytes = try secrets.readCertificates(path: path)
        } catch {
            throw SettingsError("setting '\(key)': \(error)")
        }
        guard let certificates = try? NIOSSLCertificate.fromPEMBytes(bytes), !certificates.isEmpty else {
            throw SettingsError("setting '\(key)': \(path) holds no certificates in PEM")
        }
        return certificates
    }
}

/// Hosts that are reached without the proxy. "site.example" stands for itself and all names below it, with or without a dot before
/// it; an address of numbers for itself; "*" for every host.
struct ProxyExceptions: Sendable, Equatable {
    private let names: [String]

    init(_ names: [String]) {
        self.names = names.map { name in
            let name = name.lowercased()
            return name.hasPrefix(".") ? String(name.dropFirst()) : name
        }
    }

    func contains(_ host: String) -> Bool {
        let host = host.lowercased()
        return names.contains { $0 == "*" || host == $0 || host.hasSuffix("." + $0) }
    }
}

final class Outbound: Sendable {
    /// The most that settings allow: 64 files of 32 blocks each.
    private static let mostConnections = 2048
    /// Without the proxy: for the host's own identity endpoint and for what the site excepts.
    let direct: HTTPClient
    private let proxied: HTTPClient?
    private let exceptions: ProxyExceptions

    init(_ settings: OutboundSettings) {
        var configuration = HTTPClient.Configuration()
        configuration.redirectConfiguration = .disallow
        configuration.httpVersion = .http1Only
        configuration.timeout.connect = .seconds(10)
        // How many there may be, the line decides: what waited for one of a few here would look like an answer that does not come.
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = Self.mostConnections
        // A refused connection is an answer; how often to try is our own decision.
        configuration.connectionPool.retryConnectionEstablishment = false
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.minimumTLSVersion = .tlsv12
        if !settings.authorities.isEmpty { tls.additionalTrustRoots = [.certificates(settings.authorities)] }
        configuration.tlsConfiguration = tls
        direct = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        exceptions = settings.exceptions
        if let proxy = settings.proxy {
            configuration.proxy = .server(
                host: proxy.host, port: proxy.port,
                authorization: proxy.credential.map { credential in
                    .basic(credentials: Data(credential.revealed.utf8).base64EncodedString())
                })
            proxied = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        } else {
            proxied = nil
        }
    }

    /// A start that fails drops this object without `close`; HTTPClient ends the process when nobody shuts it down.
    deinit {
        direct.shutdown { _ in }
        proxied?.shutdown { _ in }
    }

    /// The client for an address: through the proxy where there is one and the host is no exception.
    func client(for address: String) -> HTTPClient {
        guard let proxied, let host = URLComponents(string: address)?.host, !exceptions.contains(host) else {
            return direct
        }
        return proxied
    }

    /// What a person is told of a request that got no answer. Of AsyncHTTPClient's errors only the short description: the long one of
    /// a header that cannot be sent quotes it, a token and all.
    static func reason(_ error: any Error) -> String {
        switch error as? HTTPClientError {
        case .proxyAuthenticationRequired?:
            return "the proxy asks for a user and a password, or refuses those of proxy-password-file"
        case .invalidProxyResponse?: return "the proxy refuses to connect to it; check its rules, and no-proxy"
        default:
            let text = (error as? HTTPClientError)?.shortDescription ?? "\(error)"
            // The library has no case for it.
            guard !text.contains("CERTIFICATE_VERIFY_FAILED") else {
                return
                    "its certificate comes from no authority that is trusted; name the site's authorities with ca-file"
            }
            return Redaction.redact(text)
        }
    }

    /// Waits until every connection has ended.
    func close() async {
        try? await direct.shutdown()
        try? await proxied?.shutdown()
    }
}
