// HTTP multipart MJPEG as cameras send it (field lessons, case 20): lengths right, wrong and missing, boundaries of all kinds.
import Media
import Testing

@Suite struct MultipartJPEGCases {
    /// A picture as far as a reader of parts can tell: markers, a scan of `count` bytes, its number, the end.
    private static func picture(_ number: Int, scan count: Int = 300, hasEnd: Bool = true, within: String = "")
        -> [UInt8]
    {
        let filling = (0..<count).map { UInt8(1 + ($0 * 7 + number) % 250) }
        return [0xFF, 0xD8, 0xFF, 0xDB, 0, 4, 1, UInt8(number), 0xFF, 0xDA, 0, 2] + filling + Array(within.utf8)
            + filling
            + (hasEnd ? [0xFF, 0xD9] : [])
    }

    /// How a camera writes its parts.
    private struct Camera {
        var delimiter = "--frame"
        var lineEnd = "\r\n"
        /// nil: no length is sent.
        var stated: (Int, [UInt8]) -> Int? = { $1.count }
        var lengthField = "Content-Length"
        var behindPicture: [UInt8] = Array("\r\n".utf8)

        func body(_ pictures: [[UInt8]], isClosed: Bool = true) -> [UInt8] {
            var body: [UInt8] = []
            for (number, picture) in pictures.enumerated() {
                body += Array((delimiter + lineEnd + "Content-Type: image/jpeg" + lineEnd).utf8)
                if let length = stated(number, picture) { body += Array("\(lengthField): \(length)\(lineEnd)".utf8) }
                body += Array(lineEnd.utf8) + picture + behindPicture
            }
            return isClosed ? body + Array((delimiter + "--" + lineEnd).utf8) : body
        }
    }

    private struct Read: Equatable {
        var pictures: [[UInt8]] = []
        var counters = MultipartJPEGReader.Counters()
    }

