"""A simulated ADR base service (Azure Device Registry), as the Akri operator offers it to connectors: mRPC over an MQTT 5
broker, devices and assets in memory. For tests of a connector; the contract is aio-compatibility.md, sections 4 and 6.3.

    with AdrService("127.0.0.1", port, username="adr", password="secret") as adr:
        adr.put_device("cam1", {"enabled": True, "endpoints": {"inbound": {"in1": {"endpointType": "Microsoft.Media", ...}}}})
        adr.put_asset("line1", {"enabled": True, "deviceRef": {"deviceName": "cam1", "endpointName": "in1"}, "streams": [...]})
        ... start the connector ...
        adr.wait("the asset's status", lambda: adr.asset_status.get(("pod-0", "cam1", "in1", "line1")))
        assert not adr.violations, adr.violations

Definitions are given as on the wire: what ARM has inside `properties`. To look at, with `time` (receipt, seconds since 1970):
`requests`; `device_status[connector, device, endpoint]` and `asset_status[connector, device, endpoint, asset]`, histories of
{time, version, status}; `health`, one entry per endpoint or stream reported. `preferences` has the statuses' keys, "On" or
"Off". `violations` has a text for each thing that connectors did against the contract. Needs paho-mqtt 2.1.
"""
import copy
import json
import math
import queue
import re
import threading
import time
import uuid
from contextlib import suppress
from datetime import datetime, timezone

from paho.mqtt import client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

REQUESTS = "akri/connector/resources/+/+/+/+"
PREFIX = "akri/connector/resources/telemetry/"
ERROR_CODES = {"BadRequest", "InternalError", "KubeError", "SerializationError", "Unauthorized"}


def matches(pattern):
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value)


