import base64
import contextlib
import http.client
import json
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime

import pytest
import stripe
from django.conf import settings
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from revenue.sandbox.accounts import READ_PERMISSIONS
from revenue.sandbox.errors import StripeError
from revenue.sandbox.http import serve
from revenue.sandbox.truth import CurrencyTruth
from revenue.sandbox.world import World
from tests.revenue.shopping import DAY, NOW, Clock, ask, buy, charges_of, error_of, event_types, paid_charge


@pytest.fixture
def world(clock):
    return World(clock)


@pytest.fixture
def client(server, account):
    return stripe.StripeClient(
        account.secret_key, base_addresses={"api": server.url}, stripe_version="2026-06-24.dahlia"
    )


class TestPayment:
    def test_a_paid_session_leaves_intent_charge_balance_transaction_and_events(self, world, client):
        session = client.v1.checkout.sessions.create(
            params=buy(
                metadata={"humblytics_view_id": "v1"},
                client_reference_id="order-7",
                payment_intent_data={"metadata": {"order": "7"}, "description": "Order 7"},
            )
        )
        assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)
        assert session.expires_at == NOW + DAY

        world.pay(session.id, email="ada@example.org", name="Ada Example")

        session = client.v1.checkout.sessions.retrieve(
            session.id, params={"expand": ["payment_intent.latest_charge.balance_transaction", "line_items"]}
        )
        intent = session.payment_intent
        charge = intent.latest_charge
        assert (session.status, session.payment_status, session.url) == ("complete", "paid", None)
        assert session.metadata.to_dict() == {"humblytics_view_id": "v1"}
        assert session.line_items.data[0].amount_total == 4900
        assert (intent.status, intent.amount_received) == ("succeeded", 4900)
        assert (charge.status, charge.captured, charge.amount_captured) == ("succeeded", True, 4900)
        assert (charge.billing_details.email, charge.billing_details.name) == ("ada@example.org", "Ada Example")
        assert charge.description == "Order 7"
        transaction = charge.balance_transaction
        # 1.5 % of 49.00 is 73.5 cents, rounded up, and 25 more.
        assert (transaction.amount, transaction.fee, transaction.net) == (4900, 99, 4801)
        assert (transaction.type, transaction.source, transaction.exchange_rate) == ("charge", charge.id, None)
        assert {event.type for event in client.v1.events.list().data} == {
            "payment_intent.created",
            "charge.succeeded",
            "payment_intent.succeeded",
            "checkout.session.completed",
        }

    def test_session_metadata_stays_on_the_session_and_intent_metadata_reaches_the_charge(self, world, account):
        charge = paid_charge(
            world,
            account,
            metadata={"humblytics_view_id": "v1"},
            payment_intent_data={"metadata": {"order": "7"}},
        )
        assert charge["metadata"] == {"order": "7"}

    def test_declined_cards_leave_failed_charges_of_one_intent_that_can_still_be_paid(self, world, account):
        session = world.create_session(account, **buy())
        world.pay(session["id"], outcome="decline")
        declined = world.pay(session["id"], outcome="decline")
        assert (declined["status"], declined["payment_status"]) == ("open", "unpaid")
        intent = world.pay(session["id"])["payment_intent"]

        charges = charges_of(world, account, intent)

        assert [charge["status"] for charge in charges] == ["succeeded", "failed", "failed"]
        failed = charges[1]
        assert (failed["paid"], failed["captured"], failed["amount_captured"]) == (False, False, 0)
        assert (failed["failure_code"], failed["balance_transaction"]) == ("card_declined", None)
        assert world.truth(account) == {
            "eur": CurrencyTruth(gross=4900, orders=1, fees=99),
        }

    def test_a_session_is_paid_once_however_many_press_the_button(self, world, account):
        session = world.create_session(account, **buy())

        def press():
            try:
                return world.pay(session["id"])["status"]
            except StripeError as refusal:
                return refusal.status

        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda _: press(), range(8)))
        assert sorted(map(str, results)) == ["400"] * 7 + ["complete"]
        assert world.truth(account)["eur"].orders == 1

    def test_a_foreign_currency_settles_in_the_accounts_own(self, world, account, client):
        yen = paid_charge(world, account, 1000, "jpy")
        dollars = paid_charge(world, account, 1000, "usd")
        by_source = {transaction.source: transaction for transaction in client.v1.balance_transactions.list().data}
        settled = by_source[yen["id"]]
        # 1000 yen at 0.0061 euros are 6.10; the fee is 9.15 cents and 25 more.
        assert (settled.currency, settled.amount, settled.fee, settled.net) == ("eur", 610, 34, 576)
        assert settled.exchange_rate == 0.61
        assert by_source[dollars["id"]].amount == 920
        assert world.truth(account) == {
            "jpy": CurrencyTruth(gross=1000, orders=1),
            "usd": CurrencyTruth(gross=1000, orders=1),
            "eur": CurrencyTruth(fees=34 + 39),
        }

    @pytest.mark.parametrize(
        ("amount", "currency", "settled", "fee"),
        [
            pytest.param(1, "usd", 1, 25, id="0.92 cents round up"),
            pytest.param(250, "ugx", 0, 25, id="0.06 cents round down"),
            pytest.param(1000, "kwd", 301, 30, id="a thousandth is no hundredth"),
            pytest.param(100, "eur", 100, 27, id="half a cent of fee rounds up"),
            pytest.param(99_999_999_999, "idr", 5_600_000, 84_025, id="many rupiah"),
        ],
    )
    def test_amounts_are_settled_to_the_cent(self, amount, currency, settled, fee, world, account, client):
        charge = paid_charge(world, account, amount, currency)
        move = client.v1.balance_transactions.retrieve(charge["balance_transaction"])
        assert (move.amount, move.fee) == (settled, fee)

    def test_a_session_worth_nothing_completes_without_a_charge(self, world, account):
        session = world.create_session(account, **buy(0))
        done = world.pay(session["id"])
        assert (done["status"], done["payment_status"], done["payment_intent"]) == (
            "complete",
            "no_payment_required",
            None,
        )
        assert world.truth(account) == {}

    def test_an_open_session_expires_after_a_day_and_cannot_be_paid(self, world, account, client):
        session = world.create_session(account, **buy())
        world.advance(DAY - 1)
        assert client.v1.checkout.sessions.retrieve(session["id"]).status == "open"
        world.advance(1)
        expired = client.v1.checkout.sessions.retrieve(session["id"])
        assert (expired.status, expired.url) == ("expired", None)
        event = client.v1.events.list(params={"type": "checkout.session.expired"}).data[0]
        assert event.created == NOW + DAY
        with pytest.raises(StripeError, match="expired"):
            world.pay(session["id"])

    def test_expiring_twice_is_refused(self, world, account, client):
        session = client.v1.checkout.sessions.create(params=buy())
        assert client.v1.checkout.sessions.expire(session.id).status == "expired"
        with pytest.raises(stripe.InvalidRequestError, match="status of `expired`"):
            client.v1.checkout.sessions.expire(session.id)


