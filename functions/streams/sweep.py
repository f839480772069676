"""Lambda `Sweep`, each minute: ends broadcasts whose media never flowed or stays lost, and finishes half-made ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from functions import clock, observe
from functions.streams import life, model, table
from functions.streams.model import ENDED_BY_HOST, Stream

READ_AT_ONCE: Final = 100


class SweepError(Exception):
    """Some broadcasts could not be ended: the log names them, and the next minute tries again."""


def sweep() -> list[str]:
    """End and finish whatever is due; returns the ids. One that fails keeps none of the others from its turn."""
    done: list[str] = []
    failed: list[str] = []
    for stream in _due():
        try:
            life.end(stream, model.silence(stream, clock.now_ms()) or ENDED_BY_HOST)
            done.append(stream.id)
        except Exception:  # noqa: BLE001 - logged, and raised as a whole after the others had their turn
            observe.logger.exception("a broadcast could not be ended", stream=stream.id)
            failed.append(stream.id)
    if failed:
        raise SweepError(", ".join(failed))
    return done


def _due() -> Iterator[Stream]:
    now_ms = clock.now_ms()
    # Only those that started so long ago can be due; `lost` can be due however late they started.
    never_flowed = table.iterate_feed("waiting", before=clock.rfc3339(now_ms - model.NEVER_FLOWED_MS_MAX + 1))
    found = never_flowed + table.iterate_feed("lost") + table.iterate_feed("ending")
    for start in range(0, len(found), READ_AT_ONCE):
        # Consistent reads are not needed: whatever changed since fails the condition of the write.
        for stream in table.read_many(found[start : start + READ_AT_ONCE]).values():
            half_made = stream.state == "ended" and stream.summary is None
            if half_made or model.silence(stream, now_ms) is not None:
                yield stream


@observe.tracer.capture_lambda_handler(capture_response=False)
def handle(_event: dict[str, Any], _context: Any) -> dict[str, int]:
    """One sweep; answers how many broadcasts it ended or finished."""
    ended = sweep()
    observe.logger.info("swept", ended=ended)
    return {"ended": len(ended)}
