"""The demo's web shop: the site's real script tag on each page, and a checkout as any shop would write it."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape
from http import HTTPStatus
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from humblytics.demo.goods import PRODUCTS, Product
from revenue.secrecy import Secret

STYLE = """
:root { color-scheme: light dark; font: 17px/1.6 Georgia, serif; }
body { margin: 0 auto; max-width: 46rem; padding: 1.5rem; }
header { display: flex; gap: 1.5rem; align-items: baseline; margin-bottom: 3rem; }
header a:first-child { font-weight: bold; font-size: 1.3rem; margin-right: auto; }
a { color: inherit; text-underline-offset: 3px; }
li { margin: .4rem 0; }
button { font: inherit; padding: .6rem 1.4rem; border: 0; border-radius: 2rem; background: #1d4d3c; color: #fff;
  cursor: pointer; }
.price { font-size: 1.3rem; }
footer { margin-top: 4rem; opacity: .7; font-size: .85rem; }
"""

# As the product's own instructions tell a shop to do it.
CHECKOUT = """
async function buy(slug) {
  const viewId = window.Humblytics?.viewId;
  const response = await fetch("/api/create-checkout", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ line_items: [{ product: slug, quantity: 1 }], humblytics_view_id: viewId }),
  });
  const answer = await response.json();
  if (answer.url) location.href = answer.url;
  else document.querySelector("#problem").textContent = answer.error;
}
"""

PAGES = {
    "/about": (
        "About us",
        "<p>Two people and a workshop with a north window: "
        "<a href=https://www.openstreetmap.org/ target=_blank>find us</a>.</p>",
    ),
    "/subscribed": ("Until soon", "<p>The first letter will not come: this shop is a demo.</p>"),
    "/thank-you": ("Thank you", "<p>Your order is on its way. No real money has moved: this shop is a demo.</p>"),
    "/journal/choosing-a-desk-lamp": ("Choosing a desk lamp", "<p>Look at the shadow first, then at the lamp.</p>"),
    "/journal/a-quiet-desk": ("A quiet desk", "<p>Felt, wood, and one thing at a time.</p>"),
    "/journal/how-we-oil-oak": ("How we oil oak", "<p>Thinly, twice, and with a week between.</p>"),
}

LETTER = (
    "<form action=/subscribed data-humblytics-event=Newsletter><button>Read on by letter, once a month</button></form>"
)

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]


@dataclass(frozen=True, slots=True)
class Shop:
    script_tag: str
    stripe_base: str
    stripe_key: Secret
    address: str

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/api/create-checkout" and environ["REQUEST_METHOD"] == "POST":
            status, answer = self._create_checkout(environ)
            start_response(_line(status), [("Content-Type", "application/json")])
            return [json.dumps(answer).encode()]
        if path == "/favicon.ico":
            start_response(_line(HTTPStatus.NO_CONTENT), [])
            return []
        page = self._page(path)
        start_response(
            _line(HTTPStatus.OK if page else HTTPStatus.NOT_FOUND), [("Content-Type", "text/html; charset=utf-8")]
        )
        return [(page or self._layout("Not here", "<p>There is no such page.</p>")).encode()]

    def _page(self, path: str) -> str:
        if path == "/":
            shelf = "".join(
                f'<li><a href="{one.path}">{escape(one.name)}</a> — {_price(one)}</li>' for one in PRODUCTS.values()
            )
            return self._layout("Things for a good desk", f"<ul>{shelf}</ul>")
        product = PRODUCTS.get(path.removeprefix("/products/"))
        if product and path == product.path:
            return self._layout(
                product.name,
                f"<p>{escape(product.text)}</p><p class=price>{_price(product)}</p>"
                f'<button id=buy data-product={product.slug} data-humblytics-event="Begin checkout" '
                f"data-humblytics-event-product={product.slug}>Buy now</button> <span id=problem></span>"
                f"<script>{CHECKOUT}document.querySelector('#buy').onclick = "
                "event => buy(event.target.dataset.product);</script>",
            )
        if path in PAGES:
            title, text = PAGES[path]
            return self._layout(title, text + (LETTER if path.startswith("/journal/") else ""))
        return ""

    def _layout(self, title: str, body: str) -> str:
        journal = "".join(
            f'<a href="{path}">{escape(text[0])}</a> · ' for path, text in PAGES.items() if "journal" in path
        )
        return (
            f"<!doctype html><html lang=en><head><meta charset=utf-8><title>{escape(title)} · Northlight</title>"
            f'<meta name=viewport content="width=device-width">{self.script_tag}<style>{STYLE}</style></head><body>'
            f"<header><a href=/>Northlight</a><a href=/about>About</a></header><main><h1>{escape(title)}</h1>{body}"
            f"</main><footer>Journal: {journal} A shop that sells nothing: part of the Humblytics demo.</footer>"
            "</body></html>"
        )

    def _create_checkout(self, environ: Environ) -> tuple[HTTPStatus, dict[str, str]]:
        """Create the session with the view id in its metadata, and tell the browser where to pay."""
        try:
            asked = json.loads(environ["wsgi.input"].read(min(int(environ.get("CONTENT_LENGTH") or 0), 10_000)))
            items = [(PRODUCTS[item["product"]], int(item["quantity"])) for item in asked["line_items"]]
            view_id = str(asked.get("humblytics_view_id") or "")
        except (ValueError, KeyError, TypeError, AttributeError):
            return HTTPStatus.BAD_REQUEST, {"error": "That order cannot be read."}
        form = {
            "mode": "payment",
            "success_url": f"{self.address}/thank-you",
            "cancel_url": f"{self.address}/",
            "metadata[humblytics_view_id]": view_id,
        }
        for n, (product, quantity) in enumerate(items):
            form |= {
                f"line_items[{n}][quantity]": str(quantity),
                f"line_items[{n}][price_data][currency]": "eur",
                f"line_items[{n}][price_data][unit_amount]": str(product.price),
                f"line_items[{n}][price_data][product_data][name]": product.name,
            }
        request = urllib.request.Request(
            f"{self.stripe_base}/v1/checkout/sessions",
            urllib.parse.urlencode({name: value for name, value in form.items() if value}).encode(),
            {"Authorization": f"Bearer {self.stripe_key.reveal()}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                session = json.load(answer)
        except (urllib.error.URLError, TimeoutError):
            return HTTPStatus.BAD_GATEWAY, {"error": "The sandbox Stripe did not answer."}
        return HTTPStatus.OK, {"sessionId": session["id"], "url": session["url"]}


def _price(product: Product) -> str:
    return f"€{product.price / 100:.2f}"


def _line(status: HTTPStatus) -> str:
    return f"{status.value} {status.phrase}"


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Keep the visitors' addresses out of the log."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


def serve(shop: Shop, port: int) -> WSGIServer:
    """Answer on 127.0.0.1 in a thread until the server's shutdown() is called."""
    server = make_server("127.0.0.1", port, shop, _Server, _Quiet)
    Thread(target=server.serve_forever, daemon=True).start()
    return server
