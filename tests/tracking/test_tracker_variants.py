"""What split tests do in a real browser: changes, other pages, previews, and picking an element."""

from playwright.sync_api import Browser, Page, expect

from tests.tracking.customer import TAG, Customer, arrived, told_test

# Notes, for each frame that is painted, what stands where and whether the page is hidden, and the layout's shifts.
PROBE = """<script>
window.frames_seen = []; window.shift = 0;
new PerformanceObserver(list => list.getEntries().forEach(entry => shift += entry.value))
    .observe({type: 'layout-shift', buffered: true});
(function note() {
    const texts = [...document.querySelectorAll('#head, #box, #late')].map(each => each.textContent);
    frames_seen.push([performance.now(), texts, getComputedStyle(document.documentElement).opacity]);
    requestAnimationFrame(note);
})()
</script>"""
# Notes when the page is hidden and when it is shown again.
HIDING = """<script>
window.hiding = [];
new MutationObserver(() => hiding.push(performance.now()))
    .observe(document.documentElement, {attributeFilter: ['style']});
</script>"""
HIDDEN = "frames_seen.filter(([, , opacity]) => opacity == '0').map(([at]) => at)"
WORD = "12-1790000000:Some_word-of-the-server"


def change(selector: str, action: str, value: str, name: str = "") -> dict[str, str]:
    return {"selector": selector, "action": action, "name": name, "value": value}


def test_changes_are_made_before_they_are_seen_and_made_again(page: Page, customer: Customer) -> None:
    customer.head = PROBE + TAG
    customer.policy = "default-src 'none'; script-src 'self' 'unsafe-inline'; connect-src 'self'"
    customer.pages["/"] = (
        "<h1 id=head>Old</h1><div id=box>Old</div><a id=link href=/old>Go</a><p class=price>1</p><p class=price>2</p>"
        "<script>setTimeout(() => document.body.insertAdjacentHTML('beforeend', '<b id=late>Old</b>'), 200);"
        "setTimeout(() => { head.textContent = 'Old'; link.href = '/old'; link.style.color = 'black' }, 400)</script>"
    )
    changes = [
        change("#head", "text", "New & <b>"),
        change("#box", "html", "<i>New</i><br/>"),
        change("#box i", "text", "Newer"),
        change("#link", "attribute", "/new", "href"),
        change("#link", "css", "rgb(1, 2, 3)", "color"),
        change(".price", "css", "none", "display"),
        change("#late", "text", "New"),
        change("#never", "text", "New"),
    ]
    find = [each["selector"] for each in changes]
    customer.tests = [
        told_test("/", 1) | {"find": find, "changes": changes},
        # The control of a test of what is there, and of what is not.
        told_test("/", 2) | {"find": ["#head", "a"], "changes": []},
        told_test("/?plan=pro", 3) | {"find": ["a"], "changes": [change("a", "text", "Wrong")]},
        told_test("/", 4) | {"find": ["#never"], "changes": []},
    ]
    page.goto(customer.url)
    (hit,) = arrived(page, customer, 1)
    # The second finds nothing that the first has not taken.
    assert hit["variants"] == [1]
    expect(page.locator("#late")).to_have_text("New")
    page.wait_for_function("performance.now() > 600")
    expect(page.locator("#head")).to_have_text("New & <b>")
    assert page.locator("#box").inner_html() == "<i>Newer</i><br>"
    assert page.locator("#link").get_attribute("href") == "/new"
    assert page.evaluate("getComputedStyle(link).color") == "rgb(1, 2, 3)"
    assert page.locator(".price:visible").count() == 0
    seen, hidden, shift = page.evaluate(f"[frames_seen, {HIDDEN}, shift]")
    assert {text for _, texts, _ in seen for text in texts} <= {"New & <b>", "Newer", "New"}
    assert (hidden, shift) == ([], 0)

    # What the visit's channel decides is asked for, and the page is not seen before the answer.
    customer.hits.clear()
    customer.tests = []
    customer.pages["/"] = "<h1 id=head>Old</h1>"
    customer.tests_by_channel = [told_test("/", 1) | {"find": ["#head"], "changes": [change("#head", "text", "New")]}]
    page.goto(f"{customer.url}/?utm_medium=email", referer="https://news.example/")
    (hit,) = arrived(page, customer, 1)
    assert customer.origins == [{"url": f"{customer.url}/?utm_medium=email", "referrer": "https://news.example/"}]
    assert hit["variants"] == [1]
    seen = page.evaluate("frames_seen.filter(([, , opacity]) => opacity != '0').map(([, texts]) => texts)")
    assert {text for texts in seen for text in texts} == {"New"}


