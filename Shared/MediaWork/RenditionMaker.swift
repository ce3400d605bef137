// Has a media-worker make a rendition: a process for each, which sees neither the file nor what becomes of it. What it reads and
// writes goes through here, within bounds. Blocking: call it on a thread of its own, which lives as long as the process shall.

/// Where the file's bytes come from and where the rendition's go. Errors end the rendition and reach its caller as they are.
public protocol RenditionExchange: AnyObject {
    /// At most `count` bytes of the file from `offset` on; none at its end.
    func read(at offset: Int64, count: Int) throws -> [UInt8]
    /// Bytes of the rendition, in any order.
    func write(_ bytes: [UInt8], at offset: Int64) throws
}

/// Makes renditions, one at a time.
public final class RenditionMaker: Sendable {
    /// A rendition by stream copy is half again as large as its segment at most; one that is coded anew may be larger. More is a
    /// worker that has gone mad.
    public static let mostGrowth: Int64 = 16
    /// What is allowed beside: small files grow by more.
    private static let headroomBytes: Int64 = 16 << 20
    /// A core copies an hour of 4 Mbit/s in 20 s; VP8 of 1080p takes as long as the footage, on a core that has nothing else to do.
    public static let shortestLimit: Duration = .seconds(60)

    private let executable: String

    /// - Parameter executable: path of the media-worker.
    public init(executable: String) { self.executable = executable }

    /// Makes one. Throws `PictureError` of the worker, `overdue` once `limit` is over, `unavailable` where no worker can be started
    /// or it died over this file, and what `files` throws. `isWanted` is asked now and then; false ends it with `unavailable`.
    public func make(
        _ request: RenditionRequest, _ files: some RenditionExchange, within limit: Duration,
        isWanted: () -> Bool = { true }
    ) throws -> Rendition {
        let worker = try WorkerChild(executable)
        do {
            let made = try converse(worker, request, files, until: .now.advanced(by: limit), isWanted)
            worker.end()
            return made
        } catch let failure as FrameSocket.Failure {
            let how = worker.end()
            switch failure {
            case .overdue: throw PictureError(.overdue, "the media-worker took longer than \(limit) over a rendition")
            case .closed: throw PictureError(.unavailable, "the media-worker ended over a rendition (\(how))")
            case .nonsense(let what):
                throw PictureError(.unavailable, "the media-worker's answer makes no sense: \(what)")
            case .system(let code):
                throw PictureError(.unavailable, "the way to the media-worker broke (error \(code))")
            }
        } catch {
            worker.end()
            throw error
        }
    }

    private func converse(
        _ worker: WorkerChild, _ request: RenditionRequest, _ files: some RenditionExchange,
        until deadline: ContinuousClock.Instant, _ isWanted: () -> Bool
    ) throws -> Rendition {
        let socket = worker.socket
        let mostBytes = request.sizeBytes * Self.mostGrowth + Self.headroomBytes
        try socket.send(.rendition(request), number: 1, until: deadline)
        while true {
            guard isWanted() else { throw PictureError(.unavailable, "the rendition is not wanted any more") }
            let (number, message) = try socket.receive(until: deadline)
            switch message {
            case .read(let offset, let count):
                try socket.send(.piece(try files.read(at: offset, count: count)), number: number, until: deadline)
            case .write(let offset, let bytes):
                guard offset + Int64(bytes.count) <= mostBytes else {
                    throw PictureError(
                        .limit, "the rendition would be more than \(Self.mostGrowth) times as large as its segment")
                }
                try files.write(bytes, at: offset)
            case .made(let rendition): return rendition
            case .failure(let error): throw error
            case .request, .picture, .rendition, .piece, .film, .track, .sample, .follow, .packet, .taken:
                throw FrameSocket.Failure.nonsense(WorkProtocolError("a message that only we send"))
            }
        }
    }
}
