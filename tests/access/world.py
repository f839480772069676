"""One small world in which every role of the table exists: accounts, a live room with its people, things to act on.

It is made once; `World.restore` puts storage back as it was, so that each cell of the table starts from the same state.
"""

from __future__ import annotations

import pickle
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

from moto.cognitoidp.models import CognitoIdpUserPool, cognitoidp_backends
from moto.dynamodb.models import dynamodb_backends

from functions import aws, clock
from local import deployment, ports, tables, template
from local.client import Client
from local.stack import Options, Stack
from local.testing import PASSWORD, Onair, Socket

ROLES: Final = (
    "nobody",
    "viewer",
    "muted",
    "banned",
    "blocked",
    "follower",
    "moderator",
    "host",
    "guest",
    "suspended",
    "operator",
    "expired",
    "foreign",
)
DEVICES: Final = {"camera": True, "microphone": True}


def handle(role: str) -> str:
    """The handle of who has a role; some of the words alone are reserved."""
    return f"the_{role}"


class World:
    """The stack, a client for each role, sockets of those whom the room lets in, and names of things to act on."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.onair = Onair(stack)
        self.clients: dict[str, Client] = {}
        self.sockets: dict[str, Socket] = {}
        # What stands for a route's parameter, and for `$name` in what a row sends.
        self.things: dict[str, str] = {"year": "2025", "provider": "stripe", "account": "none", "payout": "none"}

    def make(self) -> None:
        """People, room, and what they leave in it; then triggers stop, so that only the walk changes anything."""
        self._people()
        host, other = self.clients["host"], self.onair.account("someone_else")
        live = self.onair.broadcast(host)["id"]
        self.things |= {"stream_id": live, "handle": "someone_else", "host": handle("host")}
        self._room(host, other, live)
        self._records(host, live)
        self._circle()
        self.onair.broadcast(self.onair.account("someone_live", followers=1_200))
        for role in ROLES:
            if self.clients[role].request("POST", f"/streams/{live}/ticket").status == 200:
                self.sockets[role] = self.onair.socket(self.clients[role], live)
                self.sockets[role].join()
        self.stack._in_loop(self.stack.triggers.stop())
        self.keep()

    def keep(self) -> None:
        """What is stored now is what `restore` goes back to."""
        self._kept = self._saved()

    def _people(self) -> None:
        for role in ROLES:
            if role not in ("nobody", "host", "operator", "expired", "foreign"):
                self.clients[role] = self.onair.account(handle(role), coins=7_000)
        self.clients["nobody"] = self.onair.client()
        self.clients["host"] = self.onair.account(handle("host"), followers=1_200)
        self.clients["operator"] = self.onair.operator(handle("operator"))
        self.clients["operator"].buy("coins_7000")
        self.clients["expired"], self.clients["foreign"] = self.onair.client(), self.onair.client()
        own: Any = self._pools()[0]
        scope = {"scope": "aws.cognito.signin.user.admin"}
        late, _ = own.create_jwt(self.stack.declared.user_pool_client, handle("viewer"), "access", -1, scope)
        self.clients["expired"].access_token = late
        self.clients["foreign"].access_token = self._foreign()

    def _foreign(self) -> str:
        """A good token of another pool of the same account; moto signs for all pools with one key."""
        cognito: Any = aws.client("cognito-idp")
        pool = cognito.create_user_pool(PoolName="another")["UserPool"]["Id"]
        client = cognito.create_user_pool_client(UserPoolId=pool, ClientName="web")["UserPoolClient"]["ClientId"]
        cognito.admin_create_user(UserPoolId=pool, Username=handle("viewer"))
        cognito.admin_set_user_password(UserPoolId=pool, Username=handle("viewer"), Password=PASSWORD, Permanent=True)
        answer = cognito.initiate_auth(
            ClientId=client,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": handle("viewer"), "PASSWORD": PASSWORD},
        )
        return str(answer["AuthenticationResult"]["AccessToken"])

    def _room(self, host: Client, other: Client, live: str) -> None:
        self.clients["follower"].call("PUT", f"/accounts/{handle('host')}/follow")
        on_stage, opened = self.onair.socket(host, live), self.onair.socket(other, live)
        on_stage.join()
        opened.join()
        self.things["event_id"] = opened.chat("something to answer")["event_id"]
        on_stage.wait_for_event("chat", id=self.things["event_id"])
        self.things["held"] = opened.chat("call +49 170 1234567")["event_id"]
        asked = {"action": "ask", "id": "question-1", "text": "Why?"}
        self.things["question"] = opened.request(asked, lambda got: got.get("type") == "ack")["event_id"]
        poll = {"action": "poll", "id": "poll-1", "question": "Tea?", "options": ["yes", "no"], "seconds": 300}
        self.things["poll"] = on_stage.request(poll, lambda got: got.get("type") == "ack")["event_id"]
        self.things["seat_id"] = other.call("POST", f"/streams/{live}/seats", {})["seat"]
        guest = self.clients["guest"].call("POST", f"/streams/{live}/seats", {})["seat"]
        host.call("PATCH", f"/streams/{live}/seats/{guest}", {"state": "accepted"})
        for role, change in (
            ("muted", {"mute_s": 3600}),
            ("banned", {"banned": True}),
            ("moderator", {"moderator": True}),
        ):
            host.call("PUT", f"/streams/{live}/members/{handle(role)}", change)
        host.call("PUT", f"/accounts/{handle('blocked')}/block")
        on_stage.close()
        opened.close()

    def _records(self, host: Client, live: str) -> None:
        operator, struck = self.clients["operator"], self.onair.account("once_struck")
        tomorrow = {"title": "Tomorrow", "topics": [], "devices": DEVICES, "scheduled_for": self.in_hours(24)}
        self.things["planned"] = host.call("POST", "/streams", tomorrow)["id"]
        self.things["ready"] = host.call("POST", "/streams", {"title": "Soon", "topics": [], "devices": DEVICES})["id"]
        link: str = host.call("POST", f"/streams/{live}/share", {"channel": "link"})["url"]
        self.things["code"] = link.rpartition("/")[2]
        self.clients["follower"].call("POST", "/accounts/someone_else/report", {"reason": "spam"})
        self.things["device_id"] = "some-browser"
        self.things["case_id"] = operator.call("GET", "/operator/reports")["items"][0]["id"]
        strike = {"rule": "spam", "reason": "the same line again and again"}
        entry = operator.call("POST", "/operator/accounts/once_struck/strikes", strike)["id"]
        struck.call("POST", "/me/standing/appeals", {"entry_id": entry, "text": "That was not me."})
        self.things["appeal_id"] = operator.call("GET", "/operator/appeals")["items"][0]["id"]
        ends = {"standing": "suspended", "reason": "to be looked at", "until": self.in_hours(48)}
        operator.call("PUT", f"/operator/accounts/{handle('suspended')}/standing", ends)
        # Who is suspended is signed out everywhere, and may sign in again to read why and to appeal.
        suspended = self.clients["suspended"]
        suspended.sign_in(handle("suspended"), PASSWORD)
        self.things["entry"] = suspended.call("GET", "/me/standing")["entries"][0]["id"]

    def _circle(self) -> None:
        """A private account that is live for its followers, of whom there is one."""
        shy = self.onair.account("someone_shy", followers=1_200)
        shy.call("PATCH", "/me", {"private": True})
        self.clients["follower"].call("PUT", "/accounts/someone_shy/follow")
        shy.call("PUT", f"/me/follow-requests/{handle('follower')}")
        self.things["shy"] = "someone_shy"
        self.things["circle"] = self.onair.broadcast(shy, audience="followers")["id"]

    def in_hours(self, hours: int) -> str:
        """A time ahead, as routes take it."""
        return clock.rfc3339(clock.now_ms() + hours * 3_600_000)

    def restore(self) -> None:
        """Put tables and users back as they were after `make`."""
        dynamodb, users = pickle.loads(self._kept)
        with tables.lock:
            for name, items in dynamodb.items():
                table: Any = self._tables()[name]
                table.items = items
                table.by_index = None
        for pool, kept in zip(self._pools(), users, strict=True):
            for name, value in kept.items():
                setattr(pool, name, value)

    def _saved(self) -> bytes:
        with tables.lock:
            dynamodb = {name: table.items for name, table in self._tables().items()}
            users = [
                {name: getattr(pool, name) for name in ("users", "refresh_tokens", "access_tokens")}
                for pool in self._pools()
            ]
            return pickle.dumps((dynamodb, users))

    def _tables(self) -> dict[str, Any]:
        return dict(dynamodb_backends[deployment.ACCOUNT][deployment.REGION].tables)

    def _pools(self) -> list[CognitoIdpUserPool]:
        return list(cognitoidp_backends[deployment.ACCOUNT][deployment.REGION].user_pools.values())


@contextmanager
def made() -> Generator[World]:
    """A world on a stack of its own, without relay, seed and schedules."""
    stack = Stack(
        Options(
            ports=ports.free(),
            template=template.load(template.LOCAL_CONTEXT).template,
            with_relay=False,
            with_seed=False,
            with_schedules=False,
        )
    )
    stack.start()
    try:
        world = World(stack)
        world.make()
        yield world
        world.onair.close()
    finally:
        stack.stop()
