// Whether a camera that plays sends pictures. Pure.

/// Counts the time without a picture.
struct RTSPSilence: Sendable {
    private var sinceNs: Int64
    private let allowedNs: Int64
    /// Something of a track came.
    private(set) var hasPackets = false
    private var hasPictures = false

    /// - Parameters:
    ///   - sinceNs: when the camera said that it plays, on the monotonic clock.
    ///   - allowedNs: how long it may take to the next picture.
    init(sinceNs: Int64, allowedNs: Int64) {
        self.sinceNs = sinceNs
        self.allowedNs = allowedNs
    }

    /// Something of a track came.
    mutating func packet() { hasPackets = true }

    /// A whole picture came.
    mutating func picture(atNs: Int64) {
        sinceNs = max(sinceNs, atNs)
        hasPackets = true
        hasPictures = true
    }

    /// What is wrong, for a person; nil: nothing yet.
    func verdict(nowNs: Int64) -> String? {
        guard nowNs - sinceNs >= allowedNs else { return nil }
        let time = "for \(allowedNs / 1_000_000) ms"
        if hasPictures { return "no picture came \(time)" }
        return hasPackets
            ? "the camera sends, but no picture that can be used came \(time)"
            : "the camera accepted the session and sent no media \(time)"
    }
}
