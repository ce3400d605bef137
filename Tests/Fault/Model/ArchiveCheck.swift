// Judges the archive volume as whoever reads it sees it: each file once, every manifest and every sidecar true, and in a clip what
// there was of its window. Pure.

struct ArchiveCheck {
    let history: FaultHistory
    let snapshot: Snapshot
    private let files: [DeliveredItem]

    init(history: FaultHistory, snapshot: Snapshot) {
        self.history = history
        self.snapshot = snapshot
        files = Set(snapshot.requests.flatMap(\.files)).sorted { ($0.path, $0.itemID) < ($1.path, $1.itemID) }
    }

    func judge() -> [Violation] { once() + manifests() + sidecars() + clips() }

    // MARK: Once

    /// What is there once.
    private struct Content: Hashable, CustomStringConvertible {
        let fact: FileFact
        /// Whose it must be to be the same; nil: anybody's.
        let camera: Camera?
        var description: String { fact.description }
    }

    /// A path is one item's, an item and a recorded file have one path, and no footage is there under two names.
    private func once() -> [Violation] {
        var violations: [Violation] = []
        var items: [String: UInt64] = [:]
        var paths: [UInt64: String] = [:]
        var sources: [String: String] = [:]
        var names: [String: String] = [:]
        var contents: [Content: String] = [:]
        func note<Key, Value: Equatable>(
            _ table: inout [Key: Value], _ key: Key, _ value: Value, _ text: (Value) -> String
        ) {
            guard let other = table.updateValue(value, forKey: key), other != value else { return }
            violations.append(Violation(.delivery, "\(key)", text(other)))
        }
        for file in files {
            if file.itemID > 0 {
                note(&items, file.path, file.itemID) { "is brought by item \($0) and by item \(file.itemID)" }
                note(&paths, file.itemID, file.path) { "is an item that brings \($0) and \(file.path)" }
            }
            if let source = file.sourcePath {
                note(&sources, file.path, source) { "is the name of \($0) and of \(source)" }
                note(&names, source, file.path) { "is archived as \($0) and as \(file.path)" }
            }
            // Two pictures of a film that is played again and again may be equal; two recordings of it are not. Two clips are where two
            // cameras began the same film in the same moment: a clip begins with a picture, and nothing in it tells the camera.
            if file.isSegment || file.isClip, file.isInArchive, let fact = file.fact {
                note(&contents, Content(fact: fact, camera: file.isClip ? file.camera : nil), file.path) {
                    "is the content of \($0) and of \(file.path)"
                }
            }
        }
        return violations
    }

    // MARK: Documents

    private func manifests() -> [Violation] {
        let evicted = Set(files.filter { $0.state == "evicted" }.map(\.path))
        return snapshot.manifests.sorted { $0.key < $1.key }.flatMap { path, manifest in
            manifest.files.sorted { $0.path < $1.path }.compactMap { file -> Violation? in
                guard let promised = file.fact else {
                    return Violation(.manifest, path, "has neither the size nor the SHA-256 of \(file.path)")
                }
                let found = snapshot.archive[file.path]
                if found == promised || (found == nil && evicted.contains(file.path)) { return nil }
                let text = found.map { "it has \($0)" } ?? "it is not there"
                return Violation(.manifest, path, "says that \(file.path) has \(promised), and \(text)")
            }
        }
    }

    private func sidecars() -> [Violation] {
        var askers: [String: Set<String>] = [:]
        for request in snapshot.requests {
            for file in request.files { askers[file.path, default: []].insert(request.id) }
        }
        return files.filter { !$0.isManifest && $0.isInArchive }.flatMap { file -> [Violation] in
            let path = RequestCheck.sidecar(of: file.path)
            // That there is one is the request's matter.
            guard snapshot.archive[path] != nil else { return [] }
            guard let sidecar = snapshot.sidecars[path] else {
                return [Violation(.sidecar, path, "cannot be read")]
            }
            var wrong: [String] = []
            if let fact = file.fact, sidecar.fact != fact {
                wrong.append("says \(sidecar.fact?.description ?? "no size or no SHA-256"), the file has \(fact)")
            }
            if !file.path.hasSuffix("/" + sidecar.fileName) { wrong.append("is that of \(sidecar.fileName)") }
            if sidecar.span != file.span { wrong.append("says \(sidecar.span), the catalogue \(file.span)") }
            if let camera = file.camera, sidecar.camera != camera.rawValue {
                wrong.append("says camera \(sidecar.camera), the catalogue \(camera.rawValue)")
            }
            // Who asked after it was written is not in it.
            let strangers = sidecar.requestIDs.subtracting(askers[file.path] ?? [])
            if !strangers.isEmpty { wrong.append("names \(strangers.sorted()), which do not have the file") }
            return wrong.map { Violation(.sidecar, path, $0) }
        }
    }

    // MARK: Clips

    private func clips() -> [Violation] {
        var violations: [Violation] = []
        for request in snapshot.requests {
            for file in request.files where file.isClip {
                guard let camera = file.camera, let clip = snapshot.clips[file.path] else { continue }
                switch clip {
                case .broken(let error): violations.append(Violation(.playback, file.path, error))
                case .pictures(let count):
                    let gaps = request.gaps.filter { $0.camera == camera }.map(\.span)
                    let expected = pictures(of: camera, in: request.window, without: gaps)
                    guard !expected.contains(count) else { continue }
                    violations.append(
                        Violation(
                            .clip, file.path,
                            "shows \(count) pictures, \(request.window) of \(camera.rawValue) with \(gaps.count) gaps has "
                                + "\(expected.lowerBound) to \(expected.upperBound)"))
                }
            }
        }
        return violations
    }

    /// How many pictures a camera has in a window: those that begin in it, one more or less at either end of each part; where the
    /// recorder was away or a gap ends, the seam that nobody names may be missing too.
    func pictures(of camera: Camera, in window: Span, without gaps: [Span]) -> ClosedRange<Int> {
        let parts = window.without(gaps)
        let rate = camera.picturesPerSecond
        let seams = gaps.count + history.faults(on: camera, in: window).count
        let whole = Int(parts.reduce(0) { $0 + $1.durationUs } * rate / secondUs)
        let looseness = parts.count + seams * Int((RequestCheck.seamUs * rate + secondUs - 1) / secondUs)
        return max(0, whole - looseness)...(whole + 1 + looseness)
    }
}
