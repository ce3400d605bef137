// What a blob's properties say of it.
import Testing
import Volume

@testable import CloudUploader

@Suite struct BlobComparisonTests {
    private static let sha256 = [UInt8](repeating: 0xAB, count: 32)
    private static let ours = Digest.hexadecimal(sha256)

    @Test(
        arguments: [
            (10, ours, nil, nil), (9, ours, "has 9 bytes, not 10", "has 9 bytes, not 10"),
            (nil, ours, "an unknown number of bytes", "an unknown number of bytes"),
            (10, nil, "no SHA-256 in its metadata", nil), (10, "cdcd", "names the SHA-256 cdcd…, not abab", nil),
        ] as [(Int64?, String?, String?, String?)])
    func propertiesTell(_ size: Int64?, _ sha256: String?, _ shallow: String?, _ deep: String?) throws {
        let expected = BlobExpectation(path: try RelativePath("a"), sha256: Self.sha256, sizeBytes: 10)
        let properties = BlobProperties(sizeBytes: size, sha256: sha256, etag: nil)
        for (readsBack, problem) in [(false, shallow), (true, deep)] {
            let found = properties.problem(expected, readsBack: readsBack)
            #expect((found == nil) == (problem == nil) && found?.contains(problem ?? "") != false, "\(found ?? "nil")")
        }
    }
}
