"""Who is shut out of all rooms: the account's open sockets are marked to be closed, and `join` lets no other in.

Whoever is on screen in one of them is taken off it.

The mark lies in the partition that `join` reads anyway, so a room pays nothing for it.
"""

from __future__ import annotations

import msgspec
from pynamodb.transactions import TransactWrite

from functions import storage, transaction
from functions.rooms import seating
from functions.rooms.items import BARRED, CONNECTION_PREFIX, BarItem, ConnectionItem, account_key
from functions.rooms.ring import ring
from functions.rooms.stored import StoredRooms, leave


def bar(account: str, code: str, until_ms: int | None, but: str | None = None) -> None:
    """Shut an account out of all rooms, and ring those that it is in.

    Parameters
    ----------
    code : str
        What `bye` and `join` tell: ``suspended`` or ``banned``.
    until_ms : int | None
        When it ends by itself.
    but : str | None
        A stream whose room ends now anyway: its ``ended`` is shown before the socket closes.
    """
    # First the mark, then the sockets: one that joins in between finds the mark.
    BarItem(account_key(account), BARRED, code=code, until_ms=until_ms).save()
    found = [(stream, one) for stream, one in StoredRooms().account_connections(account) if stream != but]
    # Before the sockets are forgotten here: what a crash leaves undone, the next round finds. A seat may be held by who
    # has no socket open.
    for stream in {*seating.rooms_of(account), *(stream for stream, _ in found)} - {but}:
        seating.vacate(stream, account)
    if not found:
        return

    def write() -> None:
        with TransactWrite(connection=storage.connection()) as batch:
            for stream, one in found:
                batch.delete(ConnectionItem(account_key(account), f"{CONNECTION_PREFIX}{one.id}"))
                leave(batch, stream, msgspec.structs.replace(one, closing=code))

    transaction.commit(write)
    for stream in {stream for stream, _ in found}:
        ring(stream)


def let_in(account: str) -> None:
    """Take the mark away; nothing happens where there is none."""
    BarItem(account_key(account), BARRED).delete()
