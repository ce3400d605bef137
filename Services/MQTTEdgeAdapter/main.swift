// mqtt-edge-adapter: the only process that knows MQTT. Wiring and nothing else.
//
//   in    CommandIntake.swift (start, stop, state, capture) · MediaSyncIntake.swift (events, archive requests)
//   out   Correspondence.swift (receipts, answers, status) · RequestFollower.swift (requests) · PublishCalls.swift (pictures)
//   MQTT  SessionLoop.swift, InboundSession.swift, OutboundSession.swift over MosquittoConnection.swift

import Footage
import RPC
import ServiceKit
import Wire

await ServiceProgram(
    role: "mqtt-edge-adapter", callers: MqttEdgeAdapterMethods.callerRoles,
    summary: "The door to MQTT: takes commands, events and archive requests; publishes pictures, status and receipts.",
    settings: AdapterKeys.all
).run { runtime in
    let configuration = try AdapterConfiguration(runtime.settings)
    return try Adapter(configuration, runtime).services()
}
