"""One synthesis for the whole session, read by every test here."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from infra.stack import synthesize
from tests.infra.reading import Cloud


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of two files: what web/ builds has its own tests, and takes npm."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "index.html").write_text("<!doctype html><title>Onair</title>")
    (folder / "main.js").write_text("export {};")
    return folder


@pytest.fixture(scope="session")
def cloud(page: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Cloud:
    """The stack as `python app.py` writes it, with every asset."""
    started = time.monotonic()
    path = synthesize(tmp_path_factory.mktemp("cdk.out"), {"web_dist": str(page)})
    seconds = time.monotonic() - started
    template: dict[str, Any] = json.loads(path.read_text())
    reporter: Any = request.config.pluginmanager.get_plugin("terminalreporter")
    capture: Any = request.config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled():
        reporter.write_line(f"synthesized {len(template['Resources'])} resources in {seconds:.1f} s")
    return Cloud(path, template)
