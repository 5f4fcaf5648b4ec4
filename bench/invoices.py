"""Invoices set as PDF per second, as the server sets them: one process, its own threads.

    ./dev bench invoices [--documents N]

Each document has another number, buyer and amount, so that nothing is there from before but fonts
and template. Beside it: how long the event loop was kept waiting, and what memory grew by.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psutil

from _report import Row, show
from tollkeeper.invoices import Content, DocumentType, Invoice, Line, PaidBy, Party, TaxLine
from tollkeeper.invoices.document import invoice_data
from tollkeeper.invoices.typesetting import Typesetter

_NOW = datetime(2026, 11, 21, tzinfo=UTC)
_NAMES = (
    "Northwind Robotics Ltd.",
    "株式会社サンプル",
    "شركة المثال",
    "देवनागरी कंपनी",
    "Müller & Söhne",
)
_MIB = 2**20


def document(n: int) -> Invoice:
    net = 1_000 + n
    tax = net * 19 // 100
    said = Content(
        seller=Party(
            name="Harbourlight AI GmbH",
            address=("Speicherstraße 12", "20457 Hamburg", "Germany"),
            tax_ids=("VAT ID DE123456789",),
        ),
        buyer=Party(name=f"{_NAMES[n % len(_NAMES)]} {n}", address=(f"Quay Road {n}", "Dublin")),
        lines=(Line(description="Prepaid credit", net_minor=net),),
        taxes=(TaxLine(label="VAT 19 %", rate_ppm=190_000, base_minor=net, tax_minor=tax),),
        paid_by=PaidBy(method="visa", last4=f"{n % 10_000:04}", at=_NOW),
    )
    return Invoice(
        org_id=UUID(int=n),
        invoice_id=UUID(int=n),
        livemode=True,
        type=DocumentType.INVOICE,
        number=f"INV-2026-{n:06}",
        cause=str(n),
        purchase_id=None,
        corrects_id=None,
        corrects_number=None,
        issued_at=_NOW + timedelta(seconds=n),
        currency="USD",
        net_minor=net,
        tax_minor=tax,
        total_minor=net + tax,
        content=said,
    )


async def run(setter: Typesetter, count: int, at_once: int, first: int) -> Row:
    room = asyncio.Semaphore(at_once)
    times: list[float] = []
    longest_wait = 0.0

    async def one(n: int) -> None:
        async with room:
            began = time.perf_counter()
            invoice = document(n)
            pdf = await setter.set("invoice", invoice_data(invoice, UTC), invoice.issued_at)
            times.append(time.perf_counter() - began)
            assert pdf.startswith(b"%PDF")

    async def watch() -> None:
        nonlocal longest_wait
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            longest_wait = max(longest_wait, time.perf_counter() - began - 0.001)

    watching = asyncio.create_task(watch())
    memory, began = psutil.Process().memory_info().rss, time.perf_counter()
    await asyncio.gather(*(one(n) for n in range(first, first + count)))
    seconds = time.perf_counter() - began
    watching.cancel()
    times.sort()
    return {
        "at once": at_once,
        "documents": count,
        "per second": count / seconds,
        "p50 ms": times[count // 2] * 1_000,
        "p99 ms": times[count * 99 // 100] * 1_000,
        "loop waited ms": longest_wait * 1_000,
        "memory MiB": (psutil.Process().memory_info().rss - memory) / _MIB,
    }


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=1_000)
    count = parser.parse_args().documents
    with Typesetter.open() as setter:
        began = time.perf_counter()
        invoice = document(0)
        await setter.set("invoice", invoice_data(invoice, UTC), invoice.issued_at)
        first_seconds = time.perf_counter() - began
        rows = [
            await run(setter, count, at_once, 1 + n * count)
            for n, at_once in enumerate((1, 2, 8, 8))
        ]
    slowest = min(float(str(row["per second"])) for row in rows)
    show(
        "invoices",
        rows,
        [
            ("PDFs per second, one at a time or many", slowest, "at least 50"),
            ("Seconds for the first, with all fonts", first_seconds, "at most 5"),
        ],
    )


if __name__ == "__main__":
    asyncio.run(main())
