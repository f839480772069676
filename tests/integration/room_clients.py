"""Clients that keep to the protocol while everything around them fails: a viewer that stays, a sender that insists."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidMessage

from local.client import Client
from local.testing import Message, NotSeenError, Onair, Socket

# The protocol's 2 s for a gap and 5 minutes for a ping, shortened so that a test needs seconds.
GAP_S = 0.4
PING_S = 0.7
ANSWER_S = 3.0


class Viewer:
    """Shows events as the protocol has it: by frame number, each once, joining again over gaps and lost sockets."""

    def __init__(self, onair: Onair, client: Client, stream_id: str) -> None:
        self.shown: list[Message] = []
        self.seqs: list[int] = []
        self.reconnects = 0
        self.failure: BaseException | None = None
        self._onair, self._client, self._stream_id = onair, client, stream_id
        self._epoch: str | None = None
        self._held: dict[int, Message] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def seq(self) -> int:
        """The newest frame shown; 0 before the first ``joined``."""
        return self.seqs[-1] if self.seqs else 0

    def stop(self) -> None:
        """End; raises what went wrong meanwhile."""
        self._stopping.set()
        self._thread.join(20)
        assert not self._thread.is_alive(), "the viewer did not end"
        if self.failure is not None:
            raise self.failure

    def texts(self) -> list[str]:
        """The comments shown, in order."""
        return [str(event["text"]) for event in self.shown if event["type"] == "chat"]

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._stay(self._onair.socket(self._client, self._stream_id))
                self.reconnects += 1
        except BaseException as failure:  # noqa: BLE001 - raised again where the test can see it
            self.failure = failure

    def _stay(self, socket: Socket) -> None:
        """Follow one socket until it is lost."""
        read, joined = 0, False
        gap_s: float | None = None
        spoke_s = heard_s = time.monotonic()
        try:
            self._join(socket)
            while not self._stopping.is_set() and socket.is_open:
                for message in socket.messages[read:]:
                    read, heard_s = read + 1, time.monotonic()
                    if message.get("type") == "joined":
                        joined = True
                        self._apply_joined(message)
                    elif message.get("type") == "frame":
                        self._held[message["seq"]] = message
                    elif message.get("type") == "error" and message["code"] == "conflict":
                        return  # the server has forgotten this connection
                    elif message.get("type") == "pong" and joined and message["seq"] > self.seq and not self._held:
                        gap_s = gap_s or time.monotonic()
                if joined:
                    self._apply_held()
                    gap_s = (gap_s or time.monotonic()) if self._held else gap_s
                now_s = time.monotonic()
                if gap_s is not None and now_s - gap_s > GAP_S:
                    gap_s = None
                    self._join(socket)
                if now_s - spoke_s > PING_S:
                    spoke_s = now_s
                    socket.send({"action": "ping"})
                if now_s - heard_s > ANSWER_S:
                    return
                self._stopping.wait(0.02)
        except ConnectionClosed:
            pass  # on to the next socket
        finally:
            socket.close()

    def _join(self, socket: Socket) -> None:
        socket.send({"action": "join", **({"epoch": self._epoch, "after": self.seq} if self._epoch else {})})

    def _apply_joined(self, joined: Message) -> None:
        assert self._epoch in (None, joined["epoch"]), "the room did not begin anew"
        first = self._epoch is None
        self._epoch = joined["epoch"]
        for frame in joined["frames"]:
            self._held[frame["seq"]] = frame
        if first and self._held:
            self.seqs.append(min(self._held) - 1)
        elif first:
            self.seqs.append(joined["seq"])
        self._apply_held()
        while joined.get("more"):
            path = f"/streams/{self._stream_id}/frames?epoch={self._epoch}&after={self.seq}"
            joined = self._client.call("GET", path)
            for frame in joined["items"] if "items" in joined else joined["frames"]:
                self._held[frame["seq"]] = frame
            self._apply_held()

    def _apply_held(self) -> None:
        for seq in sorted(self._held):
            if seq <= self.seq:
                del self._held[seq]
            elif seq == self.seq + 1:
                frame = self._held.pop(seq)
                self.seqs.append(seq)
                self.shown += frame["events"]


class Sender:
    """Says lines one after another, each again with its id until it is acknowledged, over as many sockets as needed."""

    def __init__(self, onair: Onair, client: Client, stream_id: str, lines: list[str]) -> None:
        self.acknowledged: list[str] = []
        self.failure: BaseException | None = None
        self._onair, self._client, self._stream_id = onair, client, stream_id
        self._lines = lines
        self._socket: Socket | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait(self, within_s: float) -> None:
        """Until all is acknowledged."""
        self._thread.join(within_s)
        assert not self._thread.is_alive(), f"only {len(self.acknowledged)} of {len(self._lines)} acknowledged"
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        try:
            for number, line in enumerate(self._lines):
                message = {"action": "chat", "id": f"{self._client.handle}-{number}", "text": line}
                while not self._said(message):
                    pass
                self.acknowledged.append(line)
        except BaseException as failure:  # noqa: BLE001 - raised again where the test can see it
            self.failure = failure

    def _said(self, message: Message) -> bool:
        wanted = message["id"]
        try:
            if self._socket is None or not self._socket.is_open:
                self._socket = self._onair.socket(self._client, self._stream_id)
                self._socket.join()
            answer = self._socket.request(message, _answers(wanted))
        except (ConnectionClosed, InvalidMessage, NotSeenError):
            self._socket = None
            return False
        if answer["type"] == "ack":
            return True
        assert answer["code"] in ("rate_limited", "unavailable", "conflict"), answer
        if answer["code"] == "conflict":
            self._socket = None
        time.sleep(float(answer.get("retry_after_ms", 200)) / 1000)
        return False


def _answers(wanted: Any) -> Callable[[Message], bool]:
    return lambda got: got.get("type") == "ack" and got.get("id") == wanted
