"""An API that is paid by row: 402 without credit, before any work. `uvicorn litestar_app:app`"""

from __future__ import annotations

import os
from typing import Any

from litestar import Litestar, Request, get

from tollkeeper_client import AsyncTollkeeper, Charge, Toll, TollMiddleware

client = AsyncTollkeeper(os.environ["TOLLKEEPER_KEY"], os.environ["TOLLKEEPER_URL"])


def toll(scope: Any) -> Toll | None:
    """Say the most that a request can cost; None is free."""
    if scope["path"] == "/sql":
        return Toll({"request": 1, "row": 10_000}, {"sku": "generate_sql"})
    return None


@get("/sql")
async def sql(request: Request[Any, Any, Any], question: str) -> list[str]:
    rows = [f"select {number} -- {question}" for number in range(3)]
    scope: dict[str, Any] = {**request.scope}
    charge: Charge = scope["tollkeeper.charge"]
    charge.used({"request": 1, "row": len(rows)}, input=question)
    return rows


@get("/prices")
async def prices() -> str:
    return "0.02 a request, 0.10 for 1000 rows"


app: Any = TollMiddleware(Litestar([sql, prices]), client=client, toll=toll)  # pyright: ignore[reportArgumentType] (its scopes are TypedDicts)
