"""The client's side of an ICE restart (RFC 9725 4.3.3), for aiortc, which has none of its own."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from aioice import Candidate, Connection
from aiortc import RTCPeerConnection

from media.relay import ice_restart


def transport_of(peer: RTCPeerConnection) -> Any:
    """The one ICE transport of bundled media."""
    return peer.getTransceivers()[0].receiver.transport.transport


async def restart(peer: RTCPeerConnection, ask: Callable[[str], Awaitable[str]]) -> None:
    """Gather, `ask` with the fragment, check, and go on over the new pair; the old one is closed."""
    transport = transport_of(peer)
    old: Any = transport._connection
    new = Connection(ice_controlling=old.ice_controlling)
    await new.gather_candidates()
    lines = [f"a=ice-ufrag:{new.local_username}", f"a=ice-pwd:{new.local_password}", "m=audio 9 RTP/AVP 0", "a=mid:0"]
    lines += [f"a=candidate:{candidate.to_sdp()}" for candidate in new.local_candidates]
    answer = await ask("\r\n".join(lines) + "\r\n")
    (new.remote_username,) = re.findall(r"^a=ice-ufrag:(\S+)", answer, re.MULTILINE)
    (new.remote_password,) = re.findall(r"^a=ice-pwd:(\S+)", answer, re.MULTILINE)
    for line in re.findall(r"^a=candidate:(.+?)\r?$", answer, re.MULTILINE):
        await new.add_remote_candidate(Candidate.from_sdp(line))
    await new.add_remote_candidate(None)
    ice_restart._share_queue(old, new)
    await new.connect()
    ice_restart._replace(transport, old, new)
    await ice_restart._end(old)
