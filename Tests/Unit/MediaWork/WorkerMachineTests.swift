// What follows from how a try ended.
import Testing

@testable import MediaWork

@Suite struct WorkerMachineTests {
    private let picture = Picture(bytes: [1], widthPx: 1, heightPx: 1, format: .png)

    /// Nil: try again.
    private func result(_ next: WorkerMachine.Next) -> Result<Picture, PictureError>? {
        if case .finish(let result) = next { return result }
        return nil
    }

    private func cause(_ next: WorkerMachine.Next) -> PictureError.Cause? {
        if case .failure(let error) = result(next) { return error.cause }
        return nil
    }

    @Test func anAnswerIsHandedOn() {
        var machine = WorkerMachine()
        machine.begin()
        #expect(result(machine.after(.answered(.success(picture)), isWanted: true)) == .success(picture))
        machine.begin()
        let error = PictureError(.corrupt, "cut off")
        #expect(result(machine.after(.answered(.failure(error)), isWanted: true)) == .failure(error))
    }

    @Test func aRequestWhoseWorkerDiedIsTriedOnceMore() {
        var machine = WorkerMachine()
        machine.begin()
        #expect(result(machine.after(.died("signal 9"), isWanted: true)) == nil)
        #expect(result(machine.after(.answered(.success(picture)), isWanted: true)) == .success(picture))
        machine.begin()
        #expect(result(machine.after(.died("signal 9"), isWanted: true)) == nil)
        let last = machine.after(.died("signal 11"), isWanted: true)
        #expect(result(last) == .failure(PictureError(.unavailable, "signal 11")))
    }

    @Test func aWorkerThatCannotBeStartedIsTriedOnceMore() {
        var machine = WorkerMachine()
        machine.begin()
        #expect(result(machine.after(.notStarted("no such file"), isWanted: true)) == nil)
        #expect(cause(machine.after(.notStarted("no such file"), isWanted: true)) == .unavailable)
    }

    @Test func whatNobodyWaitsForIsNotTriedAgain() {
        var machine = WorkerMachine()
        machine.begin()
        #expect(cause(machine.after(.died("signal 9"), isWanted: false)) == .unavailable)
    }

    @Test func whatTookTooLongIsNotTriedAgain() {
        var machine = WorkerMachine()
        machine.begin()
        #expect(cause(machine.after(.overdue, isWanted: true)) == .overdue)
        #expect(machine.deathsInARow == 1)
    }

    @Test func oneDeathIsNoReasonToWait() {
        var machine = WorkerMachine()
        #expect(machine.pause == .zero)
        machine.foundDead()
        #expect(machine.pause == .zero)
    }

    @Test func pausesGrowToASecondAndEndWithAnAnswer() {
        var machine = WorkerMachine()
        var pauses: [Duration] = []
        for _ in 0..<200 {
            machine.begin()
            _ = machine.after(.died("signal 11"), isWanted: true)
            pauses.append(machine.pause)
        }
        #expect(pauses.prefix(7).elementsEqual([0, 50, 100, 200, 400, 800, 1000].map { Duration.milliseconds($0) }))
        #expect(pauses.last == .seconds(1))
        machine.begin()
        _ = machine.after(.answered(.failure(PictureError(.corrupt, "cut off"))), isWanted: true)
        #expect(machine.pause == .zero)
    }
}
