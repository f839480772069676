"""RTMP chunks and AMF0: what encoders send is read whatever its pieces, what breaks the rules is refused."""

from __future__ import annotations

import random
import struct

import pytest

from media.relay import amf, chunks
from media.relay.chunks import ChunkError, ChunkReader, Message
from tests.relay import encoder


def _read(data: bytes, limit: int = 1 << 20, pieces: random.Random | None = None) -> list[Message]:
    reader = ChunkReader(limit)
    found: list[Message] = []
    at = 0
    while at < len(data):
        step = pieces.randrange(1, 40) if pieces else len(data)
        reader.feed(data[at : at + step])
        at += step
        while (message := reader.next()) is not None:
            found.append(message)
    return found


def test_messages_come_back_from_any_pieces() -> None:
    messages = [*encoder.publish_commands("key"), *encoder.video(), *encoder.sound()]
    wanted = [message for message in messages if message.kind != chunks.SET_CHUNK_SIZE]
    data = encoder.wire(messages)
    assert _read(data) == wanted
    for seed in range(20):
        assert _read(data, pieces=random.Random(seed)) == wanted, f"seed {seed}"


def test_what_was_fed_may_change_once_nothing_is_left_in_it() -> None:
    messages = [*encoder.video(), *encoder.sound()]
    data = encoder.wire([*encoder.publish_commands("key")[:1], *messages])
    reader, found = ChunkReader(1 << 20), list[Message]()
    shared = bytearray(1_500)
    for at in range(0, len(data), len(shared)):
        piece = data[at : at + len(shared)]
        shared[: len(piece)] = piece
        reader.feed(memoryview(shared)[: len(piece)])
        while (message := reader.next()) is not None:
            found.append(message)
    assert found == messages


def test_headers_that_leave_out_what_stays_the_same() -> None:
    # 5.3.1.2: full header at 1,000; +20 with another length; +20 with all else the same; nothing but the type.
    data = b"\x04" + (1_000).to_bytes(3, "big") + b"\0\0\2\x08\1\0\0\0ab"
    data += b"\x44" + (20).to_bytes(3, "big") + b"\0\0\3\x09abc"
    data += b"\x84" + (30).to_bytes(3, "big") + b"def"
    data += b"\xc4ghi"
    assert _read(data) == [
        Message(8, 1_000, 1, b"ab"), Message(9, 1_020, 1, b"abc"), Message(9, 1_050, 1, b"def"),
        Message(9, 1_080, 1, b"ghi"),
    ]  # fmt: skip


@pytest.mark.parametrize("repeated", [True, False], ids=["repeated", "left out"])
def test_extended_timestamps_with_and_without_their_repetition(repeated: bool) -> None:
    # An encoder that has been on for 20,000 s (5.3.1.3): times above 2^24 ms stand behind the header.
    body = bytes(range(200))
    extended = struct.pack(">I", 20_000_000)
    data = b"\x06\xff\xff\xff" + len(body).to_bytes(3, "big") + b"\x09\1\0\0\0" + extended
    data += body[:128] + b"\xc6" + (extended if repeated else b"") + body[128:]
    data += b"\x46" + (33).to_bytes(3, "big") + b"\0\0\1\x09z"
    assert _read(data) == [Message(9, 20_000_000, 1, body), Message(9, 20_000_033, 1, b"z")]


def test_times_wrap_at_32_bits() -> None:
    first = b"\x06\xff\xff\xff\0\0\1\x09\1\0\0\0" + struct.pack(">I", 0xFFFFFFF0) + b"a"
    assert [message.timestamp for message in _read(first + b"\x86\0\0\x20b")] == [0xFFFFFFF0, 0x10]


def test_chunk_streams_with_long_numbers_are_told_apart() -> None:
    head = b"\0\0\0\0\0\1\x08\1\0\0\0"
    data = b"\x00\x05" + head + b"a" + b"\x01\x05\x01" + head + b"b" + b"\xc0\x05c" + b"\xc1\x05\x01d"
    assert [message.body for message in _read(data)] == [b"a", b"b", b"c", b"d"]