class TestRefund:
    def test_partial_refunds_add_up_and_no_more_than_the_charge_goes_back(self, world, account, client):
        charge = paid_charge(world, account)
        client.v1.refunds.create(params={"charge": charge["id"], "amount": 900})
        with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded amount") as refusal:
            client.v1.refunds.create(params={"charge": charge["id"], "amount": 4001})
        assert refusal.value.param == "amount"
        rest = client.v1.refunds.create(params={"payment_intent": charge["payment_intent"]})
        assert (rest.amount, rest.status) == (4000, "succeeded")
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            client.v1.refunds.create(params={"charge": charge["id"]})
        assert refusal.value.code == "charge_already_refunded"

        after = client.v1.charges.retrieve(charge["id"])
        assert (after.amount_refunded, after.refunded) == (4900, True)
        moves = client.v1.balance_transactions.list(params={"type": "refund"}).data
        assert [(move.amount, move.fee) for move in moves] == [(-4000, 0), (-900, 0)]
        assert world.truth(account)["eur"].refunded == 4900

    def test_a_refund_that_fails_weeks_later_returns_to_the_balance(self, world, account, client):
        charge = paid_charge(world, account)
        refund = world.refund(charge["id"], 1000, status="pending")
        assert world.truth(account)["eur"].refunded == 1000
        world.advance(40 * DAY)
        failed = world.settle_refund(refund["id"], "failed")

        returned = client.v1.balance_transactions.retrieve(failed["failure_balance_transaction"])
        assert (returned.type, returned.amount, returned.source) == ("refund_failure", 1000, refund["id"])
        assert returned.created == NOW + 40 * DAY
        assert client.v1.charges.retrieve(charge["id"]).amount_refunded == 0
        assert client.v1.refunds.retrieve(refund["id"]).status == "failed"
        assert world.truth(account)["eur"].refunded == 0

    def test_a_pending_refund_succeeds_without_moving_money_again(self, world, account, client):
        charge = paid_charge(world, account)
        refund = world.refund(charge["id"], 1000, status="pending")
        world.settle_refund(refund["id"], "succeeded")
        assert client.v1.refunds.retrieve(refund["id"]).status == "succeeded"
        assert len(client.v1.balance_transactions.list(params={"source": refund["id"]}).data) == 1
        assert world.truth(account)["eur"].refunded == 1000

    def test_a_charge_embeds_ten_refunds_and_only_when_asked(self, world, account, client):
        charge = paid_charge(world, account)
        for _ in range(11):
            world.refund(charge["id"], 100)
        assert "refunds" not in client.v1.charges.retrieve(charge["id"])
        embedded = client.v1.charges.retrieve(charge["id"], params={"expand": ["refunds"]}).refunds
        assert (len(embedded.data), embedded.has_more) == (10, True)
        listed = client.v1.refunds.list(params={"charge": charge["id"], "limit": 100})
        assert [refund.id for refund in embedded.data] == [refund.id for refund in listed.data[:10]]
        assert len(listed.data) == 11


class TestDispute:
    def test_a_lost_dispute_keeps_the_money_and_a_won_one_returns_it(self, world, account, client):
        kept = world.dispute(paid_charge(world, account)["id"])
        returned = world.dispute(paid_charge(world, account)["id"], amount=1500)
        assert world.truth(account)["eur"].disputed == 6400
        world.close_dispute(kept["id"], won=False)
        world.close_dispute(returned["id"], won=True)

        disputes = {dispute.id: dispute for dispute in client.v1.disputes.list().data}
        assert disputes[kept["id"]].status == "lost"
        assert disputes[returned["id"]].status == "won"
        moves = disputes[returned["id"]].balance_transactions
        assert [(move.reporting_category, move.amount, move.fee) for move in moves] == [
            ("dispute", -1500, 2000),
            ("dispute_reversal", 1500, 0),
        ]
        assert world.truth(account)["eur"].disputed == 4900

    def test_a_disputed_charge_is_not_refunded(self, world, account):
        charge = paid_charge(world, account)
        world.dispute(charge["id"])
        with pytest.raises(StripeError, match="charged back"):
            world.refund(charge["id"])


