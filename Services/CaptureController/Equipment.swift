// What every source shares: the disk, the outbox, the neighbours that take pictures, the secrets, the bounds.
import Foundation
import LibAV
import Logging
import RPC
import ServiceKit
import Wire

final class Equipment: Sendable {
    let instance: String
    let ringBytes: Int
    let standbySegmentUs: Int64
    let pushQueueBytes: Int
    let disk: DiskThread
    let outbox: Outbox
    let adapter: RPCClient
    let secrets: SecretSource
    let logger: Logger
    /// Called when a state changed that operators look at.
    let statusChanged: @Sendable () -> Void

    init(
        configuration: ControllerConfiguration, disk: DiskThread, outbox: Outbox, adapter: RPCClient,
        secrets: @escaping SecretSource, logger: Logger, statusChanged: @escaping @Sendable () -> Void
    ) {
        instance = configuration.instance
        ringBytes = configuration.ringBytes
        standbySegmentUs = Int64(configuration.segmentSeconds) * 1_000_000
        pushQueueBytes = configuration.pushQueueBytes
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

/// User name and password of a camera or media server, read at each attempt, so that a changed secret needs no restart.
enum CameraCredentials {
    static func read(_ connection: CameraConnection, secrets: SecretSource) throws -> RTSPCredentials? {
        try read(connection.usernameReference, connection.passwordReference, secrets: secrets)
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
