// media-worker: makes a picture of a keyframe, or a rendition of a segment, reads a film, or decodes a stream on, and nothing else. A child of another
// executable (Shared/MediaWork starts it), the only one that links libav. What a camera sends is read here by C code; should it
// take that over, it finds no network, no files, no credentials, and a process that its parent replaces.
//
// Requests come on descriptor 3, answers go back on it (Shared/MediaWork/WorkMessage.swift), a segment's bytes and those of its
// rendition too; it ends when that is closed, when its parent ends, or when what comes is no request. It writes no log: errors
// are answers.
import CConfinement
import Glibc
import LibAV
import MediaWork

/// Address space. The libraries take 0.2 GiB, the largest picture that is allowed (64 megapixels, as TIFF) 1.4 GiB with them. A
/// picture that needs more fails for want of memory, here and not in the parent.
let memoryBytes: UInt64 = 2 << 30

enum Exit {
    static let usage: Int32 = 64
    static let protocolError: Int32 = 76
    static let system: Int32 = 71
}

func stop(_ code: Int32, _ reason: String) -> Never {
    let line = Array("media-worker: \(reason)\n".utf8)
    _ = write(STDERR_FILENO, line, line.count)
    exit(code)
}

var status = stat()
guard CommandLine.argc == 1, fstat(SG_CHILD_SOCKET, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else {
    stop(
        Exit.usage, "is started by capture-controller, with a socket as descriptor 3; there is nothing to start by hand"
    )
}
PictureMaker.prepare()
_ = chdir("/")
// What can be had of these; without them the limits still leave it no descriptor to open.
_ = sg_confinement_attempts()
let failure = sg_confinement_limits(memoryBytes)
guard failure == 0 else { stop(Exit.system, "cannot limit itself (\(String(cString: strerror(failure))))") }

/// Pieces of the file and of the rendition, over the socket. Every failure of it is the end of the worker.
struct SocketTransport: RenditionTransport {
    let socket: FrameSocket
    let number: UInt32

    func read(at offset: Int64, count: Int) throws -> [UInt8] {
        guard count > 0 else { return [] }
        try socket.send(.read(offset: offset, count: min(count, WorkHeader.maximumPieceBytes)), number: number)
        guard case (number, .piece(let bytes)) = try socket.receive() else {
            stop(Exit.protocolError, "what came is no piece of the file")
        }
        return bytes
    }

    func write(_ bytes: [UInt8], at offset: Int64) throws {
        try socket.send(.write(offset: offset, bytes), number: number)
    }
}

let socket = FrameSocket(descriptor: SG_CHILD_SOCKET)
/// What follows a stream, once one is to be followed.
var live: LiveWork?
while true {
    do {
        let (number, message) = try socket.receive()
        let answer: WorkMessage
        do {
            switch message {
            case .request(let request): answer = .picture(try PictureMaker.picture(for: request))
            case .rendition(let request):
                // It may take as long as its footage: pictures and recording come first.
                _ = nice(10)
                answer = .made(
                    try RenditionFactory.make(request, through: SocketTransport(socket: socket, number: number)))
            case .film(let sizeBytes):
                answer = .made(
                    try FilmDemuxer.read(
                        sizeBytes: sizeBytes, through: SocketTransport(socket: socket, number: number)
                    ) { try socket.send($0, number: number) })
            case .follow(let order):
                live = LiveWork(order)
                if case .stream = order { _ = nice(10) }
                continue
            case .packet(let packet):
                guard let live else { stop(Exit.protocolError, "a packet came before its order") }
                try live.take(packet, number: number) { try socket.send($1, number: $0) }
                answer = .taken
            default: stop(Exit.protocolError, "what came is no request")
            }
        } catch let error as PictureError {
            answer = .failure(error)
        }
        try socket.send(answer, number: number)
    } catch let error as FrameSocket.Failure {
        switch error {
        case .closed: exit(0)
        case .nonsense(let what): stop(Exit.protocolError, "what came is no request: \(what)")
        case .overdue, .system: stop(Exit.system, "its socket broke")
        }
    } catch {
        stop(Exit.system, "something failed that should not: \(error)")
    }
}
