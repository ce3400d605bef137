// Wakeup: signals that are kept, waits that end.

import ServiceKit
import Testing

/// The limit is what makes them fail: a wait that is not ended lasts ten minutes, and then passes.
@Suite(.timeLimit(.minutes(1))) struct WakeupTests {
    @Test func aSignalBeforeTheWaitIsKept() async {
        let wakeup = Wakeup()
        wakeup.signal()
        await wakeup.wait(atMost: .seconds(600))
    }

    @Test func aSignalEndsTheWait() async {
        let wakeup = Wakeup()
        let task = Task { await wakeup.wait(atMost: .seconds(600)) }
        wakeup.signal()
        await task.value
    }

    @Test func cancellationEndsAWait() async {
        let task = Task { await Wakeup().wait(atMost: .seconds(600)) }
        task.cancel()
        await task.value
    }

    @Test func theWaitEndsByItself() async {
        await Wakeup().wait(atMost: .milliseconds(1))
    }
}
