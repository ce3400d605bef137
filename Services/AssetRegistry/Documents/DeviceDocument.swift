// A device document: `endpoints.inbound`, a map from endpoint name to how the camera is reached. An endpoint with an error
// is kept, disabled, with its issue; the others work.
//
// The model of 2024 has `kind: AssetEndpointProfile` instead, which is one endpoint. It is taken as a device of its name with the
// endpoint "default":
//
//   targetAddress, endpointProfileType     address, endpointType
//   authentication, additionalConfiguration, trustSettings     the same

import JSON
import Wire

/// A device as its document says.
struct DeviceDocument: Sendable {
    /// An endpoint, and whether it can be used.
    struct Endpoint: Sendable {
        let name: String
        /// `standby` is nil where the document does not say; `enabled` is that of the device.
        let definition: InboundEndpoint
        /// Why it cannot be used; nil where it can.
        let error: String?
    }

    let name: String
    let enabled: Bool
    /// By name.
    let endpoints: [Endpoint]
    let issues: [Issue]

    /// The connector's endpoint type; others belong to other connectors.
    static let endpointType = "Microsoft.Media"
    /// Covers an event that is noticed half a minute late, and costs 15 MB of memory at 4 Mbit/s.
    static let defaultRingSeconds: UInt32 = 30

    /// The kind of a profile's document.
    static let profileKind = "AssetEndpointProfile"
    /// The name of the endpoint that a profile is.
    static let profileEndpoint = "default"

    /// - Parameter isProfile: the body is that of an AssetEndpointProfile.
    init(name: String, body: JSONValue, isProfile: Bool = false) {
        var reader = DeviceReader(name: name)
        self.name = name
        enabled = reader.readEnabled(body)
        if isProfile {
            endpoints = [reader.readProfile(body, enabled: enabled)]
            issues = reader.issues.issues
            return
        }
        endpoints = reader.readEndpoints(body, enabled: enabled)
        reader.warnUnknown(
            body,
            known: [
                "enabled", "endpoints", "version", "manufacturer", "model", "operatingSystem",
                "operatingSystemVersion", "attributes", "externalDeviceId", "displayName", "discoveredDeviceRef",
                "uuid",
                "lastTransitionTime", "provisioningState", "configuration",
            ], "")
        issues = reader.issues.issues
    }
}

private struct DeviceReader {
    let name: String
    var issues = IssueList()

    mutating func readEnabled(_ body: JSONValue) -> Bool {
        guard let value = body["enabled"], !value.isNull else { return true }
        guard let enabled = value.bool else {
            // Off, because whoever wrote something here most likely wanted to switch it.
            issues.fail(.invalidValue, "enabled", "enabled must be true or false; the device is off until it is")
            return false
        }
        return enabled
    }

    mutating func readEndpoints(_ body: JSONValue, enabled: Bool) -> [DeviceDocument.Endpoint] {
        guard let inbound = body["endpoints"]?["inbound"], !inbound.isNull else {
            issues.warn(
                .invalidValue, "endpoints.inbound", "endpoints.inbound is missing: the device has no camera to open")
            return []
        }
        guard let members = inbound.members else {
            issues.fail(.invalidValue, "endpoints.inbound", "endpoints.inbound must be an object of endpoints by name")
            return []
        }
        return members.compactMap { member in
            let field = "endpoints.inbound.\(member.key)"
            if let problem = Names.problem(member.key) {
                issues.fail(
                    .invalidName, "endpoints.inbound", "the endpoint name \(member.key.quotedForMessage) \(problem)")
                return nil
            }
            return readEndpoint(member.key, member.value, field, enabled: enabled)
        }.sorted { $0.name < $1.name }
    }

    mutating func readProfile(_ body: JSONValue, enabled: Bool) -> DeviceDocument.Endpoint {
        issues.warn(
            .alias, "kind",
            "kind \(DeviceDocument.profileKind) is accepted as a device with the endpoint "
                + "\"\(DeviceDocument.profileEndpoint)\"; the present form is kind Device with endpoints.inbound")
        return readEndpoint(
            DeviceDocument.profileEndpoint, body, "", enabled: enabled, keys: ("endpointProfileType", "targetAddress"),
            alsoKnown: ["enabled", "uuid", "version", "discoveredAssetEndpointProfileRef", "provisioningState"])
    }