def test_an_aborted_message_is_forgotten() -> None:
    start = b"\x04\0\0\0\0\1\0\x08\1\0\0\0" + bytes(128)
    abort = b"\x02\0\0\0\0\0\4\2\0\0\0\0" + struct.pack(">I", 4)
    whole = b"\x04\0\0\0\0\0\1\x08\1\0\0\0a"
    assert [message.body for message in _read(start + abort + whole)] == [b"a"]


def test_messages_under_way_at_once_have_one_bound_together() -> None:
    # given a sender that begins a message of the longest length in each chunk stream, and ends none
    def begun(number: int, length: int) -> bytes:
        return bytes([number]) + bytes(3) + length.to_bytes(3, "big") + b"\x08\1\0\0\0" + bytes(128)

    longest = 60_000
    two = begun(4, longest) + begun(5, longest)
    # then two are taken, and a third is too much
    assert _read(two, longest) == []
    with pytest.raises(ChunkError, match="at once"):
        _read(two + begun(6, longest), longest)
    # but one that was aborted, or came to its end, is no longer counted
    abort = b"\x02\0\0\0\0\0\4\2\0\0\0\0" + struct.pack(">I", 4)
    assert _read(two + abort + begun(6, longest), longest) == []
    pieces = bytes(longest - 128)
    rest = b"".join(b"\xc4" + pieces[at : at + 128] for at in range(0, len(pieces), 128))
    assert len(_read(begun(4, longest) + rest + begun(5, longest) + begun(6, longest), longest)) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"\x04\0\0\0\xff\xff\xff\x09\1\0\0\0",  # 16 MB
        b"\x44\0\0\0\0\0\1\x09a",  # no full header before
        b"\x04\0\0\0\0\1\0\x08\1\0\0\0" + bytes(128) + b"\x04\0\0\0\0\1\0\x08\1\0\0\0",  # one message within another
        b"\x02\0\0\0\0\0\4\1\0\0\0\0" + struct.pack(">I", 1),  # chunks of one byte
        b"\x02\0\0\0\0\0\4\1\0\0\0\0" + struct.pack(">I", 0x7FFFFFFF),
        (b"\x02\0\0\0\0\0\4\1\0\0\0\0" + struct.pack(">I", 128)) * 101,  # chunk sizes without end
        b"\x02\0\0\0\0\0\2\1\0\0\0\0\0\0",  # a control message without its number
        b"".join(bytes([n]) + b"\0\0\0\0\0\1\x08\1\0\0\0a" for n in range(2, 40)),  # chunk streams without end
    ],
)
def test_chunks_against_the_rules_are_refused(data: bytes) -> None:
    with pytest.raises(ChunkError):
        _read(data)


def test_values_come_back() -> None:
    values: list[amf.Value] = [
        "connect", 1.0, True, None, {"app": "live", "deep": {"n": 2.5, "": "empty name"}}, [1.0, "two", False],
    ]  # fmt: skip
    assert amf.decode(amf.encode(*values)) == values


def test_values_that_only_others_send_are_read() -> None:
    # ECMA array with a wrong count (2.10), date (2.13), long string (2.14), undefined (2.8).
    data = b"\x08\0\0\0\x63\0\1a\x02\0\1b\0\0\x09" + b"\x0b" + struct.pack(">dh", 5.0, 0) + b"\x0c\0\0\0\2hi" + b"\x06"
    assert amf.decode(data) == [{"a": "b"}, 5.0, "hi", None]


@pytest.mark.parametrize(
    "data",
    [
        b"\x02\0\5abc", b"\0\0\0", b"\x03\0\1a", b"\x11", b"\x0a\xff\xff\xff\xff", b"\x0a\0\0\0\1" * 20,
        b"\x05" * 1_001, b"\x0c\xff\xff\xff\xff",
    ],
)  # fmt: skip
def test_values_cut_short_or_without_end_are_refused(data: bytes) -> None:
    with pytest.raises(amf.AmfError):
        amf.decode(data)
