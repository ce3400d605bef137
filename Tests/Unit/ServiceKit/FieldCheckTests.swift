// The contract's rules for the fields of a request. That each service holds to them: the tables of its service-level suite.
import RPC
import Testing
import Wire

@testable import ServiceKit

@Suite("Field checks")
struct FieldCheckTests {
    /// The error of a check; nil where it took the value.
    private func refusal<T>(_ check: () throws -> T) -> RPCError? {
        do {
            _ = try check()
            return nil
        } catch { return error as? RPCError }
    }

    @Test func theMessageBeginsWithTheFieldSoThatItIsEnoughAlone() {
        let error = FieldCheck.wrong("window.end_us", "is missing")
        #expect(error == RPCError(code: .invalidArgument, message: "window.end_us is missing", field: "window.end_us"))
    }

    @Test(arguments: ["a", "cam 1", "Tür", ".x", String(repeating: "ä", count: 64)])
    func aNameHas1To128Bytes(name: String) throws {
        #expect(try FieldCheck.name(name, "asset") == name)
    }

    @Test(arguments: [nil, "", String(repeating: "ä", count: 65), "a/b", "a\u{301}/b", "a\n", "\u{7F}"])
    func aNameHasNoSlashAndNoControlByte(name: String?) {
        #expect(refusal { try FieldCheck.name(name, "asset") }?.field == "asset")
    }

    @Test func aSourceAndAStreamNameThePartThatIsWrong() {
        func source(_ value: SourceName?) -> String? {
            refusal { try FieldCheck.source(value, "source") }?.field
        }
        #expect(source(nil) == "source")
        #expect(source(SourceName(endpoint: "main")) == "source.device")
        #expect(source(SourceName(device: "cam", endpoint: "a/b")) == "source.endpoint")
        #expect(source(SourceName(device: "cam", endpoint: "main")) == nil)
        let stream = refusal { try FieldCheck.stream(StreamName(asset: "a"), "stream") }
        #expect(stream?.field == "stream.stream")
    }

    @Test func controlBytesOfATextBecomeSpacesAndItsBytesAreCounted() throws {
        #expect(try FieldCheck.text("a\r\nb\u{7F}", "reason") == "a  b ")
        #expect(try FieldCheck.text(nil, "reason") == "")
        #expect(try FieldCheck.text("ää", "reason", maximumBytes: 4) == "ää")
        let tooLong = refusal { try FieldCheck.text("äää", "reason", maximumBytes: 5) }
        #expect(tooLong?.message == "reason has 6 bytes: at most 5 are allowed")
    }

    @Test func aTimeLiesBetween1970And2100() {
        func isTaken(_ us: Int64?) -> Bool { refusal { try FieldCheck.time(us, "x") } == nil }
        #expect(isTaken(1) && isTaken(4_102_444_800_000_000))
        #expect(!isTaken(nil) && !isTaken(0) && !isTaken(.min) && !isTaken(4_102_444_800_000_001) && !isTaken(.max))
    }

    @Test func aWindowIsNotEmptyAndNotLongerThanADay() throws {
        func field(_ start: Int64?, _ end: Int64?) -> String? {
            let window = Window(startUs: start, endUs: end)
            return refusal { try FieldCheck.window(window, "window") }?.field
        }
        #expect(field(1, 2) == nil)
        #expect(field(1, 86_400_000_001) == nil)
        #expect(field(1, 86_400_000_002) == "window.end_us")
        #expect(field(2, 2) == "window.end_us")
        #expect(field(.min, .max) == "window.start_us")
        #expect(field(1, nil) == "window.end_us")
        #expect(try FieldCheck.window(Window(startUs: 1, endUs: 5), "window", longestUs: 4) == 1..<5)
    }

    @Test func aNumberBeyondWhatItsTypeHoldsIsOutOfBoundsToo() throws {
        #expect(try FieldCheck.bounded(nil as UInt32?, "limit", default: 7, 1...9) == 7)
        #expect(try FieldCheck.bounded(9 as UInt32, "limit", default: 7, 1...9) == 9)
        let huge = refusal { try FieldCheck.bounded(UInt64.max, "limit", default: 7, 1...9) }
        #expect(huge?.message == "limit is 18446744073709551615: 1 to 9 are allowed")
    }

    @Test(arguments: [nil, "", "x", "ipc://relative", "tcp://host", "ipc:///" + String(repeating: "x", count: 110)])
    func anAddressIsOneThatCanBeCalled(text: String?) {
        #expect(refusal { try FieldCheck.address(text, "owner_address") }?.field == "owner_address")
    }
}
