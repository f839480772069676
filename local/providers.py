"""Providers of coins on this machine: secrets read from files, kept in moto, and named to the template by their ARNs.

``PROVIDERS=folder make run`` takes ``apple.json``, ``google.json`` and ``stripe.json`` from the folder, each as the
operator would put it into Secrets Manager (docs/operate.md, Selling coins). What has no file is not offered.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from functions import aws
from local.deployment import ACCOUNT, REGION

NAMES: Final = ("apple", "google", "stripe")


def read(folder: Path) -> dict[str, str]:
    """The secrets' texts by provider; what they mean is the provider's to say.

    Raises
    ------
    ValueError
        When the folder holds none of the files.
    """
    found = {name: (folder / f"{name}.json").read_text() for name in NAMES if (folder / f"{name}.json").is_file()}
    if not found:
        raise ValueError(f"{folder} holds none of {', '.join(f'{name}.json' for name in NAMES)}")
    return found


def context(secrets: Mapping[str, str]) -> dict[str, str]:
    """The context keys that name these secrets to the stack."""
    return {
        f"{name}_secret_arn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{_secret_name(name)}"
        for name in secrets
    }


def put(secrets: Mapping[str, str]) -> None:
    """Keep the secrets where the functions look for them."""
    client = aws.client("secretsmanager")
    for name, text in secrets.items():
        client.create_secret(Name=_secret_name(name), SecretString=text)


def _secret_name(name: str) -> str:
    # The service adds six characters to a name; moto takes an ARN that ends in the name alone, so the name has its own.
    return f"onair/{name}-abcdef"
