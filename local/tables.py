"""moto's DynamoDB made fit for many threads: one request at a time, queries that look at one partition, wake-up on
records.

moto answers each request from shared Python objects without a lock: a condition may be checked in one thread while
another writes, and a query may meet a dictionary that changes under it. Here a request holds one lock from parsing to
its JSON, so each is atomic, as in the service. One lock for everything costs nothing measurable: moto is pure Python,
of which one thread runs at a time anyway. moto also sorts the whole table for every query; here a query is given only
the items of its partition (or of its index key) that are in its range, so that ten thousand transfers in the ledger do
not slow the next gift, nor a room's old frames the next one.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, Final

from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import GlobalSecondaryIndex, StreamShard, Table
from moto.dynamodb.responses import DynamoHandler

from local import answers, transactions

# Reentrant: a transaction and what it calls take it again.
lock: Final = threading.RLock()
# Called with the table after each stream record, in the writing thread: must be quick.
on_record: Final[list[Callable[[Table], None]]] = []
# A shard keeps this many records; the service keeps a day's.
RECORDS_MAX: Final = 20_000
RECORDS_DROPPED: Final = 10_000

_installed = False
# Whether the request that holds the lock only reads: what it finds is then written out as it is stored, uncopied.
_reading = False
Partition = dict[tuple[DynamoType, DynamoType | None], Item]


def install() -> None:
    """Replace the parts of moto's DynamoDB named above; safe to repeat."""
    global _installed
    if _installed:
        return
    _installed = True
    answers.install()
    any_handler: Any = DynamoHandler
    any_handler.call_action = _one_at_a_time(DynamoHandler.call_action)
    any_table: Any = Table
    any_table.put_item = _indexing(Table.put_item)
    any_table.delete_item = _unindexing(Table.delete_item)
    any_table.query = _narrowed(Table.query)
    any_table.all_items = _candidates(Table.all_items)
    any_item: Any = Item
    any_item.__deepcopy__ = _unless_read(any_item.__deepcopy__)
    any_backend: Any = DynamoDBBackend
    any_backend.update_item = _reindexing(DynamoDBBackend.update_item)
    any_backend.transact_write_items = _transact
    any_shard: Any = StreamShard
    any_shard.add = _waking(StreamShard.add)


def clear(table: Table) -> None:
    """Take every item out of a table, without stream records (a reset of the local stack, not a delete)."""
    with lock:
        table.items.clear()
        any_table: Any = table
        any_table.by_index = None
        if table.stream_shard is not None:
            table.stream_shard.starting_sequence_number += len(table.stream_shard.items)
            table.stream_shard.items = []


def place(table: Table, hash_key: DynamoType, range_key: DynamoType | None, item: Item | None) -> None:
    """Put or remove one item and keep the indexes right, without conditions or stream records."""
    items: Any = table.items
    if range_key is None:
        old = items.pop(hash_key, None) if item is None else items.get(hash_key)
        if item is not None:
            items[hash_key] = item
    else:
        old = items[hash_key].pop(range_key, None) if item is None else items[hash_key].get(range_key)
        if item is not None:
            items[hash_key][range_key] = item
    if item is not None:
        _index(table, item)
    elif old is not None:
        _unindex(table, old)


