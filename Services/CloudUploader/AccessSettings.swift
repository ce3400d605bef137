// How the uploader proves who it is, and the way that its requests take to the internet. What fits together is checked in
// CredentialSource.swift and Outbound.swift.
//
// Credentials are in files: below secrets-directory, or with an absolute path. Each use takes what its file holds now, but for the proxy's
// password and the authorities, which are read at start.
import ServiceKit

extension UploaderKeys {
    static let authentication = Setting<String>(
        "authentication", default: "auto", allowed: ["auto"] + AuthenticationWay.allCases.map(\.rawValue),
        help: "How the storage account is asked to let us in; auto: the way whose file is named.",
        reason: "A file that is named says which way is meant. Managed identities have no file and must be named here.")
    static let account = Setting<String>(
        "account", default: "", help: "Name of the storage account; needed with key-file.",
        reason: "Only the operator knows the storage account.")
    static let keyFile = Setting<String>(
        "key-file", default: "", help: "File with the account key.",
        reason: "A credential is in a file and nowhere else.")
    static let sasFile = Setting<String>(
        "sas-file", default: "",
        help: "File with a shared access signature for the container (rights create, write, read, tags).",
        reason: "A signature gives less than the key; which one a site has, only the operator knows.")
    static let connectionStringFile = Setting<String>(
        "connection-string-file", default: "",
        help:
            "File with a connection string, which names account and address too; blob-endpoint and account stay empty.",
        reason: "Sites that already hand out a connection string have one thing to copy.")
    static let tenantID = Setting<String>(
        "tenant-id", default: "", shownDefault: "AZURE_TENANT_ID of the environment, or none",
        help:
            "Tenant of Entra ID, as id or domain; needed for workload-identity, client-secret and client-certificate.",
        reason: "The webhook of workload identity sets the variable; elsewhere only the operator knows it.")
    static let clientID = Setting<String>(
        "client-id", default: "", shownDefault: "AZURE_CLIENT_ID of the environment, or none",
        help:
            "Id of the application in Entra ID; with managed-identity that of a user-assigned identity, none for the system's.",
        reason: "The webhook of workload identity sets the variable; elsewhere only the operator knows it.")
    static let authorityHost = Setting<String>(
        "authority-host", default: "",
        shownDefault: "AZURE_AUTHORITY_HOST of the environment, or https://login.microsoftonline.com",
        help: "Address that gives the tokens of Entra ID.",
        reason: "All but the national clouds have this one.")
    static let federatedTokenFile = Setting<String>(
        "federated-token-file", default: "", shownDefault: "AZURE_FEDERATED_TOKEN_FILE of the environment, or none",
        help: "File with the token of the cluster's issuer, for workload-identity.",
        reason: "The webhook of workload identity mounts it and sets the variable.")
    static let clientSecretFile = Setting<String>(
        "client-secret-file", default: "", help: "File with a secret of the application in Entra ID.",
        reason: "A credential is in a file and nowhere else.")
    static let clientCertificateFile = Setting<String>(
        "client-certificate-file", default: "",
        help: "File in PEM with the certificate of the application in Entra ID and its RSA key, not encrypted.",
        reason: "A credential is in a file and nowhere else.")
    static let identityEndpoint = Setting<String>(
        "identity-endpoint", default: "",
        shownDefault:
            "\(IdentityEndpoint.metadataAddress); with arc-identity IDENTITY_ENDPOINT or \(IdentityEndpoint.arcAddress)",
        help: "Address of this host that gives tokens of its managed identity.",
        reason: "Every Azure machine has the first address, every Azure Arc server the second.")
    static let arcKeyFolder = Setting<String>(
        "arc-key-folder", default: "/var/opt/azcmagent/tokens",
        help: "Folder in which the agent of Azure Arc puts the key that shows that we may read it.",
        reason: "There the agent puts it; a file that is named elsewhere is never read.")
    static let caFile = Setting<String>(
        "ca-file", default: "",
        help: "File or folder with certificates of authorities in PEM, which are trusted beside those of the system.",
        reason:
            "Azure's certificates come from public authorities; a site with a private one has both kinds to talk to.")
    static let proxy = Setting<String>(
        "proxy", default: "",
        help: "http://HOST:PORT through which storage and Entra ID are reached, without a password.",
        reason: "Most sites reach the cloud directly.")
    static let proxyPasswordFile = Setting<String>(
        "proxy-password-file", default: "", help: "File with USER:PASSWORD for the proxy.",
        reason: "A credential is in a file and nowhere else.")
    static let noProxy = Setting<[String]>(
        "no-proxy", default: [],
        help: "Hosts that are reached without the proxy: a name stands for itself and all names below it; * for all.",
        reason: "A private endpoint inside the site is the exception.")

    /// Those of this file.
    static let access: [any AnySetting] = [
        authentication, account, keyFile, sasFile, connectionStringFile, tenantID, clientID, authorityHost,
        federatedTokenFile, clientSecretFile, clientCertificateFile, identityEndpoint, arcKeyFolder, caFile, proxy,
        proxyPasswordFile, noProxy,
    ]
}
