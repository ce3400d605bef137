// Challenges as cameras write them, and the answers of the RFCs' examples.

import Testing

@testable import RTSP

private func headers(_ challenges: String...) -> RTSPHeaders {
    var headers = RTSPHeaders()
    for challenge in challenges { headers.add("WWW-Authenticate", challenge) }
    return headers
}

@Suite struct RTSPAuthenticatorTests {
    private let mufasa = RTSPUser(name: "Mufasa", password: "Circle of Life")
    private let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
    private let clientNonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"

    private func answer(to challenges: RTSPHeaders, method: String = "GET", uri: String = "/dir/index.html") -> String?
    {
        var authenticator = RTSPAuthenticator()
        guard authenticator.challenged(challenges) == .answer else { return nil }
        return authenticator.header(method: method, uri: uri, user: mufasa, clientNonce: clientNonce)
    }

    /// RFC 7616, section 3.9.1: the server offers both.
    @Test(arguments: [true, false])
    func theStrongerOfTwoDigestsIsAnsweredInEitherOrder(isReversed: Bool) throws {
        let rest = #"realm="http-auth@example.org", qop="auth, auth-int", nonce="\#(nonce)", opaque="FQhe""#
        let offers = ["Digest \(rest), algorithm=SHA-256", "Digest \(rest), algorithm=MD5"]
        let said = try #require(
            answer(to: isReversed ? headers(offers[1], offers[0]) : headers(offers[0], offers[1])))
        #expect(said.contains(#"response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1""#))
        #expect(said.contains("algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"\(clientNonce)\", opaque=\"FQhe\""))
    }

    @Test func md5WithQopIsAnswered() throws {
        let challenge = #"Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5, nonce="\#(nonce)""#
        #expect(try #require(answer(to: headers(challenge))).contains(#"response="8ca523f5e9506fed4657c9700eebdbec""#))
    }

    /// RFC 2069, as most cameras still do it: no qop, so no counter and no nonce of ours.
    @Test func digestWithoutQopHasNoCounter() throws {
        let said = try #require(
            answer(
                to: headers(#"Digest realm="IP Camera(C2345)", nonce="abc", stale="FALSE""#), method: "DESCRIBE",
                uri: "rtsp://camera/1"))
        let first = Digest.md5(Array("Mufasa:IP Camera(C2345):Circle of Life".utf8))
        let second = Digest.md5(Array("DESCRIBE:rtsp://camera/1".utf8))
        let response = Digest.md5(Array("\(first):abc:\(second)".utf8))
        #expect(
            said
                == #"Digest username="Mufasa", realm="IP Camera(C2345)", nonce="abc", uri="rtsp://camera/1", "#
                + #"response="\#(response)""#)
    }

    @Test func sessionAlgorithmsHashBothNonces() throws {
        let said = try #require(
            answer(
                to: headers(#"Digest realm="r", nonce="n", algorithm=MD5-sess, qop="auth""#), method: "PLAY", uri: "u"))
        let user = Digest.md5(Array("Mufasa:r:Circle of Life".utf8))
        let first = Digest.md5(Array("\(user):n:\(clientNonce)".utf8))
        let second = Digest.md5(Array("PLAY:u".utf8))
        let response = Digest.md5(Array("\(first):n:00000001:\(clientNonce):auth:\(second)".utf8))
        #expect(said.contains("response=\"\(response)\""))
    }

    @Test(arguments: [
        #"Basic realm="a", Digest realm="b", nonce="n""#, #"Digest realm="b", nonce="n", Basic realm="a""#,
        #"Digest realm=b,nonce=n,Basic realm=a"#,
    ])
    func digestIsPreferredInOneListWithBasic(_ list: String) throws {
        #expect(try #require(answer(to: headers(list))).hasPrefix("Digest username="))
    }

    @Test func basicIsAnsweredWhereNothingElseIsOffered() {
        #expect(answer(to: headers(#"Basic realm="camera""#)) == "Basic TXVmYXNhOkNpcmNsZSBvZiBMaWZl")
    }

    @Test func aSecondRefusalIsFinalAndAStaleNonceIsNot() {
        var authenticator = RTSPAuthenticator()
        func header() -> String? {
            authenticator.header(method: "SETUP", uri: "u", user: mufasa, clientNonce: "c")
        }
        #expect(authenticator.challenged(headers(#"Digest realm="r", nonce="1""#)) == .answer)
        #expect(header() != nil)
        authenticator.accepted()
        #expect(header() != nil)
        #expect(authenticator.challenged(headers(#"Digest realm="r", nonce="2", stale=true"#)) == .answer)
        #expect(header()?.contains("nonce=\"2\"") == true)
        #expect(authenticator.challenged(headers(#"Digest realm="r", nonce="3""#)) == .refused)
    }

    /// A nonce that ran out without a word of "stale": the next request still went out with it. A new one is answered, once;
    /// the same one again is a refusal.
    @Test func aNewChallengeAfterAnAcceptedRequestIsAnsweredOnce() {
        for (nonce, isAnswered) in [("2", true), ("1", false)] {
            var authenticator = RTSPAuthenticator()
            func send() { _ = authenticator.header(method: "SETUP", uri: "u", user: mufasa, clientNonce: "c") }
            #expect(authenticator.challenged(headers(#"Digest realm="r", nonce="1""#)) == .answer)
            send()
            authenticator.accepted()
            send()
            let verdict = authenticator.challenged(headers(#"Digest realm="r", nonce="\#(nonce)""#))
            #expect(verdict == (isAnswered ? .answer : .refused))
            guard isAnswered else { continue }
            send()
            // A new nonce each time is answered, though not for ever.
            let verdicts = (3...40).map { number in
                send()
                return authenticator.challenged(headers("Digest realm=\"r\", nonce=\"\(number)\""))
            }
            #expect(verdicts.last == .refused)
        }
    }

    @Test func theSameStaleNonceIsNotAnsweredForEver() {
        var authenticator = RTSPAuthenticator()
        let stale = headers(#"Digest realm="r", nonce="1", stale=true"#)
        #expect(authenticator.challenged(stale) == .answer)
        _ = authenticator.header(method: "DESCRIBE", uri: "u", user: mufasa, clientNonce: "c")
        #expect(authenticator.challenged(stale) == .refused)
    }

    @Test func whatIsNotSpokenIsNamed() {
        var authenticator = RTSPAuthenticator()
        #expect(authenticator.challenged(headers(#"Negotiate"#)) == .notUnderstood("negotiate"))
        #expect(authenticator.challenged(RTSPHeaders()) == .notUnderstood("nothing"))
        let protected = headers(#"Digest realm="r", nonce="n", qop="auth-int""#)
        #expect(authenticator.challenged(protected) == .notUnderstood("digest"))
    }

    @Test func quotesInAValueAreKeptAndWrittenBack() throws {
        let said = try #require(answer(to: headers(#"Digest realm="the \"inner\" gate", nonce="n""#)))
        #expect(said.contains(#"realm="the \"inner\" gate""#))
    }

    @Test func aUserShowsNothingOfItself() {
        var dumped = ""
        dump(mufasa, to: &dumped)
        for text in ["\(mufasa)", String(reflecting: mufasa), "\([mufasa])", dumped] {
            #expect(!text.contains("Mufasa") && !text.contains("Circle"), "\(text)")
        }
    }

    @Test(arguments: ["", "f", "fo", "foo", "foob", "fooba", "foobar"])
    func base64GoesBothWays(_ text: String) {
        #expect(Base64.decode(Base64.encode(Array(text.utf8))) == Array(text.utf8))
        #expect(Base64.decode("Z0LAHtkDxWhAAAADAEAAAAwDxYuS=")?.first == 0x67)
        #expect(Base64.decode("Z0 L") == nil)
    }
}
