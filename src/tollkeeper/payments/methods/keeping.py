"""Payment methods on file: kept at the processor, copied here, removed at both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from tollkeeper import orgs
from tollkeeper.base.ids import named_uuid, show_id
from tollkeeper.db import Connection
from tollkeeper.orgs import By
from tollkeeper.payments.errors import (
    PaymentMethodNotFound,
    PaymentsNotConfigured,
    ProcessorRefused,
    ProcessorUnavailable,
)
from tollkeeper.payments.methods import customers, store
from tollkeeper.payments.methods.store import Customer
from tollkeeper.payments.model import Method, MethodAdded, MethodRemoval, MethodRemoved, PageKind
from tollkeeper.payments.processors import (
    MethodOnFile,
    MethodSetup,
    Page,
    Processor,
    SetupAnswer,
    SetupPage,
    SetupSucceeded,
    Wallet,
)
from tollkeeper.payments.till import Till

_TRIES: Final = 5
# Whoever removed a method is still about to have it detached.
_DETACH_AFTER: Final = timedelta(minutes=1)

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose methods: an organization's, for its live or its test balances."""

    org_id: UUID
    livemode: bool


async def list_methods(connection: Connection, till: Till, owner: Owner) -> list[Method]:
    """The default first, then the newest first. Raises PaymentsNotConfigured."""
    processor = till.processors.serving(livemode=owner.livemode)
    return await store.methods_on_file(
        connection, owner.org_id, processor.name, livemode=owner.livemode
    )


async def get_method(connection: Connection, owner: Owner, method_id: UUID) -> Method:
    """Raises PaymentMethodNotFound, also for one that was removed."""
    found = await store.read_method(connection, owner.org_id, method_id)
    if found is None or found.removed_at is not None or found.livemode != owner.livemode:
        raise _not_found(method_id)
    return found


async def default_method(connection: Connection, till: Till, owner: Owner) -> Method | None:
    for method in await list_methods(connection, till, owner):
        if method.is_default:
            return method
    return None


async def expiring_methods(
    connection: Connection, year: int, month: int, after: UUID | None = None, most: int = 500
) -> list[Method]:
    """Cards of all organizations that are good to the end of that month and no longer.

    In order of their ids, `after` being the last of the page before.
    """
    return await store.methods_expiring(connection, year, month, after, most)


# ── Adding ───────────────────────────────────────────────────────────────────────────────────────


async def add_by_token(
    till: Till, owner: Owner, setup_id: UUID, token: str, return_url: str
) -> tuple[SetupAnswer, Method | None]:
    """Keep a method that the processor's own form has made a token of, once per `setup_id`.

    Raises PaymentsNotConfigured, ProcessorUnavailable, ProcessorRefused.
    """
    processor = till.processors.serving(livemode=owner.livemode)
    customer_ref = await customers.ensure(till, owner.org_id, livemode=owner.livemode)
    answer = await processor.set_up_method(
        MethodSetup(
            setup_id=setup_id, customer_ref=customer_ref, token=token, return_url=return_url
        )
    )
    if not isinstance(answer, SetupSucceeded):
        return answer, None
    await sync(till, owner)
    async with till.database.connection() as connection:
        known = _id_of(owner.org_id, processor.name, answer.method_ref)
        return answer, await get_method(connection, owner, known)


async def open_setup_page(
    till: Till,
    owner: Owner,
    setup_id: UUID,
    kind: PageKind,
    return_url: str,
    cancel_url: str | None,
    *,
    by: By | None = None,
) -> Page:
    """Have the processor ask for a method on its own page; it is on file when that is done."""
    processor = till.processors.serving(livemode=owner.livemode)
    customer_ref = await customers.ensure(till, owner.org_id, livemode=owner.livemode)
    page = await processor.open_setup_page(
        SetupPage(
            setup_id=setup_id,
            org_id=owner.org_id,
            customer_ref=customer_ref,
            kind=kind,
            return_url=return_url,
            cancel_url=cancel_url,
        )
    )
    told = {"livemode": owner.livemode, "setupId": show_id("set", setup_id)}
    async with till.database.transaction() as tx:
        now = till.clock.now()
        await orgs.note(tx, by, "payment_method.add", owner.org_id, now, **told)
    return page


