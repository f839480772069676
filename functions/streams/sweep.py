"""Lambda `Sweep`, each minute: ends broadcasts without media, finishes half-made ends, and notices relays that died.

It also has people told of what is about to start, ends matches that one side is left alone in, and puts asks for one
away that nobody answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import msgspec

from functions import aws, clock, observe, settings
from functions.accounts import blocks
from functions.rooms import matching
from functions.rooms import table as rooms
from functions.streams import announce, life, model, table
from functions.streams.model import ENDED_BY_HOST, MediaReport, Stream

READ_AT_ONCE: Final = 100


class SweepError(Exception):
    """Some broadcasts could not be ended: the log names them, and the next minute tries again."""


def sweep() -> list[str]:
    """End and finish whatever is due; returns the ids. One that fails keeps none of the others from its turn."""
    now_ms = clock.now_ms()
    failed = _mark_unheard(now_ms)
    done: list[str] = []

    def end(stream: Stream) -> None:
        life.end(stream, model.silence(stream, clock.now_ms()) or ENDED_BY_HOST)
        done.append(stream.id)

    failed += _each(_due(now_ms), end, "a broadcast could not be ended")
    failed += _order_recordings(now_ms)
    failed += _remind(now_ms)
    failed += _look_after_matches(now_ms)
    if failed:
        raise SweepError(", ".join(failed))
    return done


def _read(found: list[str]) -> Iterator[Stream]:
    for start in range(0, len(found), READ_AT_ONCE):
        # Consistent reads are not needed: whatever changed since fails the condition of the write.
        yield from table.read_many(found[start : start + READ_AT_ONCE]).values()


def _each(streams: Iterable[Stream], act: Callable[[Stream], None], trouble: str) -> list[str]:
    """Do something about each; returns the ids of those for which that failed."""
    failed: list[str] = []
    for stream in streams:
        try:
            act(stream)
        except Exception:  # noqa: BLE001 - logged, and raised as a whole after the others had their turn
            observe.logger.exception(trouble, stream=stream.id)
            failed.append(stream.id)
    return failed


def _mark_unheard(now_ms: int) -> list[str]:
    """Streams said to flow whose relay is silent become lost."""
    before = clock.rfc3339(now_ms - model.UNHEARD_MS_MAX + 1)
    flowing = table.iterate_feed("live", before=before) + table.iterate_feed("followers", before=before)

    def mark(stream: Stream) -> None:
        report = model.unheard(stream, now_ms)
        # False: the relay spoke while we looked, and nothing is to be done.
        if report is not None and table.set_media(stream, report):
            rooms.set_media(stream.id, "lost")
            observe.logger.warning("relay unheard", stream=stream.id, seen_ms=stream.media_seen_ms)

    return _each(_read(flowing), mark, "a silent broadcast could not be marked")


def _order_recordings(now_ms: int) -> list[str]:
    """Have replays made whose relay does not tell that it stored everything."""
    due = (stream for stream in _read(table.iterate_feed("recorded")) if model.recording_is_due(stream, now_ms))

    def order(stream: Stream) -> None:
        report = MediaReport(stream.id, stream.generation, "archived", now_ms, seen_ms=now_ms)
        aws.client("sqs").send_message(
            QueueUrl=settings.required("MEDIA_QUEUE_URL"),
            MessageBody=msgspec.json.encode(report).decode(),
            MessageGroupId=stream.id,
            MessageDeduplicationId=f"{stream.id}-archived-{now_ms}",
        )

    return _each(due, order, "a replay could not be ordered")


def _remind(now_ms: int) -> list[str]:
    """Have people told of what is about to start."""
    since, before = clock.rfc3339(now_ms), clock.rfc3339(now_ms + model.REMIND_AHEAD_MS)
    found = table.iterate_feed("upcoming", before, since) + table.iterate_feed("announced", before, since)

    def remind(stream: Stream) -> None:
        # Marked after: a crash between the two orders it again, which tells nobody twice.
        announce.order_reminder(stream)
        table.set_reminded(stream)

    return _each(
        (stream for stream in _read(found) if model.reminder_is_due(stream, now_ms)),
        remind,
        "people could not be reminded",
    )


def _look_after_matches(now_ms: int) -> list[str]:
    """End matches whose other side is not live, has another one, or is behind a block by now, and asks that lapsed."""

    def look(stream: Stream) -> None:
        if stream.match is not None and matching.mend(stream.id, blocks.between):
            observe.logger.warning("match mended", stream=stream.id, rival=stream.match)
        # Pages put it away themselves; other clients need not know how long an ask lasts.
        if stream.match_until_ms is not None and stream.match_until_ms <= now_ms:
            matching.expire(stream.id)

    live = (stream_id for key in model.LIVE_FEED_KEYS for stream_id in table.iterate_feed(key))
    matched = (
        stream
        for stream in _read(list(dict.fromkeys(live)))
        if stream.match is not None or stream.match_until_ms is not None
    )
    return _each(matched, look, "a match could not be looked after")


def _due(now_ms: int) -> Iterator[Stream]:
    # Only those that started so long ago can be due; `lost` can be due however late they started.
    never_flowed = table.iterate_feed("waiting", before=clock.rfc3339(now_ms - model.NEVER_FLOWED_MS_MAX + 1))
    for stream in _read(never_flowed + table.iterate_feed("lost") + table.iterate_feed("ending")):
        half_made = stream.state == "ended" and stream.summary is None
        if half_made or model.silence(stream, now_ms) is not None:
            yield stream


@observe.tracer.capture_lambda_handler(capture_response=False)
def handle(_event: dict[str, Any], _context: Any) -> dict[str, int]:
    """One sweep; answers how many broadcasts it ended or finished."""
    ended = sweep()
    observe.logger.info("swept", ended=ended)
    return {"ended": len(ended)}
