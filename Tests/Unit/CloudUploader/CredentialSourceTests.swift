// Which way of authentication the settings choose, and what is said where they choose none or two.
import Harness
import ServiceKit
import Testing

@testable import CloudUploader

@Suite struct CredentialSourceTests {
    private func source(
        _ environment: [String: String] = [:], _ change: (inout Settings) -> Void
    ) throws(SettingsError) -> CredentialSource {
        var settings = Settings()
        change(&settings)
        return try CredentialSource(settings, environment: environment)
    }

    private static let variables = [
        "AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "client", "AZURE_FEDERATED_TOKEN_FILE": "/var/token",
        "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.us/",
        "IDENTITY_ENDPOINT": "http://localhost:40342/token",
    ]
    private static let application = EntraApplication(
        tenantID: "tenant", clientID: "client", authority: "https://login.microsoftonline.com")

    @Test func takesTheWayWhoseFileIsNamed() throws {
        let ways: [(Setting<String>, CredentialSource)] = [
            (UploaderKeys.keyFile, .key(account: "acct", path: "file")),
            (UploaderKeys.sasFile, .signature(path: "file")),
            (UploaderKeys.connectionStringFile, .connectionString(path: "file")),
            (UploaderKeys.federatedTokenFile, .federatedToken(path: "file", Self.application)),
            (UploaderKeys.clientSecretFile, .clientSecret(path: "file", Self.application)),
            (UploaderKeys.clientCertificateFile, .clientCertificate(path: "file", Self.application)),
        ]
        for (setting, expected) in ways {
            let chosen = try source { settings in
                settings[setting] = "file"
                settings[UploaderKeys.account] = "acct"
                settings[UploaderKeys.tenantID] = "tenant"
                settings[UploaderKeys.clientID] = "client"
            }
            #expect(chosen == expected)
        }
    }

    @Test func managedIdentitiesMustBeNamed() throws {
        let machine = try source { $0[UploaderKeys.authentication] = "managed-identity" }
        #expect(machine == .managedIdentity(endpoint: IdentityEndpoint.metadataAddress, clientID: ""))
        let arc = try source { $0[UploaderKeys.authentication] = "arc-identity" }
        #expect(arc == .arcIdentity(endpoint: IdentityEndpoint.arcAddress, keyFolder: "/var/opt/azcmagent/tokens"))
    }

    @Test func theEnvironmentCountsWhereNothingIsSet() throws {
        let national = EntraApplication(
            tenantID: "tenant", clientID: "client", authority: "https://login.microsoftonline.us")
        #expect(try source(Self.variables) { _ in } == .federatedToken(path: "/var/token", national))
        // A webhook that sets variables does not take part where a file is named.
        #expect(try source(Self.variables) { $0[UploaderKeys.sasFile] = "sas" } == .signature(path: "sas"))
        let arc = try source(Self.variables) { $0[UploaderKeys.authentication] = "arc-identity" }
        #expect(
            arc == .arcIdentity(endpoint: "http://localhost:40342/token", keyFolder: "/var/opt/azcmagent/tokens"))
        let machine = try source(Self.variables) { $0[UploaderKeys.authentication] = "managed-identity" }
        #expect(machine == .managedIdentity(endpoint: IdentityEndpoint.metadataAddress, clientID: "client"))
        let mixed = try source(Self.variables) {
            $0[UploaderKeys.federatedTokenFile] = "mine"
            $0[UploaderKeys.tenantID] = "other"
        }
        #expect(
            mixed
                == .federatedToken(
                    path: "mine",
                    .init(tenantID: "other", clientID: "client", authority: "https://login.microsoftonline.us")))
    }

    @Test func saysWhatDoesNotFitTogether() {
        let mistakes: [([String], (inout Settings) -> Void)] = [
            (["key-file", "client-certificate-file", "managed-identity"], { _ in }),
            (
                ["'key-file'", "'sas-file'"],
                {
                    $0[UploaderKeys.keyFile] = "a"
                    $0[UploaderKeys.sasFile] = "b"
                }
            ),
            (
                ["authentication", "managed-identity", "'sas-file'"],
                {
                    $0[UploaderKeys.authentication] = "managed-identity"
                    $0[UploaderKeys.sasFile] = "b"
                }
            ),
            (["'client-secret-file'"], { $0[UploaderKeys.authentication] = "client-secret" }),
            (["'federated-token-file'"], { $0[UploaderKeys.authentication] = "workload-identity" }),
            (["'account'"], { $0[UploaderKeys.keyFile] = "a" }),
            (["'tenant-id' is needed"], { $0[UploaderKeys.clientSecretFile] = "a" }),
            (
                ["'client-id' must be"],
                {
                    $0[UploaderKeys.clientSecretFile] = "a"
                    $0[UploaderKeys.tenantID] = "t"
                    $0[UploaderKeys.clientID] = "a/../b"
                }
            ),
            (
                ["authority-host", "https"],
                {
                    $0[UploaderKeys.clientSecretFile] = "a"
                    $0[UploaderKeys.tenantID] = "t"
                    $0[UploaderKeys.clientID] = "c"
                    $0[UploaderKeys.authorityHost] = "http://login.example"
                }
            ),
            (
                ["identity-endpoint", "10.0.0.9"],
                {
                    $0[UploaderKeys.authentication] = "managed-identity"
                    $0[UploaderKeys.identityEndpoint] = "http://10.0.0.9/token"
                }
            ),
        ]
        for (words, mistake) in mistakes {
            let error = #expect(throws: SettingsError.self) { try source([:], mistake) }
            for word in words { #expect(error?.description.contains(word) == true, "\(error?.description ?? "")") }
        }
    }
}

