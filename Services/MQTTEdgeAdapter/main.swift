// mqtt-edge-adapter: the only process that knows MQTT. Wiring and nothing else.
//
//   Session/   connections to the broker: libmosquitto, what waits to be sent, what was received
//   Calls/     mRPC: rules of a request, answers, the cache; and requests of ours
//   Commands/  start, stop, state, capture; management actions
//   Requests/  events, archive requests, what becomes of them
//   Akri/      devices and assets from Azure Device Registry, status and health back to it
//   here       settings, topics, receipts and answers (Correspondence), pictures and status of the controllers (PublishCalls)

import Footage
import Foundation
import RPC
import ServiceKit
import Wire

await ServiceProgram(
    role: "mqtt-edge-adapter", callers: MqttEdgeAdapterMethods.callerRoles,
    summary: "The door to MQTT: takes commands, events and archive requests; publishes pictures, status and receipts.",
    settings: AdapterKeys.all,
    environment: { given throws(SettingsError) in
        try ConnectorEnvironment.adapted(given) { try String(contentsOfFile: $0, encoding: .utf8) }
    }
).run { runtime in
    let configuration = try AdapterConfiguration(runtime.settings)
    return try Adapter(configuration, runtime).services()
}
