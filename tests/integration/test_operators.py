"""Operators on the local stack: the first is named by command, and the gateway hands their group on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from local.testing import PASSWORD, Onair

ROOT = Path(__file__).resolve().parents[2]


def _appoint(onair: Onair, handle: str) -> str:
    environment = {
        **os.environ,
        "HANDLE": handle,
        "AWS_ENDPOINT_URL": onair.addresses.aws_url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "functions.accounts.appoint"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_first_operator_is_named_by_command_and_operates_after_signing_in_anew(onair: Onair) -> None:
    ada = onair.account("ada_ops")
    assert ada.request("GET", "/operator/audit").error_code == "forbidden"
    assert "is an operator now" in _appoint(onair, "ada_ops")
    assert "is an operator already" in _appoint(onair, "ada_ops")
    # the token of before says nothing of the group
    assert ada.request("GET", "/operator/audit").error_code == "forbidden"
    ada.sign_in("ada_ops", PASSWORD)
    (entry,) = ada.call("GET", "/operator/audit")["items"]
    assert (entry["action"], entry["target"]) == ("operator.appoint", "ada_ops")
