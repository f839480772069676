"""What a comment gives away: phone numbers, e-mail and street addresses, links. Pure.

Phone numbers are judged by `phonenumbers` (Google's libphonenumber) in the market of whoever writes and in the United
States; it is imported only for texts that hold enough digits. The patterns here have bounded repeats: a text of 200
characters costs a fraction of a millisecond, whatever it holds (tests/unit/test_rooms_disclosure.py).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final, Literal

Disclosed = Literal["phone", "email", "address", "link"]

PHONE_DIGITS_MIN: Final = 7
# Candidates that libphonenumber looks at in one text before it gives up; its own bound is 65,535.
PHONE_TRIES_MAX: Final = 8

# Written as numbers are in North America: held whether the library knows the area or not, since areas are added, and a
# viewer cannot tell.
_PHONE: Final = r"(?<!\d)(?:\+\d{1,3}[ .-]?)?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?!\d)"

# "name@host.tld", also spelled out: "name (at) host dot com".
_EMAIL: Final = (
    r"[\w.+-]{1,64}\s?(?:@|[(\[{ ]at[)\]} ])\s?[\w-]{1,63}(?:\s?(?:\.|[(\[{ ]dot[)\]} ])\s?[\w-]{2,24}){1,3}"
)
_LINK: Final = (
    # A scheme, www, or a bare host of a kind that people post; "e.g." and "3.50" are none.
    r"(?:\bhttps?\s?:|\bwww\s?\.|"
    r"\b[\w-]{1,63}(?:\.[\w-]{1,63}){0,3}\.(?:com|net|org|info|biz|io|gg|tv|me|co|app|dev|xyz|link|shop|site|live|ly|"
    r"de|uk|fr|es|it|nl|pt|br|mx|jp|kr|in|id|th|au|ca|ru|cn)\b(?![\w@]))"
)
# A house number beside the word for a street, in the order of each language that the page speaks. Words that are
# streets less often than not ("way", "place", "court") are left out.
_STREET_AFTER: Final = r"street|st|avenue|ave|road|rd|boulevard|blvd|lane|terrace|highway|hwy"
_ADDRESS: Final = (
    rf"\b\d{{1,5}}[a-z]?,?\s(?:[\w'’.-]{{1,24}}\s){{1,3}}(?:{_STREET_AFTER})\b\.?"
    r"|\b[\w.-]{2,24}(?:stra(?:ß|ss)e|str\.?|weg|platz|allee|gasse|ring)\s?\d{1,4}\b"
    r"|\b(?:calle|avenida|av\.|plaza|carrera|rua|travessa|alameda|praça)\s(?:[\w'’.-]{1,24}\s?,?\s?){1,4}\d{1,5}\b"
    r"|[가-힣]{1,10}(?:로|길)\s?\d{1,4}(?:번길)?"
    r"|[一-龯ぁ-んァ-ヶ]{1,10}[0-9]{1,3}丁目"
)


@lru_cache(maxsize=4)
def _compiled(pattern: str) -> re.Pattern[str]:
    # When first needed: compiling all three takes milliseconds, and a cold start should not wait for them.
    return re.compile(pattern, re.IGNORECASE)


def disclosed(text: str, market: str) -> frozenset[Disclosed]:
    """What a text gives away. ``market``: of whoever wrote it (ISO 3166-1), where national numbers are read as such."""
    plain = unicodedata.normalize("NFKC", text)
    found: set[Disclosed] = set()
    if _compiled(_EMAIL).search(plain):
        found.add("email")
    if _compiled(_ADDRESS).search(plain):
        found.add("address")
    # The host of an e-mail address is no link.
    if _compiled(_LINK).search(_compiled(_EMAIL).sub(" ", plain)):
        found.add("link")
    if sum(sign.isdigit() for sign in plain) >= PHONE_DIGITS_MIN and _holds_phone(plain, market):
        found.add("phone")
    return frozenset(found)


def _holds_phone(text: str, market: str) -> bool:
    if _compiled(_PHONE).search(text):
        return True
    from phonenumbers import Leniency, PhoneNumberMatcher

    return any(
        PhoneNumberMatcher(text, region, leniency=Leniency.VALID, max_tries=PHONE_TRIES_MAX).has_next()
        for region in dict.fromkeys((market or "US", "US"))
    )
