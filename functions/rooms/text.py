"""What a comment's text may be: normalized, without tricks that hide, reverse or stack letters. Pure.

Rules follow Unicode's own advice for short user text: NFC (UAX #15), no bidirectional controls beyond the implicit ones
(UAX #9 §2.7; the "Trojan Source" attack), joiners only where they join something (UTS #51 §2.3, UAX #31 §2.3).
"""

from __future__ import annotations

import unicodedata
from typing import Final

from functions.errors import OnairError
from functions.rooms.messages import TEXT_MAX

# Joiners are letters' and emoji's business (family emoji, Persian), one at a time and never at an edge.
_JOINERS: Final = frozenset("\u200c\u200d")
# England's flag is a black flag and six tag characters; no other text needs them.
_TAGGED_BASE: Final = "\U0001f3f4"
_TAGS: Final = range(0xE0020, 0xE0080)
# Vietnamese needs two marks on a letter after NFC, Hebrew with points and accents four.
_MARKS_MAX: Final = 4


def clean_text(typed: str, field: str = "text", maximum: int = TEXT_MAX) -> str:
    """The text as it is stored and shown: NFC, one line, at most ``maximum`` code points (a comment's 200).

    Line breaks and other white space become single spaces, control and formatting characters go; what then is empty or
    too long is refused.

    Raises
    ------
    OnairError
        ``invalid_request`` naming the ``field``.
    """
    kept: list[str] = []
    marks = 0
    for character in unicodedata.normalize("NFC", typed):
        kind = unicodedata.category(character)
        if character.isspace() or kind in ("Zl", "Zp"):
            if kept and kept[-1] != " ":
                kept.append(" ")
            marks = 0
        elif character in _JOINERS:
            if kept and kept[-1] not in _JOINERS and kept[-1] != " ":
                kept.append(character)
        elif kind == "Cf":
            if ord(character) in _TAGS and kept and (kept[-1] == _TAGGED_BASE or ord(kept[-1]) in _TAGS):
                kept.append(character)
        elif kind[0] == "C":
            continue
        elif kind in ("Mn", "Me"):
            marks += 1
            if kept and kept[-1] != " " and marks <= _MARKS_MAX:
                kept.append(character)
        else:
            kept.append(character)
            marks = 0
    # Taking a character out can bring two together that compose: the stored form is NFC whatever came in.
    text = unicodedata.normalize("NFC", "".join(kept)).strip(" \u200c\u200d")
    if not any(unicodedata.category(character)[0] in "LNPS" for character in text):
        raise OnairError("invalid_request", "There is nothing to show in this text. Write something.", field=field)
    if len(text) > maximum:
        raise OnairError("invalid_request", f"This text has at most {maximum} characters.", field=field)
    return text
