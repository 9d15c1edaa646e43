"""The tracker in a real browser: what visitors do on a page, how long they stay, and what Stripe is told."""

import pytest
from playwright.sync_api import BrowserContext, Page, Route

from sites.models import Site
from sites.script_tag import tags
from tests.tracking.customer import TAG, Customer, arrived, hide, scroll, until

STUB = str(tags(Site(domain="shop.example", key="key"))["stub_tag"])
EVERYWHERE = "**/*"
PAY = "https://buy.stripe.com/abc"
# As Stripe's own elements do, it reads its attributes when it is put into a page.
BUY_BUTTON = """
<script>
customElements.define("stripe-buy-button", class extends HTMLElement {
  connectedCallback() { setTimeout(() => this.textContent = this.getAttribute("client-reference-id")) }
})
</script>
"""


def elsewhere(context: BrowserContext, customer: Customer) -> list[str]:
    """Let all other sites be an empty page; give what they are asked for."""
    asked: list[str] = []

    def answer(route: Route) -> None:
        if route.request.url.startswith(customer.url):
            route.fallback()
        else:
            asked.append(route.request.url)
            route.fulfill(body="<p>elsewhere</p>", content_type="text/html")

    context.route(EVERYWHERE, answer)
    return asked


def names(page: Page, customer: Customer, count: int) -> list[tuple[str, dict[str, object]]]:
    return [(hit["event"], hit["props"]) for hit in arrived(page, customer, count, "event")]


def test_an_event_names_its_view_and_has_properties(page: Page, customer: Customer) -> None:
    customer.pages["/"] = "<script>Humblytics.track('signup', {plan: 'pro', seats: 3, trial: true})</script>"
    page.goto(customer.url)
    (view,), (event,) = arrived(page, customer, 1), arrived(page, customer, 1, "event")
    assert (event["event"], event["view"], event["url"]) == ("signup", view["view"], view["url"])
    assert event["props"] == {"plan": "pro", "seats": 3, "trial": True}
    assert event["id"] != event["view"]


def test_an_event_that_cannot_be_written_down_is_no_error_of_the_page(page: Page, customer: Customer) -> None:
    customer.pages["/"] = ""
    page.goto(customer.url)
    page.evaluate("const round = {}; round.round = round; Humblytics.track('round', round)")
    page.evaluate("Humblytics.track('fine')")
    (event,) = arrived(page, customer, 1, "event")
    assert event["event"] == "fine"


def test_an_element_s_event_is_sent_with_its_properties_when_it_is_clicked(page: Page, customer: Customer) -> None:
    customer.pages["/"] = (
        "<button data-humblytics-event='signup' data-humblytics-event-plan='pro' data-user='secret'>"
        "<b>Sign up</b></button>"
    )
    page.goto(customer.url)
    page.get_by_text("Sign up").click()
    page.get_by_role("button").press("Enter")
    assert names(page, customer, 2) == [("signup", {"plan": "pro"})] * 2


def test_forms_are_events_when_they_are_sent(page: Page, customer: Customer) -> None:
    customer.pages["/"] = (
        "<form id=search action='/found?token=1'><input name=id value=me@example.com><button>Find</button></form>"
        "<form data-humblytics-event=Letter data-humblytics-event-place=footer onsubmit='return false'>"
        "<input name=email value=me@example.com><button>Send</button></form>"
    )
    customer.pages["/found"] = ""
    page.goto(customer.url)
    page.locator("[name=email]").click()
    page.get_by_text("Send").click()
    page.get_by_text("Find").click()
    page.wait_for_url("**/found**")
    assert names(page, customer, 2) == [
        ("Letter", {"form": "", "place": "footer"}),
        ("Form submit", {"form": "search"}),
    ]


def test_links_out_and_downloads_are_events_without_what_may_be_personal(page: Page, customer: Customer) -> None:
    asked = elsewhere(page.context, customer)
    customer.pages["/"] = (
        "<a href='https://me:secret@other.example/deal?mail=me@example.com#x'>Out</a> <a href=/inside>In</a>"
        "<a href='/files/Price%20list.PDF?for=me'>List</a> <a href=/export download>Export</a>"
        "<a href='mailto:me@example.com'>Mail</a> <a href='#part'>Part</a>"
    )
    customer.pages["/inside"] = ""
    page.goto(customer.url)
    page.evaluate("addEventListener('click', event => event.preventDefault())")
    for text in ("Out", "In", "List", "Export", "Mail", "Part"):
        page.get_by_text(text, exact=True).click()
    page.get_by_text("Out").click(button="right")
    assert asked == []
    host = customer.url.removeprefix("http://")
    assert names(page, customer, 3) == [
        ("Outbound link", {"url": "other.example/deal"}),
        ("File download", {"url": f"{host}/files/Price%20list.PDF"}),
        ("File download", {"url": f"{host}/export"}),
    ]


