"""What pages say of themselves is so."""

from __future__ import annotations

from browsing import signed_in, staff_signed_in

from whole import Customer, Whole


async def test_a_form_of_another_session_is_not_called_a_page_of_another_role(
    whole: Whole, customer: Customer
) -> None:
    async with signed_in(whole, customer) as one, signed_in(whole, customer) as other:
        token = (await other.open("/console/projects")).form_token
        refused = await one.submit("/console/projects", form_token=token, name="x")
    assert refused.status == 403
    assert "<h1>This form is from another session</h1>" in refused.text
    assert "not for your role" not in refused.text


async def test_staff_are_told_what_looking_lets_them_do(whole: Whole, customer: Customer) -> None:
    async with staff_signed_in(whole) as one:
        page = await one.open(f"/console/staff/organizations/{customer.id}/open")
    assert "You spend nothing, and see no secret" in page.text