class TestBalance:
    def test_balance_transactions_add_up_to_the_truth(self, world, account):
        charges = [paid_charge(world, account, amount) for amount in (100, 4999, 123_457)]
        world.refund(charges[1]["id"], 333)
        world.refund(charges[1]["id"], 50, status="failed")
        world.close_dispute(world.dispute(charges[2]["id"])["id"], won=True)
        world.dispute(charges[0]["id"])
        owner = world.keys[account.secret_key].owner
        net = sum(move["net"] for move in world.page(owner, "balance_transaction", bool, 100).data)
        truth = world.truth(account)["eur"]
        assert net == truth.gross - truth.refunded - truth.disputed - truth.fees

    def test_money_becomes_available_a_week_later(self, world, account, client):
        charge = paid_charge(world, account)
        transaction = client.v1.balance_transactions.retrieve(charge["balance_transaction"])
        assert transaction.status == "pending"
        world.advance(transaction.available_on - NOW)
        assert client.v1.balance_transactions.retrieve(transaction.id).status == "available"


# What the product, and anybody who knows Stripe, expects to find on each object.
FIELDS = {
    "/v1/account": """id object business_profile business_type capabilities charges_enabled controller country
        created default_currency details_submitted email external_accounts future_requirements metadata
        payouts_enabled requirements settings tos_acceptance type""",
    "/v1/checkout/sessions": """id object adaptive_pricing after_expiration allow_promotion_codes amount_subtotal
        amount_total automatic_tax billing_address_collection cancel_url client_reference_id client_secret
        collected_information consent consent_collection created currency currency_conversion custom_fields
        custom_text customer customer_account customer_creation customer_details customer_email discounts
        expires_at integration_identifier invoice invoice_creation livemode locale managed_payments metadata mode
        origin_context payment_intent payment_link payment_method_collection
        payment_method_configuration_details payment_method_options payment_method_types payment_status
        permissions phone_number_collection recovered_from saved_payment_method_options setup_intent
        shipping_address_collection shipping_cost shipping_options status submit_type subscription success_url
        total_details ui_mode url wallet_options""",
    "/v1/payment_intents": """id object amount amount_capturable amount_details amount_received application
        application_fee_amount automatic_payment_methods canceled_at cancellation_reason capture_method
        client_secret confirmation_method created currency customer customer_account description
        excluded_payment_method_types last_payment_error latest_charge livemode managed_payments metadata
        next_action on_behalf_of payment_method payment_method_configuration_details payment_method_options
        payment_method_types processing receipt_email review setup_future_usage shipping source
        statement_descriptor statement_descriptor_suffix status transfer_data transfer_group""",
    "/v1/charges": """id object amount amount_captured amount_refunded application application_fee
        application_fee_amount balance_transaction billing_details calculated_statement_descriptor captured
        created currency customer description disputed failure_balance_transaction failure_code failure_message
        fraud_details livemode metadata on_behalf_of outcome paid payment_intent payment_method
        payment_method_details receipt_email receipt_number receipt_url refunded review shipping source
        source_transfer statement_descriptor statement_descriptor_suffix status transfer_data transfer_group""",
    "/v1/refunds": """id object amount balance_transaction charge created currency customer customer_account
        destination_details metadata payment_intent payment_method reason receipt_number
        source_transfer_reversal status transfer_reversal""",
    "/v1/disputes": """id object amount balance_transactions charge created currency enhanced_eligibility_types
        evidence evidence_details is_charge_refundable livemode metadata payment_intent payment_method_details
        reason status""",
    "/v1/balance_transactions": """id object amount available_on balance_type created currency description
        exchange_rate fee fee_details net reporting_category source status type""",
    "/v1/events": "id object api_version created data livemode pending_webhooks request type",
}


@pytest.mark.parametrize("path", FIELDS)
def test_objects_have_stripes_fields(path, world, account, server):
    first, second = paid_charge(world, account), paid_charge(world, account)
    world.refund(first["id"], 100)
    world.dispute(second["id"])
    _, _, content = ask(server, path, account.secret_key)
    for item in content.get("data", [content]):
        assert set(item) == set(FIELDS[path].split())


@pytest.fixture(scope="module")
def crowd():
    with serve(World(Clock())) as server:
        yield server


