// Which processes and cameras a campaign's site has. Pure.

struct SiteShape: Sendable, Equatable {
    let cameras: [Camera]
    /// Whether a second archiver shares the work.
    let hasSecondArchiver: Bool

    /// The site that the demo plays on.
    static let demo = SiteShape(cameraCount: 3, hasSecondArchiver: false)

    /// A site with the first so many cameras, 3 to `Camera.allCases.count`.
    init(cameraCount: Int, hasSecondArchiver: Bool) {
        cameras = Array(Camera.allCases.prefix(max(3, cameraCount)))
        self.hasSecondArchiver = hasSecondArchiver
    }

    /// What tells `deploy/local/site up` of it.
    var environment: [String: String] {
        ["CAMERAS": String(cameras.count), "ARCHIVERS": hasSecondArchiver ? "2" : "1"]
    }

    /// The product's own services, in the order in which they are started.
    var services: [ProcessName] { ProcessName.services + (hasSecondArchiver ? [.secondArchiver] : []) }

    /// Everything that runs.
    var processes: [ProcessName] {
        let players = Set(cameras.map(\.process))
        return ProcessName.allCases.filter { name in
            services.contains(name) || players.contains(name) || [.broker, .relay, .blobServer].contains(name)
        }
    }
}
