// The rules for names, secret references and paths that documents carry. They look at bytes, as file systems and brokers do:
// for Swift's Character, '/' or '+' with a combining accent after it would be another letter.

import Foundation

enum Names {
    /// Why a text cannot be the name of a device, endpoint, asset or stream; nil where it can. Names become folders of the
    /// recording volume and parts of topics.
    static func problem(_ name: String) -> String? {
        guard !name.isEmpty else { return "is empty: give it 1 to 128 bytes" }
        guard name.utf8.count <= 128 else { return "has \(name.utf8.count) bytes: at most 128 are possible" }
        if name.utf8.contains(UInt8(ascii: "/")) { return "holds a '/': names become folders, use '-' instead" }
        if name.utf8.first == UInt8(ascii: ".") { return "begins with '.': such folders are the volume's own" }
        if name.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) {
            return "holds a control character: leave it out"
        }
        return nil
    }

    /// Why a text cannot name a secret ("secretName/key", or an alias without '/'); nil where it can.
    static func secretProblem(_ path: String) -> String? {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        let legal = parts.allSatisfy { part in
            !part.isEmpty && part != "." && part != ".."
                && part.utf8.allSatisfy { byte in
                    switch byte {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                        true
                    default: false
                    }
                }
        }
        guard legal, parts.count <= 2, path.utf8.count <= 253 else {
            return "must name a secret as secretName/key, in letters, digits, '.', '_' and '-'"
        }
        return nil
    }

    /// Why a text cannot be the folder of a file task; nil where it can. Empty means the volume's own layout.
    static func folderProblem(_ path: String) -> String? {
        if path.isEmpty { return nil }
        guard path.utf8.first == UInt8(ascii: "/") else { return "must be an absolute folder, such as /data/clips" }
        guard path.utf8.count <= 1024 else { return "has more than 1024 bytes" }
        if path.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) {
            return "holds a control character: leave it out"
        }
        let parts = path.utf8.split(separator: UInt8(ascii: "/"))
        if parts.contains(where: { $0.elementsEqual("..".utf8) || $0.elementsEqual(".".utf8) }) {
            return "holds a part \"..\" or \".\": write the folder out"
        }
        return nil
    }

    /// Why a text cannot be the address of a file source; nil where it can. Which folders may be read is the controller's to say.
    static func fileAddressProblem(_ address: String) -> String? {
        let rest = address.dropFirst("file:".count)
        guard rest.hasPrefix("//"), let slash = rest.dropFirst(2).firstIndex(of: "/"),
            ["", "localhost", "host"].contains(rest.dropFirst(2)[..<slash])
        else { return "names no file of the controller's host: write file:///folder/film.mkv" }
        let written = rest[slash...]
        guard written.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && !"?#\"<>\\^`{|}@".utf8.contains($0) }),
            let path = String(written).removingPercentEncoding
        else { return "has a path with blanks or characters that must be percent-encoded" }
        if let problem = folderProblem(path) { return problem }
        if ["/dev", "/proc", "/sys"].contains(where: { path == $0 || path.hasPrefix($0 + "/") }), !isCamera(path) {
            return
                "names the kernel's own files: a camera of the host is file:///dev/video0, or what is in /dev/v4l/by-id"
        }
        return nil
    }

    /// Whether a path names a camera of the host, as the kernel and udev name them. Which of them may be opened is the controller's to
    /// say.
    private static func isCamera(_ path: String) -> Bool {
        ["/dev/video", "/dev/v4l/by-id/", "/dev/v4l/by-path/"].contains { prefix in
            path.hasPrefix(prefix) && path.utf8.count > prefix.utf8.count && !path.dropFirst(prefix.count).contains("/")
        }
    }

    /// Why a text cannot be a topic to publish on; nil where it can.
    static func topicProblem(_ topic: String) -> String? {
        guard !topic.isEmpty else { return "is empty: leave the key out for the default topic" }
        guard topic.utf8.count <= 1024 else { return "has more than 1024 bytes" }
        if topic.utf8.contains(UInt8(ascii: "+")) || topic.utf8.contains(UInt8(ascii: "#")) {
            return "holds '+' or '#': a topic to publish on has no wildcards"
        }
        if topic.utf8.first == UInt8(ascii: "$") { return "begins with '$': such topics are the broker's own" }
        if topic.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) {
            return "holds a control character: leave it out"
        }
        return nil
    }
}
