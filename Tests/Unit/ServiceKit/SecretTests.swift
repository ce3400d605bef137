// Secrets: files below one directory, nothing else; rotation; and no way out.
import Foundation
import Glibc
import Testing

@testable import ServiceKit

@Suite("Secrets")
struct SecretTests {
    private func inFolder(_ body: (String, SecretStore) throws -> Void) throws {
        let path = NSTemporaryDirectory() + "secrets-\(UUID().uuidString.lowercased())"
        let files = FileManager.default
        try files.createDirectory(atPath: path + "/root/cam", withIntermediateDirectories: true)
        defer { try? files.removeItem(atPath: path) }
        try Data("outside".utf8).write(to: URL(fileURLWithPath: path + "/outside"))
        try body(path, SecretStore(directory: path + "/root"))
    }

    private func write(_ text: String, _ path: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    }

    @Test(arguments: [("pw", "pw"), ("pw\n", "pw"), ("pw\r\n", "pw"), ("p w\n\n", "p w\n"), (" pw ", " pw ")])
    func takesTheFileWithoutItsLineEnd(content: String, expected: String) throws {
        try inFolder { path, store in
            try write(content, path + "/root/cam/password")
            #expect(try store.read("cam/password").revealed == expected)
        }
    }

    @Test func eachUseReadsAgain() throws {
        try inFolder { path, store in
            try write("first", path + "/root/cam/password")
            #expect(try store.read("cam/password").revealed == "first")
            try write("second", path + "/root/cam/password")
            #expect(try store.read("cam/password").revealed == "second")
        }
    }

    @Test(arguments: [
        "", "/etc/passwd", "../outside", "cam/../../outside", "cam//password", "cam/", "./cam", "..data/x", "cam\0/x",
        "cam/\n", "link-out", "folder-out/outside", "none", "cam", "cam/empty", "cam/binary", "cam/large", "cam/fifo",
    ])
    func whatIsNotASecretBelowTheDirectoryIsRefused(reference: String) throws {
        try inFolder { path, store in
            try FileManager.default.createSymbolicLink(
                atPath: path + "/root/link-out", withDestinationPath: "../outside")
            try FileManager.default.createSymbolicLink(atPath: path + "/root/folder-out", withDestinationPath: "..")
            try write("", path + "/root/cam/empty")
            try Data([0xff, 0xfe]).write(to: URL(fileURLWithPath: path + "/root/cam/binary"))
            try write(String(repeating: "x", count: SecretFile.maximumBytes + 1), path + "/root/cam/large")
            mkfifo(path + "/root/cam/fifo", 0o600)
            let error = #expect(throws: SecretError.self) { try store.read(reference) }
            #expect(error?.description.contains("outside\n") == false)
            #expect(error?.description.contains { $0.isNewline } == false)
        }
    }

    @Test func theLinksOfKubernetesAreFollowedAndRotated() throws {
        try inFolder { path, store in
            let mount = path + "/root/mqtt"
            let files = FileManager.default
            for (version, text) in [("..2026_1", "old"), ("..2026_2", "new")] {
                try files.createDirectory(atPath: mount + "/" + version, withIntermediateDirectories: true)
                try write(text, mount + "/\(version)/password")
            }
            try files.createSymbolicLink(atPath: mount + "/..data", withDestinationPath: "..2026_1")
            try files.createSymbolicLink(atPath: mount + "/password", withDestinationPath: "..data/password")
            #expect(try store.read("mqtt/password").revealed == "old")
            try files.removeItem(atPath: mount + "/..data")
            try files.createSymbolicLink(atPath: mount + "/..data", withDestinationPath: "..2026_2")
            #expect(try store.read("mqtt/password").revealed == "new")
        }
    }

    @Test func aSecretThatWasReadIsRemovedFromEveryText() throws {
        try inFolder { path, store in
            let canary = "canary-\(UUID().uuidString)"
            try write(canary + "\n", path + "/root/cam/password")
            #expect(Redaction.redact("the camera said \(canary)!").contains(canary))
            let secret = try store.read("cam/password")
            #expect(Redaction.redact("the camera said \(canary)!") == "the camera said ***!")
            #expect("\(secret)" == "***")
        }
    }
}
