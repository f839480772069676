"""What was paid to whom in a year, with tax numbers opened: for whoever files taxes, with rights of their own.

``YEAR=2026 python -m functions.wallet.tax_report`` writes CSV to standard output. It needs ``dynamodb:Scan`` and
``GetItem`` on the ledger and ``kms:Decrypt`` on the key; no function of the stack has the latter. CloudTrail keeps who
opened whose number.
"""

from __future__ import annotations

import csv
import os
import sys
from collections import defaultdict
from typing import Final, TextIO

from functions import aws
from functions.wallet import sealing
from functions.wallet.payout_routes import YearPart, summary
from functions.wallet.payout_rules import Payout
from functions.wallet.table import StoredLedger

COLUMNS: Final = (
    "account", "country", "form", "identifier", "withheld_permille",
    "payouts", "usd_cents", "withheld_usd_cents", "net_usd_cents",
)  # fmt: skip


def report(book: StoredLedger, year: int) -> list[tuple[str, str, YearPart]]:
    """Account, identifier and sums of everybody who was paid in ``year``, by account."""
    payouts: dict[str, list[Payout]] = defaultdict(list)
    for record in book.records(0, 1):
        if isinstance(record, Payout):
            payouts[record.account].append(record)
    rows: list[tuple[str, str, YearPart]] = []
    for account, found in sorted(payouts.items()):
        parts = summary(year, found).parts
        if not parts:
            continue
        profile = book.profile(account)
        # Whoever was paid and is gone since has rows all the same: an erasure keeps the payee (docs/decisions/0114).
        number = sealing.unseal(account, profile.identifier) if profile is not None else ""
        # A number belongs to the form that it was given with; what was paid under another form stands without.
        rows += [(account, number if profile and each.form == profile.form else "", each) for each in parts]
    return rows


def write(rows: list[tuple[str, str, YearPart]], out: TextIO) -> None:
    """The rows as CSV."""
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for account, number, part in rows:
        sums = (part.payouts, part.usd_cents, part.withheld_usd_cents, part.net_usd_cents)
        writer.writerow((account, part.country, part.form, number, part.withheld_permille, *sums))


def main() -> int:
    """Write the report of ``YEAR`` on the ledger that ``LEDGER_TABLE`` names."""
    year = os.environ.get("YEAR", "")
    if len(year) != 4 or not year.isdigit():
        sys.stderr.write("Say which year: YEAR=2026\n")
        return 2
    aws.forget_clients()
    write(report(StoredLedger(), int(year)), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
