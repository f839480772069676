"""How long does each Lambda handler take to import, beside bare `import boto3`, and how big is the bundle?

Each import runs in a fresh interpreter from compiled modules; the smallest of several runs counts, because noise only
ever adds. The handlers are those that the synthesized template names.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from infra.stack import synthesize

ROOT = Path(__file__).resolve().parent.parent
RUNS = 7
RATIO_MAX = 1.4


def import_ms(module: str) -> float:
    """Milliseconds of one import in a fresh interpreter."""
    code = f"import time; t = time.perf_counter(); import {module}; print((time.perf_counter() - t) * 1000)"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(ROOT / ".cache" / "bytecode")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])


def handlers(template: dict[str, object]) -> list[str]:
    """Modules of the functions that are ours, from the template."""
    found: set[str] = set()
    resources = template["Resources"]
    assert isinstance(resources, dict)
    for resource in resources.values():
        handler = str(resource.get("Properties", {}).get("Handler", ""))
        if resource["Type"] == "AWS::Lambda::Function" and handler.startswith("functions."):
            found.add(handler.rpartition(".")[0])
    return sorted(found)


def asset_bytes(assembly: Path, template: dict[str, object]) -> int:
    """Unpacked size of the asset that our functions share."""
    resources = template["Resources"]
    assert isinstance(resources, dict)
    keys = {
        str(r["Properties"]["Code"]["S3Key"]).removesuffix(".zip")
        for r in resources.values()
        if r["Type"] == "AWS::Lambda::Function" and str(r["Properties"].get("Handler", "")).startswith("functions.")
    }
    assert len(keys) == 1, f"functions should share one bundle, found {keys}"
    folder = assembly / f"asset.{keys.pop()}"
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> int:
    path = Path(synthesize(ROOT / ".cache" / "bench-synth"))
    template = json.loads(path.read_text())
    modules = handlers(template)
    best: dict[str, float] = {}
    # Interleaved, so that a slow minute of the machine falls on all alike.
    for _ in range(RUNS):
        for module in ["boto3", *modules]:
            best[module] = min(best.get(module, 1e9), import_ms(module))
    print("| import | ms | ratio to boto3 |\n|---|---|---|")
    for module in ["boto3", *modules]:
        print(f"| `{module}` | {best[module]:.0f} | {best[module] / best['boto3']:.2f} |")
    worst = max(best[m] / best["boto3"] for m in modules)
    size = asset_bytes(path.parent, template)
    print(f"\nWorst ratio {worst:.2f} (limit {RATIO_MAX}); bundle {size / 1e6:.1f} MB unpacked.")
    return 0 if worst <= RATIO_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
