// The kinds of campaign: each its site, its plan and its settings. Pure.

enum CampaignKind: Sendable, Equatable {
    /// Everything is hit, and everything that a site is asked for is asked.
    case site
    /// Overlapping requests for the footage of many cameras; who holds it, knows it and copies it is killed.
    case archive(requests: Int, cameras: Int)

    var shape: SiteShape {
        switch self {
        case .site: .demo
        case .archive(_, let cameras): SiteShape(cameraCount: cameras, hasSecondArchiver: true)
        }
    }

    func plan(seed: UInt64, kills: Int) -> [PlannedStep] {
        switch self {
        case .site: Planner.plan(seed: seed, kills: kills)
        case .archive(let requests, _):
            ArchivePlanner.plan(seed: seed, kills: kills, requests: requests, cameras: shape.cameras)
        }
    }

    /// How the site's settings differ from the demo's, by the key of each service's configuration file.
    func settings(seed: UInt64) -> [ProcessName: [(key: String, value: String)]] {
        switch self {
        case .site: SiteSettings.changes(seed: seed)
        case .archive: SiteSettings.archive
        }
    }

    /// The options that begin it, for the first line of a report.
    var options: String {
        switch self {
        case .site: ""
        case .archive(let requests, let cameras): "--archive --requests \(requests) --cameras \(cameras) "
        }
    }
}
