// FakeCamera: the handle that a test holds. The camera itself runs on a thread of its own (CameraCore).

import Foundation
import Glibc
import Synchronization

/// A camera, until it is let go.
public final class FakeCamera: Sendable {
    /// Where it listens.
    public let port: UInt16
    /// What it serves, without a user.
    public let url: String
    private let shared: CameraShared

    /// Starts a camera.
    ///
    /// - Parameters:
    ///   - scenarios: the n-th connection is served by the n-th; the last one goes on. At least one.
    ///   - path: of the URL, with a slash in front.
    ///   - address: where it listens, one of this host's.
    ///   - port: where it listens; 0: where there is room.
    public init(
        _ scenarios: Scenario..., path: String = "/main", address: String = "127.0.0.1", port: UInt16 = 0
    ) throws(CameraError) {
        guard !scenarios.isEmpty else { throw CameraError(description: "a camera needs a scenario") }
        let shared = try CameraShared()
        let listener = try CameraCore.listen(port: port, address: address)
        self.port = listener.port
        self.shared = shared
        let host = "\(address):\(listener.port)"
        url = "rtsp://\(host)\(path)"
        let thread = Thread {
            CameraCore(listener.descriptor, scenarios, host: host, path: path, shared).run()
        }
        thread.name = "fake camera"
        thread.start()
    }

    deinit { shared.post(.stop) }

    /// What happened so far.
    public var record: CameraRecord { shared.record }

    /// Lets so many units more go, where the scenario's pace is `allowed`.
    public func allow(units: Int) { shared.post(.allow(units)) }

    /// Resets all connections, as a camera does that loses its power and comes back: what was not sent is gone.
    public func resetConnections() { shared.post(.reset) }

    /// Closes all connections in order.
    public func closeConnections() { shared.post(.close) }

    /// Refuses connections, or takes them again at the same port.
    public func listen(_ isListening: Bool) { shared.post(.listen(isListening)) }

    /// Waits until something has happened. Gives what happened by then.
    @discardableResult
    public func until(_ condition: @escaping @Sendable (CameraRecord) -> Bool) async -> CameraRecord {
        await shared.until(condition)
    }
}

/// Why a camera did not start.
public struct CameraError: Error, Sendable, CustomStringConvertible {
    /// For a person.
    public let description: String
}

/// What a camera's thread and its handle share.
final class CameraShared: Sendable {
    enum Order: Sendable {
        case allow(Int)
        case reset
        case close
        case listen(Bool)
        case stop
    }

    private struct Waiter: Sendable {
        let number: Int
        let condition: @Sendable (CameraRecord) -> Bool
        let continuation: CheckedContinuation<CameraRecord, Never>
    }

    private struct State: Sendable {
        var record = CameraRecord()
        var orders: [Order] = []
        var waiters: [Waiter] = []
        var nextWaiter = 0
    }

    /// Readable when orders wait.
    let wakeDescriptor: Int32
    private let writeDescriptor: Int32
    private let state = Mutex(State())

    init() throws(CameraError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw CameraError(description: "no pipe: \(String(cString: strerror(errno)))") }
        (wakeDescriptor, writeDescriptor) = (ends[0], ends[1])
    }

    deinit {
        close(wakeDescriptor)
        close(writeDescriptor)
    }

    var record: CameraRecord { state.withLock { $0.record } }

    func post(_ order: Order) {
        state.withLock { $0.orders.append(order) }
        _ = write(writeDescriptor, [1], 1)
    }

    func takeOrders() -> [Order] {
        var bytes = [UInt8](repeating: 0, count: 64)
        _ = read(wakeDescriptor, &bytes, bytes.count)
        return state.withLock { state in
            defer { state.orders = [] }
            return state.orders
        }
    }

    /// Ends early where its task is cancelled, so that a test's time limit holds.
    func until(_ condition: @escaping @Sendable (CameraRecord) -> Bool) async -> CameraRecord {
        let number = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let met = state.withLock { state -> CameraRecord? in
                    guard !condition(state.record), !Task.isCancelled else { return state.record }
                    state.waiters.append(Waiter(number: number, condition: condition, continuation: continuation))
                    return nil
                }
                if let met { continuation.resume(returning: met) }
            }
        } onCancel: {
            let (waiter, record) = state.withLock { state in
                let waiter = state.waiters.first { $0.number == number }
                state.waiters.removeAll { $0.number == number }
                return (waiter, state.record)
            }
            waiter?.continuation.resume(returning: record)
        }
    }

    /// Changes the record and wakes who waited for that.
    func note<R>(_ change: (inout CameraRecord) -> sending R) -> sending R {
        let (result, met, record) = state.withLock { state in
            let result = change(&state.record)
            let met = state.waiters.filter { $0.condition(state.record) }
            if !met.isEmpty { state.waiters.removeAll { $0.condition(state.record) } }
            return (result, met, state.record)
        }
        for waiter in met { waiter.continuation.resume(returning: record) }
        return result
    }
}
