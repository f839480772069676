"""For testers: a pytest fixture with an isolated stack, clients over HTTPS and sockets, and the clock.

In a ``conftest.py``: ``from local.testing import onair, onair_stack``. A test that takes ``onair`` gets an empty
stack. One stack is started for the whole session, in this process on free ports (a second's work, once), and emptied
before each test: in-process because then a failing handler's traceback is the test's own output, and because making a
stack takes ten times as long as emptying one. Tests that need the relay or the demo accounts start a `Stack` of their
own, or `make run`.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

os.environ.setdefault("POWERTOOLS_TRACE_DISABLED", "true")
os.environ.setdefault("POWERTOOLS_METRICS_DISABLED", "true")
os.environ.setdefault("POWERTOOLS_LOG_LEVEL", "WARNING")

from functions import aws
from functions.security import OPERATORS
from local import ports, template
from local.client import Client
from local.faults import Faults
from local.seed import give_followers, make_older
from local.stack import Options, Stack

PASSWORD: Final = "Onair-demo-1"
WAIT_S: Final = 10.0
Message = dict[str, Any]


def frames_of(message: Message) -> list[Message]:
    """The frames that a message brings."""
    return [message] if message.get("type") == "frame" else list(message.get("frames", ()))


class NotSeenError(AssertionError):
    """What a test waited for did not come in time; the text shows what came."""


def wait_until(condition: Callable[[], Any], what: str, within_s: float = WAIT_S) -> Any:
    """The first true value of ``condition``; raises `NotSeenError` when none comes within the time."""
    until_s = time.monotonic() + within_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until_s:
            raise NotSeenError(f"not within {within_s:g} s: {what}")
        time.sleep(0.02)


class Socket:
    """An open socket: everything received is kept in `messages`; `wait_for` waits for one."""

    def __init__(self, url: str) -> None:
        self.messages: list[Message] = []
        self.close_code: int | None = None
        self._arrived = threading.Condition()
        self._ids = itertools.count(1)
        self._connection: ClientConnection = connect(url, max_size=None, open_timeout=WAIT_S)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, message: Message | str) -> None:
        """Send one message, as it is when it is text."""
        self._connection.send(message if isinstance(message, str) else msgspec.json.encode(message).decode())

    def new_id(self, prefix: str = "m") -> str:
        """A client id that this socket has not used."""
        return f"{prefix}-{id(self)}-{next(self._ids)}"

    def join(self, **more: Any) -> Message:
        """Join the room; returns the ``joined`` message."""
        return self.request({"action": "join", **more}, lambda message: message.get("type") == "joined")

    def chat(self, text: str, **more: Any) -> Message:
        """Say something; returns its ``ack`` (or the error that refuses it)."""
        return self._acknowledged({"action": "chat", "id": self.new_id("chat"), "text": text, **more})

    def react(self, counts: dict[str, int]) -> None:
        """Send reactions; there is no answer on success."""
        self.send({"action": "react", "counts": counts})

    def gift(self, gift_id: str, count: int = 1, **more: Any) -> Message:
        """Send a gift; returns its ``ack`` (or the error that refuses it)."""
        body = {"action": "gift", "id": self.new_id("gift"), "gift_id": gift_id, "count": count, **more}
        return self._acknowledged(body)

    def request(self, message: Message | str, answers: Callable[[Message], bool]) -> Message:
        """Send a message and wait for its answer, or for an error; only what comes after counts."""
        seen = len(self.messages)
        self.send(message)
        return self.wait_for(
            lambda got: answers(got) or got.get("type") == "error", f"an answer to {message}", after=seen
        )

    def wait_for(
        self, wanted: Callable[[Message], bool], what: str, *, after: int = 0, within_s: float = WAIT_S
    ) -> Message:
        """The first message from position ``after`` on that is wanted."""
        until_s = time.monotonic() + within_s
        with self._arrived:
            while True:
                for message in self.messages[after:]:
                    if wanted(message):
                        return message
                left_s = until_s - time.monotonic()
                if left_s <= 0 or not self._arrived.wait(left_s):
                    raise NotSeenError(f"not within {within_s:g} s: {what}; received {self.messages[-5:]}")

    def wait_for_event(self, kind: str, *, within_s: float = WAIT_S, **fields: Any) -> Message:
        """The first event of a kind with these fields, in any frame.

        As a client does that a post may fail to reach, it joins again after what it has, once, when half the time is
        over.
        """
        found: list[Message] = []

        def holds(message: Message) -> bool:
            for event in (event for frame in frames_of(message) for event in frame.get("events", [])):
                if event["type"] == kind and all(event.get(name) == value for name, value in fields.items()):
                    found.append(event)
                    return True
            return False

        what = f"an event {kind} with {fields}"
        try:
            self.wait_for(holds, what, within_s=within_s / 2)
        except NotSeenError:
            if not self.catch_up():
                raise
            self.wait_for(holds, what, within_s=within_s / 2)
        return found[0]

    def catch_up(self) -> bool:
        """Join again after the last frame before a gap, or the last of all; False for who never joined."""
        if not any(message.get("type") == "joined" for message in self.messages):
            return False
        seen = {frame["seq"]: frame["epoch"] for message in self.messages for frame in frames_of(message)}
        if not seen:
            self.join()
            return True
        last = min(seen)
        while last + 1 in seen:
            last += 1
        self.join(epoch=seen[last], after=last)
        return True

    def wait_closed(self, within_s: float = WAIT_S) -> int | None:
        """The close code, once the server has closed."""
        self._reader.join(within_s)
        if self._reader.is_alive():
            raise NotSeenError(f"the socket did not close within {within_s:g} s")
        return self.close_code

    @property
    def is_open(self) -> bool:
        """Whether neither side has closed."""
        return self._reader.is_alive()

    def close(self) -> None:
        """Close from this side."""
        self._connection.close()
        self._reader.join(WAIT_S)

    def _acknowledged(self, message: Message) -> Message:
        wanted = message["id"]
        return self.request(message, lambda got: got.get("type") == "ack" and got.get("id") == wanted)

    def _read(self) -> None:
        try:
            for text in self._connection:
                with self._arrived:
                    self.messages.append(msgspec.json.decode(text))
                    self._arrived.notify_all()
        except ConnectionClosed:
            pass  # the code below tells how
        self.close_code = self._connection.protocol.close_code


class Onair:
    """What a test does with its stack."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.addresses = stack.addresses
        self._sockets: list[Socket] = []
        self._handles = itertools.count(1)

    def client(self) -> Client:
        """A client that is not signed in."""
        return Client(self.addresses.api_url)

    def account(
        self, handle: str | None = None, *, followers: int = 0, coins: int = 0, days_old: int = 0, **more: str
    ) -> Client:
        """A new account, signed in, with so many followers, at least so many coins, made so many days ago."""
        client = self.client()
        client.sign_up(handle or f"tester_{next(self._handles)}", PASSWORD, **more)
        if followers:
            give_followers(self.stack.declared, str(client.account_id), followers)
        if days_old:
            make_older(self.stack.declared, str(client.account_id), days_old)
        while coins > 0:
            client.buy("coins_7000")
            coins -= 7000
        return client

    def operator(self, handle: str = "olga_ops") -> Client:
        """A new account, signed in, in the group of operators."""
        client = self.account(handle)
        pool = self.stack.declared.user_pool
        aws.client("cognito-idp").admin_add_user_to_group(UserPoolId=pool, Username=handle, GroupName=OPERATORS)
        client.sign_in(handle, PASSWORD)
        return client

    def broadcast(self, host: Client, **more: Any) -> dict[str, Any]:
        """A stream of ``host`` that is live; returns it as started, with ``publish``."""
        devices = {"camera": True, "microphone": True}
        made = host.call("POST", "/streams", {"title": "A test", "topics": ["test"], "devices": devices, **more})
        return host.call("POST", f"/streams/{made['id']}/start", {"devices": devices})

    def socket(self, client: Client, stream_id: str) -> Socket:
        """A socket into a stream's room, opened with a fresh ticket; not joined yet."""
        ticket = client.call("POST", f"/streams/{stream_id}/ticket")
        return self.open_socket(str(ticket["socket_url"]))

    def open_socket(self, url: str) -> Socket:
        """A socket on any URL, closed after the test."""
        opened = Socket(url)
        self._sockets.append(opened)
        return opened

    def advance(self, seconds: float) -> None:
        """Move the stack's clock forward."""
        self.stack.clock.offset_ms += int(seconds * 1000)

    def order(self, faults: Faults) -> None:
        """Order faults, in place of all that were ordered before."""
        self.stack.faults.order(faults)

    def close(self) -> None:
        """Close what the test left open."""
        for opened in self._sockets:
            opened.close()
        self._sockets.clear()


@pytest.fixture(scope="session")
def onair_stack() -> Iterator[Stack]:
    """The session's stack, without relay and seed."""
    made = template.load(template.LOCAL_CONTEXT)
    stack = Stack(Options(ports=ports.free(), template=made.template, with_relay=False, with_seed=False))
    stack.start()
    yield stack
    stack.stop()


@pytest.fixture
def onair(onair_stack: Stack) -> Iterator[Onair]:
    """An empty stack with clients and clock."""
    onair_stack.reset()
    handle = Onair(onair_stack)
    yield handle
    handle.close()
