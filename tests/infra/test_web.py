"""The page, its config.json, and what the stack tells of itself."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from infra import web
from tests.infra.reading import Cloud, text

CONFIG = ("api_url", "socket_url", "relay_url", "rtmp_url", "web_url")


def _asset(cloud: Cloud, key: str) -> Path:
    assets = json.loads((cloud.path.parent / "Onair.assets.json").read_text())["files"]
    return cloud.path.parent / assets[key.removesuffix(".zip")]["source"]["path"]


def _deployment(cloud: Cloud, name: str) -> dict[str, object]:
    return cloud.one("Custom::CDKBucketDeployment", f"Web{name}")[1]


def test_config_json_names_every_address_and_the_protocol(cloud: Cloud) -> None:
    fresh = _deployment(cloud, "Fresh")
    keys = fresh["SourceObjectKeys"]
    assert isinstance(keys, list)
    written = (_asset(cloud, str(keys[1])) / "config.json").read_text()
    # Addresses are known when deployed: each stands as a marker that the publisher replaces by a JSON string.
    config = json.loads(re.sub(r"<<marker:[^>]+>>", lambda found: json.dumps(found[0]), written))
    assert config["protocol"] == config["min_client_protocol"] == 1
    assert set(config) == {*CONFIG, "protocol", "min_client_protocol"}
    markers = fresh["SourceMarkers"]
    assert isinstance(markers, list)
    said = {name: text(markers[1][config[name]]) for name in CONFIG}
    for name, start in (("api_url", "https"), ("socket_url", "wss"), ("relay_url", "https"), ("rtmp_url", "rtmp")):
        assert said[name].startswith(json.dumps({"Fn::Join": ["", [f'"{start}://']]})[:-3]), name
    assert said["web_url"] == said["relay_url"]


def test_config_and_index_are_asked_for_anew_and_only_they(cloud: Cloud) -> None:
    fresh, assets = _deployment(cloud, "Fresh"), _deployment(cloud, "Assets")
    assert fresh["SystemMetadata"] == {"cache-control": "no-cache"}
    assert fresh["DistributionPaths"] == ["/", "/index.html", "/config.json"]
    keys, fresh_keys = assets["SourceObjectKeys"], fresh["SourceObjectKeys"]
    assert isinstance(keys, list)
    assert isinstance(fresh_keys, list)
    assert {path.name for path in _asset(cloud, str(keys[0])).iterdir()} == {"main.js"}
    assert {path.name for path in _asset(cloud, str(fresh_keys[0])).iterdir()} == {"index.html"}


def test_outputs_name_what_clients_and_operators_look_for(cloud: Cloud) -> None:
    outputs = cloud.template["Outputs"]
    wanted = {"".join(word.capitalize() for word in name.split("_")) for name in CONFIG} | {
        "AccountsTable", "StreamsTable", "RoomsTable", "LedgerTable", "RingQueueUrl", "SettleQueueUrl", "MediaQueueUrl",
        "UserPoolId", "UserPoolClientId", "SocketCallbackUrl", "MediaBucket", "PageBucket", "DistributionDomain",
        "AlarmTopic",
    }  # fmt: skip
    assert wanted <= set(outputs)


def test_page_bucket_is_read_by_cloudfront_alone(cloud: Cloud) -> None:
    name, bucket = cloud.one("AWS::S3::Bucket", "WebPage")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    policy = next(
        each["Properties"]["PolicyDocument"]["Statement"]
        for each in cloud.of("AWS::S3::BucketPolicy").values()
        if each["Properties"]["Bucket"] == {"Ref": name}
    )
    allowed = [statement for statement in policy if statement["Effect"] == "Allow"]
    assert [statement["Principal"] for statement in allowed] == [{"Service": "cloudfront.amazonaws.com"}]


def test_missing_page_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(web, "PAGE", tmp_path)
    with pytest.raises(web.PageMissingError, match=r"web/package\.json"):
        web.built_page()


def test_page_is_built_once_for_the_same_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # given a page whose build counts how often it ran
    page = tmp_path / "web"
    (page / "src").mkdir(parents=True)
    build = "mkdir -p dist && cp src/index.html dist/ && echo x >> ../builds"
    (page / "package.json").write_text(json.dumps({"name": "p", "version": "1.0.0", "scripts": {"build": build}}))
    lock = {"name": "p", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"name": "p", "version": "1.0.0"}}}
    (page / "package-lock.json").write_text(json.dumps(lock))
    source = page / "src" / "index.html"
    source.write_text("one")
    monkeypatch.setattr(web, "PAGE", page)
    monkeypatch.setattr(web, "PAGE_STAMP", tmp_path / "cache" / "page.sha256")
    # when it is asked for twice, and once more after a change
    web.built_page()
    web.built_page()
    assert (tmp_path / "builds").read_text() == "x\n"
    source.write_text("two")
    dist = web.built_page()
    # then
    assert (tmp_path / "builds").read_text() == "x\nx\n"
    assert (dist / "index.html").read_text() == "two"


def test_failed_build_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text(json.dumps({"name": "p", "scripts": {"build": "echo no such file; exit 3"}}))
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "package-lock.json").write_text(json.dumps({"name": "p", "lockfileVersion": 3, "packages": {"": {}}}))
    (tmp_path / "node_modules" / ".package-lock.json").write_text("{}")
    monkeypatch.setattr(web, "PAGE", tmp_path)
    monkeypatch.setattr(web, "PAGE_STAMP", tmp_path / "cache" / "page.sha256")
    with pytest.raises(web.PageMissingError, match="no such file"):
        web.built_page()
