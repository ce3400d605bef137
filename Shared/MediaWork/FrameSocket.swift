// Messages over a stream socket, with a deadline. Blocking: only on threads of their own, never on Swift's cooperative pool.
import Glibc

/// One end of the socket pair between controller and media-worker. Whoever opened the descriptor closes it.
public struct FrameSocket: Sendable {
    /// Why nothing came or went.
    public enum Failure: Error, Sendable, Hashable {
        /// The other side is gone.
        case closed
        /// The deadline passed.
        case overdue
        /// What came is none of our messages.
        case nonsense(WorkProtocolError)
        /// The system's error.
        case system(Int32)
    }

    let descriptor: Int32

    /// Over an open socket.
    public init(descriptor: Int32) { self.descriptor = descriptor }

    /// Sends a whole message. No deadline: as long as it takes.
    public func send(
        _ message: WorkMessage, number: UInt32, until deadline: ContinuousClock.Instant? = nil
    ) throws(Failure) {
        let head = message.head(number: number)
        let failure = head.withUnsafeBytes { write($0, deadline) } ?? message.withBlob { write($0, deadline) }
        if let failure { throw failure }
    }

    /// Waits for a whole message.
    public func receive(
        until deadline: ContinuousClock.Instant? = nil
    ) throws(Failure) -> (number: UInt32, message: WorkMessage) {
        let head = try read(WorkHeader.byteCount, deadline)
        do {
            let header = try WorkHeader(head)
            let fields = try read(header.fieldBytes, deadline)
            let blob = try read(header.blobBytes, deadline)
            return (header.number, try WorkMessage(header, fields: fields, blob: blob))
        } catch let error as WorkProtocolError {
            throw .nonsense(error)
        } catch let error as Failure {
            throw error
        } catch {
            throw .closed
        }
    }

    private func write(_ bytes: UnsafeRawBufferPointer, _ deadline: ContinuousClock.Instant?) -> Failure? {
        var rest = bytes[...]
        while let start = UnsafeRawBufferPointer(rebasing: rest).baseAddress, !rest.isEmpty {
            let sent = Glibc.send(descriptor, start, rest.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
            if sent > 0 {
                rest = rest.dropFirst(sent)
            } else if let failure = failed(POLLOUT, deadline) {
                return failure
            }
        }
        return nil
    }

    private func read(_ count: Int, _ deadline: ContinuousClock.Instant?) throws(Failure) -> [UInt8] {
        var failure: Failure?
        // Memory is only used as it is filled, so that a length alone costs nothing.
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count, failure == nil, let base = buffer.baseAddress {
                let got = recv(descriptor, base + filled, count - filled, Int32(MSG_DONTWAIT))
                if got > 0 {
                    filled += got
                } else {
                    failure = got == 0 ? .closed : failed(POLLIN, deadline)
                }
            }
        }
        if let failure { throw failure }
        return bytes
    }

    /// After a call that gave nothing: waits until the next one may give something. Nil: try again.
    private func failed(_ event: Int32, _ deadline: ContinuousClock.Instant?) -> Failure? {
        let error = errno
        guard error == EAGAIN || error == EINTR else {
            return error == EPIPE || error == ECONNRESET ? .closed : .system(error)
        }
        var waitMs: Int32 = -1
        if let deadline {
            let rest = ContinuousClock.now.duration(to: deadline)
            guard rest > .zero else { return .overdue }
            // Rounded up, so that the last wait is not a spin; bounded for what poll takes.
            waitMs = Int32(clamping: Int64(min(rest, .seconds(1000)) / .milliseconds(1)) + 1)
        }
        var entry = pollfd(descriptor: descriptor, event: event)
        return poll(&entry, 1, waitMs) >= 0 || errno == EINTR ? nil : .system(errno)
    }
}

extension pollfd {
    fileprivate init(descriptor: Int32, event: Int32) { self.init(fd: descriptor, events: Int16(event), revents: 0) }
}