class TestLists:
    @examples(max_examples=60)
    @given(
        seconds=st.lists(st.integers(0, 3), max_size=25),
        limit=st.integers(1, 12),
    )
    def test_paging_yields_each_object_once_newest_first(self, crowd, seconds, limit):
        account = crowd.world.add_account("Crowd")
        made = []
        for arrival, second in enumerate(seconds):
            with crowd.world.at(NOW - second):
                made.append((NOW - second, arrival, crowd.world.create_session(account, **buy())["id"]))
        expected = [session_id for _, _, session_id in sorted(made, reverse=True)]

        connection = http.client.HTTPConnection(crowd.url.removeprefix("http://"))
        try:
            for cursor in ("starting_after", "ending_before"):
                pages, where = [], ""
                if cursor == "ending_before" and expected:
                    where = f"&ending_before={expected[-1]}"
                while True:
                    connection.request(
                        "GET",
                        f"/v1/checkout/sessions?limit={limit}{where}",
                        headers={"Authorization": f"Bearer {account.secret_key}"},
                    )
                    page = json.loads(connection.getresponse().read())
                    ids = [session["id"] for session in page["data"]]
                    pages.append(ids)
                    assert len(ids) == limit or not page["has_more"]
                    if not page["has_more"]:
                        break
                    where = f"&{cursor}={ids[-1 if cursor == 'starting_after' else 0]}"
                if cursor == "ending_before":
                    assert [identifier for page in reversed(pages) for identifier in page] == expected[:-1]
                else:
                    assert [identifier for page in pages for identifier in page] == expected
        finally:
            connection.close()

    def test_the_sdk_pages_through_everything(self, world, account, client):
        ids = [paid_charge(world, account)["id"] for _ in range(23)]
        pages = client.v1.charges.list(params={"limit": 5}).auto_paging_iter()
        assert [charge.id for charge in pages] == ids[::-1]

    def test_a_page_has_ten_objects_unless_asked_otherwise(self, world, account, server):
        for _ in range(11):
            world.create_session(account, **buy())
        _, _, content = ask(server, "/v1/checkout/sessions", account.secret_key)
        assert (len(content["data"]), content["has_more"]) == (10, True)
        assert content["url"] == "/v1/checkout/sessions"

    @pytest.mark.parametrize(
        ("query", "seconds"),
        [
            pytest.param("created[gt]=101", [102], id="gt"),
            pytest.param("created[gte]=101", [102, 101], id="gte"),
            pytest.param("created[lt]=101", [100], id="lt"),
            pytest.param("created[lte]=101", [101, 100], id="lte"),
            pytest.param("created=101", [101], id="exactly"),
            pytest.param("created[gt]=100&created[lt]=102", [101], id="between"),
            pytest.param("created[gt]=102", [], id="none"),
        ],
    )
    def test_created_bounds(self, query, seconds, world, account, server):
        for second in (100, 101, 102):
            with world.at(second):
                world.create_session(account, **buy())
        _, _, content = ask(server, f"/v1/checkout/sessions?{query}", account.secret_key)
        assert [session["created"] for session in content["data"]] == seconds

    def test_filters_select(self, world, account, client):
        one = paid_charge(world, account, 1000)
        two = paid_charge(world, account, 2000, "usd")
        world.create_session(account, **buy())
        refund = world.refund(one["id"], 1)
        v1 = client.v1

        def ids(service, **params):
            return [item.id for item in service.list(params=params).data]

        assert ids(v1.charges, payment_intent=two["payment_intent"]) == [two["id"]]
        assert ids(v1.refunds, charge=one["id"]) == [refund["id"]]
        assert ids(v1.refunds, payment_intent=two["payment_intent"]) == []
        assert len(ids(v1.checkout.sessions, status="open")) == 1
        assert len(ids(v1.checkout.sessions, payment_intent=one["payment_intent"])) == 1
        assert ids(v1.balance_transactions, source=one["id"]) == [one["balance_transaction"]]
        assert ids(v1.balance_transactions, type="refund") == [refund["balance_transaction"]]
        assert ids(v1.balance_transactions, currency="usd") == []
        assert len(ids(v1.events, types=["charge.succeeded", "refund.created"])) == 3
        assert len(ids(v1.events, type="charge.*")) == 3

    def test_events_are_gone_after_thirty_days_and_charges_are_not(self, world, account, client):
        charge = paid_charge(world, account)
        event = client.v1.events.list().data[0]
        world.advance(30 * DAY)
        assert len(client.v1.events.list().data) == 4
        world.advance(1)
        assert client.v1.events.list().data == []
        with pytest.raises(stripe.InvalidRequestError, match="No such event"):
            client.v1.events.retrieve(event.id)
        assert client.v1.charges.list().data[0].id == charge["id"]

    def test_an_event_keeps_its_subject_as_it_was(self, world, account, client):
        charge = paid_charge(world, account)
        world.refund(charge["id"])
        event = client.v1.events.list(params={"type": "charge.succeeded"}).data[0]
        assert event.data.object["amount_refunded"] == 0

    def test_a_hidden_object_is_nowhere_until_its_time(self, world, account, client):
        charge = paid_charge(world, account)
        world.hide(charge["id"], until=NOW + 600)
        assert client.v1.charges.list().data == []
        with pytest.raises(stripe.InvalidRequestError, match="No such charge"):
            client.v1.charges.retrieve(charge["id"])
        world.advance(600)
        late = client.v1.charges.list().data[0]
        assert (late.id, late.created) == (charge["id"], NOW)

    def test_expanding_shows_objects_of_every_kind_behind_a_field(self, world, account, client):
        charge = paid_charge(world, account)
        world.refund(charge["id"], 100)
        world.dispute(charge["id"])
        moves = client.v1.balance_transactions.list(
            params={"expand": ["data.source", "data.source.payment_intent"]}
        ).data
        assert [move.source.object for move in moves] == ["dispute", "refund", "charge"]
        assert {move.source.payment_intent.id for move in moves} == {charge["payment_intent"]}

    def test_a_customer_keeps_metadata_which_is_shown_with_every_payment(self, world, account, client):
        person = {"name": "Zoe", "address": {"line1": "1 Way"}, "metadata": {"a": "1", "b": "2"}}
        made = client.v1.customers.create(params=person)
        world.refund(paid_charge(world, account)["id"])
        paid_charge(world, account, customer=made.id)
        client.v1.customers.update(made.id, params={"name": "Ada", "metadata": {"a": "", "c": "3"}})
        moves = client.v1.balance_transactions.list(params={"expand": ["data.source", "data.source.customer"]}).data
        (shown,) = [move.source.customer for move in moves if move.source.customer]
        assert (shown.id, shown.name, shown.address.line1) == (made.id, "Ada", "1 Way")
        assert shown.metadata.to_dict() == {"b": "2", "c": "3"}
        assert event_types(world, account).count("customer.updated") == 1