@Suite struct LocationTests {
    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory() }

    private func location(_ change: (inout Settings) -> Void) throws(SettingsError) -> BlobLocation {
        var settings = Settings()
        settings[UploaderKeys.blobEndpoint] = "https://acct.blob.core.windows.net/"
        settings[UploaderKeys.account] = "acct"
        settings[UploaderKeys.container] = "cams"
        settings[UploaderKeys.keyFile] = "storage/key"
        change(&settings)
        return try BlobLocation(settings, CredentialSource(settings), SecretStore(directory: folder.url.path))
    }

    @Test func takesAnAddress() throws {
        #expect(try location { _ in }.endpoint == "https://acct.blob.core.windows.net")
        #expect(
            try location { $0[UploaderKeys.blobEndpoint] = "http://127.0.0.1:10000/dev" }.endpoint.hasSuffix("/dev"))
    }

    @Test func takesTheAddressOfAConnectionString() throws {
        try folder.write("AccountName=acct;AccountKey=a2V5;EndpointSuffix=core.chinacloudapi.cn", to: "string")
        let found = try location {
            $0[UploaderKeys.keyFile] = ""
            $0[UploaderKeys.account] = ""
            $0[UploaderKeys.blobEndpoint] = ""
            $0[UploaderKeys.connectionStringFile] = "string"
        }
        #expect(found.endpoint == "https://acct.blob.core.chinacloudapi.cn")
    }

    @Test func refusesWhatDoesNotFitTogether() {
        let mistakes: [(String, (inout Settings) -> Void)] = [
            ("container", { $0[UploaderKeys.container] = "" }),
            ("blob-endpoint", { $0[UploaderKeys.blobEndpoint] = "" }),
            ("blob-endpoint", { $0[UploaderKeys.blobEndpoint] = "acct.blob.core.windows.net" }),
            ("sas-file", { $0[UploaderKeys.blobEndpoint] = "https://a.example/?sv=2021&sig=abc" }),
            ("insecure", { $0[UploaderKeys.blobEndpoint] = "http://10.0.0.1:10000/dev" }),
            ("key-file", { $0[UploaderKeys.keyFile] = "" }),
            ("key-file", { $0[UploaderKeys.sasFile] = "storage/sas" }),
            ("account", { $0[UploaderKeys.account] = "" }),
            (
                "'blob-endpoint'",
                {
                    $0[UploaderKeys.keyFile] = ""
                    $0[UploaderKeys.connectionStringFile] = "absent"
                }
            ),
            (
                "connection-string-file",
                {
                    $0[UploaderKeys.keyFile] = ""
                    $0[UploaderKeys.account] = ""
                    $0[UploaderKeys.blobEndpoint] = ""
                    $0[UploaderKeys.connectionStringFile] = "absent"
                }
            ),
        ]
        for (expected, mistake) in mistakes {
            let error = #expect(throws: SettingsError.self) { try location(mistake) }
            #expect(error?.description.contains(expected) == true, "\(error?.description ?? "")")
            #expect(error?.description.contains("sig=abc") != true)
        }
    }
}
