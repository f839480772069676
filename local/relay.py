"""The relay and the demo's test source as processes of their own: started, watched, started again, and ended with the
stack.

The relay's variables and secrets are those of its task definition in the template; only addresses of this machine
replace those of AWS. When it dies that is said, and it starts again with a growing pause, as ECS would start another
task.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout

from local.addresses import Addresses
from local.deployment import REGION
from local.ports import LOOPBACK
from local.template import ROOT

# Pauses between starts; a process that lived for STEADY_S begins again with the first.
PAUSES_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0)
STEADY_S: Final = 20.0
# Time to end by itself before it is killed; the whole stack has 5 s.
STOP_S: Final = 2.5
HEALTHY_S: Final = 30.0
# A browser, the functions and the relay take two; a ladder may have the rest.
_LADDER_PROCESSORS_MIN: Final = 4


class Supervised:
    """A process that is kept running until `stop`."""

    def __init__(self, name: str, arguments: list[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self._arguments = arguments
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """The process's id while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def start(self) -> None:
        """Start and keep running, on the running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._keep())

    async def stop(self) -> None:
        """End the process: asked first, then killed."""
        self._stopping = True
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), STOP_S)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep(self) -> None:
        failures = 0
        while not self._stopping:
            started_s = asyncio.get_running_loop().time()
            code = await self._run()
            if self._stopping:
                return
            lived_s = asyncio.get_running_loop().time() - started_s
            failures = 0 if lived_s >= STEADY_S else failures + 1
            pause_s = PAUSES_S[min(failures, len(PAUSES_S) - 1)]
            self._say(f"ended with code {code}; starting again in {pause_s:g} s")
            await asyncio.sleep(pause_s)

    async def _run(self) -> int:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *self._arguments,
            cwd=ROOT,
            env={**os.environ, **self._environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # A group of its own: Ctrl-C in the terminal reaches us alone, and we end it in order.
            start_new_session=True,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
        assert self._process.stdout is not None
        while line := await self._read_line(self._process.stdout):
            self._say(line.decode(errors="replace").rstrip())
        return await self._process.wait()

    async def _read_line(self, output: asyncio.StreamReader) -> bytes:
        try:
            return await output.readline()
        except ValueError:
            return b"(a line too long to show)\n"

    def _say(self, text: str) -> None:
        print(f"[{self.name}] {text}", file=sys.stderr, flush=True)


def _end_with_parent() -> None:
    # Killed outright we cannot end our children; the kernel can (prctl(2), PR_SET_PDEATHSIG = 1).
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def ladder(asked: str | None, declared: str, processors: int) -> str:
    """Which lower renditions this machine makes: what is asked for (``off`` for none), else the deployment's own where
    there are processors for them beside the browser that shows them."""
    if asked is None:
        return declared if processors >= _LADDER_PROCESSORS_MIN else ""
    return "" if asked == "off" else asked


def relay(declared: Mapping[str, str], addresses: Addresses, ladder: str) -> Supervised:
    """The relay with the variables of its task definition; ``ladder`` is what `ladder` says."""
    local = {
        "RELAY_HOST": LOOPBACK,
        "RELAY_PORT": str(addresses.ports.relay),
        "RELAY_PUBLIC_URL": addresses.relay_url,
        "RTMP_PORT": str(addresses.ports.rtmp),
        "ALLOWED_ORIGIN": addresses.web_url,
        # One process: nobody takes its streams over, and nobody reads its load.
        "DRAIN_S": "0",
        "DEPLOYMENT": "",
        "LADDER": ladder,
        "PROCESSORS": str(os.cpu_count() or 1),
        "SOCKET_URL": addresses.own_socket_url,
        **credentials(addresses),
    }
    return Supervised("relay", ["-m", "media.relay"], {**declared, **local})


def credentials(addresses: Addresses) -> dict[str, str]:
    """What any AWS client on this machine takes to find the stack."""
    return {
        "AWS_ENDPOINT_URL": addresses.aws_url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
    }


def test_source(whip_url: str, stream_key: str) -> Supervised:
    """The demo's picture and tone, published over WHIP like any other."""
    return Supervised("demo", ["-m", "media.test_source", whip_url, stream_key], {})


async def healthy(addresses: Addresses, within_s: float = HEALTHY_S, alive: Callable[[], bool] = lambda: True) -> bool:
    """Whether the relay answers ``/healthz`` within a time."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + within_s
    url = f"http://{LOOPBACK}:{addresses.ports.relay}/healthz"
    async with ClientSession(timeout=ClientTimeout(total=2)) as session:
        while loop.time() < until_s and alive():
            with contextlib.suppress(ClientError, TimeoutError):
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return True
            await asyncio.sleep(0.1)
    return False
