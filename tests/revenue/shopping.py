"""A shop in the sandbox: its clock, its purchases, and raw requests to the server."""

import json
import urllib.error
import urllib.parse
import urllib.request

from revenue.sandbox.accounts import Owner

NOW = 1_790_000_000
DAY = 86_400


class Clock:
    now = float(NOW)

    def __call__(self):
        return self.now


def buy(amount=4900, currency="eur", **params):
    item = {
        "price_data": {"currency": currency, "unit_amount": amount, "product_data": {"name": "Plan"}},
        "quantity": 1,
    }
    return {"mode": "payment", "success_url": "https://shop.example/thanks", "line_items": [item], **params}


def paid_charge(world, account, amount=4900, currency="eur", **params):
    session = world.create_session(account, **buy(amount, currency, **params))
    intent = world.pay(session["id"])["payment_intent"]
    return charges_of(world, account, intent)[0]


def subscribe(amount=900, interval="month", **params):
    """The parameters of a checkout for something that is paid again and again."""
    item = buy(amount)["line_items"][0]
    item["price_data"]["recurring"] = {"interval": interval}
    return {**buy(), "mode": "subscription", "line_items": [item], **params}


def everything(world, account, kind, livemode=False):
    """All visible objects of a kind, oldest first."""
    return world.page(Owner(account.id, livemode), kind, lambda item: True, 10_000).data[::-1]


def event_types(world, account):
    return [event["type"] for event in everything(world, account, "event")]


def charges_of(world, account, intent):
    owner = world.keys[account.secret_key].owner
    return world.page(owner, "charge", lambda charge: charge["payment_intent"] == intent, 100).data


def ask(server, path, key=None, method="GET", form=None, **headers):
    """One raw request: (status, headers, decoded body)."""
    body = None if form is None else urllib.parse.urlencode(form).encode()
    request = urllib.request.Request(server.url + path, body, headers, method=method)
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    try:
        answer = urllib.request.build_opener(urllib.request.ProxyHandler({}), StayHere).open(request, timeout=5)
    except urllib.error.HTTPError as refused:
        answer = refused
    with answer:
        content = answer.read()
        is_json = answer.headers["Content-Type"] == "application/json"
        return answer.status, answer.headers, json.loads(content) if is_json else content.decode()


class StayHere(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args):
        return None


def error_of(answer):
    status, _, content = answer
    error = content["error"]
    return status, error["type"], error.get("code"), error.get("param"), error["message"]
