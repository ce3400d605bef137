// Stand-alone: devices and assets from a folder of files (setting `documents-directory`), applied whenever a file changes. What
// a file no longer holds, or a file that is gone held, is removed again as long as this process has seen it there.

import Foundation
import Logging
import RPC
import ServiceKit
import Wire

/// Brings the files of a folder into the asset-registry.
actor DocumentsFollower {
    /// Between two looks at the folder.
    static let interval = Duration.seconds(2)
    private static let timeout = Duration.seconds(10)
    private static let endings: Set = ["yaml", "yml", "json"]
    /// What one Apply takes.
    private static let maximumBytes = 1_000_000

    private struct Document: Hashable {
        let kind: DocumentKind
        let name: String
    }

    private struct File {
        let text: String
        let documents: Set<Document>
    }

    private let folder: String
    private let registry: RPCClient
    private let logger: Logger
    private var files: [String: File] = [:]
    /// Texts seen once: a file that is being written is taken when two looks agree.
    private var fresh: [String: String] = [:]
    private var complaints: [String: String] = [:]

    init(folder: String, registry: RPCClient, logger: Logger) {
        (self.folder, self.registry, self.logger) = (folder, registry, logger)
    }

    /// One look.
    func turn() async {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else {
            return complain(folder, "the folder of documents cannot be read")
        }
        let wanted = names.filter { name in
            !name.hasPrefix(".") && Self.endings.contains(String(name.split(separator: ".").last ?? ""))
        }
        for name in wanted.sorted() { await apply(name) }
        for name in files.keys where !wanted.contains(name) {
            if await remove(files[name]?.documents ?? [], beside: name) { files[name] = nil }
        }
    }

    private func apply(_ name: String) async {
        guard let bytes = FileManager.default.contents(atPath: "\(folder)/\(name)"), bytes.count <= Self.maximumBytes,
            let text = String(validating: bytes, as: UTF8.self)
        else { return complain(name, "cannot be read as UTF-8 text of at most 1 MB") }
        guard files[name]?.text != text else { return }
        guard fresh.updateValue(text, forKey: name) == text else { return }
        fresh[name] = nil
        let reply: ApplyReply
        do throws(RPCError) {
            reply = try await registry.call(
                AssetRegistryMethods.apply, ApplyRequest(text: text, origin: "file \(name)".prefixed(256)),
                timeout: Self.timeout)
        } catch { return complain(name, error.message) }
        complaints[name] = nil
        for document in reply.documents {
            for issue in document.issues {
                logger.warning(
                    "a document has an issue",
                    metadata: [
                        "file": "\(name)", "document": "\(document.name ?? "")", "issue": "\(issue.message ?? "")",
                    ])
            }
        }
        let documents = Set(
            reply.documents.compactMap { document in
                document.kind.flatMap { kind in document.name.map { Document(kind: kind, name: $0) } }
            })
        let before = files[name]?.documents ?? []
        files[name] = File(text: text, documents: documents)
        logger.info("documents are applied", metadata: ["file": "\(name)", "documents": "\(documents.count)"])
        _ = await remove(before.subtracting(documents), beside: name)
    }

    /// Those that no other file holds.
    private func remove(_ documents: Set<Document>, beside name: String) async -> Bool {
        let held = Set(files.filter { $0.key != name }.values.flatMap(\.documents))
        for document in documents.subtracting(held) {
            do throws(RPCError) {
                _ = try await registry.call(
                    AssetRegistryMethods.deleteDocument,
                    DeleteDocumentRequest(kind: document.kind, name: document.name), timeout: Self.timeout)
            } catch {
                complain(name, error.message)
                return false
            }
        }
        return true
    }

    /// One line for one cause.
    private func complain(_ name: String, _ reason: String) {
        guard complaints.updateValue(reason, forKey: name) != reason else { return }
        logger.warning("documents are not applied", metadata: ["file": "\(name)", "reason": "\(reason)"])
    }
}
