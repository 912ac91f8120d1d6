"""The names of the time zones that there are, on every machine the same: those of the package `tzdata`."""

from functools import cache
from importlib import resources


def canonical_zone(name: str) -> str:
    """Return the name of an IANA time zone in the spelling of `zoneinfo`, empty if unknown."""
    return _names().get(name.lower(), "")


@cache
def _names() -> dict[str, str]:
    names = resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    return {name.lower(): name for name in names}
