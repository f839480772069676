"""The relay's image: what its Dockerfile promises, and a lock that has every pinned package with its hashes.

The steps themselves are taken by `media/verify_container.py`, which needs root and Debian's registry.
"""

from __future__ import annotations

import re

from infra.settings import ROOT
from media.verify_container import instructions

_MEDIA = ROOT / "media"


def test_the_image_has_a_user_of_its_own_a_health_check_and_a_base_to_pin() -> None:
    steps = instructions((_MEDIA / "Dockerfile").read_text())
    last = dict(steps)
    assert int(last["USER"]) > 1_000
    assert "media.healthcheck" in last["HEALTHCHECK"] and "media.relay" in last["ENTRYPOINT"]
    assert {argument.split()[0] for name, argument in steps if name == "FROM"} == {"${BASE}"}
    assert any(name == "ARG" and argument.startswith("BASE=") for name, argument in steps)
    installs = [argument for name, argument in steps if name == "RUN" and "pip install" in argument]
    assert len(installs) == 1
    assert {"--require-hashes", "--only-binary"} <= set(installs[0].split())


def test_every_pinned_package_of_the_relay_is_locked_with_its_hashes() -> None:
    # given the pins and the lock that `uv pip compile media/requirements.txt --universal --generate-hashes` makes
    def pins(name: str) -> dict[str, str]:
        found = re.findall(r"^([\w.-]+)(?:\[[\w,]+\])?==([\w.]+)", (_MEDIA / name).read_text(), re.MULTILINE)
        return {package.lower().replace("_", "-"): version for package, version in found}

    pinned, locked = pins("requirements.txt"), pins("requirements.lock")
    # then
    assert pinned.items() <= locked.items()
    entries = re.split(r"^(?=\w)", (_MEDIA / "requirements.lock").read_text(), flags=re.MULTILINE)[1:]
    assert len(entries) == len(locked)
    assert all("--hash=sha256:" in entry for entry in entries)
