// The C boundary: the only file that calls libmosquitto. One connection to the broker, from CONNECT to its end.
//
// Ownership: a MosquittoConnection owns its `struct mosquitto` from init to deinit and is used by one thread only, that of
// its session; libmosquitto's own threads are never started. The callbacks run inside loop_read and loop_write on that
// thread and only append to `Inbox`, which outlives the struct. What they are given is copied before they return.
//
// Acknowledging late: with mosquitto_threaded_set(true) the library puts a PUBACK into its queue and leaves the writing to
// us. So a message that `read` brought is acknowledged by the next `write`, and is not where the session calls `sever`.

import CMosquitto
import Glibc

/// Why a connection is not there.
struct BrokerError: Error, Sendable, Equatable, CustomStringConvertible {
    /// For a person; without credentials.
    let description: String
    /// True where trying again cannot help until somebody changes something (password, certificate).
    var isRefusal = false
    /// True where we cut it ourselves, so that the broker keeps a message: the broker is not at fault.
    var isOurDoing = false
    /// True where another client came with our id.
    var isTakenOver = false
}

/// How to reach the broker as one client.
struct BrokerSettings: Sendable {
    var host: String
    /// 1 to 65535.
    var port: Int
    var clientID: String
    var username: String?
    var password: String?
    /// Nil for a plain connection.
    var tls: TLS?
    /// The token of a Kubernetes service account; nil for none.
    var token: String?
    /// Seconds, from 5.
    var keepaliveS: Int
    /// Seconds that the broker keeps the session after we are gone.
    var sessionExpiryS: UInt32
    /// True where the broker shall forget what it keeps for this client.
    var isCleanStart = false
    var will: OutboundMessage?

    /// Whom to trust, and who we are.
    struct TLS: Sendable, Equatable {
        /// PEM file with the authorities to trust; nil for those of the host.
        var caFile: String?
        var certificateFile: String?
        var keyFile: String?
        /// Of the key's file.
        var keyPassword: String?
    }
}

/// What the library told.
enum BrokerEvent: Sendable {
    /// CONNACK. `maximumPacketBytes` is nil where the broker names none.
    case connected(sessionPresent: Bool, maximumPacketBytes: Int?)
    /// CONNACK with a reason.
    case refused(BrokerError)
    /// DISCONNECT from the broker, or the connection broke.
    case disconnected(reason: String, isTakenOver: Bool)
    case message(InboundMessage)
    /// PUBACK (QoS 1), or written (QoS 0). `refusal` where the broker said no.
    case published(mid: Int32, refusal: String?)
    /// SUBACK: for each filter why it was not granted with QoS 1; nil where it was.
    case subscribed(mid: Int32, refusals: [String?])
}

/// Receives from the callbacks; emptied by the session.
private final class Inbox {
    var events: [BrokerEvent] = []
    var keyPassword: String?
}

/// One connection.
final class MosquittoConnection {
    private let handle: OpaquePointer
    private let inbox = Inbox()
    private let settings: BrokerSettings

    /// Once for the process. A pipe that breaks must be an error, not a signal.
    private static let library: Int32 = {
        signal(SIGPIPE, SIG_IGN)
        return mosquitto_lib_init()
    }()

    /// Prepares; nothing is sent.
    init(_ settings: BrokerSettings) throws(BrokerError) {
        try check(Self.library, "starting libmosquitto")
        self.settings = settings
        // Retained by `inbox` of self, which lives until after mosquitto_destroy in deinit.
        let context = Unmanaged.passUnretained(inbox).toOpaque()
        guard let handle = mosquitto_new(settings.clientID, settings.isCleanStart, context) else {
            throw BrokerError(description: "libmosquitto has no memory for a connection")
        }
        self.handle = handle
        try check(mosquitto_int_option(handle, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5), "choosing MQTT 5")
        try check(mosquitto_threaded_set(handle, true), "choosing late acknowledgement")
        if let username = settings.username, !username.isEmpty {
            try check(mosquitto_username_pw_set(handle, username, settings.password), "setting the user name")
        }
        if let tls = settings.tls {
            inbox.keyPassword = tls.keyPassword
            try check(
                mosquitto_tls_set(
                    handle, tls.caFile, tls.caFile == nil ? hostAuthorities : nil, tls.certificateFile, tls.keyFile,
                    tls.keyPassword == nil ? nil : giveKeyPassword),
                "reading the certificates (broker-ca-file, broker-certificate, broker-key)")
        }
        if let will = settings.will {
            let code = will.payload.withUnsafeBytes { payload in
                mosquitto_will_set_v5(
                    handle, will.topic, Int32(payload.count), payload.baseAddress, will.qos, will.retain, nil)
            }
            try check(code, "setting the last will")
        }
        setCallbacks()
    }

    deinit { mosquitto_destroy(handle) }

