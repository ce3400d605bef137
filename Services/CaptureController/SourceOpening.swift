// How a source is opened, by the scheme of its address. The schemes here are all that there are: nothing else is handed on to
// any library, whatever a configuration says.
import RTSP
import ServiceKit

extension Equipment {
    /// Begins a session with the source of a plan. `tell` is called on the cameras' thread, the last time with `ended`.
    ///
    /// - Throws: what is wrong with the address or the trust list.
    func open(
        _ plan: SourcePlan, tell: @escaping @Sendable (SourceEvent) -> Void
    ) throws -> any SourcePlayback {
        let connection = plan.connection
        let secrets = secrets
        let user: @Sendable () throws(RTSPFailure) -> RTSPUser? = { () throws(RTSPFailure) in
            try CameraCredentials.read(connection.usernameReference, connection.passwordReference, secrets: secrets)
        }
        func settings(isSecure: Bool) throws -> RTSPSessionSettings {
            var settings = RTSPSessionSettings()
            settings.isLive = plan.needsEachPacket
            settings.trust = try PeerTrust.read(
                connection.trustList, isSecure: isSecure, certificates: certificates)
            return settings
        }
        if let url = RTSPURL(connection.address) {
            return cameras.play(url, settings: try settings(isSecure: url.isSecure), user: user, tell: tell)
        }
        if let url = HTTPURL(connection.address) {
            return cameras.fetch(
                url, pollNs: plan.pollNs, settings: try settings(isSecure: url.isSecure), user: user, tell: tell)
        }
        if let device = VideoDevices.path(connection.address) {
            try videoDevices.check(device)
            let playback = VideoDevicePlayback(device, tell: tell)
            playback.begin()
            return playback
        }
        if connection.address.lowercased().hasPrefix("file:") {
            let playback = FilePlayback(
                try mediaRoots.open(connection.address), mediaWorker: mediaWorker, logger: logger, tell: tell)
            playback.begin()
            return playback
        }
        throw ConnectionFailure(cause: .protocolError, reason: "the address is no rtsp, rtsps, http, https or file URL")
    }
}
