// RPCPulse: whether nng still closes and makes connections in this process.
//
// One thread of nng (its reaper) buries every connection, and starts the next attempt to connect. nng 1.5 can leave that
// thread waiting for ever when a peer dies in the middle of a message larger than a socket's buffer (Shared/CNNGRepair
// tells of the defect and repairs what can be repaired from outside). Everything that is connected goes on working;
// whatever is lost after that is never connected again. Only a new process helps, so whoever runs the process asks.

import CNNG
import Foundation
import Synchronization

/// Feels nng's pulse.
public enum RPCPulse {
    private static let beats = Atomic<UInt64>(0)

    /// Makes a connection inside the process, ends it, and waits for its burial. False if that is not seen within `bound`:
    /// the process should say so and end, to be started again. A healthy process needs milliseconds; take seconds.
    public static func isBeating(within bound: Duration = .seconds(10)) async -> Bool {
        // The address is not a file or a port: inproc names live in this process only.
        let address = "inproc://sightglass-pulse-\(beats.add(1, ordering: .relaxed).newValue)"
        return await isBeating(within: bound) { connectAndBury(address) }
    }

    /// - Parameter beat: blocks until it is over; false where it failed.
    static func isBeating(within bound: Duration, _ beat: @escaping @Sendable () -> Bool) async -> Bool {
        let done = OneShot()
        let felt = OneShot()
        let timer = Task {
            guard (try? await Task.sleep(for: bound)) != nil else { return }
            done.fire()
        }
        Thread.detachNewThread {
            if beat() { felt.fire() }
            done.fire()
        }
        await done.wait()
        timer.cancel()
        return felt.isFired
    }

    /// Blocks until the connection is buried, for ever if it never is.
    private static func connectAndBury(_ address: String) -> Bool {
        do throws(NNGError) {
            let server = try NNGSocket(nng_rep0_open, watch: ConnectionWatch())
            let client = try NNGSocket(nng_req0_open, watch: ConnectionWatch())
            try nngCheck(nng_listen(server.id, address, nil, 0))
            try nngCheck(nng_dial(client.id, address, nil, 0))
            // Closing returns when the reaper has buried the connection.
            client.close()
            server.close()
            return true
        } catch {
            return false
        }
    }
}
