"""Lambda, once a day: proves the whole ledger, keeps the report as JSON and as a page, and counts what is wrong.

What it reads grows with the ledger (docs/performance.md): a function's 15 minutes and 3 GB end at some millions of
transfers. Then `make audit` on a machine takes over; until then a run that does not come through raises an alarm.
"""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec
from aws_lambda_powertools.metrics import MetricUnit, single_metric
from msgspec import Struct

from functions import aws, clock, observe, settings
from functions.wallet import audit_page, audit_receipts
from functions.wallet.audit import SEGMENTS, Report, audit
from functions.wallet.table import StoredLedger

FOLDER: Final = "audits"
NEWEST: Final = f"{FOLDER}/newest"
# Beyond this a report says how many more there are: an answer of a function takes 6 MB.
SHOWN_MAX: Final = 1_000
JSON: Final = "application/json"
HTML: Final = "text/html; charset=utf-8"


class Kept(Struct, frozen=True):
    """A report as it is kept: ``more`` differences are not in it; reading took ``seconds`` in ``segments`` at once."""

    report: Report
    more: int
    seconds: float
    segments: int


def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 -- a schedule says nothing
    """Audit the ledger, keep and count what was found; what it returns is for whoever starts it by hand."""
    started = time.monotonic()
    records, voids = audit_receipts.configured()
    whole = audit(StoredLedger(), segments=SEGMENTS, records=records, voids=voids)
    seconds = round(time.monotonic() - started, 3)
    found = len(whole.differences)
    shown = msgspec.structs.replace(whole, differences=whole.differences[:SHOWN_MAX])
    kept = Kept(shown, found - len(shown.differences), seconds, SEGMENTS)
    keep(kept)
    for each in shown.differences:
        observe.logger.error("ledger difference", kind=each.name, account=each.account, transfer=each.transfer)
    with single_metric(name="LedgerDifferences", unit=MetricUnit.Count, value=found, namespace="Onair") as metric:
        metric.add_metadata("as_of", whole.as_of)
    observe.logger.info("ledger audited", transfers=whole.transfers, differences=found, seconds=seconds)
    return {"as_of": whole.as_of, "transfers": whole.transfers, "differences": found, "seconds": seconds}


def keep(kept: Kept) -> None:
    """Put the report, as JSON and as a page, under its time and as the newest."""
    content = {
        "json": (JSON, msgspec.json.encode(kept)),
        "html": (HTML, audit_page.page(kept.report, kept.seconds, kept.more).encode()),
    }
    now = clock.rfc3339(clock.now_ms())
    dated = f"{FOLDER}/{now[:10].replace('-', '/')}/{now[11:19].replace(':', '')}Z"
    # The newest last: whoever reads it finds the dated one there as well.
    for name in (dated, NEWEST):
        for ending, (kind, body) in content.items():
            aws.client("s3").put_object(
                Bucket=settings.required("AUDIT_BUCKET"), Key=f"{name}.{ending}", Body=body, ContentType=kind
            )
