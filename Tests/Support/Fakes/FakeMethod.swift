// One method of a faked service: remembers what it was asked, and answers what the test says.

import RPC
import Synchronization
import Wire

/// A faked method. The answer can be changed at any time; the requests are kept in order.
public final class FakeMethod<Request: WireMessage, Reply: WireMessage>: Sendable {
    /// What the method does with a request.
    public typealias Answer = @Sendable (Request, RPCContext) async throws -> Reply

    private struct State {
        var requests: [Request] = []
        var answer: Answer
    }

    private let state: Mutex<State>
    /// The method that is faked.
    public let method: RPCMethod<Request, Reply>

    init(_ method: RPCMethod<Request, Reply>, on server: FakeServer, _ answer: @escaping Answer) {
        self.method = method
        state = Mutex(State(answer: answer))
        server.add(self)
    }

    /// All requests so far, oldest first.
    public var requests: [Request] { state.withLock { $0.requests } }

    /// From now on, answer like this.
    public func answer(_ answer: @escaping @Sendable (Request) async throws -> Reply) {
        state.withLock { $0.answer = { request, _ in try await answer(request) } }
    }

    func serve(_ request: Request, _ context: RPCContext) async throws -> Reply {
        let answer = state.withLock { state in
            state.requests.append(request)
            return state.answer
        }
        return try await answer(request, context)
    }
}