REFUSALS = [
    pytest.param("limit=0", "parameter_invalid_integer", "limit", id="limit too small"),
    pytest.param("limit=101", "parameter_invalid_integer", "limit", id="limit too large"),
    pytest.param("limit=ten", "parameter_invalid_integer", "limit", id="limit no number"),
    pytest.param("limit=", "parameter_invalid_empty", "limit", id="limit empty"),
    pytest.param("created[gte]=1.5", "parameter_invalid_integer", "created[gte]", id="created a fraction"),
    pytest.param("created[ge]=1", "parameter_unknown", "created[ge]", id="unknown bound"),
    pytest.param("updated[gte]=1", "parameter_unknown", "updated", id="unknown parameter"),
    pytest.param("starting_after=ch_1", "resource_missing", "starting_after", id="unknown cursor"),
    pytest.param("ending_before=ch_1", "resource_missing", "ending_before", id="unknown cursor back"),
    pytest.param("expand[]=data.amount", None, "expand", id="expand a number"),
    pytest.param("expand[]=balance_transaction", None, "expand", id="expand without data"),
    pytest.param("expand[]=data", None, "expand", id="expand the list"),
]


class TestRefusals:
    @pytest.mark.parametrize(("query", "code", "param"), REFUSALS)
    def test_bad_list_parameters(self, query, code, param, account, server):
        answer = error_of(ask(server, f"/v1/charges?{query}", account.secret_key))
        assert answer[:4] == (400, "invalid_request_error", code, param)

    def test_more_than_twenty_event_types(self, account, server):
        query = "&".join(f"types[]=type{number}" for number in range(21))
        assert error_of(ask(server, f"/v1/events?{query}", account.secret_key))[0] == 400

    def test_unknown_object(self, account, server):
        assert error_of(ask(server, "/v1/charges/ch_1", account.secret_key)) == (
            404,
            "invalid_request_error",
            "resource_missing",
            "id",
            "No such charge: 'ch_1'",
        )
        cursor = error_of(ask(server, "/v1/charges?starting_after=ch_1", account.secret_key))
        assert cursor[4] == "No such charge: 'ch_1'"

    def test_no_key_and_a_wrong_key(self, account, server):
        status, headers, content = ask(server, "/v1/charges")
        assert (status, headers["WWW-Authenticate"]) == (401, 'Basic realm="Stripe"')
        assert "You did not provide an API key" in content["error"]["message"]
        wrong = error_of(ask(server, "/v1/charges", "sk_test_0123456789wxyz"))
        assert (wrong[0], wrong[4]) == (401, "Invalid API Key provided: sk_test_**********wxyz")

    def test_a_key_as_basic_user_name(self, account, server):
        credentials = base64.b64encode(f"{account.secret_key}:".encode()).decode()
        status, _, content = ask(server, "/v1/account", Authorization=f"Basic {credentials}")
        assert (status, content["id"]) == (200, account.id)

    def test_a_restricted_key_learns_what_it_lacks(self, world, account, server):
        key = world.add_restricted_key(account, frozenset({"rak_charge_read"}))
        charge = paid_charge(world, account)
        assert ask(server, "/v1/charges", key)[0] == 200
        refused = error_of(ask(server, "/v1/disputes", key))
        assert refused[0] == 403
        assert "'rak_dispute_read' permission" in refused[4]
        assert account.id in refused[4]
        assert key not in refused[4]
        expanding = ask(server, f"/v1/charges/{charge['id']}?expand[]=payment_intent", key)
        assert "'rak_payment_intent_read'" in error_of(expanding)[4]
        both = "expand[]=data.source&expand[]=data.source.customer"
        moving = world.add_restricted_key(account, READ_PERMISSIONS - {"rak_customer_read"})
        expanding = error_of(ask(server, f"/v1/balance_transactions?{both}", moving))
        assert (expanding[0], "'rak_customer_read' permission" in expanding[4]) == (403, True)
        refund = ask(server, "/v1/refunds", key, "POST", {"charge": charge["id"]})
        assert "'rak_charge_write'" in error_of(refund)[4]

    def test_the_accounts_restricted_key_reads_everything_and_writes_nothing(self, account, server):
        for path in FIELDS:
            assert ask(server, path, account.restricted_key)[0] == 200
        assert ask(server, "/v1/checkout/sessions", account.restricted_key, "POST", {})[0] == 403

    @pytest.mark.parametrize(
        ("method", "path"),
        [("GET", "/v1/nonsense"), ("DELETE", "/v1/charges"), ("POST", "/v1/charges"), ("GET", "/"), ("PUT", "/v1")],
    )
    def test_urls_stripe_does_not_know(self, method, path, account, server):
        refused = error_of(ask(server, path, account.secret_key, method))
        assert refused[0] == 404
        assert refused[4].startswith(f"Unrecognized request URL ({method}: {path})")

    @pytest.mark.parametrize(
        ("changed", "param"),
        [
            pytest.param({"success_url": "javascript:alert(1)"}, "success_url", id="no web address"),
            pytest.param({"success_url": "https://a.example/\r\nX: y"}, "success_url", id="header injection"),
            pytest.param({"mode": "subscription"}, "mode", id="mode"),
            pytest.param({"metadata": {"a": "x" * 501}}, "metadata[a]", id="metadata value too long"),
            pytest.param({"metadata": {"k" * 41: "x"}}, f"metadata[{'k' * 41}]", id="metadata key too long"),
            pytest.param({"metadata": {str(n): "x" for n in range(51)}}, "metadata", id="too much metadata"),
            pytest.param({"line_items": []}, "line_items", id="nothing to buy"),
            pytest.param({"expires_at": NOW + 60}, "expires_at", id="expires too soon"),
            pytest.param({"coupon": "free"}, "coupon", id="unknown"),
            pytest.param(
                {"line_items": buy(currency="xxx")["line_items"]},
                "line_items[0][price_data][currency]",
                id="unknown currency",
            ),
            pytest.param(
                {"line_items": buy(amount=-1)["line_items"]},
                "line_items[0][price_data][unit_amount]",
                id="negative price",
            ),
        ],
    )
    def test_bad_sessions(self, changed, param, client):
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            client.v1.checkout.sessions.create(params={**buy(), **changed})
        assert refusal.value.param == param

    @pytest.mark.parametrize("name", ["livemode", "account", "self", "owner"])
    def test_python_names_are_no_parameters(self, name, account, server):
        refused = error_of(ask(server, "/v1/checkout/sessions", account.secret_key, "POST", {name: "1"}))
        assert refused[2:4] == ("parameter_unknown", name)

    def test_a_refusal_to_expand_refunds_nothing(self, world, account, server):
        charge = paid_charge(world, account)
        form = {"charge": charge["id"], "expand[]": "amount"}
        assert error_of(ask(server, "/v1/refunds", account.secret_key, "POST", form))[3] == "expand"
        assert world.truth(account)["eur"].refunded == 0

    @pytest.mark.parametrize(
        "form",
        [
            pytest.param({"line_items[" + "9" * 5000 + "]": "1"}, id="list index beyond counting"),
            pytest.param({"metadata": "1", "metadata[a]": "2"}, id="text and hash"),
            pytest.param({"metadata[a][b]": "2"}, id="hash too deep"),
            pytest.param({"line_items": "1"}, id="text for a list"),
            pytest.param({"[": "1"}, id="half a bracket"),
            pytest.param({"success_url[a]": "1"}, id="hash for a text"),
        ],
    )
    def test_misshapen_forms(self, form, account, server):
        form = {"mode": "payment", "success_url": "https://shop.example/", "line_items[0]": "", **form}
        assert error_of(ask(server, "/v1/checkout/sessions", account.secret_key, "POST", form))[0] == 400

    def test_a_missing_parameter_is_named(self, account, server):
        refused = error_of(ask(server, "/v1/checkout/sessions", account.secret_key, "POST", {"mode": "payment"}))
        assert refused[2:4] == ("parameter_missing", "line_items")

    def test_a_json_body_is_not_understood(self, account, server):
        headers = {"Content-Type": "application/json"}
        answer = ask(server, "/v1/refunds", account.secret_key, "POST", {"a": "b"}, **headers)
        assert "application/x-www-form-urlencoded" in error_of(answer)[4]


