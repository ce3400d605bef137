// What nng tells of connections, and what is made of it.

import Synchronization
import Testing

@testable import RPC

struct ConnectionWatchTests {
    @Test func connectionsAreCountedAsTheyComeAndGo() {
        let watch = ConnectionWatch()
        watch.report(pipe: 7, isAdded: true)
        watch.report(pipe: 8, isAdded: true)
        #expect(watch.connections == 2)
        watch.report(pipe: 7, isAdded: false)
        #expect(watch.connections == 1)
    }

    /// A peer that speaks another protocol was never connected; counted off all the same, it made a connected client say that it
    /// was not.
    @Test func theEndOfAConnectionThatNeverCameToBeCountsForNothing() {
        let told = Mutex<[UInt32]>([])
        let watch = ConnectionWatch { pipe, _ in told.withLock { $0.append(pipe) } }
        watch.report(pipe: 9, isAdded: false)
        #expect(watch.connections == 0)
        watch.report(pipe: 7, isAdded: true)
        #expect(watch.connections == 1)
        #expect(told.withLock { $0 } == [7])
    }
}
