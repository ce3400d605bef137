"""A client of mRPC, the request and answer protocol of Azure IoT Operations' SDKs, over paho-mqtt: MQTT 5 with TLS. It shares no
code with the adapter, and sends what it is told to, wrong things too.

    invoker = Invoker(Broker(SITE), "operator")
    answer = invoker.call("azure-iot-operations/asset-operations/line1/clips/state", b"{}")
    answer.status, answer.json()
"""
import itertools
import json
import os
import re
import ssl
import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

# "As usual", where None means "left out".
USUAL = object()
NOT_AUTHORIZED = 135
# Larger payloads are kept by their length only; they are our own, come back to a subscription of everything.
KEPT_BYTES = 1 << 20
STAMP = re.compile(r"(\d{15}):(\d{5}):(.+)")


class Message:
    """A message that came, with its properties of MQTT 5."""

    def __init__(self, message):
        properties = message.properties
        self.topic, self.qos, self.retain = message.topic, message.qos, message.retain
        self.size = len(message.payload)
        self.payload = message.payload if self.size <= KEPT_BYTES else b""
        self.content_type = getattr(properties, "ContentType", None)
        self.format_indicator = getattr(properties, "PayloadFormatIndicator", None)
        self.expiry = getattr(properties, "MessageExpiryInterval", None)
        self.correlation = getattr(properties, "CorrelationData", None)
        self.response_topic = getattr(properties, "ResponseTopic", None)
        self.user = list(getattr(properties, "UserProperty", []))

    @property
    def properties(self):
        """The user properties as a dictionary."""
        return dict(self.user)

    @property
    def status(self):
        return self.properties.get("__stat")

    @property
    def stamp(self):
        """`__ts` as (milliseconds, counter, node); None where it is not as AIO writes it."""
        found = STAMP.fullmatch(self.properties.get("__ts", ""))
        return found and (int(found[1]), int(found[2]), found[3])

    def json(self):
        return json.loads(self.payload)

    def __repr__(self):
        said = {name: (value if len(value) <= 100 else f"{value[:100]}…") for name, value in self.properties.items()}
        return f"{self.topic[:100]} {said} {self.payload[:300]!r}"


class Cut(Exception):
    """The connection is gone, and the invoker with it."""


class Request:
    """What was asked, for finding its answers."""

    def __init__(self, response_topic, correlation, expiry, reason, since):
        self.response_topic, self.correlation, self.expiry = response_topic, correlation, expiry
        # The broker's reason code in PUBACK: 0 and 16 (nobody listens) are well.
        self.reason, self.since = reason, since


def properties_of(*, correlation, response_topic, expiry, content_type, format_indicator, user_properties):
    properties = Properties(PacketTypes.PUBLISH)
    for name, value in [("CorrelationData", correlation), ("ResponseTopic", response_topic), ("MessageExpiryInterval", expiry),
                        ("ContentType", content_type), ("PayloadFormatIndicator", format_indicator)]:
        if value is not None:
            setattr(properties, name, value)
    if user_properties:
        properties.UserProperty = [(name, str(value)) for name, value in user_properties]
    return properties


def stamp(ahead_s=0.0, node="checks", counter=0):
    """A `__ts` of ours."""
    return f"{int((time.time() + ahead_s) * 1000):015d}:{counter:05d}:{node}"


