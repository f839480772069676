"""A live room with both its sides: HTTPS routes by people with accounts, sockets by the same people."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from functions import settings
from functions.rooms.messages import Sender
from tests.unit.https import Answer, Client, Person
from tests.unit.socket_room import Gateway, Socket, SocketRoom


@dataclass
class ModeratedRoom:
    """A broadcast of ``host``; `enter` opens a socket of someone and joins."""

    client: Client
    sockets: SocketRoom
    host: Person
    stream: str

    def person(self, handle: str) -> Person:
        return self.client.people.get(handle) or self.client.sign_up(handle)

    def socket(self, person: Person) -> Socket:
        role = "host" if person == self.host else "viewer"
        opened = self.sockets.socket(person.id, role, handle=person.handle, stream=self.stream)
        opened.who = Sender(person.id, person.handle, person.handle.title(), opened.who.badges)
        return opened

    def enter(self, person: Person) -> Socket:
        opened = self.socket(person)
        answer = opened.join()
        assert answer["type"] == "joined", answer
        return opened

    def call(self, method: str, path: str, body: Any = None, *, who: Person | None = None) -> Answer:
        return self.client.call(method, f"/streams/{self.stream}{path}", body, who=who or self.host)

    def sequence(self) -> None:
        self.sockets.sequence()
        assert not self.sockets.failures

    def stored(self) -> str:
        """All frames as `…/frames` answers them, as one text to look into."""
        return str(self.call("GET", "/frames?after=0").body)


@contextmanager
def made(client: Client, monkeypatch: pytest.MonkeyPatch) -> Generator[ModeratedRoom]:
    """A room on the client's tables and queue."""
    gateway = Gateway()
    monkeypatch.setenv("SOCKET_CALLBACK_URL", gateway.url)
    monkeypatch.setenv("DELIVER_FUNCTION", "Deliver")
    host = client.host()
    stream = client.live(host)
    try:
        yield ModeratedRoom(
            client, SocketRoom(client.clock, gateway, settings.required("RING_QUEUE_URL")), host, stream
        )
    finally:
        gateway.server.shutdown()
        gateway.server.server_close()


def of_type(socket: Socket, kind: str) -> list[dict[str, Any]]:
    """Events of one type that a socket was sent."""
    return [event for event in socket.events if event["type"] == kind]
