"""Hold, meter, settle: what every call costs, recorded once. Read `README.md` for what holds."""

from tollkeeper.metering.intake import metering_routes
from tollkeeper.metering.meter import Meter
from tollkeeper.metering.record import (
    Call,
    Previews,
    failed_call,
    fingerprint_of,
    new_charge,
    refused_call,
    usage_id_of,
)
from tollkeeper.metering.refusal import AlreadyCharged, refuse_charge, refuse_hold

__all__ = [
    "AlreadyCharged",
    "Call",
    "Meter",
    "Previews",
    "failed_call",
    "fingerprint_of",
    "metering_routes",
    "new_charge",
    "refuse_charge",
    "refuse_hold",
    "refused_call",
    "usage_id_of",
]
