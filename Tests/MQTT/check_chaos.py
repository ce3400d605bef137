"""Events and requests while adapter, indexer and broker are killed at random: each one that was accepted ends as exactly one
request, however often it was published. Started by `run`.

    check_chaos.py SITE BIN [--events N] [--requests N] [--seed S]

The broker has persistence, and may all the same forget what it acknowledged when it is killed; so publishers do as real ones
should: they publish again until they see the receipt. The windows lie apart, so that no event extends the request of another.
"""
import argparse
import json
import os
import random
import ssl
import sys
import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from broker import NAMESPACE, Broker
from harness import ADAPTER, CallError, Site, check_all, expect, finish, sync, until

# Published and without a receipt at a time.
AT_ONCE = 25
# Slow enough that many things go wrong meanwhile.
PER_SECOND = 10
# After so long without a receipt it is published again.
AGAIN_AFTER_S = 4
FINAL = {"DONE", "PARTIAL", "FAILED", "CANCELLED"}


class Publisher:
    """A client that stays: it connects again whenever it is cut off, and remembers which keys were answered for."""

    def __init__(self, broker):
        self.receipts, self.changed, self.published = {}, threading.Condition(), 0
        client = self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"chaos-{os.getpid()}", protocol=mqtt.MQTTv5)
        client.username_pw_set("operator", broker.password("operator"))
        client.tls_set(ca_certs=str(broker.authority), tls_version=ssl.PROTOCOL_TLS_CLIENT)
        client.reconnect_delay_set(1, 1)
        client.on_connect, client.on_message = self.on_connect, self.on_message
        keep = Properties(PacketTypes.CONNECT)
        keep.SessionExpiryInterval = 3600
        client.connect(broker.host, broker.port, keepalive=10, clean_start=False, properties=keep)
        client.loop_start()

    def on_connect(self, client, userdata, flags, reason, properties):
        client.subscribe(sync("receipts/+"), qos=1)

    def on_message(self, client, userdata, message):
        if not message.payload:
            return
        receipt = json.loads(message.payload)
        with self.changed:
            self.receipts.setdefault(receipt["key"], receipt)
            self.changed.notify_all()

    def publish(self, topic, payload):
        self.published += 1
        self.client.publish(topic, payload, qos=1)

    def has(self, key):
        with self.changed:
            return key in self.receipts

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


class Trouble(threading.Thread):
    """Kills and ends processes until it is told to stop."""

    def __init__(self, site, seed):
        super().__init__(daemon=True)
        self.site, self.random, self.over, self.done, self.error = site, random.Random(seed), threading.Event(), {}, None

    def run(self):
        kinds = [("kill", ADAPTER), ("kill", "indexer"), ("stop", "broker"), ("kill", "broker")]
        try:
            while not self.over.wait(self.random.uniform(0.5, 2.5)):
                verb, name = self.random.choice(kinds)
                self.site.control(verb, name)
                time.sleep(self.random.uniform(0, 0.8))
                self.site.control("start", name)
                self.done[f"{verb} {name}"] = self.done.get(f"{verb} {name}", 0) + 1
        except Exception as error:  # noqa: BLE001: told by the check that ends it
            self.error = error

    def end(self):
        self.over.set()
        self.join(60)
        expect(self.error is None, f"the trouble itself failed: {self.error}")


def messages(count_events, count_requests, run):
    """(key, topic, payload), in a mixed order."""
    now = time.time()
    made = []
    for number in range(count_events):
        # An hour back and more, a minute apart.
        at = int((now - 3600 - 60 * number) * 1000)
        key = f"{run}-event-{number}"
        made.append((key, sync("events"), json.dumps(
            {"eventId": key, "timestamp": at, "cameras": ["line1"], "preSeconds": 1, "postSeconds": 1})))
    for number in range(count_requests):
        at = int((now - 3630 - 60 * number) * 1000)
        key = f"{run}-request-{number}"
        made.append((key, sync("archive"), json.dumps(
            {"requestId": key, "start": at, "durationSeconds": 2, "cameras": ["line2"], "reason": "chaos"})))
    return made


