// blob-server: the test Blob service as a command, for the demo and for contributors.
import ArgumentParser
import BlobServer
import Foundation

@main
struct BlobServerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "blob-server",
        abstract: "A small Azure Blob service for tests and the local demo. Not for production.",
        discussion: """
            It listens on loopback and prints its endpoint when it is ready. Faults are made with
            POST /_control/faults; see Faults.swift for the form.
            """)

    @Option(help: "TCP port; 0 chooses a free one.")
    var port = 10000

    @Option(help: "Address to listen on. The control path asks for no credential, so keep it on loopback.")
    var host = "127.0.0.1"

    @Option(help: "Folder that keeps the data over a restart. Absent: everything in memory.")
    var folder: String?

    @Option(help: "Name of the storage account.")
    var account = BlobServer.developmentAccount

    @Option(help: "File with the account key in base64. Absent: the published key of storage emulators.")
    var keyFile: String?

    @Option(
        help:
            "File with the bearer tokens that are taken, one a line: the token, a space, and its end in ISO 8601. It is read for each request."
    )
    var tokenFile: String?

    @Option(help: "Container to make at start, unless it is there. May be given several times.")
    var container: [String] = []

    func run() async throws {
        var key = BlobServer.developmentKey
        if let keyFile {
            guard let text = try? String(contentsOfFile: keyFile, encoding: .utf8) else {
                throw ValidationError("The key file \(keyFile) cannot be read.")
            }
            key = text.trimmingCharacters(in: .whitespacesAndNewlines)
        }
        var settings = BlobServer.Configuration(
            host: host, port: port, account: account, accountKey: key, folder: folder)
        if let tokens = tokenFile.map(TokenFile.init(path:)) { settings.tokens = tokens.expiry }
        let server: BlobServer
        do {
            server = try await BlobServer.start(settings)
        } catch let error as BlobServer.StartError {
            throw ValidationError(error.description)
        }
        for name in container { try server.createContainer(name) }
        print("listening on \(server.endpoint)")
        fflush(nil)
        try await server.waitUntilClosed()
    }
}
