"""Organizations, projects, members, and the API keys by which everybody is known."""

from tollkeeper.orgs.keyring import KeyRing
from tollkeeper.orgs.model import Caller, KeyKind, OperatorCaller, Role

__all__ = ["Caller", "KeyKind", "KeyRing", "OperatorCaller", "Role"]
