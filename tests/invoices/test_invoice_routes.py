"""Invoices and statements over HTTP: listed, downloaded, and nobody else's."""

from __future__ import annotations

from typing import Any

from documents import NOW, content, new_invoice

from tollkeeper import invoices
from tollkeeper.base.ids import show_id
from tollkeeper.invoices import DocumentType, Invoice, Line, Numbering
from whole import Answer, Customer, Whole


async def issue(whole: Whole, customer: Customer, cause: str, **changes: Any) -> Invoice:
    new = new_invoice(customer.org_id, cause, **changes)
    async with whole.database.transaction() as tx:
        return await invoices.issue(tx, new, Numbering(), NOW)


async def ask(whole: Whole, customer: Customer, path: str, **headers: str) -> Answer:
    return await whole.ask("GET", f"/billing{path}", customer.keys["live ADMIN"], **headers)


async def download(whole: Whole, path: str, key: str) -> tuple[int, dict[str, str], bytes]:
    url = f"{whole.url}/api/v1{path}"
    async with whole._session.get(url, headers={"authorization": f"Bearer {key}"}) as answer:
        known = {name.lower(): value for name, value in answer.headers.items()}
        return answer.status, known, await answer.read()


async def test_invoices_and_credit_notes_are_one_list(whole: Whole, customer: Customer) -> None:
    first = await issue(whole, customer, "purchase:1")
    back = content(lines=(Line(description="Refund", net_minor=100),), taxes=())
    note = await issue(
        whole,
        customer,
        "refund:1",
        type=DocumentType.CREDIT_NOTE,
        corrects_id=first.invoice_id,
        purchase_id=first.purchase_id,
        content=back,
    )
    await issue(whole, customer, "purchase:2", livemode=False)
    listed = (await ask(whole, customer, "/invoices")).json["data"]
    assert [row["number"] for row in listed] == [note.number, first.number]
    assert first.purchase_id is not None
    assert listed[0] == {
        "id": show_id("inv", note.invoice_id),
        "number": "CN-2026-000001",
        "type": "credit_note",
        "purchaseId": show_id("pur", first.purchase_id),
        "correctsId": show_id("inv", first.invoice_id),
        "correctsNumber": "INV-2026-000001",
        "issuedAt": "2026-11-21T09:30:00Z",
        "currency": "USD",
        "net": 1,
        "tax": 0,
        "total": 1,
        "livemode": True,
    }
    assert (listed[1]["net"], listed[1]["tax"], listed[1]["total"]) == ("251.37", "47.76", "299.13")
    only = (await ask(whole, customer, "/invoices?type=credit_note")).json["data"]
    assert [row["number"] for row in only] == [note.number]
    purchase = f"/invoices?purchaseId={show_id('pur', first.purchase_id)}"
    assert len((await ask(whole, customer, purchase)).json["data"]) == 2
    assert (await ask(whole, customer, "/invoices?purchaseId=x")).status == 400


async def test_the_list_goes_on_and_is_csv_too(whole: Whole, customer: Customer) -> None:
    for n in range(5):
        await issue(whole, customer, f"purchase:{n}")
    numbers: list[str] = []
    cursor = ""
    while True:
        page = (await ask(whole, customer, f"/invoices?limit=2{cursor}")).json
        numbers += [row["number"] for row in page["data"]]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
        await issue(whole, customer, f"later:{cursor[-20:]}")
    assert numbers == [f"INV-2026-{n:06}" for n in (5, 4, 3, 2, 1)]
    answer = await ask(whole, customer, "/invoices?limit=1", accept="text/csv")
    assert answer.text.splitlines()[0].startswith("id,number,type,purchaseId")
    assert answer.headers["x-next-cursor"]


async def test_a_document_says_every_word_and_is_downloaded_by_its_number(
    whole: Whole, customer: Customer
) -> None:
    invoice = await issue(whole, customer, "purchase:1")
    path = f"/invoices/{show_id('inv', invoice.invoice_id)}"
    said = (await ask(whole, customer, path)).json
    assert said["buyer"]["name"] == "Northwind Robotics Ltd."
    assert [line["net"] for line in said["lines"]] == [250, "1.37"]
    assert said["taxes"][0] == {
        "label": "VAT 19 %",
        "ratePercent": "19",
        "base": "251.37",
        "tax": "47.76",
        "reverseCharge": False,
        "note": None,
    }
    assert said["paidBy"] == {"method": "visa", "last4": "4242", "at": "2026-11-21T09:30:00Z"}
    key = customer.keys["live ADMIN"]
    status, headers, pdf = await download(whole, f"/billing{path}/pdf", key)
    assert (status, headers["content-type"]) == (200, "application/pdf")
    assert headers["content-disposition"] == 'attachment; filename="INV-2026-000001.pdf"'
    assert pdf.startswith(b"%PDF-")


