"""The trouble the sandbox makes on order, seen from the other end of a real connection."""

import gzip
import http.client
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime

import pytest

from revenue.sandbox import faults
from revenue.sandbox.accounts import READ_PERMISSIONS
from revenue.sandbox.http import serve
from revenue.sandbox.messages import Response
from revenue.sandbox.visibility import by_kind, mostly_soon
from revenue.sandbox.world import World
from tests.revenue.shopping import DAY, NOW, ask, buy, error_of, everything, paid_charge

CHARGES = "/v1/charges"


@pytest.fixture
def world(clock):
    return World(clock)


@pytest.fixture
def charges(world, account):
    """Ids, newest first."""
    return [paid_charge(world, account)["id"] for _ in range(5)][::-1]


@pytest.fixture
def meet(server, account, charges):
    """Ask for charges, with this trouble in between."""

    def meet(trouble, query="", **headers):
        server.faults[:] = []
        server.faults.always(trouble, path=CHARGES)
        return ask(server, CHARGES + query, account.secret_key, **headers)

    return meet


@pytest.fixture
def raw(server, account):
    """All bytes that come back for a request to the charges, and how the connection ended."""

    def raw(trouble):
        server.faults[:] = []
        server.faults.always(trouble)
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=5) as caller:
            head = f"GET {CHARGES} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {account.secret_key}\r\n\r\n"
            caller.sendall(head.encode())
            received = b""
            try:
                while chunk := caller.recv(65_536):
                    received += chunk
            except ConnectionResetError:
                return received, "reset"
            return received, "closed"

    return raw


def ids(content):
    return [item["id"] for item in content["data"]]


class TestOrder:
    def test_a_script_meets_requests_one_after_the_other(self, server, account, charges):
        script = server.faults.script([None, faults.server_error(), faults.bad_gateway()], path=CHARGES)
        statuses = []
        for _ in range(4):
            statuses.append(ask(server, CHARGES, account.secret_key)[0])
            assert ask(server, "/v1/account", account.secret_key)[0] == 200
        assert statuses == [200, 500, 502, 200]
        assert script.asked == 4
        assert server.served == {CHARGES: 4, "/v1/account": 4}

    def test_chance_is_the_same_with_the_same_seed(self, server, account, charges):
        def run(seed):
            server.faults[:] = []
            server.faults.chance(0.4, [faults.server_error(500), faults.server_error(503)], seed, path="/v1/ch*")
            return [ask(server, CHARGES, account.secret_key)[0] for _ in range(30)]

        first = run(7)
        assert first == run(7)
        assert first != run(8)
        assert set(first) == {200, 500, 503}

    def test_the_first_that_applies_decides_and_a_plain_function_may_answer(self, server, account, charges):
        server.faults.append(lambda request: Response(418) if request.query else None)
        server.faults.always(faults.server_error())
        assert ask(server, f"{CHARGES}?limit=1", account.secret_key)[0] == 418
        assert ask(server, CHARGES, account.secret_key)[0] == 500

    def test_once_is_once(self, server, account, charges):
        server.faults.append(faults.Once("GET", CHARGES, Response(500)))
        assert ask(server, f"{CHARGES}/{charges[0]}", account.secret_key)[0] == 200
        assert [ask(server, CHARGES, account.secret_key)[0] for _ in range(2)] == [500, 200]


