"""The CDK entry: ``npx cdk synth`` and ``cdk deploy`` run this, and so does a plain ``python app.py``.

Works with any Python that has the requirements, and with the repository's own environment when it has not.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
OWN_PYTHON = HERE / ".venv" / "bin" / "python"

if importlib.util.find_spec("aws_cdk") is None:
    # cdk.json says python3, whichever that is; without an activated environment it is the system's.
    if not OWN_PYTHON.exists() or Path(sys.prefix) == OWN_PYTHON.parent.parent:
        sys.exit("aws-cdk-lib is not installed: run `make synth`, or activate .venv and install requirements.txt")
    os.execv(OWN_PYTHON, [str(OWN_PYTHON), __file__, *sys.argv[1:]])

from infra.stack import synthesize  # noqa: E402

synthesize(Path(os.environ.get("CDK_OUTDIR", str(HERE / "cdk.out"))))
