// The folder of backups beside the catalogue: which names count, which backups are kept, and the calls that make a copy durable.
// Backups.swift fills it. All calls block.

import CivilTime
import Foundation
import Glibc
import RPC
import Volume

/// What a backup is called: `catalogue-20261123T051102.000000Z.sqlite`. Sorts as text in the order of time.
struct BackupName: Sendable, Equatable, Comparable {
    private static let prefix = "catalogue-"
    private static let suffix = ".sqlite"

    let time: TimeStamp

    init(_ time: TimeStamp) { self.time = time }

    /// Nil for every name that we did not give. What it takes has no '/' and no '..', so it stays inside the folder.
    init?(_ text: String) {
        guard text.hasPrefix(Self.prefix), text.hasSuffix(Self.suffix),
            text.utf8.count > Self.prefix.utf8.count + Self.suffix.utf8.count,
            let time = TimeStamp(compact: text.dropFirst(Self.prefix.count).dropLast(Self.suffix.count))
        else { return nil }
        self.time = time
        guard self.text == text else { return nil }
    }

    var text: String { Self.prefix + time.compact + Self.suffix }

    static func < (left: BackupName, right: BackupName) -> Bool { left.time < right.time }

    /// The name of the next one: later than all that there are, also where the clock was set back; else the newest would
    /// count as the oldest and be removed.
    static func next(after known: [BackupName], nowUs: Int64) -> BackupName? {
        TimeStamp(us: max(nowUs, (known.max()?.time.us ?? -1) + 1)).map(BackupName.init)
    }

    /// What is removed so that `kept` stay.
    static func surplus(of known: [BackupName], kept: Int) -> [BackupName] {
        Array(known.sorted(by: >).dropFirst(kept))
    }
}

struct BackupFolder: Sendable {
    let path: String

    /// Backups that stay: the last good one, the one before it, and one to compare.
    static let kept = 3
    /// What is being written; SQLite puts its own endings behind it.
    private static let temporary = ".catalogue.partial"

    var temporaryPath: String { path(of: Self.temporary) }
    func path(of name: BackupName) -> String { path(of: name.text) }
    private func path(of name: String) -> String { path + "/" + name }

    /// Makes the folder where it is missing.
    func make() throws(RPCError) {
        guard mkdir(path, 0o750) == 0 || errno == EEXIST else { throw problem("make the folder", path) }
    }

    /// All that are there, in no order. A folder that is not there has none.
    func names() -> [BackupName] { entries().compactMap { BackupName($0) } }

    /// Removes what an attempt left that was killed or failed.
    func removeLeftovers() {
        for name in entries() where name.hasPrefix(Self.temporary) { unlink(path(of: name)) }
    }

    func removeSurplus() {
        for name in BackupName.surplus(of: names(), kept: Self.kept) { unlink(path(of: name)) }
    }

    /// Throws where a copy of so many bytes would fill the disk: a tenth more must be free.
    func checkRoom(for sizeBytes: Int64) throws(RPCError) {
        var space = statvfs()
        guard statvfs(path, &space) == 0 else { throw problem("ask for the free space of", path) }
        let free = Int64(clamping: space.f_bavail).multipliedReportingOverflow(by: Int64(clamping: space.f_frsize))
        let freeBytes = free.overflow ? .max : free.partialValue
        let needed = sizeBytes + sizeBytes / 10
        guard freeBytes >= needed else {
            throw .unavailable(
                "a backup of the catalogue needs \(needed) bytes free in \(path), there are \(freeBytes): make room on "
                    + "the disk of the state directory")
        }
    }

    /// Gives what was written its name, so that a power cut leaves it whole or not at all. `digest` has synced it.
    func publish(as name: BackupName) throws(RPCError) {
        guard rename(temporaryPath, path(of: name)) == 0 else { throw problem("rename", temporaryPath) }
        try sync(path, O_RDONLY | O_DIRECTORY)
    }

    /// SHA-256 and size of what was written, as the disk gives it back.
    func digest() throws(RPCError) -> Volume.Digest {
        try sync(temporaryPath, O_RDWR)
        do throws(VolumeError) {
            return try FileReader(opening: temporaryPath).digest(fromStorage: true)
        } catch {
            throw .unavailable("the backup of the catalogue cannot be read back: \(error)")
        }
    }

    /// A piece of a backup; empty at its end. NOT_FOUND where there is none.
    func read(_ name: BackupName, at offset: Int64, count: Int) throws(RPCError) -> [UInt8] {
        do throws(VolumeError) {
            return try FileReader(opening: path(of: name)).read(at: offset, count: count)
        } catch {
            guard error.kind == .missing else { throw .unavailable("backup \(name.text) cannot be read: \(error)") }
            throw .notFound("there is no backup \(name.text); the newest \(Self.kept) are kept")
        }
    }

    private func entries() -> [String] { (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] }

    private func sync(_ path: String, _ flags: Int32) throws(RPCError) {
        let file = open(path, flags | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { throw problem("open", path) }
        defer { close(file) }
        guard fsync(file) == 0 else { throw problem("sync", path) }
    }

    private func problem(_ what: String, _ path: String) -> RPCError {
        .unavailable("the backup cannot \(what) \(path): \(String(cString: strerror(errno)))")
    }
}
