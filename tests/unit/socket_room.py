"""A room on moto with sockets that are held by a small server of our own: the socket side as API Gateway runs it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import pytest
from moto import mock_aws

from functions import aws, clock, storage, tokens
from functions.rooms import (
    answer_question,
    ask,
    chat,
    disconnect,
    flood,
    gift,
    join,
    ping,
    poll,
    react,
    sequence,
    unknown,
    upvote,
    vote,
)
from functions.rooms.items import RoomsItem
from functions.rooms.messages import Sender
from functions.rooms.table import open_room
from tests.unit.https import MovableClock

STREAM = "stream-1"
EPOCH = "e1"
HOST = Sender("host-1", "ana", "Ana", ("host",))
HANDLERS: dict[str, Callable[[dict[str, Any], Any], dict[str, Any]]] = {
    "join": join.handle,
    "chat": chat.handle,
    "react": react.handle,
    "gift": gift.handle,
    "ask": ask.handle,
    "upvote": upvote.handle,
    "answer": answer_question.handle,
    "poll": poll.handle,
    "vote": vote.handle,
    "ping": ping.handle,
    "$disconnect": disconnect.handle,
    "$default": unknown.handle,
}


class Gateway:
    """`@connections`: keeps what was posted to each connection; answers what a test tells it to."""

    def __init__(self) -> None:
        self.posted: dict[str, list[Any]] = {}
        self.closed: list[str] = []
        self.statuses: dict[str, list[int]] = {}
        self.stuck: dict[str, threading.Event] = {}
        self.signatures: list[str] = []
        self._lock = threading.Lock()
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self, method: str) -> None:
                connection = unquote(self.path.rpartition("/")[2])
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if connection in gateway.stuck:
                    gateway.stuck[connection].wait(10)
                with gateway._lock:
                    gateway.signatures.append(self.headers.get("Authorization", ""))
                    waiting = gateway.statuses.get(connection, [])
                    status = waiting.pop(0) if waiting else (410 if connection in gateway.closed else 200)
                    if status == 200 and method == "POST":
                        gateway.posted.setdefault(connection, []).append(json.loads(body))
                    elif status == 200:
                        gateway.closed.append(connection)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_POST(self) -> None:
                self._serve("POST")

            def do_DELETE(self) -> None:
                self._serve("DELETE")

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/live"

    def frames(self, connection: str) -> list[dict[str, Any]]:
        return [body for body in self.posted.get(connection, []) if body["type"] == "frame"]


@dataclass
class Socket:
    """One open socket, as the gateway's routes see it."""

    room: SocketRoom
    id: str
    who: Sender
    role: str
    nonce: str
    stream: str = STREAM

    def event(self, body: str) -> dict[str, Any]:
        return {
            "requestContext": {
                "connectionId": self.id,
                "authorizer": {
                    "account": self.who.id,
                    "stream": self.stream,
                    "host": HOST.id,
                    "role": self.role,
                    "nonce": self.nonce,
                    "handle": self.who.handle,
                    "name": self.who.name,
                    "badges": ",".join(self.who.badges),
                    "market": "US",
                    "age": "30",
                    "created": "0",
                    "principalId": self.who.id,
                    "integrationLatency": 3,
                },
            },
            "body": body,
        }

    def send(self, action: str, **fields: Any) -> Any:
        """The answer to an action, or None where there is none."""
        return self.send_raw(action, json.dumps({"action": action, **fields}))

    def send_raw(self, route: str, body: str) -> Any:
        answer = HANDLERS[route](self.event(body), None)
        assert answer["statusCode"] == 200
        return json.loads(answer["body"]) if "body" in answer else None

    def join(self, **fields: Any) -> Any:
        return self.send("join", **fields)

    def chat(self, client_id: str, text: str = "hello", **fields: Any) -> Any:
        return self.send("chat", id=client_id, text=text, **fields)

    @property
    def frames(self) -> list[dict[str, Any]]:
        return self.room.gateway.frames(self.id)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for frame in self.frames for event in frame["events"]]


