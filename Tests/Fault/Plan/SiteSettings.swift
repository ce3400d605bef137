// How a campaign's site differs from the one that the demo plays on. Pure.

/// Settings of services, by the key of their configuration file.
enum SiteSettings {
    /// What is always different, so that minutes show what a site does in weeks.
    private static let always: [ProcessName: [(key: String, value: String)]] = [
        // A volume so small that the oldest footage makes room while the campaign runs: some 80 s of three cameras.
        .indexer: [("quota-bytes", "41943040")],
        .captureController: [("deletion-seconds", "5")],
        // Every segment goes in blocks, so that an upload can be interrupted in the middle.
        .cloudUploader: [("single-put-bytes", "131072"), ("block-bytes", "131072")],
    ]

    /// What follows from the seed: every other campaign has an archiver that reads the recording volume through its controller.
    static func changes(seed: UInt64) -> [ProcessName: [(key: String, value: String)]] {
        var changes = always
        if seed % 2 == 0 { changes[.archiver] = [("recording-volumes", "[]")] }
        return changes
    }

    /// Of a campaign that is about the archive: what a dead archiver had claimed falls back before everything has settled, and the
    /// oldest footage makes room only when no request reaches so far back: some six minutes of eight cameras.
    static let archive: [ProcessName: [(key: String, value: String)]] = [
        .indexer: [("quota-bytes", "314572800")],
        .captureController: [("deletion-seconds", "5")],
        .archiver: [("lease-ms", "5000")],
        .secondArchiver: [("lease-ms", "5000")],
    ]

    /// A configuration file with the changes in it, in place of what it says of the same keys.
    static func changed(_ file: String, by changes: [(key: String, value: String)]) -> String {
        let kept = file.split(separator: "\n").filter { line in
            !changes.contains { line.hasPrefix("\($0.key):") }
        }
        return (kept.map(String.init) + changes.map { "\($0.key): \($0.value)" }).joined(separator: "\n") + "\n"
    }
}
