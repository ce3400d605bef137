// What the audit says of a request, in one line for a person. Pure. It must stand alone: requests may be gone when it is read.

import Wire

enum AuditText {
    /// So many cameras are named, the others counted: 64 names of 128 bytes would be no line.
    private static let mostCameras = 8

    /// "cam1, cam2; 2026-11-23T05:00:00.000000Z to 2026-11-23T05:00:20.000000Z, to cloud as files; event e1".
    static func wanted(
        cameras: [String], window: Span, delivery: Delivery, mode: ArchiveMode, why: String
    ) -> String {
        let others = cameras.count - mostCameras
        let names = cameras.prefix(mostCameras).joined(separator: ", ") + (others > 0 ? " and \(others) more" : "")
        return [names, way(window, delivery, mode), why].filter { !$0.isEmpty }.joined(separator: "; ")
    }

    /// "partial: 3 files, 3000 bytes; 2026-11-23T05:00:00.000000Z to 2026-11-23T05:00:20.000000Z, to cloud as files; cam2: dark".
    static func outcome(
        _ state: RequestState, files: Int64, bytes: Int64, window: Span, delivery: Delivery, mode: ArchiveMode,
        reason: String
    ) -> String {
        let amount = "\(state.name): \(files) \(files == 1 ? "file" : "files"), \(bytes) bytes"
        return [amount, way(window, delivery, mode), reason].filter { !$0.isEmpty }.joined(separator: "; ")
    }

    private static func way(_ window: Span, _ delivery: Delivery, _ mode: ArchiveMode) -> String {
        "\(documentTime(window.startUs)) to \(documentTime(window.endUs)), to \(delivery.name) as \(mode.name)"
    }
}
