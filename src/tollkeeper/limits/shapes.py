"""What the routes of this room take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Self
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from tollkeeper.base.ids import read_id, show_id
from tollkeeper.base.money import MAX_NANOS, NANOS_PER_UNIT, Money, MoneyIn
from tollkeeper.http import invalid
from tollkeeper.limits.acts import Change
from tollkeeper.limits.model import Counter, Enforcement, Limit, Measure
from tollkeeper.limits.periods import Period, Span

MOST_COUNTED = 10**15
_USUAL_ALERTS = (50, 80, 100)

Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S", examples=["Research"])]
Word = Annotated[str, Meta(min_length=1, max_length=200)]
ZoneName = Annotated[str, Meta(min_length=1, max_length=60, examples=["Europe/Berlin"])]
ProjectId = Annotated[
    str, Meta(pattern=r"^prj_[0-9a-f]{32}\Z", examples=["prj_0193f5e7a4007cc08e1b746f6c6c6b65"])
]
KeyId = Annotated[
    str, Meta(pattern=r"^key_[0-9a-f]{32}\Z", examples=["key_0193f5e7a4007cc08e1b746f6c6c6b65"])
]
MemberId = Annotated[
    str, Meta(pattern=r"^mem_[0-9a-f]{32}\Z", examples=["mem_0193f5e7a4007cc08e1b746f6c6c6b65"])
]
Tag = Annotated[
    str, Meta(pattern=r"^[^=]{1,200}=(?s:.{0,200})\Z", max_length=401, examples=["team=search"])
]
Each = Annotated[
    str,
    Meta(
        pattern=r"^(apiKey|project|member|endUser|model|provider|tag:[^=]{1,200})\Z",
        examples=["endUser"],
        description="Count each of these apart: apiKey, project, member, endUser, model,"
        " provider, or tag:<name>.",
    ),
]
Percent = Annotated[int, Meta(ge=0, le=100)]
Alerts = Annotated[
    list[Annotated[int, Meta(ge=1, le=300)]],
    Meta(max_length=20, description="Percentages that are told once per period."),
]
Reason = Annotated[str, Meta(max_length=1000, description="Why, for the audit log.")]


class AmountIn(MoneyIn):
    """USD, or a count of tokens or requests: a decimal until the measure is known."""

    allowed: ClassVar[str] = "0 or more: USD such as 12.50, or a whole number of tokens or requests"
    minimum: ClassVar[int | None] = 0

    @classmethod
    def read(cls, number: object) -> Self:
        # Counts may be larger than amounts of money.
        if isinstance(number, int) and not isinstance(number, bool):
            count = int(number)
            if 0 <= count <= MOST_COUNTED:
                return cls(count * NANOS_PER_UNIT)
        return super().read(number)

    def of(self, measure: Measure) -> int:
        """Raises InvalidRequest where it is no amount of this."""
        if measure is Measure.COST:
            if self > MAX_NANOS:
                raise invalid({"amount": [f"must be at most {Money(MAX_NANOS)} USD"]})
            return int(self)
        count, rest = divmod(int(self), NANOS_PER_UNIT)
        if rest:
            raise invalid({"amount": [f"must be a whole number of {measure}"]})
        return count


class In(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    pass


class Out(Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class BudgetIn(In, frozen=True):
    """A call is concerned that matches all that is named; with nothing named, every call is.

    `model` may have stars, as `gpt-*`. `alertPercents` are 50, 80 and 100, and none for a budget
    by the minute, unless you say.
    """

    name: Name
    amount: AmountIn
    period: Period
    measure: Measure = Measure.COST
    time_zone: ZoneName = "UTC"
    project_id: ProjectId | None = None
    api_key_id: KeyId | None = None
    member_id: MemberId | None = None
    end_user: Word | None = None
    provider: Word | None = None
    model: Word | None = None
    tag: Tag | None = None
    each: Each | None = None
    enforcement: Enforcement = Enforcement.HARD
    tolerance_percent: Percent = 0
    alert_percents: Alerts | None = None

    def read(self, org_id: UUID, limit_id: UUID, now: datetime) -> Limit:
        tag_name, _, tag_value = (self.tag or "").partition("=")
        usual = () if self.period is Period.MINUTE else _USUAL_ALERTS
        alerts = usual if self.alert_percents is None else read_alerts(self.alert_percents)
        return Limit(
            org_id=org_id,
            limit_id=limit_id,
            name=self.name,
            measure=self.measure,
            amount=self.amount.of(self.measure),
            period=self.period,
            time_zone=self.time_zone,
            project_id=None if self.project_id is None else read_id("prj", self.project_id),
            key_id=None if self.api_key_id is None else read_id("key", self.api_key_id),
            member_id=None if self.member_id is None else read_id("mem", self.member_id),
            end_user=self.end_user,
            provider=self.provider,
            model=self.model,
            tag_name=tag_name or None,
            tag_value=tag_value if tag_name else None,
            each=self.each,
            enforcement=self.enforcement,
            tolerance_percent=self.tolerance_percent,
            alert_percents=alerts,
            created_at=now,
        )


class BudgetChange(In, frozen=True):
    """Another scope, measure or period would be another budget: make one, and remove this."""

    name: Name | UnsetType = UNSET
    amount: AmountIn | UnsetType = UNSET
    enforcement: Enforcement | UnsetType = UNSET
    tolerance_percent: Percent | UnsetType = UNSET
    alert_percents: Alerts | UnsetType = UNSET

    def read(self, known: Limit) -> Change:
        alerts = self.alert_percents
        tolerance = self.tolerance_percent
        return Change(
            name=self.name or None,
            amount=None if self.amount is UNSET else AmountIn(self.amount).of(known.measure),
            enforcement=self.enforcement or None,
            tolerance_percent=None if tolerance is UNSET else int(tolerance),
            alert_percents=None if isinstance(alerts, UnsetType) else read_alerts(alerts),
        )


class BudgetReset(In, frozen=True):
    """Without a `subject`, all of the budget; with one, what is counted apart for it."""

    subject: Word | None = None


class OperatorBudgetIn(BudgetIn, frozen=True):
    reason: Reason = ""


class OperatorBudgetChange(BudgetChange, frozen=True):
    reason: Reason = ""


class OperatorBudgetReset(BudgetReset, frozen=True):
    livemode: bool = True
    reason: Reason = ""


class BudgetOut(Out, frozen=True):
    """`used`, `held` (by running calls) and `remaining` are of the current period, with live keys
    or with test keys; null where each subject is counted apart."""

    id: str
    name: str
    measure: Measure
    amount: Money
    period: Period
    time_zone: str
    project_id: str | None
    api_key_id: str | None
    member_id: str | None
    end_user: str | None
    provider: str | None
    model: str | None
    tag: str | None
    each: str | None
    enforcement: Enforcement
    tolerance_percent: int
    alert_percents: list[int]
    created_at: datetime
    livemode: bool
    period_start: datetime
    resets_at: datetime | None
    used: Money | None
    held: Money | None
    remaining: Money | None

    @classmethod
    def of(cls, limit: Limit, span: Span, counter: Counter | None, *, livemode: bool) -> BudgetOut:
        now = counter if counter is not None and counter.period_start >= span.start else None
        used, held = (now.used, now.held) if now is not None else (0, 0)
        together = limit.each is None
        return cls(
            id=show_id("bud", limit.limit_id),
            name=limit.name,
            measure=limit.measure,
            amount=shown(limit, limit.amount),
            period=limit.period,
            time_zone=limit.time_zone,
            project_id=None if limit.project_id is None else show_id("prj", limit.project_id),
            api_key_id=None if limit.key_id is None else show_id("key", limit.key_id),
            member_id=None if limit.member_id is None else show_id("mem", limit.member_id),
            end_user=limit.end_user,
            provider=limit.provider,
            model=limit.model,
            tag=None if limit.tag_name is None else f"{limit.tag_name}={limit.tag_value}",
            each=limit.each,
            enforcement=limit.enforcement,
            tolerance_percent=limit.tolerance_percent,
            alert_percents=list(limit.alert_percents),
            created_at=limit.created_at,
            livemode=livemode,
            period_start=span.start,
            resets_at=span.end,
            used=shown(limit, used) if together else None,
            held=shown(limit, held) if together else None,
            remaining=shown(limit, remaining(limit, used + held)) if together else None,
        )


class CounterOut(Out, frozen=True):
    """`subject` is an id such as key_…, an end user, or whatever is counted apart."""

    subject: str
    period_start: datetime
    used: Money
    held: Money
    remaining: Money

    @classmethod
    def of(cls, limit: Limit, counter: Counter) -> CounterOut:
        return cls(
            subject=counter.subject,
            period_start=counter.period_start,
            used=shown(limit, counter.used),
            held=shown(limit, counter.held),
            remaining=shown(limit, remaining(limit, counter.used + counter.held)),
        )


def shown(limit: Limit, count: int) -> Money:
    """Write units of a limit as the number they are: USD, or a whole number."""
    return Money(count if limit.measure is Measure.COST else count * NANOS_PER_UNIT)


def remaining(limit: Limit, taken: int) -> int:
    return max(limit.amount - taken, 0)


def read_alerts(percents: list[int]) -> tuple[int, ...]:
    return tuple(sorted(set(percents)))
