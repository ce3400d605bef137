// What makes the storage account take a request: the account's key, a shared access signature, or a token of Entra ID. Which one a
// site has is decided when the service starts (CredentialSource.swift); here is what each of them adds to a request.
import Crypto
import Foundation
import ServiceKit
import Synchronization

/// What goes with a request so that the storage account takes it.
struct Authorization: Sendable {
    /// Names in lower case.
    var headers: [(name: String, value: String)] = []
    /// Goes to the end of the query as it is; empty for none.
    var query = ""
    /// The credential that it was made with.
    let mark: CredentialMark
}

/// Tells credentials apart without holding them.
struct CredentialMark: Sendable, Hashable {
    private let digest: [UInt8]

    init(_ credential: String) { digest = Array(SHA256.hash(data: Data(credential.utf8))) }
}

/// How reasons speak of a credential.
struct CredentialWords: Sendable, Equatable {
    /// "signature".
    let name: String
    /// What an operator looks at when it is refused.
    let source: String
    /// Whose rights count.
    let holder: String

    static let key = CredentialWords(name: "key", source: "account and key-file", holder: "account")
    static let signature = CredentialWords(name: "signature", source: "sas-file and its time", holder: "signature")
    static let connectionString = CredentialWords(
        name: "connection string", source: "connection-string-file", holder: "connection string's key or signature")
    static let token = CredentialWords(
        name: "token", source: "tenant-id and the account that blob-endpoint names",
        holder: "identity (role Storage Blob Data Contributor on the container)")
}

protocol Authorizer: Sendable {
    var words: CredentialWords { get }
    /// What goes with `request`. `nowUs` is the time of day. Throws UploadProblem where no credential can be had, or
    /// CancellationError.
    func authorize(_ request: SignedParts, nowUs: Int64) async throws -> Authorization
    /// The storage account refused the credential that `mark` stands for. True where there is another one by now, so that the
    /// same request is worth one more attempt.
    func renew(after mark: CredentialMark) async -> Bool
    /// Ends what runs in the background.
    func close() async
}

/// The account's key or a signature, from a file. Each use looks whether the file is another one or was written since, so that a
/// renewed credential is taken without a restart.
final class FileAuthorizer: Authorizer {
    enum File: Sendable, Equatable {
        case key(account: String, path: String)
        case signature(path: String)
        /// The storage that the string named when the service started; it must not name another one later.
        case connectionString(path: String, endpoint: String)

        var path: String {
            switch self {
            case .key(_, let path), .signature(let path), .connectionString(let path, _): path
            }
        }
    }
    /// What was read, ready for use.
    private enum Credential {
        case key(SharedKeySigner, CredentialMark)
        case signature(SharedAccessSignature, CredentialMark)

        var mark: CredentialMark {
            switch self {
            case .key(_, let mark), .signature(_, let mark): mark
            }
        }
    }

    private let file: File
    private let secrets: SecretStore
    private let known = Mutex<(version: SecretVersion, credential: Credential)?>(nil)

    init(file: File, secrets: SecretStore) { (self.file, self.secrets) = (file, secrets) }

    var words: CredentialWords {
        switch file {
        case .key: .key
        case .signature: .signature
        case .connectionString: .connectionString
        }
    }

    func authorize(_ request: SignedParts, nowUs: Int64) async throws -> Authorization {
        switch try current() {
        case .signature(let signature, let mark):
            if let problem = signature.problem(atUs: nowUs) {
                throw Self.problem("the signature in \(setting) \(problem)")
            }
            return Authorization(query: signature.query, mark: mark)
        case .key(let signer, let mark):
            var request = request
            let date = ("x-ms-date", BlobText.date(nowUs))
            request.headers.append(date)
            return Authorization(headers: [date, ("authorization", signer.authorization(request))], mark: mark)
        }
    }

    func renew(after mark: CredentialMark) async -> Bool {
        // What the file held when it was refused may have been written over since, within one tick of the file system's clock.
        known.withLock { $0 = nil }
        return (try? current()).map { $0.mark != mark } ?? false
    }

    func close() async {}

    private var setting: String {
        switch file {
        case .key: UploaderKeys.keyFile.key
        case .signature: UploaderKeys.sasFile.key
        case .connectionString: UploaderKeys.connectionStringFile.key
        }
    }

    private func current() throws(UploadProblem) -> Credential {
        // Before it is read: what is written meanwhile is seen the next time.
        let version = secrets.version(path: file.path)
        if let version, let known = known.withLock({ $0 }), known.version == version { return known.credential }
        let credential = try read()
        known.withLock { $0 = version.map { ($0, credential) } }
        return credential
    }

    private func read() throws(UploadProblem) -> Credential {
        switch file {
        case .key(let account, let path): return try key(account, try text(path).revealed)
        case .signature(let path): return Self.signature(try text(path).revealed)
        case .connectionString(let path, let endpoint):
            let text = try text(path)
            let string: ConnectionString
            do throws(ConnectionString.Problem) {
                string = try ConnectionString(text)
            } catch {
                throw Self.problem("\(setting): \(error)")
            }
            guard string.endpoint == endpoint else {
                throw Self.problem(
                    "\(setting): the file names another storage than \(endpoint), for which this service was started; start it "
                        + "again, or write the former account there")
            }
            switch string.credential {
            case .key(let account, let base64): return try key(account, base64.revealed)
            case .signature(let text): return Self.signature(text.revealed)
            }
        }
    }

    private func key(_ account: String, _ base64: String) throws(UploadProblem) -> Credential {
        guard let signer = SharedKeySigner(account: account, base64Key: base64) else {
            throw Self.problem(
                "the account key in \(setting) is not base64; write the key there as the storage account shows it")
        }
        return .key(signer, CredentialMark("\(account):\(base64)"))
    }

    private static func signature(_ text: String) -> Credential {
        .signature(SharedAccessSignature(text), CredentialMark(text))
    }

    private func text(_ path: String) throws(UploadProblem) -> Redacted<String> {
        do throws(SecretError) {
            return try secrets.read(path: path)
        } catch {
            throw Self.problem("\(error)")
        }
    }

    private static func problem(_ reason: String) -> UploadProblem {
        UploadProblem(
            reason: reason, isRetryable: true, retryAfter: RetryTable.operatorPause, concernsStorage: true)
    }
}
