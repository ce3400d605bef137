// How long the uploader waits for a line that is slow.
import Testing

@testable import CloudUploader

@Suite struct PatienceTests {
    /// The worked table of Patience.swift. A line of 10 KiB/s once got no block through, ever.
    @Test(arguments: [
        (0, 32 << 10, 148), (1, 8 << 10, 532), (2, 2 << 10, 2068), (3, 1 << 10, 4116), (9, 1 << 10, 4116),
    ])
    func givesFourTimesAsLongAfterEachStall(stalls: Int, bytesPerSecond: Int, seconds: Int) {
        var patience = Patience()
        for _ in 0..<stalls { patience.stalled(patience) }
        #expect(patience.bytesPerSecond == bytesPerSecond)
        #expect(patience.time(for: 4 << 20) == .seconds(seconds))
        #expect(patience.time(for: 0) == .seconds(20))
    }

    @Test func stallsBesideEachOtherAreOne() {
        var patience = Patience()
        for _ in 0..<5 { patience.stalled(Patience()) }
        #expect(patience.bytesPerSecond == 8 << 10)
    }

    @Test func trustsALineThatIsWellAgainAndNoOther() {
        var patience = Patience()
        for _ in 0..<9 { patience.stalled(patience) }
        let slow = patience
        patience.arrived(bytes: 4 << 20, in: .seconds(1024))
        patience.arrived(bytes: 0, in: .zero)
        #expect(patience == slow)
        for rate in [2, 4, 8, 16, 32, 32] {
            patience.arrived(bytes: 4 << 20, in: .seconds(1))
            #expect(patience.bytesPerSecond == rate << 10)
        }
    }
}
