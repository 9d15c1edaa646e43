"""What the address of a page about revenue asks for."""

import datetime as dt
import re
from dataclasses import dataclass, replace
from functools import cached_property

from django.http import QueryDict

from revenue import stats
from revenue.attribution import Model
from revenue.lines import Basis
from revenue.stats import Totals
from sites.models import Site
from sites.periods import FIRST_YEAR, midnight
from tracking import questions
from tracking.counting import Asked, ask

FALLBACK_CURRENCY = "usd"


@dataclass(frozen=True)
class Question:
    """Of which visits and days, credited how, in which currency, and whether as paid or as settled by Stripe.

    `named_currency` is "" when the address names none; then it is the one with most payments. With `known_on`, all
    of it as it was known when that day ended. If nothing of then was kept, it `is_made_up` of what has happened by
    then and is known now.
    """

    visits: questions.Question
    asked: Asked
    model: Model
    named_currency: str
    basis: Basis
    known_on: dt.date | None = None
    is_made_up: bool = False

    @cached_property
    def totals(self) -> list[Totals]:
        return stats.totals(self.asked, self.model, self.basis)

    @cached_property
    def totals_as_paid(self) -> list[Totals]:
        basis = replace(self.basis, is_settled=False)
        return stats.totals(self.asked, self.model, basis) if self.basis.is_settled else self.totals

    @cached_property
    def currency(self) -> str:
        if self.named_currency:
            return self.named_currency
        closed = [row.currency for row in self.totals if not row.is_open]
        return closed[0] if closed else _account_currency(self.asked.site)

    @property
    def query(self) -> str:
        """The part of an address that asks for the same, with the currency, so that nobody has to look for it again."""
        return self.visits.with_beside("currency", self.currency)

    @property
    def now(self) -> "Question":
        """The same as it is known now."""
        visits = replace(self.visits, beside=tuple(pair for pair in self.visits.beside if pair[0] != "as_of"))
        asked, basis = replace(self.asked, until=None), replace(self.basis, known_at=None)
        return Question(visits, asked, self.model, self.currency, basis)

    def in_currency(self, currency: str, *, is_settled: bool) -> str:
        """Give the query for the same in another currency, as paid or as settled."""
        others = tuple(pair for pair in self.visits.beside if pair[0] not in ("amounts", "currency"))
        settled = (("amounts", "settled"),) if is_settled else ()
        return replace(self.visits, beside=(*others, *settled, ("currency", currency))).query


def read(told: QueryDict, site: Site, now: dt.datetime) -> Question:
    """Read an address; what is missing or not understood gives the default."""
    name, currency = told.get("model"), told.get("currency", "").lower()
    model = Model(name) if name in list(Model) else Model.LAST_NON_DIRECT
    named_currency = currency if re.fullmatch(r"[a-z]{3}", currency) else ""
    is_settled = told.get("amounts") == "settled"
    known_on = _day_before(told.get("as_of", ""), now.astimezone(site.zone).date())
    beside = [("model", str(model))] if model != Model.LAST_NON_DIRECT else []
    beside += [("amounts", "settled")] if is_settled else []
    beside += [("currency", named_currency)] if named_currency else []
    beside += [("as_of", known_on.isoformat())] if known_on else []
    visits = questions.read(told, now, site.zone, tuple(beside))
    return about(site, visits, model, named_currency, is_settled=is_settled, known_on=known_on)


def about(
    site: Site,
    visits: questions.Question,
    model: Model,
    named_currency: str,
    *,
    is_settled: bool,
    known_on: dt.date | None,
) -> Question:
    """Ask about the money of these visits; with `known_on` as it was known when that day ended."""
    asked = ask(site, visits.period, visits.filters)
    if known_on is None:
        return Question(visits, asked, model, named_currency, Basis(is_settled))
    known_at = midnight(known_on + dt.timedelta(days=1), site.zone)
    kept_since = stats.kept_since(site)
    is_made_up = kept_since is None or known_at < kept_since
    basis = Basis(is_settled, None if is_made_up else known_at)
    return Question(
        visits, asked.about(visits.period, known_at), model, named_currency, basis, known_on, is_made_up=is_made_up
    )


def _day_before(text: str, today: dt.date) -> dt.date | None:
    """Read a day of the past; None for anything else."""
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.year >= FIRST_YEAR and day < today else None


def _account_currency(site: Site) -> str:
    connected = stats.connections(site)
    return (connected[0].account.default_currency if connected else "") or FALLBACK_CURRENCY
