"""moto's server as a process of its own on loopback: as it comes, or with the local stack's DynamoDB in it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

import botocore.session
from botocore.exceptions import BotoCoreError

from tests.dynamodb_local import free_port

ROOT = Path(__file__).parents[2]
START_S_MAX = 60.0
PLAIN = "from moto.server import main; import sys; main(sys.argv[1:])"
MENDED = f"from local import tables; tables.install(); {PLAIN}"


@contextmanager
def running(*, mended: bool = False) -> Iterator[str]:
    """Run moto and give its endpoint; ``mended`` puts local/tables.py in first."""
    port = free_port()
    command = [sys.executable, "-c", MENDED if mended else PLAIN, "-H", "127.0.0.1", "-p", str(port)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            url = f"http://127.0.0.1:{port}"
            if not _answers(url, process):
                output.seek(0)
                raise RuntimeError(f"moto did not start:\n{output.read()[-2000:].decode(errors='replace')}")
            yield url
        finally:
            process.terminate()
            process.wait(10)


def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    client = botocore.session.Session().create_client(
        "dynamodb", "us-east-1", endpoint_url=url, aws_access_key_id="contract", aws_secret_access_key="contract"
    )
    until_s = time.monotonic() + START_S_MAX
    while time.monotonic() < until_s and process.poll() is None:
        try:
            client.list_tables()
        except BotoCoreError:
            time.sleep(0.1)
        else:
            return True
    return False
