"""Not a question: rooms to be loaded, each in a process of its own: Onair's local stack, `websockets`, socket.io.

``python -m bench.rooms_server onair|websockets`` prints its address and serves until it is ended.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOCKETIO = ROOT / "bench" / "socketio"
START_S = 120


def onair() -> None:
    """The local stack without relay and demo broadcast: what is measured is the room."""
    from local import ports, template
    from local.stack import Options, Stack

    made = template.load(template.LOCAL_CONTEXT)
    stack = Stack(Options(ports=ports.free(), template=made.template, with_relay=False))
    stack.start()
    print(stack.addresses.web_url, flush=True)
    signal.sigwait([signal.SIGTERM, signal.SIGINT])
    os._exit(0)


async def bare() -> None:
    """A room as `websockets` documents it: what comes from one goes to all, and nothing else happens."""
    from websockets.asyncio.server import ServerConnection, broadcast, serve

    here = set[ServerConnection]()
    hearts = 0

    async def handler(one: ServerConnection) -> None:
        nonlocal hearts
        here.add(one)
        try:
            async for text in one:
                said = json.loads(text)
                if said["type"] == "react":
                    hearts += said["count"]
                else:
                    broadcast(here, text)
        finally:
            here.discard(one)

    async def tell_hearts() -> None:
        told = 0
        while True:
            await asyncio.sleep(1)
            if hearts != told:
                told = hearts
                broadcast(here, json.dumps({"type": "hearts", "total": told}))

    async with serve(handler, "127.0.0.1", 0, ping_interval=None, compression=None) as server:
        print(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", flush=True)
        await tell_hearts()


@contextmanager
def running(name: str) -> Iterator[tuple[str, int]]:
    """Address and process id of a server."""
    if name == "socketio":
        if not (SOCKETIO / "node_modules").is_dir():
            npm = shutil.which("npm")
            assert npm is not None, "npm is not installed"
            subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=SOCKETIO, check=True, capture_output=True)
        command = ["node", str(SOCKETIO / "room.js")]
    else:
        command = [sys.executable, "-m", "bench.rooms_server", name]
    log = ROOT / ".cache" / f"bench-{name}.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("w") as sink:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=sink, text=True)
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            if not address:
                raise RuntimeError(f"{name} did not start:\n{log.read_text()[-2000:]}")
            yield address, process.pid
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


def cpu_s(pid: int) -> float:
    """Seconds that a process worked so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    if sys.argv[1] == "onair":
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
        onair()
    else:
        asyncio.run(bare())
