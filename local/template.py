"""The synthesized template, cached: what `cdk deploy` would deploy, made by `app.py` in a process of its own.

Synthesis takes 9 to 14 s, nearly all of it for starting Node and importing aws-cdk-lib, so the template is kept under
`.cache/template/` by a hash of what can change it: `app.py`, `cdk.json`, `infra/`, the pinned requirements, and the
route table of the Chalice app (paths, methods, authorizers, CORS), which is where `infra/` looks into `functions/`.
The rest of `functions/` only changes asset hashes, which the local stack does not use: it calls the handlers from the
source tree.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
CACHE: Final = ROOT / ".cache"
SYNTH_TIMEOUT_S: Final = 180
# Posts a second that one interpreter makes and takes beside everything else; a room of more than a hundred gets its
# frames less often here than on AWS, instead of later and later (docs/performance.md).
LOCAL_POSTS_BUDGET: Final = 500
_CONTEXT: Final[Mapping[str, Any]] = json.loads((ROOT / "cdk.json").read_bytes())["context"]
_LIMITS: Final[Mapping[str, int]] = _CONTEXT["limits"]
# Which lower renditions a deployment makes.
LADDER: Final[str] = _CONTEXT["relay_ladder"]
# How this stack differs from a deployment's defaults. The page and the relay's image are not packed, since both run
# from the source tree; purchases take the sandbox's receipts.
LOCAL_CONTEXT: Final[Mapping[str, str]] = {
    "sandbox_purchases": "true",
    "mail_from": "onair@example.org",
    # Everyone here comes from one address.
    "sign_ups_an_hour": "1000000",
    "sign_in_failures": "1000000",
    # Tests bring a push service of their own.
    "push_hosts": "fcm.googleapis.com,push.services.mozilla.com,push.apple.com,notify.windows.com,http://127.0.0.1",
    # Platform applications that the stack makes in moto (local/stack.py).
    "push_apns_arn": "arn:aws:sns:us-east-1:123456789012:app/APNS/onair",
    "push_fcm_arn": "arn:aws:sns:us-east-1:123456789012:app/GCM/onair",
    "removal": "destroy",
    "deletion_protection": "false",
    "relay_image": "local/relay:none",
    "limits": json.dumps({**_LIMITS, "posts_budget": LOCAL_POSTS_BUDGET}),
    # A laptop also runs the browser that shows it. Both hosts of a match are on its one relay, each with a picture.
    "relay_compose_px": "360",
    "relay_compose_max": "2",
    "web_dist": str(Path("local")),
}
# Templates kept: enough to switch between a few branches without a new synthesis.
KEPT: Final = 5


class SynthesisError(RuntimeError):
    """`app.py` did not make a template; the message holds the end of what it said."""


@dataclass(frozen=True)
class Synthesized:
    """A template and where it came from."""

    template: dict[str, Any]
    key: str
    cached: bool


def load(context: Mapping[str, str] | None = None) -> Synthesized:
    """The template for the inputs as they are now; synthesizes only when no cached one has their hash."""
    given = dict(context or {})
    key = input_hash(given)
    kept = CACHE / "template" / f"{key}.json"
    if kept.is_file():
        return Synthesized(json.loads(kept.read_bytes()), key, cached=True)
    template = _synthesize(given)
    kept.parent.mkdir(parents=True, exist_ok=True)
    # Written aside and moved, so that a second stack starting now never reads half a file.
    aside = kept.with_suffix(f".{os.getpid()}.part")
    aside.write_text(json.dumps(template, indent=1))
    aside.replace(kept)
    for old in sorted(kept.parent.glob("*.json"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
        old.unlink(missing_ok=True)
    return Synthesized(template, key, cached=False)


def input_hash(context: Mapping[str, str]) -> str:
    """A hash of all that can change the template (the module's docstring says what, and why the rest cannot)."""
    digest = hashlib.sha256()
    files = [ROOT / "app.py", ROOT / "cdk.json", ROOT / "requirements.txt", ROOT / "functions" / "requirements.txt"]
    files += sorted(path for path in (ROOT / "infra").rglob("*") if _is_source(path))
    for path in files:
        digest.update(str(path.relative_to(ROOT)).encode())
        digest.update(path.read_bytes() if path.is_file() else b"absent")
    digest.update(json.dumps([route_table(), sorted(context.items())]).encode())
    return digest.hexdigest()[:24]


def route_table() -> list[tuple[str, str, str, str]]:
    """Path, method, authorizer with scopes, and CORS of every route of the Chalice app: what `infra/` reads of it."""
    app: Any = importlib.import_module("functions.api").app
    table: list[tuple[str, str, str, str]] = []
    for path, methods in app.routes.items():
        for method, entry in methods.items():
            authorizer = entry.authorizer
            right = f"{authorizer.name} {sorted(authorizer.scopes)}" if authorizer else "open"
            table.append((path, method, right, json.dumps(bool(entry.cors))))
    return sorted(table)


def _is_source(path: Path) -> bool:
    return path.is_file() and "node_modules" not in path.parts and path.suffix in {".py", ".js", ".json", ".txt"}


def _synthesize(context: Mapping[str, str]) -> dict[str, Any]:
    out = CACHE / "synth" / str(os.getpid())
    cdk_json: dict[str, Any] = json.loads((ROOT / "cdk.json").read_bytes()) if (ROOT / "cdk.json").is_file() else {}
    # No asset is bundled: bundling installs wheels for the Lambda platform, and the local stack calls the source tree.
    all_context = {**cdk_json.get("context", {}), **context, "aws:cdk:bundling-stacks": []}
    environment = {
        **os.environ,
        "CDK_OUTDIR": str(out),
        "CDK_CONTEXT_JSON": json.dumps(all_context),
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1",
        "JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION": "1",
        "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
    }
    try:
        done = subprocess.run(
            [sys.executable, str(ROOT / "app.py")],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SYNTH_TIMEOUT_S,
            check=False,
        )
        found = sorted(out.glob("*.template.json"))
        if done.returncode != 0 or not found:
            said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-25:])
            raise SynthesisError(f"app.py did not synthesize a template (exit code {done.returncode}):\n{said}")
        named = [path for path in found if path.name == "Onair.template.json"]
        return json.loads((named or found)[0].read_bytes())
    except subprocess.TimeoutExpired:
        raise SynthesisError(f"app.py did not end within {SYNTH_TIMEOUT_S} s") from None
    finally:
        shutil.rmtree(out, ignore_errors=True)