def test_a_link_out_is_counted_although_the_page_goes(page: Page, customer: Customer) -> None:
    elsewhere(page.context, customer)
    customer.pages["/"] = "<a href='https://other.example/'>Out</a>"
    page.goto(customer.url)
    page.get_by_text("Out").click()
    page.wait_for_url("https://other.example/")
    assert names(page, customer, 1) == [("Outbound link", {"url": "other.example/"})]


def test_what_the_page_asks_of_the_stub_is_done_when_the_script_comes(page: Page, customer: Customer) -> None:
    customer.script_seconds = 0.5
    customer.head = f"{STUB}<script async src=/js/key.js></script>"
    customer.pages["/"] = (
        "<script>var early = Humblytics.viewId, {track} = Humblytics; Humblytics.track('a', {n: 1}); track('b');"
        "Humblytics.ready.then(id => window.told = id)</script>"
    )
    page.goto(customer.url, wait_until="commit")
    (view,) = arrived(page, customer, 1)
    page.evaluate("track('c')")
    assert view["view"] == page.evaluate("early") == page.evaluate("Humblytics.viewId")
    assert page.evaluate("told") == view["view"]
    events = arrived(page, customer, 3, "event")
    assert {(hit["event"], hit["view"]) for hit in events} == {(name, view["view"]) for name in "abc"}


def test_a_blocked_script_stops_nothing_where_the_stub_is(page: Page, customer: Customer) -> None:
    page.route("**/js/key.js", lambda route: route.abort("blockedbyclient"))
    customer.head = f"{STUB}{TAG}"
    customer.pages["/"] = ""
    page.goto(customer.url)
    page.evaluate("Humblytics.track('a')")
    assert page.evaluate("Humblytics.variant('test')") is None
    assert len(page.evaluate("Humblytics.viewId")) == 36
    assert page.evaluate("Humblytics.ready") == page.evaluate("Humblytics.viewId")
    assert customer.hits == []


def test_time_counts_while_somebody_looks_and_depth_as_far_as_it_was_seen(page: Page, customer: Customer) -> None:
    page.clock.install(time=0)
    page.set_viewport_size({"width": 800, "height": 1000})
    customer.pages["/"] = "<body style='margin: 0'><div style='height: 4000px'></div>"
    page.goto(customer.url)
    page.clock.pause_at(60_000)
    page.evaluate("dispatchEvent(new Event('focus'))")
    before = page.evaluate("performance.now()")
    page.clock.run_for(10_000)
    scroll(page, 1000)
    scroll(page, 0)
    # Somebody is away: of this, half a minute counts.
    page.clock.run_for(100_000)
    page.evaluate("dispatchEvent(new Event('pointermove'))")
    # Another window is before this one: nothing counts.
    page.evaluate("document.hasFocus = () => false, dispatchEvent(new Event('blur'))")
    page.clock.run_for(20_000)
    page.evaluate("document.hasFocus = () => true, dispatchEvent(new Event('focus'))")
    page.clock.run_for(2_000)
    assert page.evaluate("performance.now()") - before == 132_000
    hide(page)
    (told,) = arrived(page, customer, 1, "engaged")
    (view,) = arrived(page, customer, 1)
    assert (told["view"], told["url"], told["scrolled"]) == (view["view"], view["url"], 50)
    # What passed until the clock stood still was half a minute at most.
    assert 42_000 <= told["engaged"] <= 72_000


def test_engagement_is_told_again_only_when_it_has_grown(page: Page, customer: Customer) -> None:
    page.clock.install(time=0)
    customer.pages["/"] = ""
    page.goto(customer.url)
    page.clock.run_for(3_000)
    hide(page)
    page.evaluate("dispatchEvent(new Event('pagehide'))")
    arrived(page, customer, 1, "engaged")
    page.clock.run_for(50_000)
    hide(page, is_hidden=False)
    page.clock.run_for(4_000)
    hide(page)
    first, second = arrived(page, customer, 2, "engaged")
    assert first["view"] == second["view"]
    # The time behind another tab is not in it.
    assert 4_000 <= second["engaged"] - first["engaged"] < 50_000


