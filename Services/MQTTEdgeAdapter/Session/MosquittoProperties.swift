// MQTT 5 properties between Swift and libmosquitto's lists. Part of the C boundary of MosquittoConnection.swift.

import CMosquitto
import Glibc

/// A list of properties that the library allocated. Whoever makes one calls `free`.
struct PropertyList {
    private(set) var list: OpaquePointer?

    init() {}

    init(_ properties: MessageProperties) {
        if properties.isText { add(MQTT_PROP_PAYLOAD_FORMAT_INDICATOR, UInt8(1)) }
        if let type = properties.contentType { add(MQTT_PROP_CONTENT_TYPE, type) }
        if let seconds = properties.expiryS { add(MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, seconds) }
        if let topic = properties.responseTopic { add(MQTT_PROP_RESPONSE_TOPIC, topic) }
        if let data = properties.correlationData { add(MQTT_PROP_CORRELATION_DATA, data) }
        for property in properties.userProperties {
            // Values repeat names that strangers chose.
            mosquitto_property_add_string_pair(
                &list, id(MQTT_PROP_USER_PROPERTY), MQTTText.clean(property.name), MQTTText.clean(property.value))
        }
    }

    mutating func add(_ property: mqtt5_property, _ value: UInt8) {
        mosquitto_property_add_byte(&list, id(property), value)
    }

    mutating func add(_ property: mqtt5_property, _ value: UInt16) {
        mosquitto_property_add_int16(&list, id(property), value)
    }

    mutating func add(_ property: mqtt5_property, _ value: UInt32) {
        mosquitto_property_add_int32(&list, id(property), value)
    }

    mutating func add(_ property: mqtt5_property, _ value: String) {
        mosquitto_property_add_string(&list, id(property), MQTTText.clean(value))
    }

    /// What is longer than MQTT allows is left out.
    mutating func add(_ property: mqtt5_property, _ value: [UInt8]) {
        guard let size = UInt16(exactly: value.count) else { return }
        value.withUnsafeBytes { bytes in
            _ = mosquitto_property_add_binary(&list, id(property), bytes.baseAddress, size)
        }
    }

    mutating func free() { mosquitto_property_free_all(&list) }
}

private func id(_ property: mqtt5_property) -> Int32 { Int32(truncatingIfNeeded: property.rawValue) }

/// Copies what a message's properties say. User properties beyond 64 are left out: nobody sends them in earnest.
func readProperties(_ properties: OpaquePointer?, into message: inout InboundMessage) {
    var current = properties
    while let property = current {
        switch mosquitto_property_identifier(property) {
        case id(MQTT_PROP_CONTENT_TYPE): message.contentType = string(property, id(MQTT_PROP_CONTENT_TYPE))
        case id(MQTT_PROP_PAYLOAD_FORMAT_INDICATOR):
            var value: UInt8 = 0
            mosquitto_property_read_byte(property, id(MQTT_PROP_PAYLOAD_FORMAT_INDICATOR), &value, false)
            message.formatIndicator = value
        case id(MQTT_PROP_MESSAGE_EXPIRY_INTERVAL):
            var value: UInt32 = 0
            mosquitto_property_read_int32(property, id(MQTT_PROP_MESSAGE_EXPIRY_INTERVAL), &value, false)
            message.expiryS = value
        case id(MQTT_PROP_RESPONSE_TOPIC): message.responseTopic = string(property, id(MQTT_PROP_RESPONSE_TOPIC))
        case id(MQTT_PROP_CORRELATION_DATA):
            var data: UnsafeMutableRawPointer?
            var size: UInt16 = 0
            // The library allocates a copy, which is ours to free.
            mosquitto_property_read_binary(property, id(MQTT_PROP_CORRELATION_DATA), &data, &size, false)
            message.correlationData = Array(UnsafeRawBufferPointer(start: data, count: data == nil ? 0 : Int(size)))
            free(data)
        case id(MQTT_PROP_USER_PROPERTY):
            var name: UnsafeMutablePointer<CChar>?
            var value: UnsafeMutablePointer<CChar>?
            mosquitto_property_read_string_pair(property, id(MQTT_PROP_USER_PROPERTY), &name, &value, false)
            if let name, let value, message.userProperties.count < 64 {
                message.userProperties.append(UserProperty(name: String(cString: name), value: String(cString: value)))
            }
            free(name)
            free(value)
        default: break
        }
        current = mosquitto_property_next(property)
    }
}

private func string(_ property: OpaquePointer, _ identifier: Int32) -> String? {
    var text: UnsafeMutablePointer<CChar>?
    mosquitto_property_read_string(property, identifier, &text, false)
    defer { free(text) }
    return text.map { String(cString: $0) }
}