class TestModesAndAccounts:
    def test_test_and_live_objects_are_apart(self, world, account, client, server):
        session = world.create_session(account, livemode=True, **buy())
        assert session["id"].startswith("cs_live_")
        assert session["livemode"] is True
        assert client.v1.checkout.sessions.list().data == []
        refused = error_of(ask(server, f"/v1/checkout/sessions/{session['id']}", account.secret_key))
        assert "a similar object exists in live mode, but a test mode key" in refused[4]
        live = ask(server, "/v1/checkout/sessions", account.live_secret_key)[2]
        assert [item["id"] for item in live["data"]] == [session["id"]]

    def test_accounts_see_only_their_own(self, world, account, client):
        stranger = world.add_account("Other", "US", "usd")
        charge = paid_charge(world, stranger)
        assert client.v1.charges.list().data == []
        with pytest.raises(stripe.InvalidRequestError, match="No such charge"):
            client.v1.refunds.create(params={"charge": charge["id"]})

    def test_a_given_secret_key_decides_the_others_and_is_the_same_account_next_time(self, world):
        demo = world.add_account("Demo", secret_key="sk_test_humblyticsdemo")
        assert demo.live_secret_key == "sk_live_humblyticsdemo"
        assert demo.restricted_key == "rk_test_humblyticsdemo"
        assert demo == World().add_account("Demo", secret_key="sk_test_humblyticsdemo") or demo.created == NOW
        assert demo.id == World().add_account("Demo", secret_key="sk_test_humblyticsdemo").id
        assert world.add_account("Again", secret_key="sk_test_humblyticsdemo") == demo

    def test_the_account_answers_who_it_is(self, world, account, client):
        shown = client.v1.accounts.retrieve_current()
        assert (shown.id, shown.default_currency, shown.country) == (account.id, "eur", "DE")