async def portal_link(till: Till, owner: Owner, return_url: str) -> str:
    customer_ref = await customers.ensure(till, owner.org_id, livemode=owner.livemode)
    processor = till.processors.serving(livemode=owner.livemode)
    return await processor.portal_link(customer_ref, return_url)


# ── Keeping the copy ─────────────────────────────────────────────────────────────────────────────


async def sync(till: Till, owner: Owner) -> list[Method]:
    """Copy what the processor has on file; safe to call at any time, from anywhere."""
    processor = till.processors.serving(livemode=owner.livemode)
    for _ in range(_TRIES):
        async with till.database.connection() as connection:
            customer = await store.read_customer(
                connection, owner.org_id, processor.name, livemode=owner.livemode
            )
        if customer is None or customer.ref is None:
            return []
        wallet = await processor.list_methods(customer.ref)
        async with till.database.transaction() as tx:
            if await apply(tx, till, customer, wallet):
                found = await list_methods(tx, till, owner)
                break
    else:
        raise ProcessorUnavailable("The payment methods are being changed; try again")
    await _tell_default(processor, customer.ref, wallet.default_ref, found)
    return found


async def apply(tx: Connection, till: Till, seen: Customer, wallet: Wallet) -> bool:
    """Write down what the processor has on file, and tell the handlers what is new or gone.

    Returns False, having done nothing, when the methods have changed since `seen` was read:
    what was heard then may be older than what is known now.
    """
    locked = await store.lock_customer(tx, seen.org_id, seen.processor, livemode=seen.livemode)
    if locked is None or locked.methods_version != seen.methods_version:
        return False
    known = {
        method.ref: method
        for method in await store.methods_ever(
            tx, seen.org_id, seen.processor, livemode=seen.livemode
        )
    }
    there = {method.ref: _copied(locked, method) for method in wallet.methods}
    gone = [m for ref, m in known.items() if m.removed_at is None and ref not in there]
    now = till.clock.now()
    for method in gone:
        await _remove(tx, till, method, now, detached=True)
        await _note(tx, By(who=method.processor), "payment_method.removed", method, now)
    changed = [await _keep(tx, till, known.get(ref), there[ref]) for ref in there]
    defaulted = await _choose_default(tx, locked, wallet.default_ref)
    if gone or any(changed) or defaulted:
        await store.move_version(tx, locked)
    return True


def _copied(customer: Customer, method: MethodOnFile) -> Method:
    return Method(
        org_id=customer.org_id,
        method_id=_id_of(customer.org_id, customer.processor, method.ref),
        livemode=customer.livemode,
        processor=customer.processor,
        ref=method.ref,
        kind=method.kind,
        brand=method.brand,
        last4=method.last4,
        exp_month=method.exp_month,
        exp_year=method.exp_year,
        is_default=False,
        added_at=method.added_at,
        removed_at=None,
    )


async def _keep(tx: Connection, till: Till, known: Method | None, there: Method) -> bool:
    if known is None:
        await store.insert_method(tx, there)
        await _note(tx, By(who=there.processor), "payment_method.added", there, till.clock.now())
        await till.handlers.tell(tx, MethodAdded(there))
        return True
    if known.removed_at is not None:
        return False  # removed here; the processor has yet to be told
    if replace(there, is_default=known.is_default, added_at=known.added_at) == known:
        return False
    await store.write_method(tx, there)
    return True


async def _remove(
    tx: Connection, till: Till, method: Method, now: datetime, *, detached: bool
) -> None:
    await store.remove_method(tx, method.org_id, method.method_id, now, detached=detached)
    await till.handlers.tell(tx, MethodRemoved(replace(method, is_default=False, removed_at=now)))


async def _choose_default(tx: Connection, customer: Customer, wanted_ref: str | None) -> bool:
    """Follow the processor's choice; where it has none, keep ours, else take the newest."""
    methods = await store.methods_on_file(
        tx, customer.org_id, customer.processor, livemode=customer.livemode
    )
    wanted = [method for method in methods if method.ref == wanted_ref]
    current = [method for method in methods if method.is_default]
    chosen = next(iter([*wanted, *current, *methods]), None)
    if chosen is None or chosen.is_default:
        return False
    await store.set_default(tx, customer, chosen.method_id)
    return True


