"""Several relay tasks on loopback behind a balancer that sends each connection to one that listens, as on AWS."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from concurrent.futures import Future
from types import TracebackType
from typing import Any

from tests.relay.stack import ORIGIN_SECRET, ROOT, Stack, fetch, free_port, stream_key


class Balancer:
    """Passes TCP connections on to ports in turn, leaving out those that refuse; runs in a thread."""

    def __init__(self) -> None:
        self.port = free_port()
        self.backends: list[int] = []
        self._turn = 0
        self._loop = asyncio.new_event_loop()
        self._ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._serve, name="balancer", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._ready.result(timeout=5)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._pass, "127.0.0.1", self.port))
        self._ready.set_result(None)
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.05))
        self._loop.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(len(self.backends)):
            self._turn += 1
            port = self.backends[self._turn % len(self.backends)]
            try:
                there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                continue
            await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))
            return
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass  # one side is gone: so is the other, below
    finally:
        writer.close()


class Task:
    """One relay process of the cluster."""

    def __init__(self, name: str, port: int, rtmp_port: int, process: subprocess.Popen[bytes]) -> None:
        self.name = name
        self.port = port
        self.rtmp_port = rtmp_port
        self.process = process
        self.url = f"http://127.0.0.1:{port}"

    def live(self, stream_id: str, name: str = "index.m3u8", query: str = "") -> Any:
        """What CloudFront would get from this very task."""
        headers = {"X-Onair-Origin": ORIGIN_SECRET}
        return fetch(f"{self.url}/live/{stream_id}/{name}{query}", headers=headers)

    def metric(self, name: str) -> float:
        """One sample of `/metrics`."""
        for line in fetch(f"{self.url}/metrics").text.splitlines():
            if line.startswith(f"onair_relay_{name} "):
                return float(line.split()[1])
        raise AssertionError(f"no metric {name}")

    def kill(self) -> None:
        """As when the machine under it is gone."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=5)


class Cluster(Stack):
    """A stack whose first relay is a task among several, all behind one balancer."""

    def __init__(self, tasks: int = 2, **relay_environment: str) -> None:
        self.balancer = Balancer()
        address = f"http://127.0.0.1:{self.balancer.port}"
        super().__init__(RELAY_PUBLIC_URL=address, DRAIN_S="6", **relay_environment)
        self.tasks: dict[str, Task] = {}
        self._count = tasks
        self._number = 0
        self._public = address

    def __enter__(self) -> Cluster:
        super().__enter__()
        # Publishers and viewers know only the balancer.
        self.relay_url = self._public
        for _ in range(self._count - len(self.tasks)):
            self.add()
        self.balancer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self.tasks.values():
            if task.process.poll() is None:
                task.kill()
        super().__exit__()
        self.balancer.stop()

    def start_relay(self, port: int = 0, rtmp_port: int = 0, **more: str) -> subprocess.Popen[bytes]:
        self._number += 1
        name = f"task{self._number}"
        port, rtmp_port = free_port(), free_port()
        process = super().start_relay(port, rtmp_port, RELAY_TASK=name, **more)
        self.tasks[name] = Task(name, port, rtmp_port, process)
        self.balancer.backends.append(port)
        return process

    def add(self, **more: str) -> Task:
        """One task more."""
        self.start_relay(**more)
        return self.tasks[f"task{self._number}"]

    def start_source_at(self, task: Task, stream_id: str, *options: str) -> subprocess.Popen[bytes]:
        """Publish the test picture to one task, past the balancer."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        url = f"{task.url}/whip/{stream_id}"
        return self._start("media.test_source", environment, url, stream_key(stream_id), *options)

    def remove(self, task: Task) -> None:
        """Take a task that is gone out of the books, as ECS does."""
        self.balancer.backends.remove(task.port)
        del self.tasks[task.name]

    def lease(self, stream_id: str) -> dict[str, Any]:
        """The lease as it stands in the table."""
        answer = self._dynamodb.get_item(
            TableName="Streams", Key={"pk": {"S": f"stream#{stream_id}"}, "sk": {"S": "lease"}}
        )
        return {name: next(iter(value.values())) for name, value in answer.get("Item", {}).items()}

    def owner(self, stream_id: str) -> Task | None:
        """The task that the lease names, if it lives."""
        return self.tasks.get(self.lease(stream_id).get("task", ""))

    def other(self, task: Task) -> Task:
        """A task that is not this one."""
        return next(each for each in self.tasks.values() if each is not task)
