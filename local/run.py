"""`make run`: the whole system on this machine until Ctrl-C. Prints where to look."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

# Quiet and untraced before any function is imported: Powertools reads these once.
os.environ.setdefault("POWERTOOLS_TRACE_DISABLED", "true")
os.environ.setdefault("POWERTOOLS_METRICS_DISABLED", "true")
os.environ.setdefault("POWERTOOLS_LOG_LEVEL", "WARNING")

from local import ports, resource_types, template
from local.addresses import DEMO_ACCOUNTS, PASSWORD

EXIT_BUSY_PORT: Final = 3
EXIT_SYNTHESIS: Final = 4
EXIT_START: Final = 5
EXIT_USAGE: Final = 2
STARTED_S: Final = time.monotonic()


def main() -> int:
    """Start the stack, wait for Ctrl-C or SIGTERM, end everything; returns the exit code."""
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stopping.set())
    try:
        chosen = ports.from_environment()
        ports.check_free(chosen)
    except ports.BusyPortError as busy:
        print(busy, file=sys.stderr)
        return EXIT_BUSY_PORT
    except ValueError as unusable:
        print(unusable, file=sys.stderr)
        return EXIT_USAGE
    # Imported late: moto takes two seconds, in which a busy port is told already.
    from local import providers

    try:
        folder = os.environ.get("PROVIDERS")
        secrets = providers.read(Path(folder)) if folder else {}
    except (OSError, ValueError) as unusable:
        print(unusable, file=sys.stderr)
        return EXIT_USAGE
    try:
        made = template.load({**template.LOCAL_CONTEXT, **providers.context(secrets)})
    except template.SynthesisError as failed:
        print(failed, file=sys.stderr)
        return EXIT_SYNTHESIS
    from local import lan, relay
    from local.stack import Options, Stack

    ladder = relay.ladder(os.environ.get("ONAIR_LADDER"), template.LADDER, os.cpu_count() or 1)
    network = lan.prepare() if os.environ.get("LAN") == "1" else None
    stack = Stack(
        Options(
            ports=chosen,
            template=made.template,
            public_host=network.host if network else None,
            tls=network.tls if network else None,
            dynamodb=os.environ.get("ONAIR_DYNAMODB", "moto"),
            ladder=ladder,
            secrets=secrets,
        )
    )
    try:
        stack.start()
    except Exception as failed:  # whatever kept it from starting is told in one sentence
        print(f"The local stack did not start: {type(failed).__name__}: {failed}", file=sys.stderr)
        if os.environ.get("ONAIR_DEBUG") == "1":
            raise
        return EXIT_START
    _tell(stack, made, ladder)
    if network:
        network.show(stack.addresses)
    stopping.wait()
    print("\nEnding …", file=sys.stderr, flush=True)
    stack.stop()
    return 0


def _tell(stack: Any, made: template.Synthesized, ladder: str) -> None:
    lines = stack.resources
    report = template.CACHE / "resources.json"
    report.parent.mkdir(exist_ok=True)
    report.write_text(json.dumps([vars(line) for line in lines], indent=1))
    seconds = time.monotonic() - STARTED_S
    how = "from the cache" if made.cached else "synthesized"
    to = stack.addresses
    print(f"""
  Onair is up after {seconds:.1f} s.

  page           {to.web_url}
  HTTPS API      {to.api_url}
  socket         {to.socket_url}
  relay          {to.relay_url}
  renditions     as sent, sound alone, {ladder or "and no lower ones"}  (ONAIR_LADDER=720,480,240 or off)
  AWS endpoint   AWS_ENDPOINT_URL={to.aws_url}  (any AWS client; credentials may be anything)
  control        {to.callback_url.removesuffix("/live")}/_local/health

  template       {how}: {resource_types.summary(lines)} (reasons: .cache/resources.json)""")
    for kind in resource_types.unlisted(lines):
        print(f"                 {kind} is new: decide in local/resource_types.py what becomes of it")
    print("\n  accounts, all with the password " + PASSWORD)
    for handle, note in DEMO_ACCOUNTS.items():
        print(f"    {handle:<15}{note}")
    print("\n  Ctrl-C ends everything.\n", flush=True)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Threads of functions past their time may still run; nothing of them is worth waiting for.
    os._exit(code)
