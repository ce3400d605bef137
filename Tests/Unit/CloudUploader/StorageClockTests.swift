// The service's clock as its answers tell it.
import Testing

@testable import CloudUploader

@Suite struct StorageClockTests {
    /// 2026-11-23T05:11:01Z
    private let nowUs: Int64 = 1_795_410_661_000_000

    @Test(arguments: [(0, false), (899, false), (-899, false), (901, true), (-901, true), (86_400, true)])
    func refusesWhatIsAQuarterOfAnHourOff(seconds: Int, isFar: Bool) {
        let us = nowUs + Int64(seconds) * 1_000_000
        #expect(StorageClock.us(of: BlobText.date(us)) == us)
        #expect(StorageClock.refuses(signed: BlobText.date(nowUs), answered: BlobText.date(us)) == isFar)
    }

    @Test(arguments: [
        "", "yesterday", "Mon, 23 Nov 2026 05:11:01", "Mon, 3 Nov 2026 05:11:01 GMT", "a b c d e GMT", nil,
    ])
    func saysNothingOfADateThatItCannotRead(_ date: String?) {
        #expect(!StorageClock.refuses(signed: BlobText.date(0), answered: date))
        #expect(!StorageClock.refuses(signed: date, answered: BlobText.date(0)))
    }
}
