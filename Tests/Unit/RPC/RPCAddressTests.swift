import Testing

@testable import RPC

struct RPCAddressTests {
    @Test(arguments: [
        "ipc:///run/sightglass/indexer.rpc", "tcp://127.0.0.1:7001", "tcp://localhost:0", "tcp://[::1]:7001",
        "tls+tcp://indexer.site-1.example:7001", "tls+tcp://10.0.0.7:65535", "tls+tcp://*:7001",
    ])
    func takesWhatNngTakesAndPrintsItUnchanged(text: String) throws {
        #expect(try RPCAddress(parsing: text).description == text)
    }

    @Test(arguments: [
        ("", "must begin with"), ("http://localhost:80", "must begin with"), ("/run/x", "must begin with"),
        ("ipc://run/x", "absolute path"), ("ipc:///", "absolute path"), ("ipc:///run/a b", "space"),
        ("ipc:///" + String(repeating: "x", count: 107), "too long"),
        ("tcp://127.0.0.1", "host and a port"), ("tcp://127.0.0.1:", "host and a port"),
        ("tcp://127.0.0.1:65536", "host and a port"), ("tcp://:7001", "host and a port"),
        ("tcp://::1:7001", "host and a port"), ("tcp://127.0.0.1:+1", "host and a port"),
        ("tls+tcp://user:secret@host:7001", "host and a port"), ("tls+tcp://host:7001/path", "host and a port"),
    ])
    func refusesWhatCannotWorkAndSaysWhatToWrite(text: String, reason: String) {
        #expect { try RPCAddress(parsing: text) } throws: { error in
            guard let error = error as? RPCError else { return false }
            return error.code == .invalidArgument && error.message.contains(reason)
        }
    }

    @Test(arguments: ["tcp://10.0.0.7:7001", "tcp://0.0.0.0:7001", "tcp://*:7001", "tcp://127.0.0.1.evil.example:1"])
    func refusesPlainTcpBeyondThisHostUnlessInsecureIsSet(text: String) throws {
        #expect(throws: RPCError.self) { try RPCAddress(parsing: text) }
        #expect(try RPCAddress(parsing: text, allowInsecure: true).description == text)
    }
}
