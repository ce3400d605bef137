// Conversion of times between timescales.
import Media
import Testing

@Suite struct RescaleTests {
    @Test(arguments: [
        (Int64(90_000), UInt32(90_000), UInt32(1_000_000), Int64(1_000_000)),
        (3003, 90_000, 1_000_000, 33_366),
        (-1, 90_000, 1_000_000, -12),
        (-90_000, 90_000, 8000, -8000),
        (1_700_000_000 * 90_000, 90_000, 1_000_000, 1_700_000_000_000_000),
        (.max, 1, 1_000_000, .max),
        (.min, 1, 1_000_000, .min),
    ])
    func convertsRoundingDownAndSaturates(ticks: Int64, from: UInt32, to: UInt32, expected: Int64) {
        #expect(rescale(ticks, from: from, to: to) == expected)
    }
}