async def _tell_default(
    processor: Processor, customer_ref: str, told_ref: str | None, methods: list[Method]
) -> None:
    default = next((method for method in methods if method.is_default), None)
    if default is None or default.ref == told_ref:
        return
    try:
        await processor.set_default_method(customer_ref, default.ref)
    except (ProcessorUnavailable, ProcessorRefused) as error:
        # It is our default all the same; the processor's own pages learn of it another time.
        _log.warning("default_method_not_told", method=default.ref, reason=error.detail)


# ── Changing ─────────────────────────────────────────────────────────────────────────────────────


async def make_default(till: Till, owner: Owner, method_id: UUID, by: By | None = None) -> Method:
    """Raises PaymentMethodNotFound, ProcessorUnavailable, ProcessorRefused."""
    async with till.database.connection() as connection:
        method = await get_method(connection, owner, method_id)
        customer = await _customer_of(connection, method)
    if customer.ref is not None:
        processor = till.processors.named(method.processor, livemode=method.livemode)
        await processor.set_default_method(customer.ref, method.ref)
    async with till.database.transaction() as tx:
        await store.lock_customer(tx, owner.org_id, method.processor, livemode=owner.livemode)
        method = await get_method(tx, owner, method_id)
        if not method.is_default:
            await _note(tx, by, "payment_method.default", method, till.clock.now())
        await store.set_default(tx, customer, method_id)
        await store.move_version(tx, customer)
        return await get_method(tx, owner, method_id)


async def remove(till: Till, owner: Owner, method_id: UUID, by: By | None = None) -> None:
    """Remove a method here and at the processor; one that is removed already is no error.

    Raises PaymentMethodNotFound, and what a handler of MethodRemoval refuses with. When the
    processor does not answer, it is told later; the method is not used any more in any case.
    """
    async with till.database.transaction() as tx:
        method = await store.read_method(tx, owner.org_id, method_id)
        if method is None or method.livemode != owner.livemode:
            raise _not_found(method_id)
        customer = await _customer_of(tx, method)
        await store.lock_customer(tx, owner.org_id, method.processor, livemode=owner.livemode)
        method = await store.read_method(tx, owner.org_id, method_id) or method
        if method.removed_at is None:
            now = till.clock.now()
            await till.handlers.tell(tx, MethodRemoval(method))
            await _remove(tx, till, method, now, detached=False)
            await _note(tx, by, "payment_method.remove", method, now)
            await _choose_default(tx, customer, None)
            await store.move_version(tx, customer)
    try:
        await detach(till, method)
    except (ProcessorUnavailable, ProcessorRefused, PaymentsNotConfigured) as error:
        _log.warning("method_not_detached_yet", method=method.ref, reason=error.detail)


async def detach(till: Till, method: Method) -> None:
    processor = till.processors.named(method.processor, livemode=method.livemode)
    await processor.detach_method(method.ref)
    async with till.database.connection() as connection:
        await store.note_detached(connection, method.org_id, method.method_id, till.clock.now())


async def detach_removed(till: Till, names: list[str], most: int) -> int:
    """Tell processors of removals that they did not hear of. Returns how many they took."""
    async with till.database.connection() as connection:
        before = till.clock.now() - _DETACH_AFTER
        waiting = await store.methods_to_detach(connection, names, before, most)
    done = 0
    for method in waiting:
        try:
            await detach(till, method)
            done += 1
        except (ProcessorUnavailable, ProcessorRefused) as error:
            _log.warning("method_not_detached_yet", method=method.ref, reason=error.detail)
    return done


async def _note(tx: Connection, by: By | None, what: str, method: Method, now: datetime) -> None:
    told = {
        "livemode": method.livemode,
        "methodId": show_id("met", method.method_id),
        "type": method.kind,
        "brand": method.brand,
        "last4": method.last4,
    }
    await orgs.note(tx, by, what, method.org_id, now, **told)


async def _customer_of(connection: Connection, method: Method) -> Customer:
    found = await store.read_customer(
        connection, method.org_id, method.processor, livemode=method.livemode
    )
    if found is None:
        raise _not_found(method.method_id)
    return found


def _id_of(org_id: UUID, processor: str, ref: str) -> UUID:
    return named_uuid(org_id, f"payment method/{processor}/{ref}")


def _not_found(method_id: UUID) -> PaymentMethodNotFound:
    return PaymentMethodNotFound(f"There is no payment method {show_id('met', method_id)}")
