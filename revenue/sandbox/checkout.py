"""The page where the buyer pays, and the links that lead there. It runs no script and takes no real money."""

import re
from html import escape
from urllib.parse import parse_qs, parse_qsl, quote

from revenue.sandbox.currencies import display
from revenue.sandbox.errors import StripeError
from revenue.sandbox.messages import Request, Response
from revenue.sandbox.objects import StripeObject
from revenue.sandbox.sessions import FOLLOWED
from revenue.sandbox.world import World

_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    # No form-action: browsers apply it to the redirect after the form as well, and that leads to the shop.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
}

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sandbox Stripe</title>
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }}
main {{ max-width: 26rem; margin: 3rem auto; padding: 0 1rem; }}
.notice {{ border: 1px solid; border-radius: .5rem; padding: .5rem .75rem; }}
table {{ width: 100%; border-collapse: collapse; margin: 1.5rem 0; }}
td, th {{ padding: .5rem 0; border-bottom: 1px solid #8886; text-align: left; font-weight: normal; }}
td {{ text-align: right; font-variant-numeric: tabular-nums; }}
tfoot * {{ font-weight: 600; border: 0; }}
label, input {{ display: block; width: 100%; box-sizing: border-box; font: inherit; }}
input {{ padding: .5rem; margin: .25rem 0 1rem; }}
button {{ font: inherit; padding: .5rem 1rem; margin-right: .5rem; cursor: pointer; }}
</style>
<main>
<p class="notice">Sandbox Stripe — no real money</p>
{message}
{items}
{form}
</main>
</html>
"""

_FORM = """<form method="post">
<label for="email">E-mail</label>
<input id="email" name="email" type="email" required autocomplete="email" value="{email}">
<button name="outcome" value="pay">Pay</button>
<button name="outcome" value="decline">Decline card</button>
</form>"""


_TABLE = """<table>
<tbody>{items}</tbody>
<tfoot><tr><th scope="row">Total</th><td>{total}</td></tr></tfoot>
</table>"""


def answer(world: World, request: Request) -> Response:
    """Show the page of a session, or take its form; or open a session and lead to its page."""
    _, room, item_id = request.path.split("/", 2)
    try:
        if room == "pay":
            return _checkout(world, request, item_id)
        if request.method != "GET":
            return Response(405, b"", {"Allow": "GET"})
        session = world.recover(item_id) if room == "recover" else _followed(world, item_id, request)
        return _lead(session["url"])
    except StripeError as error:
        return Response(error.status, escape(str(error)).encode(), _HEADERS)


def _followed(world: World, link_id: str, request: Request) -> StripeObject:
    known = {name: value for name, value in parse_qsl(request.query) if name in FOLLOWED}
    return world.follow_link(link_id, **known)


def _checkout(world: World, request: Request, session_id: str) -> Response:
    """Show the page of a session (GET), or pay and go on to the shop (POST)."""
    session = world.session(session_id)
    if request.method == "GET":
        return _page(session)
    if request.method != "POST":
        return Response(405, b"", {"Allow": "GET, POST"})
    fields = parse_qs(request.body.decode(errors="replace"))
    outcome = fields.get("outcome", [""])[0]
    email = fields.get("email", [""])[0]
    if outcome not in ("pay", "decline") or not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
        return _page(session, "Please give an e-mail address and choose a button.", 400)
    # A second click on the button that completed the session only goes on to the shop.
    if session["status"] == "open":
        session = world.pay(session_id, outcome, email)
    if session["status"] == "complete" and session["success_url"]:
        return _lead(session["success_url"].replace("{CHECKOUT_SESSION_ID}", session_id))
    message = "Your card was declined." if session["status"] == "open" else ""
    return _page(world.session(session_id), message)


def _lead(target: str) -> Response:
    return Response(303, b"", {"Location": quote(target, safe="%/:=&?~#+!$,;'@()*[]{}|")})


def _page(session: StripeObject, message: str = "", status: int = 200) -> Response:
    form = ""
    if session["status"] == "open":
        details = session["customer_details"] or {"email": "buyer@example.com"}
        form = _FORM.format(email=escape(details["email"]))
    elif session["status"] == "complete":
        message = "This checkout is paid."
    else:
        message = "This checkout has expired."
    items = "".join(
        f'<tr><th scope="row">{item["quantity"]} × {escape(item["description"])}</th>'
        f"<td>{display(item['amount_total'], item['currency'])}</td></tr>"
        for item in session["_"]["line_items"]["data"]
    )
    total = items and display(session["amount_total"], session["currency"])
    page = _PAGE.format(
        message=message and f'<p role="alert">{escape(message)}</p>',
        items=items and _TABLE.format(items=items, total=total),
        form=form,
    )
    return Response(status, page.encode(), _HEADERS)
