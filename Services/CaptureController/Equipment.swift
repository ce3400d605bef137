// What every source shares: the cameras' thread, the disk, the outbox, the neighbours that take pictures, the secrets, the bounds.
import Foundation
import LibAV
import Logging
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
    let pace = AttemptPace()
    let disk: DiskThread
    let outbox: Outbox
    let adapter: RPCClient
    let secrets: SecretSource
    let logger: Logger
    /// Called when a state changed that operators look at.
    let statusChanged: @Sendable () -> Void

    init(
        configuration: ControllerConfiguration, cameras: RTSPClient, disk: DiskThread, outbox: Outbox,
        adapter: RPCClient, secrets: @escaping SecretSource, logger: Logger,
        statusChanged: @escaping @Sendable () -> Void
    ) {
        instance = configuration.instance
        ringBytes = configuration.ringBytes
        standbySegmentUs = Int64(configuration.segmentSeconds) * 1_000_000
        pushQueueBytes = configuration.pushQueueBytes
        self.cameras = cameras
        self.disk = disk
        self.outbox = outbox
        self.adapter = adapter
        self.secrets = secrets
        self.logger = logger
        self.statusChanged = statusChanged
    }
}

/// Reads a secret by its reference. The value goes to whoever connects and nowhere else.
typealias SecretSource = @Sendable (_ reference: String) throws -> String

/// User name and password of a camera or media server, read at each attempt, so that a changed secret needs no restart. They are
/// small files of a local folder: the thread of the cameras reads them itself.
enum CameraCredentials {
    static func read(_ connection: CameraConnection, secrets: SecretSource) throws(RTSPFailure) -> RTSPUser? {
        guard let user = connection.usernameReference else { return nil }
        do {
            let name = try secrets(user)
            return RTSPUser(name: name, password: try connection.passwordReference.map(secrets) ?? "")
        } catch {
            throw RTSPFailure(.unauthorized, "the user name or password could not be read: \(error)")
        }
    }

    static func read(_ user: String?, _ password: String?, secrets: SecretSource) throws -> RTSPCredentials? {
        guard let user else { return nil }
        do {
            let name = try secrets(user)
            let word = try password.map(secrets) ?? ""
            return RTSPCredentials(userName: name, password: word)
        } catch {
            throw ConnectionFailure(
                cause: .unauthorized, reason: "the user name or password could not be read: \(error)")
        }
    }
}

/// The certificates that an rtsps camera may be known by; nil: those of the system.
enum CameraTrust {
    static func read(_ connection: CameraConnection, isSecure: Bool, secrets: SecretSource) throws -> [UInt8]? {
        guard isSecure, let reference = connection.trustList else { return nil }
        do { return Array(try secrets(reference).utf8) } catch {
            throw ConnectionFailure(cause: .protocolError, reason: "the trust list could not be read: \(error)")
        }
    }
}
