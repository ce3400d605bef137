// Which endpoints and assets a connector under Akri is to serve: the folder ADR_RESOURCES_NAME_MOUNT_PATH (contract of Akri
// operator and connector). A file for each endpoint, named {device}_{endpoint}; its lines are names of assets.

import Foundation

/// What the folder says.
struct AkriResources: Sendable, Equatable {
    /// Lines by file name, each once.
    var assets: [String: [String]] = [:]

    /// A thousand assets of 64 bytes fit many times.
    static let maximumFileBytes = 4 << 20

    /// Reads the folder; nil where it is not there, which is no word about anybody's assets.
    ///
    /// Entries that begin with ".." are Kubernetes' own links and are passed over.
    static func read(_ folder: String) -> AkriResources? {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else { return nil }
        var resources = AkriResources()
        for name in names.sorted() where !name.hasPrefix(".") {
            // A file that vanishes between the two looks is there or gone at the next one.
            guard let bytes = FileManager.default.contents(atPath: "\(folder)/\(name)"),
                bytes.count <= maximumFileBytes
            else { return nil }
            let lines = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
                .map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
            resources.assets[name] = Array(Set(lines)).sorted()
        }
        return resources
    }

    /// What a file's name can mean. Both names may hold underscores, so that "a_b_c" is one of two pairs: the registry is asked
    /// which of them there is.
    static func candidates(_ file: String) -> [(device: String, endpoint: String)] {
        let parts = file.split(separator: "_", omittingEmptySubsequences: false)
        guard parts.count > 1 else { return [] }
        return (1..<parts.count).map { index in
            (parts[..<index].joined(separator: "_"), parts[index...].joined(separator: "_"))
        }.filter { !$0.0.isEmpty && !$0.1.isEmpty }
    }
}