    /// - Parameters:
    ///   - field: where it stands; empty for the document itself.
    ///   - keys: the names of its type and its address.
    private mutating func readEndpoint(
        _ endpoint: String, _ value: JSONValue, _ field: String, enabled: Bool,
        keys: (type: String, address: String) = ("endpointType", "address"), alsoKnown: Set<String> = []
    ) -> DeviceDocument.Endpoint {
        let prefix = field.isEmpty ? "" : field + "."
        let (typeField, addressField) = (prefix + keys.type, prefix + keys.address)
        var faults = IssueList()
        var result = InboundEndpoint(source: SourceName(device: name, endpoint: endpoint), enabled: enabled)
        result.endpointType = DeviceDocument.endpointType
        if value[keys.type]?.string != DeviceDocument.endpointType {
            faults.fail(
                .unsupportedEndpointType, typeField, "\(typeField) must be \(DeviceDocument.endpointType)")
        }
        let address = value[keys.address]?.string ?? ""
        if address.lowercased().hasPrefix("file:") {
            if let problem = Names.fileAddressProblem(address) {
                faults.fail(.invalidValue, addressField, "\(addressField) \(problem)")
            }
            result.address = address
        } else {
            do { result.address = try StreamURL(parsing: address, schemes: StreamURL.cameraSchemes).text } catch {
                if case .unsupportedScheme = error {
                    faults.fail(.unsupportedScheme, addressField, "\(addressField) \(error.advice), or file:///")
                } else {
                    faults.fail(.invalidValue, addressField, "\(addressField) \(error.advice)")
                }
            }
        }
        readAuthentication(value["authentication"], prefix + "authentication", &result, &faults)
        readTrust(value["trustSettings"], prefix + "trustSettings", &result, &faults)
        readAdditional(value["additionalConfiguration"], prefix + "additionalConfiguration", &result, &faults)
        let known: Set<String> = [
            keys.type, keys.address, "version", "authentication", "trustSettings", "additionalConfiguration",
        ]
        warnUnknown(value, known: known.union(alsoKnown), prefix)
        issues.add(contentsOf: faults.issues)
        let error = faults.issues.first { $0.severity == .error }?.message
        return DeviceDocument.Endpoint(name: endpoint, definition: result, error: error)
    }

    private mutating func readAuthentication(
        _ value: JSONValue?, _ field: String, _ result: inout InboundEndpoint, _ faults: inout IssueList
    ) {
        result.authentication = .anonymous
        guard let value, !value.isNull else { return }
        switch value["method"]?.string {
        case "Anonymous": break
        case "UsernamePassword":
            result.authentication = .usernamePassword
            let place = field + ".usernamePasswordCredentials"
            let credentials = value["usernamePasswordCredentials"]
            result.username = secret(credentials?["usernameSecretName"], place + ".usernameSecretName", &faults)
            result.password = secret(credentials?["passwordSecretName"], place + ".passwordSecretName", &faults)
        case "Certificate":
            faults.fail(
                .unsupportedAuthentication, field + ".method",
                "\(field).method Certificate is not supported: use Anonymous or UsernamePassword")
        default:
            faults.fail(
                .unsupportedAuthentication, field + ".method", "\(field).method must be Anonymous or UsernamePassword")
        }
    }

    private func secret(_ value: JSONValue?, _ field: String, _ faults: inout IssueList) -> SecretReference? {
        guard let path = value?.string, !path.isEmpty else {
            faults.fail(.invalidValue, field, "\(field) is missing: name the secret as secretName/key")
            return nil
        }
        if let problem = Names.secretProblem(path) {
            faults.fail(.invalidValue, field, "\(field) \(problem)")
            return nil
        }
        return SecretReference(path: path)
    }

    private mutating func readTrust(
        _ value: JSONValue?, _ field: String, _ result: inout InboundEndpoint, _ faults: inout IssueList
    ) {
        guard let list = value?["trustList"], !list.isNull, list.string != "" else { return }
        let problem = list.string.map(Names.secretProblem) ?? "must be a text"
        if let problem { faults.fail(.invalidValue, field + ".trustList", "\(field).trustList \(problem)") }
        result.trustList = list.string
    }

    /// AIO defines nothing here for cameras; `standby` and `ringSeconds` are ours.
    private mutating func readAdditional(
        _ value: JSONValue?, _ field: String, _ result: inout InboundEndpoint, _ faults: inout IssueList
    ) {
        result.ringSeconds = DeviceDocument.defaultRingSeconds
        guard let value, !value.isNull, value.string != "" else { return }
        let object: JSONValue
        do {
            object = try value.string.map { text throws(JSONError) in try JSONReader.read(text, .documents) } ?? value
        } catch {
            faults.fail(.malformedJSON, field, "\(field) is not JSON: \(error) of the JSON text")
            return
        }
        guard object.members != nil else {
            faults.fail(.malformedJSON, field, "\(field) must hold a JSON object")
            return
        }
        if let standby = object["standby"], !standby.isNull {
            switch standby.string {
            case "off": result.standby = .off
            case "ring": result.standby = .ring
            case "record": result.standby = .record
            default: faults.fail(.invalidValue, field + ".standby", "\(field).standby must be off, ring or record")
            }
        }
        if let ring = object["ringSeconds"], !ring.isNull {
            if let seconds = ring.integer, (1...600).contains(seconds) {
                result.ringSeconds = UInt32(seconds)
            } else {
                faults.fail(
                    .invalidValue, field + ".ringSeconds",
                    "\(field).ringSeconds must be a whole number of seconds from 1 to 600")
            }
        }
        warnUnknown(object, known: ["standby", "ringSeconds", "@schema", "$schema"], field + ".")
    }

    mutating func warnUnknown(_ value: JSONValue, known: Set<String>, _ prefix: String) {
        for member in value.members ?? [] where !known.contains(member.key) {
            let place = prefix + member.key
            issues.warn(.unknownKey, place, "\(place) is not a known key and has no effect")
        }
    }
}
