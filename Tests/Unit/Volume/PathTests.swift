// RelativePath, EscapedName and StagingName: what gets near the file system, and what does not.
import Testing

@testable import Volume

@Suite("Paths and names")
struct PathTests {
    @Test(arguments: [
        "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/../b", "a/./b", "./a", "a\0b", "a\nb", "a/\u{7f}",
        ".staging/x", ".sightglass-volume.json", String(repeating: "a", count: 256),
        String(repeating: "abc/", count: 300) + "a",
    ])
    func refusesPathsThatCouldLeaveOrSpoilTheVolume(text: String) {
        #expect(failure { _ = try RelativePath(text) } == .invalidName)
    }

    /// For Swift these '/' and '.' are other letters, with an accent; for the kernel they are themselves.
    @Test(arguments: [
        "/\u{301}etc/passwd", "/\u{200d}etc", ".\u{301}staging", "a/../\u{301}b", "a/./\u{fe0f}b", "a//\u{301}b",
        "a/../\u{20dd}b/../\u{20dd}c",
    ])
    func refusesSuchPathsAlsoBehindAnAccent(text: String) {
        #expect(failure { _ = try RelativePath(text) } == .invalidName)
    }

    @Test func splitsWhereTheKernelDoes() throws {
        let path = try RelativePath("a/\u{301}b/c")
        #expect(path.parts == ["a", "\u{301}b", "c"])
        #expect(path.ancestors.map(\.string) == ["a", "a/\u{301}b"])
    }

    @Test(arguments: ["a", "a/b.mp4", "cam 1/Süd/x", "a/.b", "a/...", String(repeating: "a", count: 255)])
    func takesOrdinaryPaths(text: String) throws {
        #expect(try RelativePath(text).string == text)
    }

    @Test func refusalsDoNotRepeatControlBytes() {
        let error = #expect(throws: VolumeError.self) { try RelativePath("/a\u{1b}[2J\nforged line") }
        #expect(error?.description.contains("\n") == false)
        #expect(error?.description.contains("\u{1b}") == false)
    }

    @Test func knowsItsFolders() throws {
        let path = try RelativePath("a/b/c.mp4")
        #expect(path.name == "c.mp4")
        #expect(path.parent?.string == "a/b")
        #expect(path.ancestors.map(\.string) == ["a", "a/b"])
        #expect(try RelativePath("a").ancestors.isEmpty)
    }

    @Test(arguments: [
        ("cam1", "cam1"), ("cam/1", "cam%2F1"), ("100%", "100%25"), (".hidden", "%2Ehidden"), ("..", "%2E."),
        ("Tor Süd", "Tor Süd"), ("a\u{1}", "a%01"), ("a.b", "a.b"),
    ])
    func escapesNamesAndBack(name: String, part: String) throws {
        #expect(try EscapedName.part(for: name) == part)
        #expect(EscapedName.name(from: part) == name)
    }

    @Test func escapedNamesStayApart() throws {
        let names = ["a/b", "a%2Fb", "a%252Fb", "a%b", "A/b", "a%2fb"]
        #expect(Set(try names.map { try EscapedName.part(for: $0) }).count == names.count)
    }

    @Test func refusesNamesWithoutAFileName() {
        #expect(failure { _ = try EscapedName.part(for: "") } == .invalidName)
        #expect(failure { _ = try EscapedName.part(for: String(repeating: "/", count: 128)) } == .invalidName)
    }

    @Test(arguments: ["%", "%2", "%zz", "%2f", "%FF", ""])
    func refusesPartsThatNoNameGives(part: String) {
        #expect(EscapedName.name(from: part) == nil)
    }

    @Test(arguments: [("cc-0", "cam1.20261123T050612.123456Z.mp4"), ("a.b/c", "x"), ("%", "..")])
    func stagingNamesReadBack(owner: String, label: String) throws {
        let name = try StagingName(owner: owner, epoch: .max, label: label)
        #expect(StagingName(fileName: name.fileName) == name)
    }

    @Test(arguments: ["", "probe-1", "a.b", "a.b.c", "a.-1.c", "a.01.c", "a.+1.c", ".1.c", "a.1.", "a.1.b/c"])
    func strangersInStagingAreNotOurs(fileName: String) {
        #expect(StagingName(fileName: fileName) == nil)
    }
}
