// Files that live as long as a test, and a certificate among them.

import Foundation

/// A folder that goes with the object.
final class TestFolder: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("rtsp-\(UUID())").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { "\(path)/\(name)" }
}

/// Runs a program to its end; what it wrote on its standard output.
@discardableResult
func run(_ arguments: [String]) throws -> Data {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    let written = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return written
}

/// A certificate that vouches for itself, and its key.
final class TestCertificate: Sendable {
    let path: String
    let keyPath: String
    let pem: [UInt8]
    private let folder: TestFolder

    /// - Parameter names: "IP:127.0.0.1", "DNS:camera.test".
    init(names: String) throws {
        folder = try TestFolder()
        path = folder.file("certificate.pem")
        keyPath = folder.file("key.pem")
        try run([
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
            "2", "-subj", "/CN=camera", "-addext", "subjectAltName=\(names)", "-keyout", keyPath, "-out", path,
        ])
        pem = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    }
}