def test_a_page_that_is_left_tells_how_long_it_was_read(page: Page, customer: Customer) -> None:
    customer.pages["/"] = customer.pages["/next"] = ""
    page.goto(customer.url)
    first = page.evaluate("Humblytics.viewId")
    page.wait_for_timeout(300)
    page.goto(f"{customer.url}/next")
    (told,) = arrived(page, customer, 1, "engaged")
    assert (told["view"], told["url"], told["scrolled"]) == (first, f"{customer.url}/", 100)


def test_an_app_s_page_tells_its_own_time_before_the_next_begins(page: Page, customer: Customer) -> None:
    page.clock.install(time=0)
    customer.pages["/"] = ""
    page.goto(customer.url)
    page.clock.run_for(3_000)
    page.evaluate("history.pushState(null, '', '/next')")
    page.clock.run_for(200)
    hide(page)
    first, second = arrived(page, customer, 2, "engaged")
    assert [told["url"].removeprefix(customer.url) for told in (first, second)] == ["/", "/next"]
    assert [told["view"] for told in (first, second)] == [view["view"] for view in arrived(page, customer, 2)]
    assert first["engaged"] >= 3_000 > second["engaged"]


@pytest.mark.parametrize(
    ("address", "opened"),
    [
        pytest.param(PAY, f"{PAY}?client_reference_id=ID", id="plain"),
        pytest.param(
            f"{PAY}?prefilled_email=a%40b.example#x",
            f"{PAY}?prefilled_email=a%40b.example&client_reference_id=ID#x",
            id="with a query",
        ),
        pytest.param(f"{PAY}?client_reference_id=mine", f"{PAY}?client_reference_id=mine", id="with the page's own"),
        pytest.param("https://buy.stripe.example/abc", "https://buy.stripe.example/abc", id="somebody else's"),
    ],
)
@pytest.mark.parametrize("how", ["click", "middle click", "keyboard"])
def test_a_payment_link_takes_the_view_s_id_along(
    page: Page, customer: Customer, how: str, address: str, opened: str
) -> None:
    asked = elsewhere(page.context, customer)
    customer.pages["/"] = f"<a href='{address}'><b>Pay</b></a>"
    page.goto(customer.url)
    expected = opened.replace("ID", page.evaluate("Humblytics.viewId"))
    assert page.locator("a").get_attribute("href") == address
    if how == "middle click":
        # What another tab asks for first is nothing that a test can answer; it opens the address that the link has.
        with page.context.expect_page():
            page.get_by_text("Pay").click(button="middle")
        assert page.locator("a").get_attribute("href") == expected
        return
    if how == "keyboard":
        page.get_by_role("link").press("Enter")
    else:
        page.get_by_text("Pay").click()
    until(page, lambda: asked)
    assert asked == [expected.partition("#")[0]]


def test_stripe_s_elements_take_the_view_s_id_along(page: Page, customer: Customer) -> None:
    customer.pages["/"] = (
        "<stripe-buy-button id=a></stripe-buy-button><stripe-pricing-table id=b></stripe-pricing-table>"
        f"<stripe-buy-button id=c client-reference-id=mine></stripe-buy-button>{BUY_BUTTON}"
    )
    page.goto(customer.url)
    page.evaluate("document.body.append(Object.assign(document.createElement('stripe-buy-button'), {id: 'd'}))")
    view_id = page.evaluate("Humblytics.viewId")
    for name, expected in {"a": view_id, "b": view_id, "c": "mine", "d": view_id}.items():
        assert page.locator(f"#{name}").get_attribute("client-reference-id") == expected
    page.wait_for_function("document.querySelector('#d').textContent")
    shown = page.locator("stripe-buy-button").all_inner_texts()
    assert shown == [view_id, "mine", view_id]


def test_nothing_is_kept_in_the_browser(page: Page, customer: Customer) -> None:
    elsewhere(page.context, customer)
    customer.head = f"{STUB}{TAG}"
    customer.pages["/"] = "<form onsubmit='return false'><button data-humblytics-event=a>Go</button></form>"
    customer.test("/", "button", "New", 1)
    page.goto(customer.url)
    page.get_by_role("button").click()
    page.evaluate("Humblytics.track('b'); history.pushState(null, '', '/next')")
    hide(page)
    arrived(page, customer, 2)
    arrived(page, customer, 3, "event")
    assert page.context.cookies() == []
    assert page.context.storage_state() == {"cookies": [], "origins": []}
    assert page.evaluate("[document.cookie, localStorage.length, sessionStorage.length]") == ["", 0, 0]
    assert page.evaluate("indexedDB.databases()") == []
    assert page.evaluate("caches.keys()") == []