    /// Connects the socket and sends CONNECT. Blocks for as long as the host takes to answer.
    func connect() throws(BrokerError) {
        var properties = PropertyList()
        if settings.sessionExpiryS > 0 {
            properties.add(MQTT_PROP_SESSION_EXPIRY_INTERVAL, settings.sessionExpiryS)
        }
        properties.add(MQTT_PROP_RECEIVE_MAXIMUM, receiveMaximum)
        properties.add(MQTT_PROP_MAXIMUM_PACKET_SIZE, UInt32(maximumInboundPacketBytes))
        if let token = settings.token {
            properties.add(MQTT_PROP_AUTHENTICATION_METHOD, "K8S-SAT")
            properties.add(MQTT_PROP_AUTHENTICATION_DATA, Array(token.utf8))
        }
        defer { properties.free() }
        let code = mosquitto_connect_bind_v5(
            handle, settings.host, Int32(settings.port), Int32(settings.keepaliveS), nil, properties.list)
        guard code != MOSQ_ERR_SUCCESS.rawValue.asCode else { return }
        let reason = code == MOSQ_ERR_ERRNO.rawValue.asCode ? String(cString: strerror(errno)) : text(code)
        throw BrokerError(description: "cannot connect to the broker at \(settings.host):\(settings.port): \(reason)")
    }

    /// Whether the broker keeps the session while we are away.
    var isPersistent: Bool { settings.sessionExpiryS > 0 }

    /// The socket, for poll; -1 where there is none.
    var socket: Int32 { mosquitto_socket(handle) }

    /// Whether something waits to be written, acknowledgements among it.
    var wantsWrite: Bool { mosquitto_want_write(handle) }

    /// Reads what the socket has, at least one packet if one is there.
    func read() throws(BrokerError) { try check(mosquitto_loop_read(handle, 1), "reading from the broker") }

    /// Writes what waits, the acknowledgements of all messages read so far among it.
    func write() throws(BrokerError) { try check(mosquitto_loop_write(handle, 1), "writing to the broker") }

    /// Keepalive; to be called about once a second.
    func tick() throws(BrokerError) { try check(mosquitto_loop_misc(handle), "keeping the connection alive") }

    /// What the callbacks brought since the last call.
    func takeEvents() -> [BrokerEvent] {
        defer { inbox.events.removeAll(keepingCapacity: true) }
        return inbox.events
    }

    /// Subscribes with QoS 1; gives the id that `subscribed` will name. Retained messages are asked for only where that is
    /// said: a command or event that the broker keeps would act again at each connection.
    func subscribe(_ filters: [String], withRetained: Bool = false) throws(BrokerError) -> Int32 {
        var mid: Int32 = 0
        var pointers: [UnsafeMutablePointer<CChar>?] = filters.map { strdup($0) }
        defer { pointers.forEach { free($0) } }
        let code = pointers.withUnsafeMutableBufferPointer { buffer in
            mosquitto_subscribe_multiple(
                handle, &mid, Int32(buffer.count), buffer.baseAddress, 1,
                withRetained ? 0 : Int32(MQTT_SUB_OPT_SEND_RETAIN_NEVER.rawValue.asCode), nil)
        }
        try check(code, "subscribing")
        return mid
    }

    /// Takes subscriptions back; nobody waits for the answer.
    func unsubscribe(_ filters: [String]) throws(BrokerError) {
        var pointers: [UnsafeMutablePointer<CChar>?] = filters.map { strdup($0) }
        defer { pointers.forEach { free($0) } }
        let code = pointers.withUnsafeMutableBufferPointer { buffer in
            mosquitto_unsubscribe_multiple(handle, nil, Int32(buffer.count), buffer.baseAddress, nil)
        }
        try check(code, "unsubscribing")
    }

    /// Hands a message to the connection; gives the id that `published` will name.
    func publish(_ message: OutboundMessage) throws(BrokerError) -> Int32 {
        var properties = PropertyList(message.properties)
        defer { properties.free() }
        var mid: Int32 = 0
        let code = message.payload.withUnsafeBytes { payload in
            mosquitto_publish_v5(
                handle, &mid, message.topic, Int32(payload.count), payload.baseAddress, message.qos, message.retain,
                properties.list)
        }
        try check(code, "publishing on \(message.topic)")
        return mid
    }

    /// Says goodbye: the broker sends no last will and keeps the session for its expiry. `write` sends it.
    func disconnect() { _ = mosquitto_disconnect_v5(handle, 0, nil) }

    /// Cuts the connection so that nothing more leaves, waiting acknowledgements least of all: the broker delivers again
    /// what was not acknowledged.
    func sever() {
        let socket = mosquitto_socket(handle)
        if socket >= 0 { _ = shutdown(socket, Int32(SHUT_RDWR)) }
    }

    // MARK: Callbacks