def _one_at_a_time(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def call_action(self: DynamoHandler) -> Any:
        with lock:
            return original(self)

    return call_action


def _transact(self: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
    with lock:
        transactions.write(self, transact_items, place)


def _waking(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def add(self: StreamShard, old: Item | None, new: Item | None) -> None:
        original(self, old, new)
        if len(self.items) > RECORDS_MAX:
            del self.items[:RECORDS_DROPPED]
            self.starting_sequence_number += RECORDS_DROPPED
        for told in on_record:
            told(self.table)

    return add


def _indexing(original: Callable[..., Item]) -> Callable[..., Item]:
    @functools.wraps(original)
    def put_item(self: Table, *args: Any, **kwargs: Any) -> Item:
        item = original(self, *args, **kwargs)
        _index(self, item)
        return item

    return put_item


def _unindexing(original: Callable[..., Item | None]) -> Callable[..., Item | None]:
    @functools.wraps(original)
    def delete_item(self: Table, *args: Any, **kwargs: Any) -> Item | None:
        item = original(self, *args, **kwargs)
        if item is not None:
            _unindex(self, item)
        return item

    return delete_item


def _reindexing(original: Callable[..., Item]) -> Callable[..., Item]:
    @functools.wraps(original)
    def update_item(self: DynamoDBBackend, table_name: str, *args: Any, **kwargs: Any) -> Item:
        item = original(self, table_name, *args, **kwargs)
        _index(self.get_table(table_name), item)
        return item

    return update_item


def _narrowed(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def query(self: Table, hash_key: DynamoType | None, *args: Any, **kwargs: Any) -> Any:
        # (range_comparison, range_objs, limit, exclusive_start_key, scan_index_forward, projection, index_name, …)
        index_name = kwargs.get("index_name") or (args[6] if len(args) > 6 else None)
        comparison, values = (args[0], args[1]) if len(args) > 1 else (None, [])
        any_self: Any = self
        with lock:
            conditions = kwargs.get("hash_key_conditions") or []
            wanted = hash_key if hash_key is not None else (conditions[0][1] if len(conditions) == 1 else None)
            if wanted is not None and len(conditions) <= 1:
                found = _partition(self, wanted, index_name)
                if index_name is None and comparison:
                    found = _in_range(found, str(comparison), values)
                any_self.candidates = found
            global _reading
            _reading = True
            try:
                return original(self, hash_key, *args, **kwargs)
            finally:
                _reading = False
                any_self.candidates = None

    return query


def _unless_read(original: Callable[..., Item]) -> Callable[..., Item]:
    @functools.wraps(original)
    def deepcopy(self: Item, memo: dict[int, Any]) -> Item:
        return self if _reading else original(self, memo)

    return deepcopy


def _candidates(original: Callable[..., list[Item]]) -> Callable[..., list[Item]]:
    @functools.wraps(original)
    def all_items(self: Table) -> list[Item]:
        candidates: list[Item] | None = getattr(self, "candidates", None)
        return original(self) if candidates is None else candidates

    return all_items


def _partition(table: Table, hash_key: DynamoType, index_name: str | None) -> list[Item]:
    if index_name is not None and isinstance(table.get_index(index_name), GlobalSecondaryIndex):
        return list(_indexes(table)[index_name].get(hash_key, {}).values())
    items: Any = table.items
    if hash_key not in items:
        return []
    return list(items[hash_key].values()) if table.has_range_key else [items[hash_key]]


def _in_range(items: list[Item], comparison: str, values: list[DynamoType]) -> list[Item]:
    """Those that the comparison of a range key of text may want; all of them where it is another one.

    moto compares what it is given once more; this only spares it from sorting and measuring what it would leave out.
    """
    texts = [value.value for value in values if value.type == "S"]
    if len(texts) != len(values):
        return items
    kind = comparison.upper()
    if kind == "BEGINS_WITH" and len(texts) == 1:
        return [item for item in items if _text(item).startswith(texts[0])]
    if kind == "BETWEEN" and len(texts) == 2:
        return [item for item in items if texts[0] <= _text(item) <= texts[1]]
    return items


def _text(item: Item) -> str:
    return str(item.range_key.value) if item.range_key is not None else ""


def _indexes(table: Table) -> dict[str, dict[DynamoType, Partition]]:
    any_table: Any = table
    kept: dict[str, dict[DynamoType, Partition]] | None = getattr(any_table, "by_index", None)
    if kept is None:
        kept = {str(index.name): {} for index in table.global_indexes}
        any_table.by_index = kept
        any_table.indexed_under = {}
    return kept


def _index(table: Table, item: Item) -> None:
    _unindex(table, item)
    kept, any_table = _indexes(table), _as_any(table)
    for index in table.global_indexes:
        names = [key["AttributeName"] for key in index.schema]
        if all(name in item.attrs for name in names):
            value = item.attrs[names[0]]
            primary = (item.hash_key, item.range_key)
            kept[str(index.name)].setdefault(value, {})[primary] = item
            any_table.indexed_under[(str(index.name), *primary)] = value


def _unindex(table: Table, item: Item) -> None:
    kept, any_table = _indexes(table), _as_any(table)
    for name, partitions in kept.items():
        primary = (item.hash_key, item.range_key)
        value = any_table.indexed_under.pop((name, *primary), None)
        if value is not None:
            partitions[value].pop(primary, None)


def _as_any(table: Table) -> Any:
    return table