# type(): to isinstance() True is an int.
VERSION, TEXT, CAMEL_CASE = lambda value: type(value) is int and 0 <= value < 1 << 64, matches("(?s).*"), matches("[A-Z][A-Za-z0-9]*")
STATUS, ON_OR_OFF = matches("Available|Unavailable"), matches("On|Off")
RFC3339 = matches(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
# Forms of JSON: an object by its keys ("?": may be absent or null; "*": any key), a list by its one element, a value by a test.
# None stands for no payload. Keys that are not here are wrong: nobody reads them.
ERROR = {"code?": TEXT, "message?": TEXT, "details?": [{"code?": TEXT, "correlationId?": TEXT, "info?": TEXT, "message?": TEXT}]}
CONFIG = {"version": VERSION, "lastTransitionTime": RFC3339, "error?": ERROR}
SCHEMA = {"schemaName": TEXT, "schemaRegistryNamespace": TEXT, "schemaVersion": TEXT}
DEVICE_STATUS = {"config": CONFIG, "endpoints?": {"inbound?": {"*": {"error?": ERROR}}}}
ASSET_STATUS = {"config": CONFIG, "streams?": [{"name": TEXT, "error?": ERROR, "messageSchemaReference?": SCHEMA}]}
HEALTH = {"version": VERSION, "status": STATUS, "lastUpdateTime": RFC3339, "message?": TEXT, "reasonCode?": CAMEL_CASE}
ASSET_NAME = {"assetName": TEXT}
EVENTS = {
    "deviceEndpointRuntimeHealthEvent": {"runtimeHealth": HEALTH},
    "streamRuntimeHealthEvent": {**ASSET_NAME, "streams": [{"streamName": TEXT, "runtimeHealth": HEALTH}]},
}
COMMANDS = {
    "getDevice": None, "getDeviceStatus": None, "getAsset": ASSET_NAME, "getAssetStatus": ASSET_NAME,
    "updateDeviceStatus": {"deviceStatusUpdate": DEVICE_STATUS},
    "updateAssetStatus": {"assetStatusUpdate": {**ASSET_NAME, "assetStatus": ASSET_STATUS}},
    "setNotificationPreferenceForDeviceUpdates": {"notificationPreferenceRequest": ON_OR_OFF},
    "setNotificationPreferenceForAssetUpdates": {"notificationPreferenceRequest": {**ASSET_NAME, "notificationPreference": ON_OR_OFF}},
}


def misfits(value, form, where="the payload"):
    """What of a JSON value does not have the form, as texts."""
    if form is None or callable(form):
        return [] if (value is None if form is None else form(value)) else [f"{where} must not be {value!r}"]
    if not isinstance(value, type(form)):
        return [f"{where} is no {type(form).__name__}: {value!r}"]
    if isinstance(form, list):
        return [text for item in value for text in misfits(item, form[0], where + "[]")]
    if "*" in form:
        form = dict.fromkeys(value, form["*"])
    keys = {key.rstrip("?"): key for key in form}
    wrong = [f"{where} has the unknown key {key}" for key in value if key not in keys]
    for key, name in keys.items():
        if value.get(key) is not None:
            wrong += misfits(value[key], form[name], f"{where}.{key}")
        elif name == key:
            wrong.append(f"{where} lacks {key}")
    return wrong


def stale_names(version, names, definition, what):
    """What is wrong with the version that a connector reports, and the streams: those of an older version may be gone."""
    if version > definition["version"]:
        return [f"{what} is of version {version}, the definition of {definition['version']}"]
    has = [stream.get("name") for stream in definition.get("streams", [])] if version == definition["version"] else names
    return [f"{what} is about a stream that the asset does not have: {name}" for name in names if name not in has]


def check(message, connector, is_request):
    """A message's properties: (what is wrong, refusal, user properties, (milliseconds, counter) of its stamp). A refusal is
    mRPC's (status, user properties); the status is 0 where there is nobody to answer."""
    got = vars(message.properties)
    user, names, refusals = dict(got.get("UserProperty", [])), [name for name, _ in got.get("UserProperty", [])], []
    stamp = re.fullmatch(r"(\d{15}):(\d{5}):.+", user.get("__ts", ""))
    seen = (int(stamp[1]), int(stamp[2])) if stamp else None
    wrong = [f"{name} is reserved" for name in names if name.startswith("__") and name not in ("__ts", "__srcId", "__protVer")]
    wrong += [f"{name} is there twice" for name in set(names) if name.startswith(("__", "$")) and names.count(name) > 1]

    def want(holds, text, status=None, **more):
        """`status`: a message that does not have it is refused, with these properties."""
        if not holds:
            wrong.append(text)
            refusals.extend([] if status is None else [(status, more)])

    kind, version = got.get("ContentType"), user.get("__protVer")
    want(message.qos, "QoS is 0")
    want(not message.retain, "it is retained")
    want(kind in (None, "application/json"), f"Content Type is {kind!r}", 415, __propName="Content Type", __propVal=kind)
    # What is optional in mRPC and absent is wrong here (all of Microsoft's clients send it), and not refused.
    want(seen, f"__ts is {user.get('__ts')!r}", 400 if "__ts" in user else None, __propName="__ts", __propVal=user.get("__ts"))
    want(not seen or abs(seen[0] - time.time() * 1000) <= 60_000, f"__ts is a minute off: {seen}", 503, __propName="MaxClockDrift")
    want(user.get("__srcId") == connector, f"__srcId is {user.get('__srcId')!r}, the topic says {connector!r}")
    want(re.fullmatch(r"1\.\d+", version or ""), f"__protVer is {version!r}", 505 if version else None, __supProtMajVer="1",
         __requestProtVer=version)
    if is_request:
        correlation, topic = got.get("CorrelationData"), got.get("ResponseTopic", "")
        want(user.get("$partition") == connector, f"$partition is {user.get('$partition')!r}, the topic says {connector!r}")
        want(user.get("$high_priority") == "", f"$high_priority is {user.get('$high_priority')!r}, must be there and empty")
        want(got.get("MessageExpiryInterval"), "Message Expiry is missing", 400, __propName="Message Expiry")
        want(len(correlation or b"") == 16, f"Correlation Data is {correlation!r}", 400, __propName="Correlation Data",
             **({"__propVal": correlation.hex()} if correlation else {}))
        want(topic and not re.search(r"[+#{} ]|^/|/$|//", topic), f"Response Topic is {topic!r}", 0)
    # Which of several errors is answered, the executor may choose: being silent goes first.
    return wrong, min(refusals, key=lambda refusal: refusal[0], default=None), user, seen


class Refused(Exception):
    """A command ends with an AkriServiceError: Refused(code, text)."""


class AdrService:
    """`delay_s`: how long each request waits for its answer; may be changed at any time. The broker lets only so many
    requests wait at once (mosquitto: max_inflight_messages, 20). `error_form`: how an AkriServiceError travels. "status":
    as an application error (500, __apErr true). "payload": as Microsoft's generated services do it, with status 200. In
    both forms the payload is {"<command>Error": AkriServiceError}."""

    def __init__(self, host, port, client_id="adr", username=None, password=None, ca=None, delay_s=0.0, error_form="status"):
        self.host, self.port, self.client_id, self.delay_s, self.error_form = host, port, client_id, delay_s, error_form
        self.username, self.password, self.ca = username, password, ca
        self.devices, self.assets, self.preferences, self.device_status, self.asset_status = {}, {}, {}, {}, {}
        self.requests, self.health, self.violations, self.muted = [], [], [], set()
        self._versions, self._failures, self._answers, self._stamped, self._client, self._connection = {}, {}, {}, (0, 0), None, 0
        self._changed = threading.Condition(threading.RLock())

    def start(self):
        """Connects and subscribes; returns when requests will be heard. The session outlives a lost connection."""
        self._inbox, self._stopping, self._subscribed = queue.Queue(), threading.Event(), threading.Event()
        client = self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, self.client_id, protocol=mqtt.MQTTv5, manual_ack=True)
        client.username_pw_set(self.username, self.password)
        if self.ca:
            client.tls_set(ca_certs=str(self.ca))
        client.on_connect, client.on_message, client.on_subscribe = self._on_connect, self._on_message, lambda *_: self._subscribed.set()
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = 3600
        client.connect(self.host, self.port, clean_start=False, properties=session)
        self._worker = threading.Thread(target=self._work, daemon=True)
        self._worker.start()
        client.loop_start()
        if not self._subscribed.wait(10):
            self.stop()
            raise TimeoutError(f"the broker did not let the ADR service in within 10 s: {self.violations}")
        return self

    def stop(self, keep_session=False):
        """Goes away. `keep_session`: the broker keeps requests for the next start(), as when the real service restarts."""
        self._stopping.set()
        self._inbox.put(None)
        self._worker.join()
        ended = Properties(PacketTypes.DISCONNECT)
        ended.SessionExpiryInterval = 3600 if keep_session else 0
        self._client.disconnect(properties=ended)
        self._client.loop_stop()
        self._client = None

    __enter__ = start

    def __exit__(self, *_):
        self.stop()

    def put_device(self, name, device):
        """Creates or replaces a device; answers with its version."""
        return self._change("device", self.devices, name, device)

    def put_asset(self, name, asset):
        return self._change("asset", self.assets, name, asset)

    def remove_device(self, name):
        """The contract has no event for a removal (a connector sees its mounts change). The version counts on."""
        return self._change("device", self.devices, name, None)

    def remove_asset(self, name):
        return self._change("asset", self.assets, name, None)

    def fail(self, command, error_code, times=1):
        """The next `times` requests of the command (None: all; 0: none any more) end with this AkriServiceError."""
        if error_code not in ERROR_CODES:
            raise ValueError(f"AkriServiceError has no code {error_code}")
        self._failures[command] = [error_code, math.inf if times is None else times]

    def mute(self, command):
        """Requests of the command are taken and never answered, as long as it is in `muted`."""
        self.muted.add(command)

    def wait(self, what, probe, seconds=10):
        """What probe() gives as soon as it is true; it is asked again after each message that came in."""
        with self._changed:
            if not (value := self._changed.wait_for(probe, seconds)):
                raise AssertionError(f"waited {seconds} s in vain for {what}; violations: {self.violations}")
            return value

    def _change(self, kind, table, name, definition):
        if definition and "properties" in definition:
            raise ValueError("give what is inside `properties`; on the wire a definition has no such level")
        place, length = (1, 3) if kind == "device" else (3, 4)
        with self._changed:
            version = self._versions[kind, name] = self._versions.get((kind, name), 0) + 1
            about = [key for key in self.preferences if len(key) == length and key[place] == name]
            if definition is None:
                del table[name]
                self.preferences = {key: wish for key, wish in self.preferences.items() if key not in about}
                return version
            table[name] = {**copy.deepcopy(definition), "version": version, "lastTransitionTime": f"{datetime.now(timezone.utc):%FT%TZ}"}
            for key in [key for key in about if self.preferences[key] == "On"]:
                topic, event = "/".join(key[:3]), f"{kind}UpdateEvent"
                content = {f"{kind}Name": name, kind: self._device_of(name, key[2]) if kind == "device" else table[name]}
                user = {"__protVer": "1.0", "__srcId": self.client_id, "__ts": self._stamp()}
                self._publish(f"{PREFIX}{topic}/{event}", {event: content}, uuid.uuid4().bytes, 10, user)
            return version

    def _device_of(self, name, endpoint):
        """The device as a connector gets it: of the inbound endpoints only its own."""
        endpoints = self.devices[name].get("endpoints", {})
        inbound = {key: value for key, value in endpoints.get("inbound", {}).items() if key == endpoint}
        return {**self.devices[name], "endpoints": {**endpoints, "inbound": inbound}}

    def _publish(self, topic, content, correlation, expiry, user):
        properties, payload = Properties(PacketTypes.PUBLISH), b"" if content is None else json.dumps(content).encode()
        if payload:
            properties.ContentType, properties.PayloadFormatIndicator = "application/json", 1
        if correlation is not None:
            properties.CorrelationData = correlation
        properties.MessageExpiryInterval, properties.UserProperty = expiry, list(user.items())
        return self._client.publish(topic, payload, qos=1, properties=properties) if self._client else None

    def _on_connect(self, client, _data, _flags, reason, _properties):
        if reason.is_failure:
            return self._note("the ADR service", [f"the broker refuses it: {reason}"])
        self._connection += 1
        # Our own events must not come back to us: they have the same topics as what connectors send.
        client.subscribe([(REQUESTS, SubscribeOptions(qos=1)), (PREFIX + "+/+/+/+", SubscribeOptions(qos=1, noLocal=True))])

    def _on_message(self, _client, _data, message):
        take = self._take_telemetry if message.topic.startswith(PREFIX) and message.topic.count("/") == 7 else self._take_request
        payload = message.payload or None
        try:
            with suppress(ValueError):  # what is no JSON stays bytes, which have none of the forms
                payload = json.loads(payload) if payload else None
            request = take(message, payload, time.time())
        except Exception as error:
            request = self._note(message.topic, [f"the simulator cannot read it: {error!r}"])
        self._inbox.put((message, request, self._connection))

    def _work(self):
        """Answers in order of receipt, each request not before its delay, and acknowledges after the answer (late PUBACK)."""
        while (item := self._inbox.get()) is not None:
            message, request, connection = item
            if request and self._stopping.wait(max(0, request["time"] + self.delay_s - time.time())):
                return
            try:
                if request:
                    self._serve(request)
            except Exception as error:
                self._note(message.topic, [f"the simulator failed: {error!r}"])
            # An ack means something on that connection only that brought the message.
            if connection == self._connection:
                self._client.ack(message.mid, message.qos)

    def _stamp(self, seen=None):
        """The next `__ts`: (milliseconds, counter), later than all before and than `seen`, that of a message that came in."""
        with self._changed:
            latest, now = max(self._stamped, seen or (0, 0)), int(time.time() * 1000)
            self._stamped = (now, 0) if now > latest[0] else (latest[0], latest[1] + 1)
            return f"{self._stamped[0]:015d}:{self._stamped[1]:05d}:{self.client_id}"

    def _note(self, topic, texts=()):
        with self._changed:
            self.violations += [f"{topic}: {text}" for text in texts]
            self._changed.notify_all()

    def _take_request(self, message, payload, now):
        connector, device, endpoint, command = message.topic.split("/")[3:]
        wrong, refusal, user, seen = check(message, connector, is_request=True)
        bad = misfits(payload, COMMANDS[command]) if command in COMMANDS else []
        refusal = refusal or ((400, {"__stMsg": bad[0]}) if bad else None)
        bad += [] if command in COMMANDS or command == "createOrUpdateDiscoveredAsset" else ["there is no such command"]
        got, inner = vars(message.properties), [payload, *payload.values()] if isinstance(payload, dict) else []
        asset = next((value["assetName"] for value in inner if isinstance(value, dict) and "assetName" in value), None)
        key = (connector, device, endpoint) if asset is None else (connector, device, endpoint, asset)
        request = {"time": now, "key": key, "connector": connector, "device": device, "endpoint": endpoint, "command": command,
                   "asset": asset, "payload": payload, "topic": message.topic, "user": user, "seen": seen, "refusal": refusal,
                   "correlation": got.get("CorrelationData"), "response_topic": got.get("ResponseTopic", ""),
                   "expires": now + got.get("MessageExpiryInterval", 10), "duplicate": False, "answer": None}
        self.requests.append(request)
        self._note(message.topic, wrong + bad)
        return request

    def _serve(self, request):
        """Answers one request; request["answer"] becomes the status, or why there is none."""
        key, about = (request["response_topic"], request["correlation"]), (request["topic"], request["payload"])
        with self._changed:
            until, known_about, answer = self._answers.get(key, (0, None, None))
            if until > time.time() and request["correlation"]:
                # A second copy gets the stored answer; the command does not run again.
                request["duplicate"] = True
                if known_about != about:
                    self._note(request["topic"], ["Correlation Data was used for another request before"])
            else:
                answer = self._run(request)  # kept for as long as Microsoft's executor does
                self._answers[key] = (request["expires"] + 60, about, answer)
        left = math.ceil(request["expires"] - time.time())
        status, content, more = answer if left > 0 else ("expired", None, None)
        if more is not None:
            user = {"__stat": str(status), "__apErr": "false", **more, "__protVer": "1.0", "__srcId": self.client_id,
                    "__ts": self._stamp(request["seen"]), "$high_priority": ""}
            with suppress(RuntimeError):  # no connection: it goes out after the next one is there
                self._publish(request["response_topic"], content, request["correlation"], left, user).wait_for_publish(5)
        request["answer"] = status
        self._note(request["topic"])

    def _run(self, request):
        """The answer: (status, payload, user properties), or (why there is none, None, None)."""
        command, failure = request["command"], self._failures.get(request["command"], [None, 0])
        if request["refusal"]:
            status, more = request["refusal"]
            return (status, None, {"__stMsg": "the request is malformed", **more}) if status else ("nobody to answer", None, None)
        if command in self.muted:
            return "muted", None, None
        try:
            if failure[1] > 0:
                failure[1] -= 1
                raise Refused(failure[0], "a test wants it so")
            return 200, self._execute(request), {}
        except Refused as refused:
            error = dict(zip(("code", "message"), refused.args), timestamp=f"{datetime.now(timezone.utc):%FT%TZ}")
            more = {"__apErr": "true", "__stMsg": error["message"], "AppErrCode": error["code"], "AppErrPayload": json.dumps(error)}
            status, more = (200, {}) if self.error_form == "payload" else (500, more)
            return status, {f"{command}Error": error}, more

    def _execute(self, request):
        """What the command answers; it is about the asset that it names, else about the device."""
        command, key, payload, name, endpoint = (request[field] for field in ("command", "key", "payload", "asset", "endpoint"))
        device, definition = self.devices.get(request["device"]), self.assets.get(name)
        if command not in COMMANDS:
            raise Refused("BadRequest", f"this simulator does not do {command}")
        if device is None or name is not None and definition is None:
            raise Refused("KubeError", f"there is no {'device ' + request['device'] if device is None else 'asset ' + name}")
        if endpoint not in device.get("endpoints", {}).get("inbound", {}):
            raise Refused("BadRequest", f"the device {request['device']} has no inbound endpoint {endpoint}")
        if definition and definition.get("deviceRef") != {"deviceName": request["device"], "endpointName": endpoint}:
            raise Refused("BadRequest", f"the asset {name} belongs to {definition.get('deviceRef')}")
        definition, statuses = (device, self.device_status) if name is None else (definition, self.asset_status)
        if command in ("getDevice", "getAsset"):
            return {"device": self._device_of(request["device"], endpoint)} if name is None else {"asset": definition}
        if command.endswith("Updates"):
            wish = payload["notificationPreferenceRequest"]
            self.preferences[key] = wish if name is None else wish["notificationPreference"]
            return {"responsePayload": "Accepted"}
        if command.startswith("get"):
            return {command[3].lower() + command[4:]: statuses[key][-1]["status"] if key in statuses else {}}
        # A new status replaces the old one wholly.
        status = payload["deviceStatusUpdate"] if name is None else payload["assetStatusUpdate"]["assetStatus"]
        names, version = [stream["name"] for stream in status.get("streams") or []], status["config"]["version"]
        others = set((status.get("endpoints") or {}).get("inbound") or {}) - {endpoint}
        wrong = [f"the status is about the endpoint {other}" for other in others] + stale_names(version, names, definition, "the status")
        self._note(request["topic"], wrong + ([f"the status has a stream twice: {names}"] if len(set(names)) < len(names) else []))
        statuses.setdefault(key, []).append({"time": request["time"], "version": version, "status": status})
        return {"updatedDeviceStatus" if name is None else "updatedAssetStatus": status}

    def _take_telemetry(self, message, payload, now):
        """Health; what does not have the form is a violation and nothing else."""
        connector, device, endpoint, event = message.topic.split("/")[4:]
        wrong = check(message, connector, is_request=False)[0]
        wrong += misfits(payload, {event: EVENTS[event]}) if event in EVENTS else ["a connector of cameras has no such event"]
        with self._changed:
            if not wrong:
                content, asset = payload[event], payload[event].get("assetName")
                definition = self.devices.get(device) if asset is None else self.assets.get(asset)
                for part in [content] if asset is None else content["streams"]:
                    health, stream = part["runtimeHealth"], part.get("streamName")
                    self.health.append({"time": now, "event": event, "connector": connector, "device": device, "endpoint": endpoint,
                                        "asset": asset, "stream": stream, **health})
                    # What was removed a moment ago may still be reported.
                    wrong += stale_names(health["version"], [stream] if stream else [], definition, "the health") if definition else []
            self._note(message.topic, wrong)
