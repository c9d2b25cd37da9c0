"""Fixtures of the security cases."""

from tests.support.bff_fixtures import bff_realm, bff_surroundings, changed_realm, world

__all__ = ["bff_realm", "bff_surroundings", "changed_realm", "world"]
