// What became of files that a manifest names and that are not on the archive volume: uploaded and evicted since, which is how
// it should be, or lost. The manifest cannot say, because it was written before; the indexer can.

import Volume
import Wire

enum DeliveredFiles {
    /// Adds a finding for each absent file. Without an indexer all are missing.
    static func explain(_ absent: [AbsentFile], asking indexer: Client?) async throws -> Findings {
        var findings = Findings()
        var known: [String: [String: DeliveredFile]] = [:]
        var asked: Client? = indexer
        for file in absent {
            if let client = asked, known[file.requestID] == nil {
                do {
                    known[file.requestID] = try await files(of: file.requestID, client)
                } catch {
                    printError(
                        "\(error.message)\nWithout the indexer it is not known which files were uploaded and evicted.")
                    asked = nil
                }
            }
            findings.add(finding(of: file, known: known[file.requestID]))
        }
        return findings
    }

    /// What is known of an absent file; `known` nil where the indexer was not asked.
    static func finding(of file: AbsentFile, known: [String: DeliveredFile]?) -> Finding {
        let request = "of request \(file.requestID)"
        guard let known else { return Finding(.missing, file.path, request) }
        guard let delivered = known[file.path] else {
            return Finding(.missing, file.path, "\(request); the indexer does not know it")
        }
        switch delivered.state {
        // Handed over: the volume uploads by itself and may let go of a file afterwards.
        case .uploaded, .evicted, .handedOver:
            return Finding(.evicted, file.path, "\(request); \(delivered.blobURL ?? delivered.state?.name ?? "")")
        default:
            let state = delivered.state?.name ?? "of unknown state"
            return Finding(.missing, file.path, "\(request); for the indexer it is \(state)")
        }
    }

    private static func files(of requestID: String, _ indexer: Client) async throws(Failure) -> [String: DeliveredFile]
    {
        do {
            let request = try await indexer.call(IndexerMethods.getRequest, GetRequestRequest(requestID: requestID))
            let named = request.files.compactMap { file in file.archivePath.map { ($0, file) } }
            return Dictionary(named) { $1 }
        } catch {
            guard error.status == Status.serviceAway else { return [:] }
            throw error
        }
    }
}
