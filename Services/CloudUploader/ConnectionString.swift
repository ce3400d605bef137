// A connection string of a storage account: "name=value" pairs with ';' between them, in any order, names in any case.
//
//   DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=…;EndpointSuffix=core.windows.net
//   BlobEndpoint=https://acct.blob.core.windows.net/;SharedAccessSignature=sv=…&sig=…
//   UseDevelopmentStorage=true
//
// Endpoints of the other services may stand there and do not count. A key and a signature together are refused: which one is
// meant?
import Foundation
import ServiceKit

struct ConnectionString: Sendable, Equatable {
    enum Credential: Sendable, Equatable {
        case key(account: String, base64: Redacted<String>)
        case signature(Redacted<String>)
    }
    /// What is wrong with a string. Names its fields and never quotes a value that may be a credential.
    struct Problem: Error, Equatable, CustomStringConvertible {
        let description: String
    }

    /// Of the Blob service, without a slash at its end.
    let endpoint: String
    let credential: Credential

    /// The account that every storage emulator has, with its published key. It protects nothing and is no secret.
    private static let developmentAccount = "devstoreaccount1"
    private static let developmentKey =
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    private static let developmentEndpoint = "http://127.0.0.1:10000/devstoreaccount1"

    init(_ text: Redacted<String>) throws(Problem) {
        let fields = try Self.fields(text.revealed)
        if let development = fields["usedevelopmentstorage"] {
            guard development.lowercased() == "true" else {
                throw Problem(description: "UseDevelopmentStorage must be true, or not be there")
            }
            guard fields["developmentstorageproxyuri"] == nil else {
                throw Problem(description: "DevelopmentStorageProxyUri is not taken; write BlobEndpoint instead")
            }
            endpoint = Self.developmentEndpoint
            credential = .key(account: Self.developmentAccount, base64: Redacted(Self.developmentKey))
            return
        }
        endpoint = try Self.endpoint(fields)
        switch (fields["accountkey"], fields["sharedaccesssignature"]) {
        case (let key?, nil):
            guard let account = fields["accountname"] else {
                throw Problem(description: "AccountKey needs AccountName beside it")
            }
            credential = .key(account: account, base64: Redacted(key))
            Redaction.remember(key)
        case (nil, let signature?):
            credential = .signature(Redacted(signature))
            Redaction.remember(signature)
        case (nil, nil):
            throw Problem(description: "it has neither AccountKey nor SharedAccessSignature; copy the whole string")
        case (_?, _?):
            throw Problem(description: "it has AccountKey and SharedAccessSignature; leave one of them")
        }
    }

    /// By names in lower case.
    private static func fields(_ text: String) throws(Problem) -> [String: String] {
        var fields: [String: String] = [:]
        for part in text.split(separator: ";") {
            let pair = part.trimmingCharacters(in: .whitespacesAndNewlines)
            if pair.isEmpty { continue }
            // Values hold '=' too: only the first one ends the name.
            guard let equals = pair.firstIndex(of: "="), equals != pair.startIndex else {
                throw Problem(description: "a part of it is no 'name=value'; copy the whole string in one line")
            }
            let name = pair[..<equals].trimmingCharacters(in: .whitespaces).lowercased()
            let value = pair[pair.index(after: equals)...].trimmingCharacters(in: .whitespaces)
            // A part that was torn in two may begin with a piece of the key: only names that are known are told.
            guard !value.isEmpty else { throw Problem(description: "\(shown(name)) is empty") }
            guard fields.updateValue(value, forKey: name) == nil else {
                throw Problem(description: "\(shown(name)) stands there twice")
            }
        }
        guard !fields.isEmpty else { throw Problem(description: "it holds no 'name=value'") }
        return fields
    }

    private static let names = [
        "DefaultEndpointsProtocol", "AccountName", "AccountKey", "EndpointSuffix", "BlobEndpoint",
        "SharedAccessSignature",
        "UseDevelopmentStorage", "DevelopmentStorageProxyUri",
    ]

    private static func shown(_ name: String) -> String {
        names.first { $0.lowercased() == name } ?? "a field"
    }

    private static func endpoint(_ fields: [String: String]) throws(Problem) -> String {
        if var endpoint = fields["blobendpoint"] {
            while endpoint.hasSuffix("/") { endpoint.removeLast() }
            // A signature may hang on the address; it has a field of its own.
            guard !endpoint.contains("?") else {
                throw Problem(description: "BlobEndpoint must have no query; a signature goes to SharedAccessSignature")
            }
            return endpoint
        }
        guard let account = fields["accountname"] else {
            throw Problem(description: "it has neither BlobEndpoint nor AccountName; copy the whole string")
        }
        guard account.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x7a).contains($0) }) else {
            throw Problem(description: "AccountName has other signs than small letters and digits")
        }
        let scheme = fields["defaultendpointsprotocol"]?.lowercased() ?? "https"
        guard scheme == "https" || scheme == "http" else {
            throw Problem(description: "DefaultEndpointsProtocol must be https or http")
        }
        return "\(scheme)://\(account).blob.\(fields["endpointsuffix"] ?? "core.windows.net")"
    }
}
