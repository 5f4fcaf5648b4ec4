"""What acts of this room work with: a value that is handed around, made once by the app."""

from __future__ import annotations

from dataclasses import dataclass, field

from tollkeeper.base.clock import Clock
from tollkeeper.db import Database
from tollkeeper.payments.handlers import Handlers
from tollkeeper.payments.processors import Processors


@dataclass(frozen=True, slots=True, kw_only=True)
class Till:
    database: Database
    processors: Processors
    clock: Clock
    handlers: Handlers = field(default_factory=Handlers)
