"""/metrics: who may read it, what it tells, and that several processes tell one thing."""

import asyncio
import datetime as dt
import os
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from humblytics.demo import processes
from revenue.metrics import RevenueMetrics
from revenue.models import Attribution, Charge, Connection, Finding, ReadCount, Stream, StripeAccount
from revenue.secrecy import Secret
from sites.models import Site
from tests.factories import collect, send_hit
from tests.stack import free_port, manage
from tests.tracking.load import Load

TOKEN = "a token that only Prometheus has"
KEY = "sk_live_51H8canarycanarycanary"


@pytest.fixture
def scrape(db: None, client: Client, settings: Any) -> Callable[[], dict[str, float]]:
    """Read /metrics; give the values by name and labels, as they are written."""
    settings.METRICS_TOKEN = TOKEN

    def scrape() -> dict[str, float]:
        response = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert (response.status_code, response["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        return values(response.content.decode())

    return scrape


def values(text: str) -> dict[str, float]:
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


@pytest.mark.parametrize("authorization", [None, "", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer ü"])
@pytest.mark.django_db
def test_without_the_token_there_is_nothing(client: Client, settings: Any, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    for settings.METRICS_TOKEN in (TOKEN, ""):
        response = client.get("/metrics", headers=headers)
        assert response.status_code == 404
        assert b"humblytics_hits" not in response.content
        assert not response.cookies


def test_hits_are_counted_by_door_and_outcome(scrape: Callable[[], dict[str, float]], site: Site) -> None:
    before = scrape()
    send_hit(site)
    send_hit(site)
    assert collect(b"{")[0] == 400
    after = scrape()
    gained = {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)}
    assert gained['humblytics_hits_total{door="collect",outcome="taken"}'] == 2
    assert gained['humblytics_hits_total{door="collect",outcome="malformed"}'] == 1
    assert gained["humblytics_batch_hits_sum"] == gained["humblytics_batch_hits_count"] == 2
    assert gained["humblytics_commit_seconds_count"] == 2
    assert after["humblytics_hits_waiting"] == 0


def test_questions_to_the_database_are_measured_by_page(
    scrape: Callable[[], dict[str, float]], owner_client: Client, site: Site
) -> None:
    name = 'humblytics_query_seconds_count{page="sites:settings"}'
    before = scrape().get(name, 0)
    owner_client.get(f"/{site.domain}/settings/")
    assert scrape()[name] > before


@pytest.fixture
def account(site: Site) -> StripeAccount:
    now = timezone.now()
    account = StripeAccount.objects.create(acct_id="acct_1", livemode=True)
    connection = Connection(site=site, account=account, connected_at=now, synced_at=now - dt.timedelta(minutes=5))
    connection.seal_key(Secret(KEY))
    connection.save()
    Stream.objects.create(account=account, name="charge", covered_to=dt.datetime(2026, 5, 1, tzinfo=dt.UTC))
    for days, reads in ((0, 7), (3, 20), (40, 1000)):
        day = now.astimezone(dt.UTC).date() - dt.timedelta(days=days)
        ReadCount.objects.create(account=account, read_on=day, reads=reads)
    Finding.objects.create(account=account, kind="healed", subject="ch_1", found_at=now, gone_at=now)
    Finding.objects.create(account=account, kind="unmatched", subject="txn_1", found_at=now)
    for n, reason in enumerate(["", "", "no_id", None]):
        Charge.objects.create(
            account=account,
            stripe_id=f"ch_{n}",
            status="succeeded",
            created_at=now,
            observed_at=now,
            captured=True,
            amount=100,
            amount_captured=100,
            amount_refunded=0,
            currency="eur",
        )
        if reason is not None:
            Attribution.objects.create(
                account=account,
                charge=f"ch_{n}",
                model="last_non_direct",
                reason=reason,
                rules_version=1,
                decided_at=now,
            )
    return account


def test_each_account_tells_lag_reads_findings_and_coverage(
    scrape: Callable[[], dict[str, float]], account: StripeAccount
) -> None:
    told = scrape()
    of = 'account="acct_1"'
    assert told["humblytics_database_up"] == 1
    assert told[f'humblytics_stripe_connection{{{of},mode="live",site="shop.example",status="connected"}}'] == 1
    assert 300 <= told[f'humblytics_sync_lag_seconds{{{of},mode="live",site="shop.example"}}'] < 3600
    assert told[f'humblytics_stream_covered_timestamp_seconds{{{of},mode="live",stream="charge"}}'] == 1777593600
    assert told[f'humblytics_stripe_reads{{{of},days="1",mode="live"}}'] == 7
    assert told[f'humblytics_stripe_reads{{{of},days="30",mode="live"}}'] == 27
    assert told[f'humblytics_findings_total{{{of},kind="healed",mode="live"}}'] == 1
    assert told[f'humblytics_findings_open{{{of},kind="unmatched",mode="live"}}'] == 1
    assert f'humblytics_findings_open{{{of},kind="healed",mode="live"}}' not in told
    payments = {name: value for name, value in told.items() if name.startswith("humblytics_payments_7_days")}
    assert payments == {
        f'humblytics_payments_7_days{{{of},mode="live",outcome="credited"}}': 2,
        f'humblytics_payments_7_days{{{of},mode="live",outcome="no_id"}}': 1,
        f'humblytics_payments_7_days{{{of},mode="live",outcome="waiting"}}': 1,
    }


def test_neither_key_nor_its_hint_is_told(scrape: Callable[[], dict[str, float]], account: StripeAccount) -> None:
    told = "\n".join(scrape())
    connection = Connection.objects.get()
    for secret in (KEY, KEY[-4:], connection.sealed_key, connection.key_hint):
        assert secret not in told


@pytest.mark.django_db
def test_a_number_of_questions_that_no_number_of_accounts_changes(
    account: StripeAccount, site: Site, django_assert_num_queries: Any
) -> None:
    for n in range(5):
        other = StripeAccount.objects.create(acct_id=f"acct_other{n}", livemode=False)
        Connection.objects.create(site=site, account=other, connected_at=timezone.now())
        Stream.objects.create(account=other, name="charge", covered_to=timezone.now())
    with django_assert_num_queries(7):
        list(RevenueMetrics(timezone.now()).collect())


def test_without_a_database_the_process_still_tells_what_it_knows(
    scrape: Callable[[], dict[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: RevenueMetrics) -> None:
        raise OperationalError

    monkeypatch.setattr(RevenueMetrics, "collect", away)
    told = scrape()
    assert told["humblytics_database_up"] == 0
    assert "humblytics_batch_hits_count" in told


HITS = 60
TAKEN = 'humblytics_hits_total{door="collect",outcome="taken"}'


def read(port: int) -> tuple[int, dict[str, float]]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, values(answer.read().decode())
    except urllib.error.HTTPError as error:
        return error.code, {}


def test_two_processes_tell_together_what_both_have_counted(tmp_path: Path) -> None:
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"} | {
        "VAR_DIR": str(tmp_path / "var"),
        "BASE_URL": f"http://localhost:{port}",
        "METRICS_TOKEN": TOKEN,
    }
    together = environment | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics")}
    manage(environment, "migrate", "--verbosity", "0")
    key = re.search(r"/js/([a-z0-9]+)\.js", manage(environment, "add_site", "shop.example"))
    assert key
    load = Load(port, key[1], "shop.example")

    async def until_enough(load: Load) -> None:
        while len(load.acknowledged) < HITS:
            await asyncio.sleep(0.01)

    for told in (together, environment):
        running = processes.start("web", [*processes.web(port), "--workers", "2"], told, tmp_path / "log")
        try:
            processes.wait_until_answers(f"http://127.0.0.1:{port}/readyz", running)
            if told is together:
                asyncio.run(load.during(until_enough))
                answers = [read(port) for _ in range(8)]
                assert {status for status, _ in answers} == {200}
                assert {told[TAKEN] for _, told in answers} == {float(load.statuses[202])}
                assert {told["humblytics_hits_waiting"] for _, told in answers} == {0}
            else:
                assert {read(port)[0] for _ in range(4)} == {503}
        finally:
            processes.stop([running])
    manage(environment, "migrate", "--check")
