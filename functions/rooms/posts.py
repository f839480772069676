"""Posting to open sockets through API Gateway's `@connections`: many at once, each within its time, none for another.

Signed by botocore over urllib3's keep-alive pool, both imported already with DynamoDB's client (docs/decisions).
https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html
"""

from __future__ import annotations

import hashlib
import json
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import Any, Final
from urllib.parse import quote

import botocore.session
import msgspec
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from urllib3.exceptions import HTTPError

from functions import aws, clock, observe, settings
from functions.errors import CODES
from functions.rooms.messages import Bye
from functions.rooms.model import Connection

# More threads than this made no more posts a second: signing and HTTP hold the interpreter (docs/decisions).
THREADS: Final = 24
CONNECT_TIMEOUT_S: Final = 0.5
READ_TIMEOUT_S: Final = 1.0
RETRY_MS_MIN: Final = 10
GONE: Final = 410
THROTTLED: Final = 429
# Not to come back to: the reconnect of any other code is welcome.
_FINAL_CODES: Final = frozenset({"not_live", "conflict", "banned", "suspended"})

Send = Callable[[int], Connection | None]


class ApiSockets:
    """`port.Sockets` on API Gateway; one a container, since it holds the connection pool and its threads."""

    def __init__(self, callback_url: str) -> None:
        self._base = callback_url.rstrip("/")
        self._pool = urllib3.PoolManager(
            num_pools=1,
            maxsize=THREADS,
            block=True,
            retries=False,
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S),
        )
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="posts")
        self._credentials: Any = botocore.session.get_session().get_credentials()
        self._region = str(aws.client("sqs").meta.region_name)

    def post(self, bodies: Sequence[str], to: Sequence[Connection], within_ms: int) -> list[Connection]:
        signed = [body.encode() for body in bodies]
        digests = [hashlib.sha256(body).hexdigest() for body in signed]

        def send_to(one: Connection) -> Send:
            def send(until_ms: int) -> Connection | None:
                for body, digest in zip(signed, digests, strict=True):
                    if self._send("POST", one, body, digest, until_ms) == GONE:
                        return one
                return None

            return send

        return self._all([send_to(one) for one in to], within_ms)

    def close(self, connections: Sequence[Connection], within_ms: int) -> None:
        empty = hashlib.sha256(b"").hexdigest()

        def send_away(one: Connection) -> Send:
            code = one.closing or "unavailable"
            bye = msgspec.json.encode(Bye(code=code, message=CODES[code][1], reconnect=code not in _FINAL_CODES))

            def send(until_ms: int) -> Connection | None:
                self._send("POST", one, bye, hashlib.sha256(bye).hexdigest(), until_ms)
                self._send("DELETE", one, b"", empty, until_ms)
                return None

            return send

        self._all([send_away(one) for one in connections], within_ms)

    def deliver(
        self,
        stream_id: str,
        shard: int,
        bodies: Sequence[str],
        told: int | None,
        closing: str | None,
        whole: str | None = None,
        part: int = 0,
        parts: int = 1,
    ) -> None:
        payload: dict[str, Any] = {
            "room": stream_id,
            "shard": shard,
            "bodies": list(bodies),
            "told": told,
            "closing": closing,
        }
        if whole is not None:
            payload["whole"] = whole
        if parts > 1:
            payload |= {"part": part, "parts": parts}
        aws.client("lambda").invoke(
            FunctionName=settings.required("DELIVER_FUNCTION"), InvocationType="Event", Payload=json.dumps(payload)
        )

    def _all(self, sends: Sequence[Send], within_ms: int) -> list[Connection]:
        until_ms = clock.now_ms() + within_ms
        # Each thread gets the caller's context, where posts are counted.
        posts: list[Future[Connection | None]] = [
            self._threads.submit(copy_context().run, send, until_ms) for send in sends
        ]
        done, late = wait(posts, timeout=within_ms / 1000)
        for post in late:
            # Those that have not begun never do: a frame that late is read from storage. Those under way time out.
            post.cancel()
        if late:
            observe.logger.warning("posts late", extra={"late": len(late), "of": len(posts)})
        found = [post.result() for post in done if not post.cancelled()]
        return [one for one in found if one is not None]

    def _send(self, method: str, one: Connection, body: bytes, digest: str, until_ms: int) -> int | None:
        """The status of one call, None without an answer; 429 is tried again with jitter while there is time."""
        pause_ms = RETRY_MS_MIN
        while True:
            status = self._call(method, one, body, digest)
            if status != THROTTLED or clock.now_ms() + pause_ms >= until_ms:
                if status is None or (status >= 300 and status != GONE):
                    observe.logger.info("post failed", extra={"connection": one.id, "status": status})
                return status
            clock.sleep_ms(pause_ms * (0.5 + random.random()))
            pause_ms *= 2

    def _call(self, method: str, one: Connection, body: bytes, digest: str) -> int | None:
        url = f"{self._base}/@connections/{quote(one.id, safe='')}"
        request: Any = AWSRequest(method=method, url=url, data=body, headers={"X-Amz-Content-SHA256": digest})
        SigV4Auth(self._credentials, "execute-api", self._region).add_auth(request)
        observe.count("execute-api", f"{method.capitalize()}Connection", bytes=len(body))
        try:
            answer = self._pool.request(method, url, body=body, headers=dict(request.headers.items()), redirect=False)
        except HTTPError:
            return None
        return answer.status


_lock = threading.Lock()
_made: dict[str, ApiSockets] = {}


def sockets() -> ApiSockets:
    """The container's way to the sockets of this deployment."""
    callback_url = settings.required("SOCKET_CALLBACK_URL")
    with _lock:
        if callback_url not in _made:
            _made[callback_url] = ApiSockets(callback_url)
        return _made[callback_url]
