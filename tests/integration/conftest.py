"""Fixtures of the integration tests: the isolated stack."""

from local.testing import onair, onair_stack

__all__ = ["onair", "onair_stack"]
