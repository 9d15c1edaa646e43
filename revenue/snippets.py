"""What a shop's own code has to say so that Stripe learns which visit pays. Pure.

Everything here must also sell where the script is blocked: then there is no view id, an empty metadata value is none
to Stripe, and an empty client_reference_id, which Stripe refuses, is not sent.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    where: str
    code: str


@dataclass(frozen=True, slots=True)
class Snippet:
    platform: str
    parts: tuple[Part, ...]


FETCH_PAGE = """\
// With "?." the checkout also works where the script is blocked.
const response = await fetch("/api/create-checkout", {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({
    line_items: cart,
    humblytics_view_id: window.Humblytics?.viewId,
  }),
});
location.href = (await response.json()).url;
"""
FETCH_SERVER = """\
app.post("/api/create-checkout", express.json(), async (request, response) => {
  const { line_items, humblytics_view_id } = request.body;
  const session = await stripe.checkout.sessions.create({
    mode: "payment",
    line_items,
    metadata: { humblytics_view_id: humblytics_view_id ?? "" },
    success_url: "https://YOUR-SITE/thank-you",
  });
  response.json({ url: session.url });
});
"""
FILL = """\
<script>
  for (const field of document.querySelectorAll("[name=humblytics_view_id]")) {
    field.form.addEventListener("submit", () => {
      field.value = window.Humblytics?.viewId ?? "";
    });
  }
</script>
"""
FORM_PAGE = """\
<form action="/create-checkout" method="post">
  <input type="hidden" name="humblytics_view_id">
  <button>Buy</button>
</form>
"""
FORM_SERVER = """\
app.post("/create-checkout", express.urlencoded(), async (request, response) => {
  const session = await stripe.checkout.sessions.create({
    mode: "payment",
    line_items: [{ price: "price_…", quantity: 1 }],
    metadata: { humblytics_view_id: request.body.humblytics_view_id ?? "" },
    success_url: "https://YOUR-SITE/thank-you",
  });
  response.redirect(303, session.url);
});
"""
NEXT_PAGE = """\
"use client";

export function BuyButton({ price }) {
  async function buy() {
    const response = await fetch("/api/create-checkout", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ price, humblytics_view_id: window.Humblytics?.viewId }),
    });
    location.href = (await response.json()).url;
  }
  return <button onClick={buy}>Buy</button>;
}
"""
NEXT_SERVER = """\
import Stripe from "stripe";

const stripe = new Stripe(process.env.STRIPE_SECRET_KEY);

export async function POST(request) {
  const { price, humblytics_view_id } = await request.json();
  const session = await stripe.checkout.sessions.create({
    mode: "payment",
    line_items: [{ price, quantity: 1 }],
    metadata: { humblytics_view_id: humblytics_view_id ?? "" },
    success_url: "https://YOUR-SITE/thank-you",
  });
  return Response.json({ url: session.url });
}
"""
DJANGO_PAGE = """\
<form action="{% url 'create-checkout' %}" method="post">
  {% csrf_token %}
  <input type="hidden" name="humblytics_view_id">
  <button>Buy</button>
</form>
"""
DJANGO_SERVER = """\
import stripe
from django.shortcuts import redirect
from django.views.decorators.http import require_POST


@require_POST
def create_checkout(request):
    session = stripe.checkout.Session.create(
        mode="payment",
        line_items=[{"price": "price_…", "quantity": 1}],
        metadata={"humblytics_view_id": request.POST.get("humblytics_view_id", "")},
        success_url="https://YOUR-SITE/thank-you",
    )
    return redirect(session.url)
"""
RAILS_PAGE = """\
<%= form_with url: "/checkout", data: { turbo: false } do %>
  <%= hidden_field_tag :humblytics_view_id, "" %>
  <%= submit_tag "Buy" %>
<% end %>
"""
RAILS_SERVER = """\
class CheckoutController < ApplicationController
  def create
    session = Stripe::Checkout::Session.create(
      mode: "payment",
      line_items: [{ price: "price_…", quantity: 1 }],
      metadata: { humblytics_view_id: params[:humblytics_view_id].to_s },
      success_url: "https://YOUR-SITE/thank-you"
    )
    redirect_to session.url, allow_other_host: true, status: :see_other
  end
