"""An API that is paid by row: 402 without credit, before any work. `flask --app flask_app run`"""

from __future__ import annotations

import os
from typing import Any

from flask import Flask, request

from tollkeeper_client import Charge, Toll, Tollkeeper, TollWsgiMiddleware

client = Tollkeeper(os.environ["TOLLKEEPER_KEY"], os.environ["TOLLKEEPER_URL"])


def toll(environ: Any) -> Toll | None:
    """Say the most that a request can cost; None is free."""
    if environ["PATH_INFO"] == "/sql":
        return Toll({"request": 1, "row": 10_000}, {"sku": "generate_sql"})
    return None


app = Flask(__name__)
app.wsgi_app = TollWsgiMiddleware(app.wsgi_app, client=client, toll=toll)  # pyright: ignore[reportAttributeAccessIssue] (Flask's own way to add one)


@app.get("/sql")
def sql() -> list[str]:
    question = request.args["question"]
    rows = [f"select {number} -- {question}" for number in range(3)]
    charge: Charge = request.environ["tollkeeper.charge"]
    charge.used({"request": 1, "row": len(rows)}, input=question)
    return rows


@app.get("/prices")
def prices() -> str:
    return "0.02 a request, 0.10 for 1000 rows"
