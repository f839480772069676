"""An audit's report as one page of HTML that stands by itself: verdict, each difference, and the sums."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from functions.wallet.audit import Report

# What each kind of difference means, in the order in which to look at them.
MEANINGS = {
    "entry_changed": "an entry is not what was sealed",
    "entry_missing": "entries are gone from a chain",
    "chain_broken": "an entry does not follow the one before it",
    "version_doubled": "two entries stand in one place",
    "balance_differs": "an entry tells another balance than its chain",
    "head_differs": "a wallet is not what its chain adds up to",
    "settlement_mismatch": "a creator was credited for other gifts than those that name the settlement",
    "receipt_missing": "coins were minted without a receipt",
    "receipt_unknown": "coins were minted for a payment that its provider never saw",
    "receipt_differs": "coins were minted for another payment than the provider has",
    "coins_not_conserved": "coins came from nowhere, or went",
    "diamonds_not_conserved": "diamonds came from nowhere, or went",
}
_STYLE = """
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}
body{max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{margin:0;font-size:1.9rem}
.verdict{padding:1rem 1.25rem;border-radius:1rem;font-size:1.25rem;font-weight:700}
.good{background:#0a7d3322;border:2px solid #0a7d33}
.bad{background:#c2102022;border:2px solid #c21020}
table{width:100%;border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.35rem .6rem;border-bottom:1px solid #8884;text-align:left;vertical-align:top;overflow-wrap:anywhere}
td.n,th.n{text-align:right}
@media print{body{margin:0}}
"""


def page(report: Report, seconds: float, more: int) -> str:
    """The report as HTML; ``more`` differences beyond those in it were found."""
    proof, found = report.proof, len(report.differences) + more
    verdict = "Every coin is proved." if not found else f"{found} difference{'s' if found > 1 else ''} found."
    counts = _rows(
        [
            ("wallets", report.wallets),
            ("transfers", report.transfers),
            ("receipts", report.receipts),
            ("purchases compared with their providers", report.receipts_compared),
            ("refunds of providers compared with the ledger", report.voids_compared),
            ("payouts", report.payouts),
            ("oldest gift that waits for settlement (ms)", report.unsettled_oldest_ms),
        ]
    )
    coins = _rows(
        [
            ("minted (bought, less refunds)", proof.coins_minted),
            ("held in wallets", proof.coins_held),
            ("given, not yet settled", proof.coins_unsettled),
            ("given and turned into diamonds", proof.coins_converted),
            ("difference", proof.coins_minted - proof.coins_held - proof.coins_unsettled - proof.coins_converted),
        ]
    )
    rest = proof.diamonds_held_milli + proof.diamonds_unsettled_milli + proof.diamonds_paid_out_milli
    diamonds = _rows(
        [
            ("earned by gifts", proof.diamonds_owed_milli),
            ("held in wallets", proof.diamonds_held_milli),
            ("of gifts not yet settled", proof.diamonds_unsettled_milli),
            ("paid out, or put aside for it", proof.diamonds_paid_out_milli),
            ("difference", proof.diamonds_owed_milli - rest),
        ]
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Onair ledger audit, {escape(report.as_of)}</title><style>{_STYLE}</style>"
        f"<h1>Ledger audit</h1><p>As of {escape(report.as_of)}, read in {seconds:.1f} s.</p>"
        f'<p class="verdict {"bad" if found else "good"}">{verdict}</p>'
        f"{_differences(report, more)}"
        f"<h2>Coins</h2><table>{coins}</table><h2>Diamonds, in thousandths</h2><table>{diamonds}</table>"
        f"<h2>What was read</h2><table>{counts}</table></html>"
    )


def _rows(rows: Iterable[tuple[str, int]]) -> str:
    return "".join(f'<tr><td>{escape(name)}<td class="n">{value:,}' for name, value in rows)


def _differences(report: Report, more: int) -> str:
    if not report.differences:
        return ""
    rows = "".join(
        f"<tr><td>{escape(each.name)}<br><small>{escape(MEANINGS.get(each.name, ''))}</small>"
        f"<td>{escape(each.account)}<td>{escape(each.transfer)}<td>{escape(each.text)}"
        for each in report.differences
    )
    rest = f"<p>{more:,} more are not shown.</p>" if more else ""
    return f"<h2>Differences</h2><table><tr><th>what<th>wallet<th>entry<th>told and found{rows}</table>{rest}"