end
"""
LARAVEL_PAGE = """\
<form action="/checkout" method="post">
  @csrf
  <input type="hidden" name="humblytics_view_id">
  <button>Buy</button>
</form>
"""
LARAVEL_SERVER = """\
Route::post('/checkout', function (Illuminate\\Http\\Request $request) {
    $stripe = new Stripe\\StripeClient(config('services.stripe.secret'));
    $session = $stripe->checkout->sessions->create([
        'mode' => 'payment',
        'line_items' => [['price' => 'price_…', 'quantity' => 1]],
        'metadata' => ['humblytics_view_id' => (string) $request->input('humblytics_view_id')],
        'success_url' => 'https://YOUR-SITE/thank-you',
    ]);
    return redirect()->away($session->url, 303);
});
"""
PHP_PAGE = """\
<form action="/checkout.php" method="post">
  <input type="hidden" name="humblytics_view_id">
  <button>Buy</button>
</form>
"""
PHP_SERVER = """\
<?php
require 'vendor/autoload.php';

$stripe = new Stripe\\StripeClient(getenv('STRIPE_SECRET_KEY'));
$session = $stripe->checkout->sessions->create([
    'mode' => 'payment',
    'line_items' => [['price' => 'price_…', 'quantity' => 1]],
    'metadata' => ['humblytics_view_id' => (string) ($_POST['humblytics_view_id'] ?? '')],
    'success_url' => 'https://YOUR-SITE/thank-you',
]);
header('Location: ' . $session->url, true, 303);
"""
LINK_PAGE = """\
<a href="https://buy.stripe.com/YOUR-LINK">Buy</a>
"""
LINK_CODE = """\
const link = new URL("https://buy.stripe.com/YOUR-LINK");
const viewId = window.Humblytics?.viewId;
// Stripe refuses an empty client_reference_id: without the script, leave it out.
if (viewId) link.searchParams.set("client_reference_id", viewId);
location.href = link;
"""

PAGE = "In the page"


def for_api(domain: str) -> list[Snippet]:
    """Give what hands the view id to a server that creates Checkout Sessions, for pages of `domain`."""
    return [
        _of("fetch", domain, (PAGE, FETCH_PAGE), ("On your server, here in Node", FETCH_SERVER)),
        _of("Form", domain, (PAGE, FORM_PAGE + FILL), ("On your server, here in Node", FORM_SERVER)),
        _of("Next.js", domain, ("app/buy-button.jsx", NEXT_PAGE), ("app/api/create-checkout/route.js", NEXT_SERVER)),
        _of("Django", domain, ("In the template", DJANGO_PAGE + FILL), ("views.py", DJANGO_SERVER)),
        _of(
            "Rails",
            domain,
            ("In the view", RAILS_PAGE + FILL),
            ("app/controllers/checkout_controller.rb", RAILS_SERVER),
        ),
        _of("Laravel", domain, ("In the Blade template", LARAVEL_PAGE + FILL), ("routes/web.php", LARAVEL_SERVER)),
        _of("PHP", domain, (PAGE, PHP_PAGE + FILL), ("checkout.php", PHP_SERVER)),
    ]


def for_links(domain: str) -> list[Snippet]:
    """Give what hands the view id to Payment Links."""
    return [
        _of(
            "Links, buy buttons and pricing tables",
            domain,
            (
                "Nothing to do: the script gives them the view id when they are used, unless they have a "
                "client_reference_id of their own",
                LINK_PAGE,
            ),
        ),
        _of("Your own code", domain, ("Where your script sends the buyer to a Payment Link", LINK_CODE)),
    ]


def _of(platform: str, domain: str, *parts: tuple[str, str]) -> Snippet:
    return Snippet(platform, tuple(Part(where, code.rstrip().replace("YOUR-SITE", domain)) for where, code in parts))
