"""Wiring: configuration to objects. The only room that knows every concrete class."""

from secretkit.wiring.load import from_refs, load
from secretkit.wiring.toolkit import Toolkit, holder

__all__ = ["Toolkit", "from_refs", "holder", "load"]
