// Where an HTTP camera is, and where it may lead; networks that nothing may lead to.

import Testing

@testable import RTSP

@Suite struct HTTPURLTests {
    @Test func itsPartsAreRead() throws {
        let url = try #require(HTTPURL("HTTP://user:p@ss@camera.local:8080/snap.jpg?channel=1#x"))
        #expect(url.host == "camera.local" && url.port == 8080 && !url.isSecure)
        #expect(url.target == "/snap.jpg?channel=1" && url.description == "http://camera.local:8080/snap.jpg?channel=1")
        let bare = try #require(HTTPURL("https://[2001:db8::1]"))
        #expect(bare.host == "2001:db8::1" && bare.port == 443 && bare.target == "/")
        #expect(HTTPURL("http://camera?x=1")?.target == "/?x=1")
        for text in [
            "rtsp://camera/", "http://", "http:///path", "http://cam era/", "http://camera:0/", "file:///etc/passwd",
        ] {
            #expect(HTTPURL(text) == nil, "\(text)")
        }
    }

    @Test(arguments: [
        ("http://camera:81/a/b?c", "/x", "http://camera:81/x"),
        ("http://camera:81/a/b?c/d", "x?y", "http://camera:81/a/x?y"),
        ("http://camera/a", "//other/x", "http://other/x"),
        ("http://camera/a", "https://camera/x", "https://camera/x"),
        ("https://camera/a", "http://camera/x", nil),
        ("http://camera/a", "file:///etc/passwd", nil),
        ("http://camera/a", "rtsp://camera/x", nil),
        ("http://camera/a", "concat:/etc/passwd|/etc/shadow", nil),
        ("http://camera/a", "subfile,,start,0,end,9,,:/etc/passwd", nil),
    ])
    func redirectsAreFollowedWhereTheyMay(_ from: String, _ location: String, _ expected: String?) throws {
        let url = try #require(HTTPURL(from))
        #expect(url.redirected(to: location)?.description == expected)
    }

    private func address(_ text: String) throws -> HostAddress {
        let found = try HostAddress.lookUp(text, port: 1, onlyNumeric: true).get()
        return try #require(found.first)
    }

    @Test(arguments: [
        ("127.0.0.0/8", "127.9.9.9", true), ("127.0.0.0/8", "128.0.0.1", false),
        ("169.254.169.254", "169.254.169.254", true), ("169.254.169.254", "169.254.169.253", false),
        ("10.0.0.0/9", "10.127.0.1", true), ("10.0.0.0/9", "10.128.0.1", false), ("0.0.0.0/0", "8.8.8.8", true),
        ("fe80::/10", "febf::1", true), ("fe80::/10", "fec0::1", false), ("::1", "::1", true),
        ("127.0.0.0/8", "::ffff:127.0.0.1", true), ("127.0.0.0/8", "::1", false), ("::/0", "127.0.0.1", false),
    ])
    func aNetworkHoldsItsAddresses(_ network: String, _ text: String, _ isInside: Bool) throws {
        let range = try #require(NetworkRange(network))
        #expect(range.contains(try address(text)) == isInside)
    }

    @Test(arguments: ["", "camera", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "fe80::/129", "/8"])
    func whatIsNoNetworkIsRefused(_ text: String) { #expect(NetworkRange(text) == nil) }
}