class TestRefusals:
    @pytest.mark.parametrize(
        "reason", ["global-concurrency", "global-rate", "endpoint-concurrency", "endpoint-rate", "resource-specific"]
    )
    @pytest.mark.parametrize("retry_after", [None, 3])
    def test_too_many_requests(self, meet, reason, retry_after):
        answer = meet(faults.too_many_requests(reason, retry_after))
        assert error_of(answer)[:3] == (429, "invalid_request_error", "rate_limit")
        assert answer[1]["Stripe-Rate-Limited-Reason"] == reason
        assert answer[1]["Retry-After"] == (str(retry_after) if retry_after else None)

    def test_a_locked_object(self, meet):
        answer = meet(faults.too_many_requests(None))
        assert error_of(answer)[2] == "lock_timeout"
        assert (answer[1]["Stripe-Rate-Limited-Reason"], answer[1]["Stripe-Should-Retry"]) == (None, "true")

    def test_errors_of_stripes_own_and_of_what_stands_before_it(self, meet):
        assert error_of(meet(faults.server_error()))[:2] == (500, "api_error")
        gateway = meet(faults.bad_gateway())
        assert (gateway[0], gateway[1]["Content-Type"], gateway[2][:6]) == (502, "text/html", "<html>")
        assert meet(faults.unavailable(retry_after=9))[1]["Retry-After"] == "9"
        portal = meet(faults.captive_portal())
        assert (portal[0], portal[1]["Content-Type"]) == (200, "text/html")
        away = meet(faults.redirect("http://127.0.0.1:9/v1/charges"))
        assert (away[0], away[1]["Location"]) == (302, "http://127.0.0.1:9/v1/charges")

    def test_a_key_that_is_refused_in_the_middle_of_it(self, meet, account):
        assert error_of(meet(faults.key_refused()))[0] == 401
        expired = error_of(meet(faults.key_expired()))
        assert (expired[0], expired[2]) == (401, "api_key_expired")
        missing = error_of(meet(faults.permission_missing("rak_charge_read", account_id=account.id)))
        assert (missing[0], "'rak_charge_read' permission" in missing[4], account.id in missing[4]) == (403, True, True)
        assert "IP address" in error_of(meet(faults.address_refused()))[4]
        for trouble in (faults.key_refused(), faults.key_expired(), faults.address_refused()):
            assert account.secret_key not in error_of(meet(trouble))[4]

    def test_a_cursor_that_is_gone(self, meet, charges):
        assert meet(faults.cursor_gone())[0] == 200
        gone = error_of(meet(faults.cursor_gone(), f"?starting_after={charges[0]}"))
        assert gone[:4] == (400, "invalid_request_error", "resource_missing", "starting_after")


class TestTravel:
    def test_a_connection_is_reset_before_a_byte_is_said_or_after_the_headers(self, raw, charges):
        assert raw(faults.reset()) == (b"", "reset")
        received, end = raw(faults.reset_after_headers())
        assert end == "reset"
        assert received == b"" or received.startswith(b"HTTP/1.1 200")

    def test_a_body_is_cut_short_with_its_length_told_and_without(self, raw, charges):
        for is_length_told in (True, False):
            received, end = raw(faults.truncated(40, is_length_told))
            head, _, body = received.partition(b"\r\n\r\n")
            assert (len(body), end) == (40, "closed")
            assert (b"Content-Length" in head) is is_length_told
            with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
                json.loads(body)

    def test_a_body_that_drips_arrives_whole(self, server, account, charges):
        server.faults.always(faults.slow(bytes_at_once=500, seconds=0.001))
        started = time.monotonic()
        content = ask(server, CHARGES, account.secret_key)[2]
        assert ids(content) == charges
        assert time.monotonic() - started > 0.001 * len(json.dumps(content)) / 500 / 2

    def test_a_stopped_server_keeps_nobody_waiting(self, world, account):
        server = serve(world)
        server.faults.always(faults.hanging(3600))
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
        connection.request("GET", CHARGES, headers={"Authorization": f"Bearer {account.secret_key}"})
        server.stop()
        connection.close()

    def test_a_clock_that_is_off(self, meet):
        for seconds in (-3600, 1200):
            date = meet(faults.skewed(seconds))[1]["Date"]
            assert parsedate_to_datetime(date).timestamp() == NOW + seconds

    def test_compression_is_only_for_those_who_take_it(self, server, account, charges):
        def get(trouble, **headers):
            server.faults[:] = []
            server.faults.always(trouble)
            connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
            connection.request("GET", CHARGES, headers={"Authorization": f"Bearer {account.secret_key}", **headers})
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            return answer.getheader("Content-Encoding"), body

        assert get(faults.gzipped())[0] is None
        encoding, body = get(faults.gzipped(), **{"Accept-Encoding": "gzip"})
        assert encoding == "gzip"
        assert ids(json.loads(gzip.decompress(body))) == charges
        with pytest.raises(EOFError):
            gzip.decompress(get(faults.gzipped(is_damaged=True), **{"Accept-Encoding": "gzip"})[1])

    def test_a_notice(self, meet):
        assert meet(faults.noticed("Upgrade soon"))[1]["Stripe-Notice"] == "Upgrade soon"