class TestIdempotency:
    def test_the_same_key_answers_the_same_and_does_nothing(self, world, account, server):
        charge = paid_charge(world, account)
        form = {"charge": charge["id"], "amount": 100}

        def refund(**changed):
            return ask(
                server, "/v1/refunds", account.secret_key, "POST", {**form, **changed}, **{"Idempotency-Key": "k1"}
            )

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: refund(), range(4)))
        assert len({answer[2]["id"] for answer in answers}) == 1
        assert sorted(str(answer[1]["Idempotent-Replayed"]) for answer in answers) == ["None"] + ["true"] * 3
        assert world.truth(account)["eur"].refunded == 100
        refused = error_of(refund(amount=200))
        assert refused[:2] == (400, "idempotency_error")
        world.advance(DAY)
        assert refund()[2]["id"] != answers[0][2]["id"]

    def test_a_refused_request_may_be_repaired_under_its_key(self, world, account, server):
        charge = paid_charge(world, account)
        headers = {"Idempotency-Key": "k2"}
        form = {"charge": charge["id"], "amount": "x"}
        assert ask(server, "/v1/refunds", account.secret_key, "POST", form, **headers)[0] == 400
        form["amount"] = "5"
        assert ask(server, "/v1/refunds", account.secret_key, "POST", form, **headers)[0] == 200


class TestHttp:
    def test_every_answer_is_dated_by_the_world_and_numbered(self, world, account, server):
        world.advance(-3600)
        ids = set()
        for path, key in (("/v1/charges", account.secret_key), ("/v1/charges", None), ("/v1/no", None)):
            _, headers, _ = ask(server, path, key)
            assert parsedate_to_datetime(headers["Date"]).timestamp() == NOW - 3600
            assert headers["Content-Type"] == "application/json"
            assert headers["Stripe-Version"] == "2026-06-24.dahlia"
            ids.add(headers["Request-Id"])
        assert len(ids) == 3

    def test_a_version_is_echoed_and_one_that_never_was_is_refused(self, account, server):
        known = {"Stripe-Version": "2026-10-28.endive"}
        assert ask(server, "/v1/charges", account.secret_key, **known)[1]["Stripe-Version"] == "2026-10-28.endive"
        refused = error_of(ask(server, "/v1/charges", account.secret_key, **{"Stripe-Version": "2019-01-01"}))
        assert (refused[0], refused[4]) == (400, "Invalid Stripe API version: 2019-01-01")

    def test_a_connection_serves_many_requests(self, account, server):
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
        try:
            connection.connect()
            port = connection.sock.getsockname()
            for _ in range(3):
                connection.request("POST", "/v1/refunds", "charge=ch_1", {"Authorization": "Bearer nobody"})
                assert connection.getresponse().read()
                assert connection.sock.getsockname() == port
        finally:
            connection.close()

    def test_a_stopped_server_is_gone_for_open_connections_too(self, world, account):
        server = serve(world)
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
        headers = {"Authorization": f"Bearer {account.secret_key}"}
        connection.request("GET", "/v1/charges", headers=headers)
        connection.getresponse().read()
        server.stop()
        # The request may still go out on the dead connection; an answer never comes.
        with contextlib.suppress(ConnectionError):
            connection.request("GET", "/v1/charges", headers=headers)
        with contextlib.closing(connection), pytest.raises((ConnectionError, http.client.ResponseNotReady)):
            connection.getresponse()

    @pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "localhost", ""])
    def test_only_loopback_is_served(self, host, world):
        with pytest.raises(ValueError, match="loopback"):
            serve(world, host=host)

    def test_one_address_is_listened_on_and_no_other(self, server):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", int(server.url.rpartition(":")[2])), timeout=5)

    def test_nothing_of_the_product_but_the_demo_knows_the_sandbox(self):
        knowing = {
            path.relative_to(settings.BASE_DIR).as_posix()
            for package in ("humblytics", "sites", "tracking", "revenue", "splittests")
            for path in (settings.BASE_DIR / package).rglob("*.py")
            if re.search(r"^\s*(from|import) revenue(\.| import )sandbox", path.read_text(), re.MULTILINE)
        }
        assert {path for path in knowing if not path.startswith("revenue/sandbox/")} == {
            "humblytics/demo/building.py",
            "humblytics/management/commands/demo.py",
        }

    def test_another_name_for_this_machine_is_not_answered(self, account, server):
        for host in ("evil.example", "127.0.0.1.evil.example", "sandbox"):
            assert ask(server, "/v1/charges", account.secret_key, Host=host)[0] == 421
        assert ask(server, "/v1/charges", account.secret_key, Host="stripe.localhost:8002")[0] == 200

    def test_nothing_is_written_to_the_standard_streams(self, account, server, capfd):
        ask(server, "/v1/charges", account.secret_key)
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as caller:
            caller.sendall(b"not http at all\r\n\r\n")
            caller.recv(100)
        assert capfd.readouterr() == ("", "")

    def test_too_many_requests_are_turned_away_per_account(self, world, account, server):
        stranger = world.add_account("Other")
        server.throttle.per_second = 0.01
        assert ask(server, "/v1/charges", account.secret_key)[0] == 200
        answer = ask(server, "/v1/charges", account.secret_key)
        assert error_of(answer)[:3] == (429, "invalid_request_error", "rate_limit")
        assert answer[1]["Stripe-Rate-Limited-Reason"] == "global-rate"
        assert ask(server, "/v1/charges", stranger.secret_key)[0] == 200