    private func setCallbacks() {
        mosquitto_connect_v5_callback_set(handle) { _, context, reason, flags, properties in
            guard let inbox = Inbox.of(context) else { return }
            if reason == 0 {
                var maximum: UInt32 = 0
                let found = mosquitto_property_read_int32(
                    properties, Int32(MQTT_PROP_MAXIMUM_PACKET_SIZE.rawValue), &maximum, false)
                inbox.events.append(
                    .connected(sessionPresent: flags & 1 == 1, maximumPacketBytes: found == nil ? nil : Int(maximum)))
            } else {
                let said = mosquitto_reason_string(reason).map { String(cString: $0) } ?? "reason \(reason)"
                // 0x81 to 0x8C but for 0x88 and 0x89 (unavailable, busy): somebody has to change something.
                let isRefusal = (0x81...0x8C).contains(reason) && !(0x88...0x89).contains(reason)
                inbox.events.append(
                    .refused(
                        BrokerError(description: "the broker refuses the connection: \(said)", isRefusal: isRefusal)))
            }
        }
        mosquitto_disconnect_v5_callback_set(handle) { _, context, reason, _ in
            // Values from 0x80 on are MQTT's reasons; below they are the library's own.
            let said = (reason >= 0x80 ? mosquitto_reason_string(reason) : mosquitto_strerror(reason))
            Inbox.of(context)?.events.append(
                .disconnected(
                    reason: said.map { String(cString: $0) } ?? "reason \(reason)", isTakenOver: reason == takenOver))
        }
        mosquitto_message_v5_callback_set(handle) { _, context, message, properties in
            guard let inbox = Inbox.of(context), let message = message?.pointee, let topic = message.topic else {
                return
            }
            let payload = UnsafeRawBufferPointer(start: message.payload, count: Int(message.payloadlen))
            var copy = InboundMessage(topic: String(cString: topic), payload: Array(payload))
            copy.qos = message.qos
            copy.isRetained = message.retain
            readProperties(properties, into: &copy)
            inbox.events.append(.message(copy))
        }
        mosquitto_publish_v5_callback_set(handle) { _, context, mid, reason, _ in
            Inbox.of(context)?.events.append(.published(mid: mid, refusal: refusalText(reason)))
        }
        mosquitto_subscribe_v5_callback_set(handle) { _, context, mid, count, granted, _ in
            let codes = UnsafeBufferPointer(start: granted, count: Int(count))
            Inbox.of(context)?.events.append(
                .subscribed(mid: mid, refusals: codes.map { $0 == 1 ? nil : refusalText(max($0, 0x80)) ?? "refused" }))
        }
    }
}

/// Messages that the broker may send before one is acknowledged. Few: all of them come again when one has to wait.
private let receiveMaximum: UInt16 = 32
/// MQTT's reason for the end of a session that another client has taken.
private let takenOver: Int32 = 0x8E
/// Where Debian and its kin keep the authorities that the host trusts.
private let hostAuthorities = "/etc/ssl/certs"

/// Called by OpenSSL when it reads an encrypted key. libmosquitto passes its handle, whose user data is our Inbox.
private let giveKeyPassword:
    @convention(c) (UnsafeMutablePointer<CChar>?, Int32, Int32, UnsafeMutableRawPointer?) -> Int32 = {
        buffer, size, _, handle in
        guard let buffer, let handle, let password = Inbox.of(mosquitto_userdata(OpaquePointer(handle)))?.keyPassword,
            password.utf8.count <= size
        else { return 0 }
        for (index, byte) in password.utf8.enumerated() { buffer[index] = CChar(bitPattern: byte) }
        return Int32(password.utf8.count)
    }
/// Larger messages the broker does not send us. Far above what an event may have, so that one too large gets its receipt.
private let maximumInboundPacketBytes = 8 << 20

extension Inbox {
    /// The pointer was made by MosquittoConnection.init of an inbox that outlives the callbacks.
    fileprivate static func of(_ context: UnsafeMutableRawPointer?) -> Inbox? {
        context.map { Unmanaged<Inbox>.fromOpaque($0).takeUnretainedValue() }
    }
}

private func refusalText(_ reason: Int32) -> String? {
    guard reason >= 0x80 else { return nil }
    return mosquitto_reason_string(reason).map { String(cString: $0) } ?? "reason \(reason)"
}

private func text(_ code: Int32) -> String { mosquitto_strerror(code).map { String(cString: $0) } ?? "error \(code)" }

private func check(_ code: Int32, _ what: String) throws(BrokerError) {
    guard code != MOSQ_ERR_SUCCESS.rawValue.asCode else { return }
    let reason = code == MOSQ_ERR_ERRNO.rawValue.asCode ? String(cString: strerror(errno)) : text(code)
    throw BrokerError(description: "\(what) failed: \(reason)")
}

extension FixedWidthInteger {
    /// C enumerations are imported with the signedness that the compiler chose.
    fileprivate var asCode: Int32 { Int32(truncatingIfNeeded: self) }
}