class TestContent:
    def test_an_error_that_says_all_is_well(self, meet):
        status, _, content = meet(faults.error_in_success())
        assert (status, list(content)) == (200, ["error"])

    @pytest.mark.parametrize("name", ["data", "has_more"])
    def test_a_list_without(self, meet, name):
        assert name not in meet(faults.without(name))[2]

    def test_objects_that_lack_a_field_or_have_another_value_in_it(self, meet):
        assert all("amount" not in item for item in meet(faults.without("amount"))[2]["data"])
        changed = meet(faults.replaced("status", "teleported"))[2]["data"]
        assert {item["status"] for item in changed} == {"teleported"}

    def test_one_object_is_changed_as_those_of_a_list_are(self, server, account, charges):
        server.faults.always(faults.replaced("status", "teleported"))
        assert ask(server, f"{CHARGES}/{charges[0]}", account.secret_key)[2]["status"] == "teleported"
        assert ask(server, f"{CHARGES}/ch_none", account.secret_key)[0] == 404

    def test_objects_of_the_other_mode(self, meet):
        assert {item["livemode"] for item in meet(faults.wrong_mode())[2]["data"]} == {True}

    def test_an_empty_page_that_promises_more(self, meet):
        content = meet(faults.empty_page_with_more())[2]
        assert (content["data"], content["has_more"]) == ([], True)

    def test_the_same_page_for_ever(self, meet, charges):
        pages = [
            meet(faults.repeated_page(), query)[2] for query in ("?limit=2", f"?limit=2&starting_after={charges[1]}")
        ]
        assert [ids(page) for page in pages] == [charges[:2]] * 2
        assert all(page["has_more"] for page in pages)

    def test_an_answer_of_long_ago(self, world, server, account, charges):
        server.faults.always(faults.stale())
        before = ask(server, f"{CHARGES}/{charges[0]}", account.secret_key)[2]
        world.refund(charges[0], 100)
        assert ask(server, f"{CHARGES}/{charges[0]}", account.secret_key)[2] == before
        assert ask(server, f"{CHARGES}?limit=1", account.secret_key)[2]["data"][0]["amount_refunded"] == 100

    def test_a_page_in_another_order_and_one_with_everything_twice(self, meet, charges):
        mixed = ids(meet(faults.shuffled())[2])
        assert (sorted(mixed), mixed != charges) == (sorted(charges), True)
        assert ids(meet(faults.doubled())[2]) == [charge for charge in charges for _ in range(2)]

    def test_what_passes_passes_and_what_is_harmless_is_an_answer(self, server, account, charges):
        for trouble in faults.HARMLESS:
            server.faults[:] = []
            server.faults.always(trouble)
            assert set(ids(ask(server, CHARGES, account.secret_key)[2])) == set(charges)
        assert len(faults.PASSING) == len(set(faults.PASSING))


class TestLimits:
    def test_each_address_has_a_limit_of_its_own(self, server, account):
        server.throttle.per_second_and_path = 0.01
        server.throttle.retry_after = 2
        assert ask(server, CHARGES, account.secret_key)[0] == 200
        assert ask(server, "/v1/refunds", account.secret_key)[0] == 200
        refused = ask(server, CHARGES, account.secret_key)
        assert (refused[0], refused[1]["Retry-After"]) == (429, "2")
        assert refused[1]["Stripe-Rate-Limited-Reason"] == "endpoint-rate"

    def test_only_so_many_are_served_at_once(self, server, account):
        server.throttle.at_once, server.latency = 1, 0.3
        with ThreadPoolExecutor(3) as pool:
            answers = list(pool.map(lambda _: ask(server, CHARGES, account.secret_key), range(3)))
        assert sorted(answer[0] for answer in answers)[0] == 200
        assert {answer[1]["Stripe-Rate-Limited-Reason"] for answer in answers if answer[0] == 429} == {
            "global-concurrency"
        }
        assert ask(server, CHARGES, account.secret_key)[0] == 200

    def test_each_answer_takes_its_time(self, server, account):
        server.latency = 0.2
        started = time.monotonic()
        assert ask(server, CHARGES, account.secret_key)[0] == 200
        assert time.monotonic() - started >= 0.2


