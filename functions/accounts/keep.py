"""Lambda `Keep`, each minute: does for accounts what is due (due.py), and what a crash left undone."""

from __future__ import annotations

from typing import Any, Final

from functions import clock, observe
from functions.accounts import due, enforce, table
from functions.accounts.due import Due

READ_AT_ONCE: Final = 100
# The function's own limit is 55 s; a hundred follows take a second or two.
WORK_MS_MAX: Final = 40_000


class KeepError(Exception):
    """Some accounts could not be dealt with: the log names them, and the next minute tries again."""


def keep() -> list[str]:
    """Do what is due; returns the accounts that are through. One that fails keeps none of the others from its turn."""
    until_ms = clock.now_ms() + WORK_MS_MAX
    done: list[str] = []
    failed: list[str] = []
    for each in due.until(clock.now_ms(), READ_AT_ONCE):
        if clock.now_ms() >= until_ms:
            break
        try:
            if _through(each, until_ms):
                done.append(each.account)
        except Exception:  # noqa: BLE001 - logged, and raised as a whole after the others had their turn
            observe.logger.exception("an account could not be dealt with", account=each.account)
            failed.append(each.account)
    if failed:
        raise KeepError(", ".join(failed))
    return done


def _through(each: Due, until_ms: int) -> bool:
    account = table.read(each.account)
    if account is not None:
        if each.after is None:
            enforce.at_once(account)
        after = each.after
        while True:
            after = enforce.recount(each.account, after)
            if after is None:
                break
            if clock.now_ms() >= until_ms:
                due.put(Due(each.account, each.at_ms, after))
                return False
    due.done(each)
    return True


@observe.tracer.capture_lambda_handler(capture_response=False)
def handle(_event: dict[str, Any], _context: Any) -> dict[str, int]:
    """One round; answers how many accounts are through."""
    return {"done": len(keep())}
