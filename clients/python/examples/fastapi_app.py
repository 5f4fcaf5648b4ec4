"""An API that is paid by row: 402 without credit, before any work. `uvicorn fastapi_app:app`"""

from __future__ import annotations

import os
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request

from tollkeeper_client import AsyncTollkeeper, Charge, Toll, TollMiddleware

client = AsyncTollkeeper(os.environ["TOLLKEEPER_KEY"], os.environ["TOLLKEEPER_URL"])


def toll(scope: Any) -> Toll | None:
    """Say the most that a request can cost; None is free."""
    if scope["path"] == "/sql":
        return Toll({"request": 1, "row": 10_000}, {"sku": "generate_sql"})
    return None


def charge_of(request: Request) -> Charge:
    return request.scope["tollkeeper.charge"]


app = FastAPI()
app.add_middleware(TollMiddleware, client=client, toll=toll)


@app.get("/sql")
async def sql(question: str, charge: Annotated[Charge, Depends(charge_of)]) -> list[str]:
    rows = [f"select {number} -- {question}" for number in range(3)]
    charge.used({"request": 1, "row": len(rows)}, input=question)
    return rows


@app.get("/prices")
async def prices() -> str:
    return "0.02 a request, 0.10 for 1000 rows"
