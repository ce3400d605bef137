// LoadCameras: Tests/Support/cameras/rtsploadcam as a process: many paced cameras, and what they tell of what they sent.

import Foundation
import Synchronization

/// Cameras of 1080p, 25 frames a second, a keyframe each 2 s, 4 Mbit/s. All times are seconds since 1970.
final class LoadCameras: Sendable {
    /// One session with a camera.
    struct Session {
        let camera: Int
        /// When the camera was connected to.
        let connected: Double
        /// When PLAY was answered.
        let playing: Double
        /// When the first keyframe had been sent.
        var keyframe: Double?
        /// Frames that were sent from the first keyframe on; nil until the session has ended.
        var frames: Int?
    }

    /// What was sent since the last report.
    struct Sent {
        let frames: Int
        /// Frames that were begun later than a frame's time after they were due: nothing that was measured then holds.
        let late: Int
        let mostLateMs: Double
        /// Frames that had to wait because the reader did not read.
        let blocked: Int
        /// Frames that were given up.
        let lost: Int
    }

    /// All that the cameras told so far.
    struct Story {
        var sessions: [Session] = []
        var reports: [Sent] = []
        var isReady = false
        /// When the port was opened again.
        var opened: [Double] = []
        var closed: [Double] = []

        var framesSent: Int { sessions.compactMap(\.frames).reduce(0, +) }
        func playing(atLeast count: Int) -> Bool { sessions.filter { $0.keyframe != nil }.count >= count }
    }

    /// Seconds between two keyframes of a camera.
    static let keyframeSeconds = 2.0
    static let film = ".build/media/load.h264"
    /// A keyframe each second.
    static let filmOfManyKeyframes = ".build/media/load-1s.h264"
    /// Bytes of one second of a camera.
    static func bytesPerSecond() throws -> Double {
        let size = try FileManager.default.attributesOfItem(atPath: film)[.size] as? Int ?? 0
        return Double(size) / 10
    }

    let cameras: Int
    let port: Int
    private let process = Process()
    private let input = Pipe()
    private let story = Mutex(Story())
    private let bell = DispatchSemaphore(value: 0)

    /// Builds what is not built yet; call it before anything is measured.
    static func prepare() throws {
        _ = try run(["/usr/bin/env", "Tests/Support/cameras/build", "load"])
        _ = try run(["/usr/bin/env", "Tests/Support/cameras/make-media", "load"])
    }

    /// - Parameter hasStamps: frames say when they were sent, for `LiveBench`.
    init(_ cameras: Int, film: String = film, hasStamps: Bool = false) throws {
        self.cameras = cameras
        port = try freePort()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: ".build/cameras/rtsploadcam")
        process.arguments = ["-p", "\(port)", "-n", "\(cameras)", "-f", film] + (hasStamps ? ["-t"] : [])
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        Thread.detachNewThread { [self] in
            var pending = Data()
            while case let data = output.fileHandleForReading.availableData, !data.isEmpty {
                pending += data
                while let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                    take(String(decoding: pending[pending.startIndex..<end], as: UTF8.self))
                    pending.removeSubrange(pending.startIndex...end)
                }
            }
        }
        try wait("the cameras listen", seconds: 10) { $0.isReady ? () : nil }
    }

    var processID: pid_t { process.processIdentifier }

    func url(_ camera: Int) -> String { "rtsp://127.0.0.1:\(port)/cam\(camera)" }

    private func take(_ line: String) {
        let words = line.split(separator: " ")
        let numbers = words.dropFirst().compactMap { Double($0) }
        guard let word = words.first, let first = numbers.first else { return }
        story.withLock { story in
            func last(_ change: (inout Session) -> Void) {
                guard let index = story.sessions.lastIndex(where: { $0.camera == Int(first) }) else { return }
                change(&story.sessions[index])
            }
            switch (word, numbers.count) {
            case ("ready", 1): story.isReady = true
            case ("opened", 1): story.opened.append(first)
            case ("closed", 1): story.closed.append(first)
            case ("playing", 3):
                story.sessions.append(Session(camera: Int(first), connected: numbers[1], playing: numbers[2]))
            case ("keyframe", 2): last { $0.keyframe = numbers[1] }
            case ("ended", 3): last { $0.frames = Int(numbers[1]) }
            case ("report", 5):
                story.reports.append(
                    Sent(
                        frames: Int(first), late: Int(numbers[1]), mostLateMs: numbers[2], blocked: Int(numbers[3]),
                        lost: Int(numbers[4])))
            default: break
            }
        }
        bell.signal()
    }

    /// Gives an order: "close", "open", "report".
    func order(_ word: String) throws { try input.fileHandleForWriting.write(contentsOf: Data((word + "\n").utf8)) }

    /// Waits until what the cameras told has what is wanted.
    @discardableResult func wait<T>(_ what: String, seconds: Double, _ probe: (Story) -> T?) throws -> T {
        let end = DispatchTime.now() + seconds
        while true {
            if let found = probe(story.withLock { $0 }) { return found }
            guard bell.wait(timeout: end) == .success else { throw BenchError("waited \(seconds) s in vain: \(what)") }
        }
    }

    /// What was sent since the last call.
    func report() throws -> Sent {
        let before = story.withLock { $0.reports.count }
        try order("report")
        return try wait("the cameras report", seconds: 10) { $0.reports.count > before ? $0.reports[before] : nil }
    }

    /// Ends all sessions after a whole frame, closes the port, and gives the frames that the sessions were sent.
    func close() throws -> Int {
        try order("close")
        return try wait("all sessions end", seconds: 30) { story in
            story.closed.isEmpty || story.sessions.contains { $0.frames == nil } ? nil : story.framesSent
        }
    }

    func end() {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }
}

/// A TCP port that nobody listens on now.
func freePort() throws -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    // The C calls read and write exactly `size` bytes of a sockaddr_in, whatever type they are given.
    let isBound = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, size) == 0 && getsockname(descriptor, $0, &size) == 0
        }
    }
    guard isBound else { throw BenchError("no free port") }
    return Int(UInt16(bigEndian: address.sin_port))
}
