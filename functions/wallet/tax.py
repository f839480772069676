"""What is withheld as tax, by country: forms, rates with their source, and how an identifier must look.

``tax.json`` was written by programmers, and no row of it was checked by anybody who answers for taxes (``checked`` is
false). So it errs on the side of withholding: a rate is lowered only by a deployment's own rows (context key ``tax``),
which replace the built-in ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from functions import settings
from functions.errors import OnairError
from functions.wallet.payout_rules import TaxProfile

OTHERS: Final = "*"
ENDING_LENGTH: Final = 4
Permille = Annotated[int, Meta(ge=0, le=1000)]
# A W-9 names a US social security or employer number: nine digits. Elsewhere numbers have letters and any length.
_US_NUMBER: Final = re.compile(r"[0-9]{9}")
_OTHER_NUMBER: Final = re.compile(r"[0-9A-Z]{5,30}")


class TaxRule(Struct, frozen=True, forbid_unknown_fields=True):
    """A country's forms, and what is withheld (thousandths) of payouts to those who certified theirs, and to others."""

    forms: Annotated[tuple[str, ...], Meta(min_length=1)]
    certified_permille: Permille
    uncertified_permille: Permille
    source: str
    checked: bool


def rules() -> Mapping[str, TaxRule]:
    """Tax rules by country; `OTHERS` for those not named."""
    return _rules(settings.optional("TAX", "{}"))


@lru_cache(maxsize=4)
def _rules(own: str) -> Mapping[str, TaxRule]:
    built_in = (Path(__file__).parent / "tax.json").read_bytes()
    kind = dict[str, TaxRule]
    return {**msgspec.json.decode(built_in, type=kind), **msgspec.json.decode(own, type=kind)}


def rule(country: str) -> TaxRule:
    """The rule of a country."""
    found = rules()
    return found.get(country, found[OTHERS])


def permille(profile: TaxProfile) -> int:
    """What is withheld of a payout to ``profile``, in thousandths."""
    row = rule(profile.country)
    return row.certified_permille if profile.certified else row.uncertified_permille


def identifier(form: str, text: str) -> str:
    """An identifier without spaces, dots and hyphens, in capitals.

    Raises
    ------
    OnairError
        ``invalid_request`` where it cannot be one of the form. Its sentence never repeats it.
    """
    plain = re.sub(r"[\s.\-/]", "", text).upper()
    pattern = _US_NUMBER if form == "W-9" else _OTHER_NUMBER
    if pattern.fullmatch(plain) is None:
        raise OnairError("invalid_request", "This is not a tax number that the form takes.", field="identifier")
    return plain