class TestKeys:
    def test_a_rolled_key_may_do_the_same_and_the_old_one_is_good_for_a_while(self, world, account, server):
        old = world.add_restricted_key(account, READ_PERMISSIONS)
        new = world.roll_key(old, expires_in=3600)
        for key in (old, new):
            assert ask(server, CHARGES, key)[0] == 200
            assert ask(server, "/v1/refunds", key, "POST", {})[0] == 403
        world.advance(3600)
        refused = error_of(ask(server, CHARGES, old))
        assert (refused[0], refused[2]) == (401, "api_key_expired")
        assert refused[4].startswith("Expired API Key provided: rk_test_***")
        assert ask(server, CHARGES, new)[0] == 200

    def test_a_secret_key_is_rolled_into_another_of_the_same_mode(self, world, account, server):
        new = world.roll_key(account.live_secret_key)
        assert new.startswith("sk_live_")
        assert ask(server, CHARGES, account.live_secret_key)[0] == 401
        assert ask(server, "/v1/account", new)[2]["id"] == account.id

    def test_a_revoked_key_is_unknown(self, world, account, server):
        world.revoke_key(account.secret_key)
        refused = error_of(ask(server, CHARGES, account.secret_key))
        assert refused[0] == 401
        assert "Invalid API Key provided" in refused[4]

    def test_permissions_can_change(self, world, account, server):
        key = world.add_restricted_key(account, frozenset())
        assert ask(server, CHARGES, key)[0] == 403
        world.permit(key, frozenset({"rak_charge_read"}))
        assert ask(server, CHARGES, key)[0] == 200

    def test_a_publishable_key_is_told_what_it_is(self, server):
        refused = error_of(ask(server, CHARGES, "pk_test_51Sandbox"))
        assert (refused[0], refused[2]) == (401, "secret_key_required")

    def test_another_account_is_not_reached_through_a_header(self, world, account, server):
        stranger = world.add_account("Other")
        refused = error_of(ask(server, CHARGES, account.secret_key, **{"Stripe-Account": stranger.id}))
        assert (refused[0], refused[2], stranger.id in refused[4]) == (403, "account_invalid", True)
        assert ask(server, CHARGES, account.secret_key, **{"Stripe-Account": account.id})[0] == 200

    def test_keys_are_remembered(self, tmp_path, clock):
        world = World.open(tmp_path / "journal", clock)
        account = world.add_account("Shop")
        new = world.roll_key(account.secret_key, expires_in=60)
        world.revoke_key(account.live_secret_key)
        world.close()
        again = World.open(tmp_path / "journal", clock)
        assert again.keys == world.keys
        assert new in again.keys
        again.close()


class TestVisibility:
    def test_what_is_new_shows_up_late_everywhere(self, world, account, server):
        world.lag = by_kind({"charge": 600})
        world.pay(world.create_session(account, **buy())["id"])
        (move,) = ask(server, "/v1/balance_transactions?expand[]=data.source", account.secret_key)[2]["data"]
        assert isinstance(move["source"], str)
        assert ask(server, CHARGES, account.secret_key)[2]["data"] == []
        assert ask(server, f"{CHARGES}/{move['source']}", account.secret_key)[0] == 404
        # A change of what nobody can see yet does not make it visible.
        world.refund(move["source"], 100)
        world.advance(599)
        assert ask(server, CHARGES, account.secret_key)[2]["data"] == []
        world.advance(1)
        (charge,) = ask(server, CHARGES, account.secret_key)[2]["data"]
        assert (charge["created"], charge["amount_refunded"]) == (NOW, 100)
        assert world.truth(account)["eur"].orders == 1

    def test_most_come_soon_and_a_few_very_late(self):
        lag = mostly_soon(seed=3)
        lags = sorted(lag({}) for _ in range(20_000))
        assert lags[int(len(lags) * 0.96)] <= 2 < lags[int(len(lags) * 0.98)]
        assert 60 < lags[-1] <= 600
        assert [mostly_soon(3)({}) for _ in range(2)] == [mostly_soon(3)({})] * 2

    def test_events_may_come_before_what_they_tell_of(self, world, account, server):
        world.lag = by_kind({"charge": 60, "checkout.session": 60})
        world.pay(world.create_session(account, **buy())["id"])
        told = ask(server, "/v1/events?type=charge.succeeded", account.secret_key)[2]["data"][0]
        assert ask(server, f"{CHARGES}/{told['data']['object']['id']}", account.secret_key)[0] == 404
        world.advance(DAY)
        assert len(everything(world, account, "charge")) == 1
