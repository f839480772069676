"""A relay process with a control plane of moto beside it, for tests and benches: streams, keys, tokens, states."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import jwt
from moto.server import ThreadedMotoServer

SIGNING_SECRET = "s" * 64
PLAYBACK_SECRET = "p" * 64
ORIGIN_SECRET = "o" * 64
ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    """A TCP port of loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], Any], timeout_s: float, what: str) -> Any:
    """The first true value of ``condition``; AssertionError naming ``what`` after ``timeout_s``."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {timeout_s} s: {what}")


def stream_key(stream_id: str, generation: int = 1, secret: str = SIGNING_SECRET) -> str:
    """A stream key as functions/tokens.py signs it."""
    return jwt.encode({"sub": stream_id, "gen": generation, "aud": "publish"}, secret, "HS256")


def seat_key(stream_id: str, seat: str, secret: str = SIGNING_SECRET) -> str:
    """A guest's key as functions/tokens.py signs it."""
    return jwt.encode({"sub": stream_id, "seat": seat, "aud": "seat"}, secret, "HS256")


def playback_token(stream_id: str, lifetime_s: int = 3600, secret: str = PLAYBACK_SECRET) -> str:
    """A playback token as functions/tokens.py signs it."""
    return jwt.encode({"sub": stream_id, "aud": "play", "exp": int(time.time()) + lifetime_s}, secret, "HS256")


class Answer:
    """An HTTP answer read to its end."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = body

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def code(self) -> str:
        """The error code of a refusal in our shape."""
        return str(json.loads(self.body)["error"]["code"])


def fetch(
    url: str,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
    timeout_s: float = 15,
) -> Answer:
    """One request; refusals are answers too."""
    request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            return Answer(answer.status, dict(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, dict(error.headers), error.read())


class Stack:
    """moto (Streams table, media queue) in this process, the relay and test sources as processes; a context manager."""

    def __init__(self, **relay_environment: str) -> None:
        self._relay_environment = relay_environment
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Stack:
        self._moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._moto.start()
        host, port = self._moto.get_host_and_port()
        self.aws_url = f"http://{host}:{port}"
        access = {
            "endpoint_url": self.aws_url,
            "region_name": "us-east-1",
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
        }
        self._dynamodb: Any = boto3.client("dynamodb", **access)
        self._sqs: Any = boto3.client("sqs", **access)
        keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
        names = [{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}]
        with suppress(self._dynamodb.exceptions.ResourceInUseException):
            self._dynamodb.create_table(
                TableName="Streams", KeySchema=keys, AttributeDefinitions=names, BillingMode="PAY_PER_REQUEST"
            )
        self._queue_url = self._sqs.create_queue(QueueName="Media.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
        self.port = free_port()
        self.relay_url = f"http://127.0.0.1:{self.port}"
        self.rtmp_port = free_port()
        self.relay = self.start_relay()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(timeout=6)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=5)
        self._moto.stop()

    def start_relay(self, port: int = 0, rtmp_port: int = 0, **more: str) -> subprocess.Popen[bytes]:
        """Start a relay on this stack's port, or another one, and wait until it answers."""
        port = port or self.port
        environment = {
            **os.environ,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.aws_url,
            "PYTHONPATH": str(ROOT),
            "LOG_LEVEL": "WARNING",
            "RELAY_HOST": "127.0.0.1",
            "RELAY_PORT": str(port),
            "RTMP_PORT": str(rtmp_port or self.rtmp_port),
            "RELAY_PUBLIC_URL": self.relay_url,
            "STREAMS_TABLE": "Streams",
            "MEDIA_QUEUE_URL": self._queue_url,
            "SIGNING_SECRET": SIGNING_SECRET,
            "PLAYBACK_SECRET": PLAYBACK_SECRET,
            "ORIGIN_SECRET": ORIGIN_SECRET,
            **self._relay_environment,
            **more,
        }
        process = self._start("media.relay", environment)

        def healthy() -> bool:
            assert process.poll() is None, "the relay process ended"
            try:
                return fetch(f"http://127.0.0.1:{port}/healthz", timeout_s=1).status == 200
            except OSError:
                return False

        until(healthy, 45, "the relay answers /healthz")
        return process

    def start_source(self, stream_id: str, generation: int = 1, *options: str) -> subprocess.Popen[bytes]:
        """Publish the test picture from a process of its own."""
        return self._start_source(stream_id, stream_key(stream_id, generation), *options)

    def start_guest(self, stream_id: str, seat: str, *options: str) -> subprocess.Popen[bytes]:
        """Publish the test picture into a seat, from a process of its own."""
        return self._start_source(stream_id, seat_key(stream_id, seat), *options)

    def _start_source(self, stream_id: str, key: str, *options: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return self._start("media.test_source", environment, self.whip_url(stream_id), key, *options)

    def put_stream(
        self,
        stream_id: str,
        state: str = "live",
        generation: int = 1,
        audience: str = "everyone",
        min_age: int = 0,
        seats: Sequence[str] = (),
        muted: Sequence[str] = (),
        layout: str = "grid",
        replay: str = "off",
        match: str = "",
    ) -> None:
        """Write the stream's item as functions/streams and functions/rooms/seating.py do."""
        stage = {"layout": layout, "seats": [{"seat": seat, "muted": seat in muted} for seat in seats]}
        item = {
            "pk": {"S": f"stream#{stream_id}"},
            "sk": {"S": "stream"},
            "state": {"S": state},
            "key_generation": {"N": str(generation)},
            "audience": {"S": audience},
            "min_age": {"N": str(min_age)},
            "replay": {"S": replay},
            "stage": {"S": json.dumps(stage)},
        }
        if match:
            item["match"] = {"S": json.dumps({"stream": match})}
        self._dynamodb.put_item(TableName="Streams", Item=item)

    def media_states(self) -> list[dict[str, Any]]:
        """Messages told to the media queue since the last call."""
        told: list[dict[str, Any]] = []
        while True:
            answer = self._sqs.receive_message(QueueUrl=self._queue_url, MaxNumberOfMessages=10)
            messages = answer.get("Messages", [])
            for message in messages:
                told.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"])
            if not messages:
                return told

    def whip_url(self, stream_id: str) -> str:
        """The WHIP endpoint of a stream."""
        return f"{self.relay_url}/whip/{stream_id}"

    def rtmp_url(self, key: str) -> str:
        """Where an encoder publishes with ``key``."""
        return f"rtmp://127.0.0.1:{self.rtmp_port}/live/{key}"

    def live_url(self, stream_id: str, name: str = "index.m3u8") -> str:
        """A playback address with a fresh token."""
        return f"{self.relay_url}/live/{playback_token(stream_id)}/{stream_id}/{name}"

    def _start(self, module: str, environment: dict[str, str], *arguments: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-m", module, *arguments], env=environment, cwd=ROOT)
        self._processes.append(process)
        return process