class TestCheckoutPage:
    @pytest.fixture
    def session(self, world, account, server):
        return world.create_session(
            account,
            **buy(
                customer_email='a"b@example.org',
                success_url="https://shop.example/thanks?session={CHECKOUT_SESSION_ID}&x=ü",
            ),
        )

    def path(self, server, session):
        return session["url"].removeprefix(server.url)

    def test_it_shows_what_is_bought_and_escapes_it(self, world, account, server):
        item = buy()["line_items"][0]
        item["price_data"]["product_data"]["name"] = "<script>x</script>"
        session = world.create_session(account, **buy(line_items=[item, {**item, "quantity": 2}]))
        status, headers, page = ask(server, self.path(server, session))
        assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert "Sandbox Stripe — no real money" in page
        assert "2 × &lt;script&gt;" in page
        assert "147.00 EUR" in page
        assert "<script" not in page

    def test_paying_leads_to_the_shop_and_again_without_a_second_charge(self, world, account, server, session):
        form = {"outcome": "pay", "email": "ada@example.org"}
        for _ in range(2):
            status, headers, _ = ask(server, self.path(server, session), None, "POST", form)
            assert status == 303
            assert headers["Location"] == f"https://shop.example/thanks?session={session['id']}&x=%C3%BC"
        assert world.truth(account)["eur"].orders == 1
        page = ask(server, self.path(server, session))[2]
        assert "This checkout is paid." in page
        assert "<form" not in page

    def test_declining_shows_the_page_again(self, world, account, server, session):
        form = {"outcome": "decline", "email": "ada@example.org"}
        status, _, page = ask(server, self.path(server, session), None, "POST", form)
        assert (status, "Your card was declined." in page, "<form" in page) == (200, True, True)
        assert 'value="a&quot;b@example.org"' in page
        assert world.truth(account) == {}

    @pytest.mark.parametrize("form", [{}, {"outcome": "pay"}, {"outcome": "steal", "email": "a@example.org"}])
    def test_a_wrong_form_pays_nothing(self, form, world, account, server, session):
        assert ask(server, self.path(server, session), None, "POST", form)[0] == 400
        assert world.truth(account) == {}

    def test_unknown_and_expired_sessions(self, world, server, session):
        assert ask(server, "/pay/cs_test_nobody")[0] == 404
        world.advance(DAY)
        page = ask(server, self.path(server, session))[2]
        assert "This checkout has expired." in page
        form = {"outcome": "pay", "email": "ada@example.org"}
        assert ask(server, self.path(server, session), None, "POST", form)[0] == 200


class TestJournal:
    def test_a_world_is_the_same_after_reopening(self, tmp_path, clock):
        path = tmp_path / "journal"
        world = World.open(path, clock)
        account = world.add_account("Demo", secret_key="sk_test_humblyticsdemo")
        restricted = world.add_restricted_key(account, frozenset({"rak_charge_read"}))
        charge = paid_charge(world, account)
        world.refund(charge["id"], 700)
        waiting = world.create_session(account, **buy())
        world.advance(3600)
        owner = world.keys[account.secret_key].owner
        before = [world.page(owner, kind, bool, 100) for kind in ("charge", "refund", "event", "checkout.session")]
        world.close()

        again = World.open(path, clock)
        assert again.now() == NOW + 3600
        assert again.accounts == world.accounts
        assert again.keys == world.keys
        assert again.keys[restricted].permissions == {"rak_charge_read"}
        assert before == [
            again.page(owner, kind, bool, 100) for kind in ("charge", "refund", "event", "checkout.session")
        ]
        assert again.truth(account) == world.truth(account)
        again.advance(DAY)
        assert again.session(waiting["id"])["status"] == "expired"
        again.close()

    def test_a_payment_torn_by_a_power_cut_has_not_happened_and_the_journal_goes_on(self, tmp_path, clock):
        path = tmp_path / "journal"
        world = World.open(path, clock)
        account = world.add_account("Demo")
        session = world.create_session(account, **buy())
        whole = path.stat().st_size
        world.pay(session["id"])
        world.close()
        written = path.read_bytes()

        for cut in (whole + 1, len(written) - 1):
            path.write_bytes(written[:cut])
            torn = World.open(path, clock)
            assert torn.session(session["id"])["status"] == "open"
            assert torn.truth(account) == {}
            torn.pay(session["id"])
            torn.close()
            healed = World.open(path, clock)
            assert healed.truth(account)["eur"].orders == 1
            healed.close()

    def test_damage_in_the_middle_is_not_passed_over(self, tmp_path):
        path = tmp_path / "journal"
        path.write_bytes(b'{"offset": 1}\n{"off\n{"offset": 2}\n')
        with pytest.raises(ValueError, match="Invalid control character"):
            World.open(path)

    def test_what_cannot_be_written_has_not_happened(self, tmp_path, clock):
        world = World.open(tmp_path / "journal", clock)
        account = world.add_account("Demo")
        session = world.create_session(account, **buy())
        world.close()
        with pytest.raises(ValueError, match="closed file"):
            world.pay(session["id"])
        assert world.session(session["id"])["status"] == "open"
