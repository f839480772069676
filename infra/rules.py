"""The rules that the stack is held to, cdk-nag's AWS Solutions pack, and how a finding is acknowledged."""

from __future__ import annotations

from typing import Final

import aws_cdk as cdk
import cdk_nag
from constructs import IConstruct

PACK: Final = "AwsSolutions"


def enforce(app: cdk.App) -> None:
    """Make every finding that nobody acknowledged fail the synthesis."""
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Accept a finding on ``construct`` and everything below it, for a reason that an auditor can weigh.

    Parameters
    ----------
    construct : IConstruct
        Where the finding stands, or what it stands under.
    rule : str
        The rule as the pack names it after its prefix: ``SQS3``; for wildcards with the finding, ``IAM5[Resource::*]``.
    reason : str
        A sentence.

    Raises
    ------
    ValueError
        When the reason is no sentence.
    """
    if len(reason) < 40:
        raise ValueError(f"{rule}: say in a sentence why this is accepted, not {reason!r}")
    cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=f"{PACK}::{PACK}-{rule}", reason=reason))