def publish_all(publisher, waiting, shuffle):
    """Publishes all, and again what has no receipt in time; every tenth is published twice at once."""
    shuffle.shuffle(waiting)
    open_ones, deadline = {}, time.monotonic() + 60 + 2 * len(waiting)
    while waiting or open_ones:
        expect(time.monotonic() < deadline, f"{len(waiting) + len(open_ones)} messages have no receipt, {sorted(open_ones)[:5]}")
        for key in [key for key in open_ones if publisher.has(key)]:
            del open_ones[key]
        if waiting and len(open_ones) < AT_ONCE:
            key, topic, payload = waiting.pop()
            publisher.publish(topic, payload)
            if shuffle.random() < 0.1:
                publisher.publish(topic, payload)
            open_ones[key] = [topic, payload, time.monotonic()]
        for entry in open_ones.values():
            if time.monotonic() - entry[2] > AGAIN_AFTER_S:
                publisher.publish(entry[0], entry[1])
                entry[2] = time.monotonic()
        time.sleep(1 / PER_SECOND)


def all_requests(site):
    """Every request of the indexer."""
    found, before = {}, None
    while True:
        page = site.call("indexer", "Indexer/ListRequests", limit=200, **({"before_us": before} if before else {})).requests
        new = [request for request in page if request.request_id not in found]
        found.update({request.request_id: request for request in new})
        if len(page) < 200 or not new:
            return found
        # Rows of one moment may lie on both sides of a page's end.
        before = min(request.accepted_us for request in page) + 1


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("site")
    arguments.add_argument("bin")
    arguments.add_argument("--events", type=int, default=200)
    arguments.add_argument("--requests", type=int, default=50)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    site, broker = Site(given.site, given.bin), Broker(given.site)
    shuffle, run = random.Random(given.seed), f"chaos-{os.getpid()}"
    before = set(all_requests(site))
    made = messages(given.events, given.requests, run)
    publisher, trouble = Publisher(broker), Trouble(site, given.seed)

    def all_messages_are_answered_for_in_the_end():
        began = time.monotonic()
        trouble.start()
        publish_all(publisher, list(made), shuffle)
        trouble.end()
        print(f"        {len(made)} messages, published {publisher.published} times, in {time.monotonic() - began:.0f} s; {trouble.done}")
        refused = {key: r for key, r in publisher.receipts.items() if key.startswith(run) and r["receipt"] not in ("accepted", "duplicate")}
        expect(not refused, list(refused.values())[:3])

    def each_is_exactly_one_request():
        until("the indexer answers", 30, lambda: site.is_ready("indexer"))
        found = {key: r for key, r in all_requests(site).items() if key not in before}
        of_event = {}
        for request in found.values():
            for key in request.event_keys:
                of_event.setdefault(key, []).append(request.request_id)
        for key, topic, _ in made:
            holders = of_event.get(key, []) if topic == sync("events") else [key] if key in found else []
            expect(len(holders) == 1, f"{key} is in {len(holders)} requests: {holders}")
        expect(len(found) == len(made), f"{len(made)} messages made {len(found)} requests")

    def a_receipt_names_the_request_that_there_is():
        found = all_requests(site)
        wrong = [r for key, r in publisher.receipts.items() if key.startswith(run) and r.get("requestId") not in found]
        expect(not wrong, wrong[:3])

    def every_request_comes_to_an_end():
        states = site.contract.names("RequestState")

        def is_over():
            try:
                found = all_requests(site)
            except CallError:
                return False
            return all(any(states[r.state].endswith(name) for name in FINAL) for key, r in found.items() if key not in before)
        until("all requests are over", 120, is_over)

    def the_adapter_goes_on():
        until("the adapter is ready", 30, lambda: site.is_ready(ADAPTER))
        last = (f"{run}-last", sync("events"), json.dumps(
            {"eventId": f"{run}-last", "timestamp": int(time.time() * 1000) - 9_000_000, "cameras": ["dock"], "preSeconds": 1,
             "postSeconds": 1}))
        publish_all(publisher, [last], shuffle)

    try:
        check_all(f"chaos {given.events}+{given.requests} seed {given.seed}", [
            all_messages_are_answered_for_in_the_end, each_is_exactly_one_request, a_receipt_names_the_request_that_there_is,
            every_request_comes_to_an_end, the_adapter_goes_on])
    finally:
        trouble.over.set()
        publisher.close()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