def test_another_page_is_led_to_and_counted_there(page: Page, customer: Customer) -> None:
    customer.head = PROBE + TAG
    customer.pages = {"/old": "<h1 id=head>Old</h1>", "/new": "<h1 id=head>New</h1>", "/other": ""}
    away = {"away": ["/new?v=2"], "to": "/new?v=2", "sign": WORD}
    customer.tests = [told_test("/*", 1) | away]
    news = "https://news.example/"
    page.goto(f"{customer.url}/old?utm_source=a&x=%20b#part", referer=news)
    page.wait_for_url(f"{customer.url}/new?v=2&utm_source=a&x=%20b#part")
    (view,) = arrived(page, customer, 1)
    assert (view["split"], view["referrer"], view["variants"]) == (WORD, news, [])
    assert view["url"] == f"{customer.url}/new?v=2&utm_source=a&x=%20b"
    (choice,) = customer.told("event")
    assert (choice["event"], choice["props"]) == ("Split test choice", {"test": "test-1", "variant": "Variant 1"})
    assert any(f"humblytics_split={WORD}~https%3A%2F%2Fnews.example%2F" in path for path in customer.asked)
    # What the script keeps, and what the page has of it.
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    # Whoever opens the other page, or loads it again, has not come by the test, and is led nowhere.
    page.reload()
    page.goto(f"{customer.url}/new?v=2")
    later = arrived(page, customer, 3)[1:]
    assert all("split" not in view and view["variants"] == [] for view in later)
    assert len(customer.told("event")) == 1

    # Where the other page does not come, this one is shown after a while, and nobody counts.
    page.route("**/slow*", lambda route: None)
    customer.tests = [told_test("/old", 5) | {"away": ["/slow"], "to": "/slow", "sign": WORD}]
    page.goto(f"{customer.url}/old?a=b", wait_until="commit", referer=news)
    lost = arrived(page, customer, 4)[3]
    assert (lost["url"], lost["variants"], lost["split"]) == (f"{customer.url}/old?a=b", [], "")
    assert lost["referrer"] == news
    assert page.url == f"{customer.url}/old?a=b"
    expect(page.locator("h1")).to_have_text("Old")
    assert page.evaluate(HIDDEN) == []

    # The control waits as long as it took to come here, and counts then; who leaves before does not.
    customer.tests = [told_test("/old", 6) | {"away": ["/new"], "to": ""}]
    customer.head = PROBE + HIDING + TAG
    customer.script_seconds = 1
    page.goto(f"{customer.url}/old", wait_until="commit")
    assert arrived(page, customer, 5)[4]["variants"] == [6]
    hidden_at, shown_at = page.evaluate("hiding")
    # Timers may be a little early.
    assert shown_at - hidden_at > 990
    assert [hit["event"] for hit in customer.told("event")].count("Split test choice") == 3


def test_a_preview_shows_a_variant_and_an_element_is_picked_and_nothing_is_counted(
    browser: Browser, customer: Customer
) -> None:
    context = browser.new_context()
    customer.policy = "default-src 'none'; script-src 'self'; connect-src 'self'"
    customer.pages["/"] = (
        "<h1>Old</h1><div id=main><p class='lead css-1x2y3z'>One</p><p>Two</p><a href=/next>Go</a></div><div><p>Three"
    )
    customer.test("/", "h1", "New", 1)
    preview = context.new_page()
    preview.goto(f"{customer.url}/?a=b&humblytics_preview=12:word")
    expect(preview.locator("h1")).to_have_text("New")
    expect(preview.get_by_text("Preview: Variant 1")).to_be_visible()
    preview.get_by_role("link").click()

    # The form stands on a site of another host, as the dashboard does.
    form = context.new_page()
    customer.pages["/form"] = "<h1>Form</h1>"
    customer.dashboard = customer.url.replace("127.0.0.1", "localhost")
    customer.policy = ""
    form.goto(f"{customer.dashboard}/form")
    with form.expect_popup() as opened:
        form.evaluate(
            "url => { window.told = []; const picked = open(url); addEventListener('message', event => {"
            "told.push([event.origin, event.data]);"
            "if (event.source == picked) picked.postMessage({humblytics: 'taken'}, event.origin) }) }",
            f"{customer.url}/?humblytics_pick=12:word",
        )
    picking = opened.value
    expect(picking.get_by_text("Click the element to change.")).to_be_visible()
    for text, selector in {"Old": "h1", "One": "p.lead", "Two": "#main > p:nth-of-type(2)", "Go": "a"}.items():
        picking.get_by_text(text, exact=True).click()
        expect(picking.locator("humblytics-panel code")).to_have_text(selector)
        expect(picking.get_by_text("It stands in the form now.")).to_be_visible()
    expected = ["h1", "p.lead", "#main > p:nth-of-type(2)", "a"]
    assert form.evaluate("told") == [
        [customer.url, {"humblytics": "picked", "selector": selector}] for selector in expected
    ]
    # The page's own link was not followed.
    assert picking.url == f"{customer.url}/?humblytics_pick=12:word"
    picking.keyboard.press("Escape")
    assert picking.locator("humblytics-picker").count() == 0
    assert [hit for hit in customer.hits if "humblytics" in hit["url"] or hit["url"].endswith("/?a=b")] == []
    context.close()