async def test_nobody_sees_another_organization_s_invoice(whole: Whole, customer: Customer) -> None:
    invoice = await issue(whole, customer, "purchase:1")
    stranger = await whole.customer()
    shown = show_id("inv", invoice.invoice_id)
    assert (await ask(whole, stranger, "/invoices")).json["data"] == []
    for key, status in (
        (stranger.keys["live ADMIN"], 404),
        (customer.keys["test ADMIN"], 404),
        (customer.keys["live INFERENCE"], 401),
        (None, 401),
    ):
        for path in (f"/billing/invoices/{shown}", f"/billing/invoices/{shown}/pdf"):
            assert (await whole.ask("GET", path, key)).status == status
    for wrong in ("inv_x", invoice.number, show_id("pur", invoice.invoice_id)):
        assert (await ask(whole, customer, f"/invoices/{wrong}")).status == 404
    other = f"/organizations/{stranger.id}/invoices/{shown}"
    assert (await whole.operate("GET", other)).status == 404


async def test_an_operator_reads_any_organization_s(whole: Whole, customer: Customer) -> None:
    live = await issue(whole, customer, "purchase:1")
    await issue(whole, customer, "purchase:2", livemode=False)
    path = f"/organizations/{customer.id}/invoices"
    listed = (await whole.operate("GET", path)).json["data"]
    assert [row["livemode"] for row in listed] == [False, True]
    shown = show_id("inv", live.invoice_id)
    assert (await whole.operate("GET", f"{path}/{shown}")).json["number"] == live.number
    route = f"/operator{path}/{shown}/pdf"
    status, _, pdf = await download(whole, route, whole.operator_key)
    assert (status, pdf[:5]) == (200, b"%PDF-")
    assert (await whole.ask("GET", route, customer.keys["live ADMIN"])).status == 401


async def test_a_month_s_statement_as_json_csv_and_pdf(whole: Whole, customer: Customer) -> None:
    key = customer.keys["test ADMIN"]
    now = whole.app.rooms.clock.now()
    path = f"/billing/statements/{now:%Y-%m}"
    said = (await whole.ask("GET", path, key)).json
    assert (said["opening"], said["other"], said["closing"]) == (0, 10, 10)
    assert said["complete"] is False
    assert [moved["kind"] for moved in said["movements"]] == ["grant"]
    rows = (await whole.ask("GET", path, key, accept="text/csv")).text.splitlines()
    assert rows[0] == "section,timestamp,name,unit,quantity,amount,description"
    assert [row.split(",")[0] for row in rows[1:]] == ["opening", "movement", "closing"]
    status, headers, pdf = await download(whole, f"{path}/pdf", key)
    assert (status, pdf[:5]) == (200, b"%PDF-")
    assert headers["content-disposition"] == f'attachment; filename="statement-{now:%Y-%m}.pdf"'
    live = (await whole.ask("GET", path, customer.keys["live ADMIN"])).json
    assert (live["closing"], live["movements"]) == (0, [])
    for wrong, status in (("2026-13", 404), ("2999-01", 400), (f"{now:%Y-%m}?currency=X", 400)):
        assert (await whole.ask("GET", f"/billing/statements/{wrong}", key)).status == status


async def test_a_purchase_has_its_invoice_at_once(whole: Whole, customer: Customer) -> None:
    key = customer.keys["test ADMIN"]
    bought = await whole.ask("POST", "/billing/purchases", key, {"amount": 25})
    path = f"/billing/invoices?purchaseId={bought.json['id']}"
    (listed,) = (await whole.ask("GET", path, key)).json["data"]
    assert (listed["number"], listed["total"]) == (
        f"TEST-INV-{whole.app.rooms.clock.now():%Y}-000001",
        25,
    )
    status, _, pdf = await download(whole, f"/billing/invoices/{listed['id']}/pdf", key)
    assert (status, pdf[:5]) == (200, b"%PDF-")
    refused = await whole.ask("POST", "/billing/purchases", key, {"amount": 25.001})
    assert (refused.status, refused.json["code"]) == (400, "amount_not_payable")
    assert len((await whole.ask("GET", "/billing/invoices", key)).json["data"]) == 1
