"""The web: one CloudFront distribution in front of everything a viewer's browser opens, and the page in its bucket."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import aws_cdk as cdk
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_deployment as deployment
from constructs import Construct

from infra import rules
from infra.handler import House
from infra.settings import ROOT

PAGE: Final = ROOT / "web"
PAGE_STAMP: Final = ROOT / ".cache" / "page.sha256"
NOT_SOURCES: Final = frozenset({"node_modules", "dist", "test", "test-results"})
# What tells others where things are must be fresh at each visit; the rest may be a minute old.
FRESH: Final = ("index.html", "config.json")
ERRORS_NOT_CACHED: Final = (400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504)


# What has no dot in its last part is no file but a screen.
SCREENS: Final = """\
function handler(event) {
    var request = event.request;
    if (request.uri.split('/').pop().indexOf('.') === -1) {
        request.uri = '/index.html';
    }
    return request;
}
"""


class PageMissingError(RuntimeError):
    """There is no page to deploy, or it could not be built."""


def page_fingerprint() -> str:
    """A hash of everything that the page is built from."""
    digest = hashlib.sha256()
    for path in _sources():
        digest.update(f"\0{path.relative_to(PAGE)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _sources() -> list[Path]:
    found: list[Path] = []
    # Not rglob: it would walk through node_modules first.
    for folder, folders, files in os.walk(PAGE):
        folders[:] = sorted(set(folders) - NOT_SOURCES)
        found += [Path(folder) / name for name in sorted(files)]
    return found


def _newest_source() -> float:
    # Someone else (make run) may have built the page since: then it is newer than all that it is made from.
    return max(path.stat().st_mtime for path in _sources())


def built_page() -> Path:
    """``web/dist``, built by npm when it is missing or older than its sources.

    Raises
    ------
    PageMissingError
        When there is no ``web/package.json``, no npm, or the build fails; says what to run.
    """
    dist = PAGE / "dist"
    if not (PAGE / "package.json").is_file():
        raise PageMissingError("web/package.json is missing: there is no page to deploy")
    PAGE_STAMP.parent.mkdir(exist_ok=True)
    with PAGE_STAMP.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = page_fingerprint()
        have = PAGE_STAMP.read_text() if PAGE_STAMP.is_file() else ""
        index = dist / "index.html"
        if index.is_file() and (have == wanted or index.stat().st_mtime > _newest_source()):
            PAGE_STAMP.write_text(wanted)
            return dist
        npm = shutil.which("npm")
        if npm is None:
            raise PageMissingError("npm is not installed: the page in web/ cannot be built")
        for command in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
            if command[0] == "ci" and _modules_are_current():
                continue
            done = subprocess.run([npm, *command], cwd=PAGE, capture_output=True, text=True, timeout=600)
            if done.returncode != 0:
                raise PageMissingError(f"`npm {' '.join(command)}` in web/ failed:\n{done.stdout}\n{done.stderr}")
        if not (dist / "index.html").is_file():
            raise PageMissingError("`npm run build` in web/ left no dist/index.html")
        PAGE_STAMP.write_text(page_fingerprint())
    return dist


def _modules_are_current() -> bool:
    # npm writes its own lock into node_modules when it has installed everything; older than ours means ours changed.
    installed = PAGE / "node_modules" / ".package-lock.json"
    wanted = PAGE / "package-lock.json"
    return installed.is_file() and wanted.is_file() and installed.stat().st_mtime >= wanted.stat().st_mtime


class Web(Construct):
    """Bucket and distribution; `publish` puts the page there once all addresses are known."""

    def __init__(self, scope: Construct, name: str, *, house: House) -> None:
        super().__init__(scope, name)
        self._house = house
        self.bucket = s3.Bucket(
            self,
            "Page",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            removal_policy=cdk.RemovalPolicy.DESTROY,  # made anew by any deploy
        )
        self.distribution = cloudfront.Distribution(
            self,
            "Distribution",
            comment="Onair: page, playback and relay signalling",
            default_root_object="index.html",
            http_version=cloudfront.HttpVersion.HTTP2_AND_3,
            minimum_protocol_version=cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021,
            default_behavior=cloudfront.BehaviorOptions(
                origin=origins.S3BucketOrigin.with_origin_access_control(self.bucket),
                viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
                cache_policy=cloudfront.CachePolicy.CACHING_OPTIMIZED,
                response_headers_policy=cloudfront.ResponseHeadersPolicy.SECURITY_HEADERS,
                function_associations=[
                    cloudfront.FunctionAssociation(
                        function=self._screens(), event_type=cloudfront.FunctionEventType.VIEWER_REQUEST
                    )
                ],
            ),
            # CloudFront keeps errors 10 s by default: a part that is asked for a moment early would then stay missing.
            error_responses=[
                cloudfront.ErrorResponse(http_status=status, ttl=cdk.Duration.seconds(0))
                for status in ERRORS_NOT_CACHED
            ],
        )
        self._acknowledge()

    @property
    def url(self) -> str:
        """The page's address, without a trailing slash."""
        return f"https://{self.distribution.distribution_domain_name}"

    def serve_pictures(self, bucket: s3.Bucket, path: str) -> None:
        """Serve a bucket's objects below ``path``: each has a name of its own for ever, so it may be kept long."""
        self.distribution.add_behavior(
            path,
            origins.S3BucketOrigin.with_origin_access_control(bucket),
            viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
            cache_policy=cloudfront.CachePolicy.CACHING_OPTIMIZED,
            response_headers_policy=cloudfront.ResponseHeadersPolicy.SECURITY_HEADERS,
        )

    def lead_shared_links_to(self, rest_api_id: str, stage: str) -> None:
        """Have ``/s/{code}`` answered by the REST API: the page behind a shared link."""
        stack = cdk.Stack.of(self)
        self.distribution.add_behavior(
            "/s/*",
            origins.HttpOrigin(
                f"{rest_api_id}.execute-api.{stack.region}.{stack.url_suffix}",
                origin_path=f"/{stage}",
                protocol_policy=cloudfront.OriginProtocolPolicy.HTTPS_ONLY,
            ),
            # As long as the page itself says: a link that spreads is fetched by many at once.
            cache_policy=cloudfront.CachePolicy.CACHING_OPTIMIZED,
            viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
        )

    def _screens(self) -> cloudfront.Function:
        """A screen's address is no file: the page itself finds its way (web/src/router.js), as local/edge.py has it."""
        return cloudfront.Function(
            self,
            "Screens",
            runtime=cloudfront.FunctionRuntime.JS_2_0,
            code=cloudfront.FunctionCode.from_inline(SCREENS),
        )

    def publish(self, config: Mapping[str, Any]) -> None:
        """Put the page and its ``config.json`` into the bucket.

        Parameters
        ----------
        config : Mapping[str, Any]
            What `GET /config.json` answers; values may be known only when the stack is deployed.
        """
        dist = str(self._house.settings.web_dist or built_page())
        logs = self._house.log_group(self, "PublishLogs")
        assets = deployment.BucketDeployment(
            self,
            "Assets",
            destination_bucket=self.bucket,
            sources=[deployment.Source.asset(dist, exclude=[*FRESH])],
            cache_control=[deployment.CacheControl.from_string("public, max-age=60, stale-while-revalidate=600")],
            prune=False,  # a visitor with yesterday's index.html still asks for yesterday's files
            log_group=logs,
            memory_limit=512,
        )
        fresh = deployment.BucketDeployment(
            self,
            "Fresh",
            destination_bucket=self.bucket,
            sources=[
                deployment.Source.asset(dist, exclude=["*", "!index.html"]),
                deployment.Source.json_data("config.json", dict(config)),
            ],
            cache_control=[deployment.CacheControl.from_string("no-cache")],
            prune=False,
            distribution=self.distribution,
            distribution_paths=[f"/{path}" for path in ("", *FRESH)],
            log_group=logs,
            memory_limit=512,
        )
        # index.html names the assets, so it may appear only after they do.
        fresh.node.add_dependency(assets)
        self._acknowledge_publisher(assets)

    def _acknowledge(self) -> None:
        rules.acknowledge(
            self.bucket,
            "S1",
            "The bucket holds a public page and is read by CloudFront alone, whose metrics count the requests.",
        )
        for rule, reason in (
            ("CFR1", "Onair is open to every country; markets (functions/accounts) hold what differs."),
            ("CFR2", "No firewall by default, it is billed per request of every viewer; attach one by its ARN."),
            ("CFR3", "Access logs would keep playback tokens, which stand in the path and are valid for hours."),
            ("CFR4", "CloudFront's own domain fixes the minimum TLS version; a domain of one's own raises it."),
            (
                "CFR5",
                "Without a domain the load balancer has no certificate; docs/decisions tells what stands between.",
            ),
        ):
            rules.acknowledge(self.distribution, rule, reason)

    def _acknowledge_publisher(self, assets: deployment.BucketDeployment) -> None:
        role = assets.handler_role
        page = self.bucket.node.default_child
        assert isinstance(page, s3.CfnBucket)
        staging = "arn:<AWS::Partition>:s3:::cdk-hnb659fds-assets-<AWS::AccountId>-<AWS::Region>/*"
        for finding in (
            "Resource::*",
            f"Resource::{staging}",
            f"Resource::<{cdk.Stack.of(self).get_logical_id(page)}.Arn>/*",
            *(f"Action::s3:{verb}*" for verb in ("GetBucket", "GetObject", "List", "Abort", "DeleteObject")),
        ):
            rules.acknowledge(
                role,
                f"IAM5[{finding}]",
                "CDK's own publisher copies a tree of files between two buckets at deploy time; its policy is CDK's.",
            )
        rules.acknowledge(
            role,
            "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole]",
            "CDK's own publisher runs at deploy time only; its role is CDK's and takes the managed policy.",
        )
        publisher = role.node.scope
        assert publisher is not None
        rules.acknowledge(
            publisher,
            "L1",
            "CDK's own publisher brings its runtime; it is updated with aws-cdk-lib and runs at deploy time only.",
        )
