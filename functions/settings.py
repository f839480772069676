"""What a function is told by the template: environment variables, read when needed and named when missing.

The environment is a context variable rather than ``os.environ`` alone, because the local stack runs every function in
one process and gives each only the variables that the template gives it: a construct that forgets one fails there too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextvars import ContextVar

environment: ContextVar[Mapping[str, str]] = ContextVar("environment", default=os.environ)


class MissingSettingError(RuntimeError):
    """The template did not give this function a variable that its code reads."""


def required(name: str) -> str:
    """The variable's text; raises `MissingSettingError` naming it when the template forgot it."""
    value = environment.get().get(name)
    if not value:
        raise MissingSettingError(f"environment variable {name} is not set for this function: add it in infra/")
    return value


def optional(name: str, default: str) -> str:
    """The variable's text, or ``default``."""
    return environment.get().get(name) or default


def integer(name: str, default: int) -> int:
    """The variable as an integer, or ``default``."""
    return int(optional(name, str(default)))


def flag(name: str) -> bool:
    """True only for the text ``true``."""
    return environment.get().get(name) == "true"