@dataclass
class SocketRoom:
    """A live room with its queue; `sequence` runs when a test says so."""

    clock: MovableClock
    gateway: Gateway
    queue_url: str
    opened: int = 0
    failures: list[str] = field(default_factory=list[str])

    def socket(self, account: str, role: str = "viewer", **changes: Any) -> Socket:
        self.opened += 1
        who = Sender(account, changes.pop("handle", account), account.title(), changes.pop("badges", ()))
        return Socket(self, f"c{self.opened}=", who, role, changes.pop("nonce", f"n{self.opened}"), **changes)

    def joined(self, account: str, role: str = "viewer", **changes: Any) -> Socket:
        socket = self.socket(account, role, **changes)
        answer = socket.join()
        assert answer["type"] == "joined", answer
        return socket

    def rings(self) -> list[dict[str, Any]]:
        """Messages that wait in the queue, taken as the service hands them to the function."""
        answer: dict[str, Any] = aws.client("sqs").receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=1, AttributeNames=["All"]
        )
        return list(answer.get("Messages", []))

    def sequence(self, runs_max: int = 30) -> int:
        """Run the sequencer until no ring is left; answers how many rings there were."""
        for run in range(runs_max):
            messages = self.rings()
            if not messages:
                return run
            for message in messages:
                failed = sequence.handle({"Records": [record(message)]}, None)["batchItemFailures"]
                if failed:
                    self.failures.append(message["Body"])
                else:
                    aws.client("sqs").delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        raise AssertionError(f"rings are left after {runs_max} runs")

    def items(self, prefix: str) -> list[RoomsItem]:
        return [item for item in RoomsItem.scan() if item.sk.startswith(prefix)]


def record(message: dict[str, Any]) -> dict[str, Any]:
    """A queue's message as Lambda gets it."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": {"ApproximateReceiveCount": "1", "MessageGroupId": STREAM, **message.get("Attributes", {})},
        "eventSource": "aws:sqs",
    }


@contextmanager
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[SocketRoom]:
    """A live room of `HOST` in tables and a queue of its own."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("POWERTOOLS_TRACE_DISABLED", "true")
    for name in ("ROOMS", "LEDGER", "STREAMS"):
        monkeypatch.setenv(f"{name}_TABLE", name.title())
    gateway = Gateway()
    monkeypatch.setenv("SOCKET_CALLBACK_URL", gateway.url)
    monkeypatch.setenv("DELIVER_FUNCTION", "Deliver")
    movable = MovableClock()
    before = clock.clock
    with mock_aws():
        aws.forget_clients()
        storage.forget_connections()
        tokens.forget_secrets()
        flood.watch.cache_clear()
        clock.use(movable)
        RoomsItem.create_table(wait=True, billing_mode="PAY_PER_REQUEST")
        sqs = aws.client("sqs")
        fifo = {"FifoQueue": "true", "VisibilityTimeout": "5", "FifoThroughputLimit": "perMessageGroupId"}
        queue_url = sqs.create_queue(QueueName="Ring.fifo", Attributes={**fifo, "DeduplicationScope": "messageGroup"})[
            "QueueUrl"
        ]
        monkeypatch.setenv("RING_QUEUE_URL", queue_url)
        later_url = sqs.create_queue(QueueName="Later", Attributes={"VisibilityTimeout": "15"})["QueueUrl"]
        monkeypatch.setenv("LATER_QUEUE_URL", later_url)
        settle_url = sqs.create_queue(QueueName="Settle.fifo", Attributes=fifo)["QueueUrl"]
        monkeypatch.setenv("SETTLE_QUEUE_URL", settle_url)
        open_room(STREAM, HOST, "A walk by the sea", EPOCH)
        try:
            yield SocketRoom(movable, gateway, queue_url)
        finally:
            for event in gateway.stuck.values():
                event.set()
            gateway.server.shutdown()
            gateway.server.server_close()
            clock.use(before)
            aws.forget_clients()
            storage.forget_connections()
