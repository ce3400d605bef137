// What Azure IoT Operations tells a connector by variables and mounts, as settings of ours. Two sets of variables:
//
//   AIO_*               those of AIO's session clients (connection settings); the set counts once AIO_BROKER_HOSTNAME is there
//   CONNECTOR_ID, ...   those of a connector under Akri; the set counts once ADR_RESOURCES_NAME_MOUNT_PATH is there. The broker
//                       is then what the file MQTT_CONNECTION_CONFIGURATION says
//
// A SIGHTGLASS_ variable or a flag is stronger than either, a --config file weaker. Pure but for reading that one file.

import JSON
import ServiceKit

/// Translates variables.
enum ConnectorEnvironment {
    private typealias Variables = [String: String]

    /// The environment with the variables of AIO as variables of ours.
    ///
    /// - Parameter readFile: gives a file's text.
    static func adapted(
        _ environment: [String: String], readFile: (String) throws -> String
    ) throws(SettingsError) -> [String: String] {
        var found = try sessionClient(environment)
        found.merge(try akri(environment, readFile)) { _, akri in akri }
        return environment.merging(found) { own, _ in own }
    }

    private static func sessionClient(_ given: Variables) throws(SettingsError) -> Variables {
        guard let host = given["AIO_BROKER_HOSTNAME"], !host.isEmpty else { return [:] }
        var found: Variables = [:]
        set(&found, AdapterKeys.brokerHost, host)
        // Their defaults where they differ from ours.
        set(&found, AdapterKeys.brokerPort, given["AIO_BROKER_TCP_PORT"] ?? "8883")
        set(&found, AdapterKeys.brokerTLS, try flag(given, "AIO_MQTT_USE_TLS", default: true) ? "on" : "off")
        set(&found, AdapterKeys.cleanStart, try flag(given, "AIO_MQTT_CLEAN_START", default: false) ? "true" : "false")
        set(&found, AdapterKeys.brokerCA, given["AIO_TLS_CA_FILE"])
        set(&found, AdapterKeys.keepalive, given["AIO_MQTT_KEEP_ALIVE"])
        set(&found, AdapterKeys.clientID, given["AIO_MQTT_CLIENT_ID"])
        set(&found, AdapterKeys.sessionExpiry, given["AIO_MQTT_SESSION_EXPIRY"])
        set(&found, AdapterKeys.username, given["AIO_MQTT_USERNAME"])
        set(&found, AdapterKeys.passwordFile, given["AIO_MQTT_PASSWORD_FILE"])
        set(&found, AdapterKeys.brokerCertificate, given["AIO_TLS_CERT_FILE"])
        set(&found, AdapterKeys.brokerKey, given["AIO_TLS_KEY_FILE"])
        set(&found, AdapterKeys.brokerKeyPasswordFile, given["AIO_TLS_KEY_PASSWORD_FILE"])
        set(&found, AdapterKeys.tokenFile, given["AIO_SAT_FILE"])
        return found
    }

    private static func akri(
        _ given: Variables, _ readFile: (String) throws -> String
    ) throws(SettingsError) -> Variables {
        guard let resources = given["ADR_RESOURCES_NAME_MOUNT_PATH"], !resources.isEmpty else { return [:] }
        guard let id = given["CONNECTOR_ID"], !id.isEmpty else {
            throw SettingsError("CONNECTOR_ID is missing: under Akri the client id is the name of the pod")
        }
        var found: Variables = [:]
        set(&found, AdapterKeys.akriResources, resources)
        set(&found, AdapterKeys.clientID, id)
        set(&found, AdapterKeys.brokerCA, given["BROKER_TLS_TRUST_BUNDLE_CACERT_MOUNT_PATH"])
        set(&found, AdapterKeys.tokenFile, given["BROKER_SAT_MOUNT_PATH"])
        guard let folder = given["CONNECTOR_CONFIGURATION_MOUNT_PATH"], !folder.isEmpty else { return found }
        let path = "\(folder)/MQTT_CONNECTION_CONFIGURATION"
        let json: JSONValue
        do { json = try JSONReader.read(Array(try readFile(path).utf8), .messages) } catch {
            throw SettingsError("\(path) cannot be used: \(error)")
        }
        guard let address = json[given: "host"]?.string, let colon = address.utf8.lastIndex(of: UInt8(ascii: ":"))
        else {
            throw SettingsError("\(path): host is missing or not name:port")
        }
        set(&found, AdapterKeys.brokerHost, String(address[..<colon]))
        set(&found, AdapterKeys.brokerPort, String(address[address.utf8.index(after: colon)...]))
        let mode = json[given: "tls"]?[given: "mode"]?.string ?? "Enabled"
        set(&found, AdapterKeys.brokerTLS, mode.lowercased() == "disabled" ? "off" : "on")
        set(&found, AdapterKeys.keepalive, seconds(json, "keepAliveSeconds"))
        set(&found, AdapterKeys.sessionExpiry, seconds(json, "sessionExpirySeconds"))
        return found
    }

    private static func seconds(_ json: JSONValue, _ key: String) -> String? {
        json[given: key]?.number.flatMap { Int(exactly: $0) }.map(String.init)
    }

    private static func set(_ variables: inout Variables, _ setting: any AnySetting, _ value: String?) {
        guard let value, !value.isEmpty else { return }
        variables[SettingsSchema.variable(of: setting.key)] = value
    }

    private static func flag(_ given: Variables, _ name: String, default fallback: Bool) throws(SettingsError) -> Bool {
        guard let text = given[name], !text.isEmpty else { return fallback }
        guard let value = Bool(settingText: .text(text)) else {
            throw SettingsError("\(name) must be true or false, not '\(text)'")
        }
        return value
    }
}
