// What every source shares: the cameras' thread, the disk, the outbox, the neighbours that take pictures, the secrets, the bounds.
import Foundation
import Logging
import MediaWork
import RPC
import RTSP
import ServiceKit
import Wire

final class Equipment: Sendable {
    let instance: String
    let ringBytes: Int
    let standbySegmentUs: Int64
    let pushQueueBytes: Int
    let cameras: RTSPClient
    /// On a thread of its own: a push must cost the cameras nothing.
    let mediaServers: RTSPClient
    let pace = AttemptPace()
    let disk: DiskThread
    let outbox: Outbox
    let adapter: RPCClient
    let secrets: SecretSource
    let certificates: CertificateSource
    /// Makes pictures of keyframes, in processes of their own.
    let pictures: MediaWorkerClient
    let renditions: RenditionThread
    let mediaRoots: MediaRoots
    let videoDevices: VideoDevices
    /// Path of the executable.
    let mediaWorker: String
    let logger: Logger
    /// Called when a state changed that operators look at.
    let statusChanged: @Sendable () -> Void

    init(
        configuration: ControllerConfiguration, cameras: RTSPClient, mediaServers: RTSPClient, disk: DiskThread,
        renditions: RenditionThread,
        outbox: Outbox, adapter: RPCClient, secrets: @escaping SecretSource,
        certificates: @escaping CertificateSource, logger: Logger, statusChanged: @escaping @Sendable () -> Void
    ) {
        instance = configuration.instance
        ringBytes = configuration.ringBytes
        standbySegmentUs = Int64(configuration.segmentSeconds) * 1_000_000
        pushQueueBytes = configuration.pushQueueBytes
        self.cameras = cameras
        self.mediaServers = mediaServers
        mediaRoots = MediaRoots(configuration.mediaRoots)
        videoDevices = VideoDevices(paths: configuration.videoDevices)
        mediaWorker = configuration.mediaWorker
        pictures = MediaWorkerClient(executable: configuration.mediaWorker)
        self.disk = disk
        self.renditions = renditions
        self.outbox = outbox
        self.adapter = adapter
        self.secrets = secrets
        self.certificates = certificates
        self.logger = logger
        self.statusChanged = statusChanged
    }
}

/// Reads a secret by its reference. The value goes to whoever connects and nowhere else.
typealias SecretSource = @Sendable (_ reference: String) throws -> String

/// Reads the certificates of a trust list by its reference.
typealias CertificateSource = @Sendable (_ reference: String) throws -> [UInt8]

/// User name and password of a camera or media server, read at each attempt, so that a changed secret needs no restart. They are
/// small files of a local folder: the thread of the cameras reads them itself.
enum CameraCredentials {
    static func read(
        _ userReference: String?, _ passwordReference: String?, secrets: SecretSource
    ) throws(RTSPFailure) -> RTSPUser? {
        guard let userReference else { return nil }
        do {
            let name = try secrets(userReference)
            return RTSPUser(name: name, password: try passwordReference.map(secrets) ?? "")
        } catch {
            throw RTSPFailure(.unauthorized, "the user name or password could not be read: \(error)")
        }
    }
}

/// The certificates that an rtsps camera or media server may be known by.
enum PeerTrust {
    /// Reads a trust list by its reference; nil for those of the system.
    static func read(_ reference: String?, isSecure: Bool, certificates: CertificateSource) throws -> TLSTrust {
        guard isSecure, let reference else { return TLSTrust() }
        do { return TLSTrust(trustedPEM: try certificates(reference)) } catch {
            throw ConnectionFailure(cause: .protocolError, reason: "the trust list could not be read: \(error)")
        }
    }
}