class Invoker:
    """One connection. Everything that comes is kept in `messages`, in the order in which it came."""

    numbers = itertools.count(1)

    def __init__(self, broker, user="operator", subscriptions=()):
        self.id = f"{user}-{os.getpid()}-{next(self.numbers)}"
        self.messages, self.changed = [], threading.Condition()
        self.codes, self.granted, self.is_connected = {}, {}, False
        self.counter = itertools.count(1)
        self.filters = set()
        # No second connection: paho would send again what the broker cut the first one for, and all subscriptions would be gone.
        client = self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=self.id, protocol=mqtt.MQTTv5, reconnect_on_failure=False)
        client.username_pw_set(user, broker.password(user))
        client.tls_set(ca_certs=str(broker.authority), tls_version=ssl.PROTOCOL_TLS_CLIENT)
        client.on_connect, client.on_disconnect = self.on_connect, self.on_disconnect
        client.on_message, client.on_publish, client.on_subscribe = self.on_message, self.on_publish, self.on_subscribe
        client.connect(broker.host, broker.port, keepalive=60)
        client.loop_start()
        self.wait(lambda: self.is_connected, 10, "the connection to the broker")
        own = [f"clients/{self.id}/#"] if user == "operator" else []
        for topic in [*own, *subscriptions]:
            self.subscribe(topic)

    # --- On paho's thread -----------------------------------------------------------------------------------------------

    def on_connect(self, client, userdata, flags, reason_code, properties):
        with self.changed:
            self.is_connected = reason_code == 0
            self.changed.notify_all()

    def on_disconnect(self, client, userdata, flags, reason_code, properties):
        with self.changed:
            self.is_connected = False
            self.changed.notify_all()

    def on_message(self, client, userdata, message):
        with self.changed:
            self.messages.append(Message(message))
            self.changed.notify_all()

    def on_publish(self, client, userdata, mid, reason_code, properties):
        with self.changed:
            self.codes[mid] = reason_code.value
            self.changed.notify_all()

    def on_subscribe(self, client, userdata, mid, reason_codes, properties):
        with self.changed:
            self.granted[mid] = [code.value for code in reason_codes]
            self.changed.notify_all()

    # --- On the check's thread ------------------------------------------------------------------------------------------

    def wait(self, found, seconds, what):
        """What `found` gives as soon as it is something."""
        end = time.monotonic() + seconds
        with self.changed:
            while not (value := found()):
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"waited {seconds} s in vain: {what}")
                self.changed.wait(left)
            return value

    def mark(self):
        """A place in `messages`; what comes later comes after it."""
        with self.changed:
            return len(self.messages)

    def since(self, mark, found=lambda message: True):
        """The messages after a mark that `found` says yes to."""
        with self.changed:
            return [message for message in self.messages[mark:] if found(message)]

    def next(self, mark, found, seconds, what):
        """The first message after a mark that `found` says yes to."""
        return self.wait(lambda: next((m for m in self.messages[mark:] if found(m)), None), seconds, what)

    def subscribe(self, topic):
        if topic in self.filters:
            return
        _, mid = self.client.subscribe(topic, qos=1)
        codes = self.wait(lambda: self.granted.pop(mid, None), 10, f"the subscription to {topic}")
        if codes != [1]:
            raise AssertionError(f"the broker refuses the subscription to {topic}: {codes}")
        self.filters.add(topic)

    def publish(self, topic, payload=b"", *, qos=1, retain=False, correlation=None, response_topic=None, expiry=None,
                content_type=None, format_indicator=None, user_properties=()):
        """Publishes, and gives the reason code of PUBACK; with QoS 0 it is always 0. Raises Cut where the broker ends the connection:
        it takes the packet for malformed."""
        payload = payload.encode() if isinstance(payload, str) else payload
        properties = properties_of(correlation=correlation, response_topic=response_topic, expiry=expiry, content_type=content_type,
                                   format_indicator=format_indicator, user_properties=user_properties)
        info = self.client.publish(topic, payload, qos=qos, retain=retain, properties=properties)
        self.wait(lambda: info.mid in self.codes or not self.is_connected, 20, f"PUBACK on {topic[:100]}")
        with self.changed:
            if info.mid not in self.codes:
                raise Cut(f"the broker ended the connection at a message on {topic[:100]}")
            return self.codes.pop(info.mid)

    def request(self, topic, payload=b"{}", *, correlation=USUAL, response_topic=USUAL, expiry=20, content_type="application/json",
                format_indicator=1, user_properties=(), qos=1):
        """Publishes a request and does not wait for its answer. Each has a response topic of its own unless one is given."""
        correlation = os.urandom(16) if correlation is USUAL else correlation
        response_topic = f"clients/{self.id}/{next(self.counter)}" if response_topic is USUAL else response_topic
        since = self.mark()
        reason = self.publish(
            topic, payload, qos=qos, correlation=correlation, response_topic=response_topic, expiry=expiry, content_type=content_type,
            format_indicator=format_indicator, user_properties=user_properties)
        return Request(response_topic, correlation, expiry, reason, since)

    def answers(self, request):
        """What has come for a request so far. Where it had no correlation data the topic has to be enough."""
        return self.since(request.since, lambda m: m.topic == request.response_topic and
                          (not request.correlation or m.correlation == request.correlation))

    def answer(self, request, seconds=15, number=1):
        """The first answer, or the one of this number, with what the request was for the checks to compare."""
        answers = self.wait(lambda: a if len(a := self.answers(request)) >= number else None, seconds,
                            f"answer {number} on {request.response_topic}")
        found = answers[number - 1]
        found.request = request
        return found

    def call(self, topic, payload=b"{}", *, seconds=15, **properties):
        """Asks, and waits for the answer."""
        request = self.request(topic, payload, **properties)
        if request.reason >= 128:
            raise AssertionError(f"the broker refuses the request on {topic}: reason {request.reason}")
        return self.answer(request, seconds)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()
