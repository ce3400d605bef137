"""An indexer that gives one uploader its work, written from proto/README.md: what it is asked is answered by the contract, and what
came of the work is kept for the checks."""
import sys
import threading
import time
from pathlib import Path

import pynng
from google.protobuf import message_factory

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "Tests/Python"))
from sightglass import LARGEST_MESSAGE, PACKAGE  # noqa: E402

# Calls that are answered side by side: claims wait, renewals and completions must not wait with them.
THREADS = 4
UNIMPLEMENTED = 12
# A claim without work comes back so soon; the uploader would wait for longer.
IDLE_SECONDS = 0.2


class FakeIndexer:
    """Answers below a run directory. `completed` and `failed` hold the requests by item id."""

    def __init__(self, contract, run_directory):
        self.contract = contract
        # `claimed`: items that are being worked on, with the time at which they fall back unless they are renewed.
        self.waiting, self.claimed, self.completed, self.failed = [], {}, {}, {}
        self.changed = threading.Condition()
        self.closed = False
        self.hints = pynng.Pub0(listen=f"ipc://{run_directory}/indexer.hints")
        self.socket = pynng.Rep0(recv_max_size=LARGEST_MESSAGE)
        self.socket.listen(f"ipc://{run_directory}/indexer.rpc")
        self.contexts = [self.socket.new_context() for _ in range(THREADS)]
        for context in self.contexts:
            threading.Thread(target=self.serve, args=(context,), daemon=True).start()

    def give(self, items):
        """Work, in this order."""
        with self.changed:
            self.waiting += items
            self.changed.notify_all()

    def wait(self, numbers, seconds):
        """Until these items have ended, well or badly. True where they have."""
        with self.changed:
            return self.changed.wait_for(lambda: self.completed.keys() | self.failed.keys() >= set(numbers), seconds)

    def close(self):
        self.closed = True
        for context in self.contexts:
            context.close()
        self.socket.close()
        self.hints.close()

    # --- Answers --------------------------------------------------------------------------------------------------------

    def serve(self, context):
        while True:
            try:
                envelope = self.contract.message("RequestEnvelope")
                envelope.ParseFromString(context.recv())
                context.send(self.answer(envelope).SerializeToString())
            except (pynng.Closed, TypeError):
                # pynng has no context to send with where it was closed while the answer was made.
                if self.closed:
                    return
                raise

    def answer(self, envelope):
        name = envelope.method.removeprefix(PACKAGE)
        handler = getattr(self, "do_" + name.partition("/")[2], None)
        if handler is None:
            return self.contract.message("ReplyEnvelope", code=UNIMPLEMENTED, message=f"this indexer does not know {name}")
        method = self.contract.method(name)
        request = message_factory.GetMessageClass(method.input_type).FromString(envelope.body)
        reply = handler(request) or self.contract.message(method.output_type.name)
        return self.contract.message("ReplyEnvelope", body=reply.SerializeToString())

    def do_Check(self, _):
        return self.contract.message("HealthReply", live=True, ready=True)

    def do_ClaimItems(self, request):
        end = time.monotonic() + min(request.wait_ms / 1000, IDLE_SECONDS)
        with self.changed:
            while True:
                self.fall_back()
                rest = end - time.monotonic()
                if self.waiting or rest <= 0:
                    break
                self.changed.wait(rest)
            taken = self.waiting[:request.limit or 4]
            self.waiting = self.waiting[len(taken):]
            for item in taken:
                self.claimed[item.item_id] = (item, time.monotonic() + request.lease_ms / 1000)
        return self.contract.message("ClaimItemsReply", items=taken)

    def fall_back(self):
        """What nobody renewed is given to the next who asks, with the next epoch."""
        for number, (item, end) in list(self.claimed.items()):
            if time.monotonic() >= end:
                del self.claimed[number]
                item.epoch += 1
                self.waiting.append(item)

    def do_RenewClaims(self, request):
        with self.changed:
            for claim in request.claims:
                if claim.item_id in self.claimed:
                    item, _ = self.claimed[claim.item_id]
                    self.claimed[claim.item_id] = (item, time.monotonic() + request.lease_ms / 1000)

    def do_CompleteItem(self, request):
        self.keep(self.completed, request)
        return self.contract.message("CompleteItemReply", state="ITEM_STATE_UPLOADED")

    def do_FailItem(self, request):
        self.keep(self.failed, request)
        return self.contract.message("FailItemReply", state="ITEM_STATE_PENDING")

    def do_GetDeletionGrants(self, _):
        return None

    def do_ReportVolume(self, _):
        return None

    def keep(self, where, request):
        with self.changed:
            self.claimed.pop(request.claim.item_id, None)
            where[request.claim.item_id] = request
            self.changed.notify_all()