    /// Reads a body, in pieces of any size: each must give the same.
    private static func read(
        _ body: [UInt8], contentType: String = "multipart/x-mixed-replace; boundary=frame", most: Int = 1 << 20,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> Read {
        var reads: [Read] = []
        for size in [body.count, 1, 2, 3, 7, 61, 1000] where size > 0 {
            var reader = try #require(MultipartJPEGReader(contentType: contentType, maximumPartBytes: most))
            var read = Read()
            for start in stride(from: 0, to: body.count, by: size) {
                body[start..<min(start + size, body.count)].withUnsafeBytes { piece in
                    reader.append(piece) { read.pictures.append($0.array) }
                }
            }
            reader.finish { read.pictures.append($0.array) }
            read.counters = reader.counters
            reads.append(read)
        }
        let first = try #require(reads.first)
        #expect(reads.allSatisfy { $0 == first }, "the same in other pieces", sourceLocation: sourceLocation)
        return first
    }

    private static let five = (0..<5).map { picture($0) }

    private static func counted(
        pictures: UInt64 = 5, _ change: (inout MultipartJPEGReader.Counters) -> Void = { _ in }
    ) -> MultipartJPEGReader.Counters {
        var counters = MultipartJPEGReader.Counters()
        counters.pictures = pictures
        change(&counters)
        return counters
    }

    @Test(arguments: ["Content-Length", "content-length", "CONTENT-LENGTH ", " Content-length"])
    func rightLengths(field: String) throws {
        let read = try Self.read(Camera(lengthField: field).body(Self.five))
        #expect(read == Read(pictures: Self.five, counters: Self.counted()))
    }

    @Test func missingLengths() throws {
        let read = try Self.read(Camera(stated: { _, _ in nil }).body(Self.five))
        #expect(read == Read(pictures: Self.five, counters: Self.counted()))
    }

    @Test func lengthsThatAreMissingAtTimes() throws {
        let read = try Self.read(Camera(stated: { $0 % 2 == 0 ? $1.count : nil }).body(Self.five))
        #expect(read == Read(pictures: Self.five, counters: Self.counted()))
    }

    /// Too large by a little or by many pictures, too small, beyond all bounds, and no numbers.
    @Test(arguments: [2, 40, 700, 3000, 100_000, 1 << 40, -1, -100, -612]) func wrongLengths(off: Int) throws {
        let read = try Self.read(Camera(stated: { $1.count + off }).body(Self.five))
        #expect(read.pictures == Self.five)
        // Found out once; then lengths are not looked at any more, except those that are none.
        #expect(read.counters.wrongLengths == (off == 1 << 40 ? 5 : 1))
    }

    @Test func lengthsThatAreNoNumbers() throws {
        for word in ["", "-5", "abc", "99999999999999999999999", "0"] {
            let body = Camera(stated: { _, _ in nil }).body(Self.five)
            let text = "image/jpeg\r\nContent-Length: \(word)"
            let read = try Self.read(Self.replacing(body, "image/jpeg", text))
            #expect(read.pictures == Self.five)
        }
    }

    @Test func aLengthThatIsWrongForOnceLosesNothing() throws {
        let pictures = (0..<12).map { Self.picture($0) }
        for wrong in [5, 100, 1500, 5000, -20] {
            let read = try Self.read(Camera(stated: { $0 == 2 ? $1.count + wrong : $1.count }).body(pictures))
            #expect(read.pictures == pictures, "off by \(wrong)")
            #expect(read.counters.wrongLengths == 1)
        }
    }

    @Test func aPictureIsHandedOnWithItsLastByteOnceALengthWasRight() throws {
        let body = Camera().body(Array(Self.five.prefix(2)), isClosed: false).dropLast(2)
        var reader = try #require(MultipartJPEGReader(contentType: "multipart/x-mixed-replace;boundary=frame"))
        var came = 0
        body.dropLast().withUnsafeBytes { reader.append($0) { _ in came += 1 } }
        #expect(came == 1)
        body.suffix(1).withUnsafeBytes { reader.append($0) { _ in came += 1 } }
        #expect(came == 2)
    }

    /// As it is declared, and as it is used.
    @Test(arguments: [
        ("frame", "--frame"), ("--frame", "--frame"), ("--frame", "----frame"), ("frame", "frame"),
        ("--frame", "frame"),
        ("\"frame\"", "--frame"), ("\"--frame\"", "--frame"), ("\"my frame; 1\"", "--my frame; 1"),
        ("----WebKit--1", "------WebKit--1"), ("f", "--f"), ("frame; charset=utf-8", "--frame"),
    ])
    func boundaries(declared: String, used: String) throws {
        for stated: (Int, [UInt8]) -> Int? in [{ $1.count }, { _, _ in nil }] {
            let body = Camera(delimiter: used, stated: stated).body(Self.five)
            let read = try Self.read(body, contentType: "multipart/x-mixed-replace; boundary=\(declared)")
            #expect(read == Read(pictures: Self.five, counters: Self.counted()))
        }
    }

    @Test func contentTypesAreReadHoweverTheyAreWritten() {
        for good in [
            "multipart/x-mixed-replace;boundary=b", "Multipart/X-Mixed-Replace; Boundary=b",
            "multipart/mixed; a=1; boundary = b",
            " multipart/x-mixed-replace ; charset=x;boundary=\"b\"",
        ] { #expect(MultipartJPEGReader(contentType: good) != nil, "\(good)") }
        for bad in [
            "", "image/jpeg", "multipart/x-mixed-replace", "multipart/x-mixed-replace; boundary=",
            "text/html; boundary=b",
            "multipart/x-mixed-replace; boundary=--",
            "multipart/x-mixed-replace; boundary=" + String(repeating: "b", count: 201),
        ] { #expect(MultipartJPEGReader(contentType: bad) == nil, "\(bad)") }
    }

    @Test func linesThatEndWithoutACarriageReturn() throws {
        for stated: (Int, [UInt8]) -> Int? in [{ $1.count }, { _, _ in nil }] {
            let camera = Camera(lineEnd: "\n", stated: stated, behindPicture: [10])
            #expect(try Self.read(camera.body(Self.five)).pictures == Self.five)
        }
    }

    @Test func noLineBreakBehindThePicture() throws {
        for stated: (Int, [UInt8]) -> Int? in [{ $1.count }, { _, _ in nil }] {
            let read = try Self.read(Camera(stated: stated, behindPicture: []).body(Self.five))
            #expect(read == Read(pictures: Self.five, counters: Self.counted()))
        }
    }

    @Test func junkBeforeBetweenAndBehindTheParts() throws {
        for stated: (Int, [UInt8]) -> Int? in [{ $1.count }, { _, _ in nil }] {
            let camera = Camera(stated: stated, behindPicture: Array("\r\n\r\nX-Debug: 5 - - --fra\r\n".utf8))
            let read = try Self.read(Array("HTTP leftovers\r\n".utf8) + camera.body(Self.five) + Array("the end".utf8))
            #expect(read.pictures == Self.five)
            #expect(read.counters.pictures == 5 && read.counters.torn == 0 && read.counters.wrongLengths == 0)
            #expect(read.counters.junkBytes > 0)
        }
    }

    /// The picture holds what a boundary begins with, and the whole boundary where no line ends behind it.
    @Test func picturesThatHoldTheBoundarysBeginning() throws {
        for within in [
            "\r\n--fram", "\r\n--frame", "--frame-", "\r\n--frame-frame", "frame\r\n", "\r\n--frames\r\n", "-----",
        ] {
            let pictures = (0..<5).map { Self.picture($0, within: within) }
            for stated: (Int, [UInt8]) -> Int? in [{ $1.count }, { _, _ in nil }] {
                let read = try Self.read(Camera(stated: stated).body(pictures))
                #expect(read == Read(pictures: pictures, counters: Self.counted()), "\(within)")
            }
        }
    }

    /// Even the whole line, where the length says that it is content.
    @Test func aLengthThatIsRightKeepsAPictureWholeThatHoldsABoundary() throws {
        let pictures = (0..<5).map { Self.picture($0, within: "\r\n--frame\r\n\r\n") }
        #expect(try Self.read(Camera().body(pictures)) == Read(pictures: pictures, counters: Self.counted()))
    }

    @Test func aPictureWithoutItsEndIsTornAndTheNextOneComes() throws {
        var pictures = Self.five
        pictures[2] = Self.picture(2, hasEnd: false)
        for stated: (Int, [UInt8]) -> Int? in [{ $1.count }, { _, _ in nil }, { _, _ in 626 }] {
            let read = try Self.read(Camera(stated: stated).body(pictures))
            #expect(read.pictures == Array(Self.five[..<2] + Self.five[3...]))
            #expect(read.counters.torn == 1 && read.counters.pictures == 4)
        }
    }

    @Test func theLastPictureNeedsNoBoundaryButItsEnd() throws {
        for stated: (Int, [UInt8]) -> Int? in [{ $1.count }, { _, _ in nil }] {
            let body = Camera(stated: stated).body(Self.five, isClosed: false)
            #expect(try Self.read(body).pictures == Self.five)
            let cut = try Self.read(Array(body.dropLast(10)))
            #expect(cut.pictures == Array(Self.five.dropLast()))
            #expect(cut.counters == Self.counted(pictures: 4) { $0.torn = 1 })
        }
    }

    @Test func paddingBehindThePicturesEndIsNotKept() throws {
        let padded = Self.five.map { $0 + [0, 0, 0, 0] }
        for stated: (Int, [UInt8]) -> Int? in [{ $1.count }, { _, _ in nil }] {
            #expect(try Self.read(Camera(stated: stated).body(padded)).pictures == Self.five)
        }
    }

    @Test func partsThatAreNoPicturesAreCounted() throws {
        let parts = [Array("status: ok".utf8), Self.five[0], [], Self.five[1]]
        for stated: (Int, [UInt8]) -> Int? in [{ $1.count }, { _, _ in nil }] {
            let read = try Self.read(Camera(stated: stated).body(parts))
            #expect(
                read
                    == Read(
                        pictures: Array(Self.five[..<2]), counters: Self.counted(pictures: 2) { $0.notPictures = 2 }))
        }
    }

    @Test func aPartWithoutAHeaderOrWithoutItsEndIsStillAPicture() throws {
        let delimiter = Array("\r\n--frame\r\n".utf8)
        let bare = Self.five.flatMap { delimiter + $0 }
        #expect(try Self.read(bare).pictures == Self.five)
        let endless = Self.five.flatMap { delimiter + Array("Content-Type: image/jpeg\r\n".utf8) + $0 }
        #expect(try Self.read(endless).pictures == Self.five)
    }

    @Test func whatIsBeyondTheBoundIsDroppedAndTheStreamGoesOn() throws {
        var pictures = Self.five
        pictures[1] = Self.picture(1, scan: 90_000)
        for stated: (Int, [UInt8]) -> Int? in [{ $1.count }, { _, _ in nil }] {
            let read = try Self.read(Camera(stated: stated).body(pictures), most: 2000)
            #expect(read.pictures == Array(Self.five[..<1] + Self.five[2...]))
            #expect(read.counters.tooLarge == 1 && read.counters.pictures == 4 && read.counters.junkBytes == 0)
        }
    }

    @Test func anEndlessHeaderIsGivenUpAtTheNextBoundary() throws {
        let endless = Array("--frame\r\n".utf8) + [UInt8](repeating: 0x41, count: 30_000) + Array("\r\n".utf8)
        let read = try Self.read(endless + Camera().body(Self.five))
        #expect(read.pictures == Self.five)
    }

    private static func replacing(_ bytes: [UInt8], _ old: String, _ new: String) -> [UInt8] {
        let pattern = Array(old.utf8)
        var out: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index...].starts(with: pattern) {
                out += Array(new.utf8)
                index += pattern.count
            } else {
                out.append(bytes[index])
                index += 1
            }
        }
        return out
    }
}
