// Follows a request to its end: a bar on standard error where that is a terminal, else a line for each state. Whoever presses
// Ctrl-C meanwhile is told that the request goes on, how to follow it and how to cancel it.

import Foundation
import Synchronization
import Wire

struct RequestWatch {
    let id: String
    let indexer: Client

    /// Asks until the request has ended. An indexer that restarts meanwhile is waited for. `atMost` nil: for as long as it takes.
    func follow(atMost limit: Duration?) async throws -> ArchiveRequest {
        let notice = InterruptNotice("request \(id) goes on: \(Self.ways(of: id))")
        defer { notice.end() }
        let line = StatusLine()
        defer { line.clear() }
        let end = limit.map { ContinuousClock.now + $0 }
        var shown: RequestState?
        var isAway = false
        while true {
            do {
                let request = try await indexer.call(IndexerMethods.getRequest, GetRequestRequest(requestID: id))
                isAway = false
                if line.isShown {
                    let signs: BarSigns = Terminal.showsBlocks(isTerminal: true) ? .blocks : .ascii
                    line.show(RequestBar(width: Terminal.width(of: STDERR_FILENO), signs: signs).line(request))
                } else if request.state != shown {
                    shown = request.state
                    printError("\(id): \(request.state?.name ?? "")")
                }
                if RequestText.isFinal(request.state) { return request }
            } catch {
                guard error.status == Status.serviceAway else { throw error }
                // Once, not every half second for as long as it is away.
                line.clear()
                if !isAway { printError(error.message) }
                isAway = true
            }
            if let end, ContinuousClock.now >= end {
                line.clear()
                throw Failure("request \(id) has not ended yet; it goes on: \(Self.ways(of: id))")
            }
            // A person watches; the indexer answers this from memory.
            try await Task.sleep(for: .milliseconds(500))
        }
    }

    /// How to follow a request, and how to end it.
    static func ways(of id: String) -> String {
        "follow it with `sightglass request \(id) --watch`, cancel it with `sightglass cancel \(id)`"
    }
}

/// Until its end, Ctrl-C prints a line and ends the process with 130, as a shell reports an end by that signal. There is one
/// at a time.
struct InterruptNotice {
    init(_ text: String) {
        let bytes = "\nsightglass: \(text)\n".utf8.prefix(interruptText.count)
        let end = interruptText.initialize(fromContentsOf: Array(bytes))
        interruptTextBytes.store(end, ordering: .releasing)
        // A handler and no source of Dispatch, which loses a signal that comes before it has registered. It does only what a
        // handler may: no allocation, no lock, no tearing down of what other threads use.
        signal(SIGINT) { _ in
            _ = write(STDERR_FILENO, interruptText.baseAddress, interruptTextBytes.load(ordering: .acquiring))
            _exit(130)
        }
    }

    /// Gives the signal back its own effect.
    func end() { signal(SIGINT, SIG_DFL) }
}

/// What the handler prints. Sound: written before the handler is set, read by it alone, never freed.
nonisolated(unsafe) private let interruptText = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: 1024)
private let interruptTextBytes = Atomic(0)
