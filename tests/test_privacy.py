"""No visitor's address and no user agent is kept anywhere: not by hits that are taken, not by what goes wrong."""

import datetime as dt
import http.client
import json
import re
import socket
import threading
import urllib.parse
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection

from revenue.sandbox.errors import StripeError
from revenue.sandbox.faults import key_refused, refusing
from sites.models import Site
from tests.factories import CHROME, send_hit
from tests.stack import Stack, connect, running_stack, wait_until
from tests.traces import traces
from tracking.hits import LONGEST_BODY, Refusal
from tracking.limits import BURST
from tracking.models import DailySalt, Visit
from tracking.tasks import forget_visitors
from tracking.visitors import visitor

pytestmark = pytest.mark.services
DOMAIN = "marked.example"
EMAIL, PASSWORD = "owner@example.com", "no trace of anybody"
V4, OTHER_V4, V6 = "91.64.211.197", "203.0.113.241", "2a02:3100:9d5e:71c4:b3a8:6f12:e07d:594c"
HEARSAY = "198.51.100.227"
EXCLUDED, EXCLUDED_NETWORK, FLOODING = "192.0.2.203", "192.0.2.192/26", "203.0.113.179"
MARK = "Qz7Marker41x"
BROWSER, BOT = f"{CHROME} {MARK}", f"Googlebot/2.1 (+http://www.google.com/bot.html) {MARK}"
KEPT = "/a-page-that-is-kept"
# As proxies write them.
FORWARDED = [
    *(V4, f"{V4}:50123", f"::ffff:{V4}", f"[::ffff:{V4}]:443", f"{HEARSAY}, {OTHER_V4}", V6, f"[{V6}]:50123"),
    *(f"{V6}%eth0", V6.upper(), f"{HEARSAY} {V4}", f"{V4}.evil", f'"{V6}"', f"{V4}/32"),
]
EACH_ADDRESS = [V4, V6]
JSON = "application/json"
NOON = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)


# Runs on all pages, for visits that come by themselves, and leads to another page.
SPLIT_TEST = f"""
from sites.models import Site
from splittests.models import Kind, SplitTest, State
from splittests.redirects import sign
from django.utils import timezone
test = SplitTest.objects.create(
    site=Site.objects.get(domain="{DOMAIN}"), key="page", kind=Kind.REDIRECT, pages=["/*"], channels=["Direct"],
    countries=["DE", ""], devices=["Desktop"], currency="eur")
test.variants.create(name="Control")
print(sign(test.variants.create(name="B", redirect_url="/b").pk, timezone.now()))
SplitTest.objects.update(state=State.RUNNING, started_at=timezone.now())
"""


class Client:
    """Sends requests as the proxy on this machine does that the stack trusts."""

    def __init__(self, stack: Stack) -> None:
        address = urllib.parse.urlsplit(stack.url)
        self.host, self.port = address.netloc, int(address.port or 80)
        self.key = ""
        self.cookies: dict[str, str] = {}
        self.answers: list[tuple[str, bytes]] = []

    def send(
        self, method: str, path: str, body: bytes = b"", ip: str = V4, agent: str = BROWSER, **headers: str
    ) -> tuple[int, str, bytes]:
        """Give status, X-Humblytics and body."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        told = {"Host": self.host, "X-Forwarded-For": ip, "User-Agent": agent, "Forwarded": f"for={ip}"}
        told |= {"X-Real-IP": ip, "CF-Connecting-IP": ip, "Content-Type": "text/plain"}
        told["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            line.request(method, path, body, told)
            answer = line.getresponse()
            for cookie in answer.headers.get_all("Set-Cookie") or []:
                name, _, value = cookie.partition(";")[0].partition("=")
                self.cookies[name] = value
            shown = answer.read()
            self.answers.append((f"{method} {path}", str(answer.headers).encode() + shown))
            return answer.status, answer.headers.get("X-Humblytics", ""), shown
        finally:
            line.close()

    def hit(self, ip: str = V4, agent: str = BROWSER, headers: dict[str, str] | None = None, **said: object) -> str:
        """Send a view, or an event; give what the answer says of it: its status, or why it was dropped."""
        body = {"site": self.key, "view": str(uuid.uuid4()), "url": f"https://{DOMAIN}{KEPT}"} | said
        status, dropped, _ = self.send("POST", "/collect", json.dumps(body).encode(), ip, agent, **(headers or {}))
        return dropped.removeprefix("dropped=") or str(status)

    def log_in(self, username: str, password: str) -> int:
        self.cookies.clear()
        return self.post_form("/login/", username=username, password=password)

    def post_form(self, path: str, **fields: str) -> int:
        return self.post_form_of(path, path, fields)[0]

    def post_form_of(self, page: str, path: str, fields: dict[str, str]) -> tuple[int, str, bytes]:
        """Send a form of the page to the path."""
        shown = self.send("GET", page)[2].decode()
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', shown)
        assert token, shown
        form = urllib.parse.urlencode({**fields, "csrfmiddlewaretoken": token[1]})
        return self.send("POST", path, form.encode(), Content_Type="application/x-www-form-urlencoded")

    def report(self, token: str, ip: str = V4, agent: str = BROWSER, kind: str = JSON, **said: object) -> str:
        """Report an event as the site's own server would; give the answer's status, or why it was dropped."""
        body = json.dumps({"name": "refund", "path": KEPT, **said}).encode()
        headers = {"Content_Type": kind, "Authorization": f"Bearer {token}"}
        status, dropped, _ = self.send("POST", "/api/v1/events", body, ip, agent, **headers)
        return dropped.removeprefix("dropped=") or str(status)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("privacy")) as stack:
        stack.add_superuser(EMAIL, PASSWORD)
        yield stack


@pytest.fixture(scope="module")
def client(stack: Stack) -> Client:
    client = Client(stack)
    key = re.search(r"/js/([a-z0-9]+)\.js", stack.manage("add_site", DOMAIN, "--owner", EMAIL))
    assert key
    client.key = key[1]
    with connect(stack.folder) as database:
        database.execute(
            """
            INSERT INTO tracking_intake (
                site_id, hostnames, excluded_networks, respects_gpc, respects_dnt, takes_null_origin, has_hash_routes)
            SELECT id, '{}', ARRAY[%s], true, true, false, false FROM sites_site
            """,
            [EXCLUDED_NETWORK],
        )
    return client


def test_no_address_and_no_user_agent_is_kept_anywhere(stack: Stack, client: Client) -> None:
    take_hits(client)
    ask_for_variants(client, stack.manage("shell", "-c", SPLIT_TEST).split()[-1])
    refuse_hits(client)
    break_requests(client)
    use_the_dashboard(client)
    token = new_token(client)
    take_reports(client, token)
    with database_away(stack):
        refuse_without_database(client, token)
    # The worker has had its turn, and has passed its messages on.
    wait_until(lambda: client.hit() == "202")
    with connect(stack.folder) as database:
        database.execute("CHECKPOINT")
    addresses = [V4, OTHER_V4, V6, HEARSAY, EXCLUDED, FLOODING]
    marks = [MARK, BOT, CHROME]
    assert traces(stack, addresses=addresses, texts=marks, answers=client.answers, kept=KEPT) == []


def test_no_stripe_key_is_kept_in_clear_or_shown_anywhere(stack: Stack, client: Client) -> None:
    """Used as it should be, and put wherever it should not be."""
    key, wrong = stack.account.secret_key, "sk_test_51NobodysKeyNobodysKeyNobodysKey"
    settings, form = f"/{DOMAIN}/settings/revenue/", {"provider": "stripe", "method": "stripe_api"}
    assert client.log_in(EMAIL, PASSWORD) == 302
    # Stripe refuses the one; the others are no keys, but nearly.
    for refused in (wrong, f"{key}\n{key}", f"{key} {key}", f'"{key}"', key.replace("sk_test_", "pk_test_"), key * 20):
        assert client.post_form(settings, **form, secret_key=refused) == 200
    assert client.post_form(settings, **form, secret_key=key) == 302
    with connect(stack.folder) as database:

        def synced() -> bool:
            return bool(database.execute("SELECT FROM revenue_connection WHERE synced_at IS NOT NULL").fetchall())

        wait_until(synced)
    file = stack.folder.with_name("key")
    file.write_text(key)
    assert stack.account.id in stack.manage("connect_stripe", DOMAIN, "--key-file", str(file))
    stack.manage("sync_revenue", DOMAIN, "--full", "--json")
    # Stripe's own errors show a part of the key; a proxy's might show all of it.
    for trouble in (key_refused(), refusing(StripeError(400, f"What is {key}?"))):
        stack.sandbox.faults.always(trouble)
        with pytest.raises(AssertionError) as failed:
            stack.manage("sync_revenue", DOMAIN)
        client.answers.append(("manage.py sync_revenue", str(failed.value).encode()))
        assert client.send("GET", settings)[0] == 200
        stack.sandbox.faults.clear()
    for text in (key, wrong):
        client.send("GET", f"/{text}/?key={text}")
        client.send("GET", f"/{DOMAIN}/{text}/")
        client.send("GET", f"{settings}?secret_key={text}")
        client.hit(url=f"https://{DOMAIN}/?secret={text}", referrer=f"https://blog.example/?key={text}")
    for text in (key, wrong):
        assert client.log_in(EMAIL, text) == 200
    with connect(stack.folder) as database:
        database.execute("CHECKPOINT")
    secrets = [text.removeprefix("sk_test_") for text in (key, wrong)]
    assert traces(stack, texts=secrets, answers=client.answers, kept=stack.account.id) == []


def take_hits(client: Client) -> None:
    for ip in FORWARDED:
        assert client.hit(ip) == "202"
    for ip in EACH_ADDRESS:
        view = str(uuid.uuid4())
        assert client.hit(ip, view=view, url=f"https://{DOMAIN}{KEPT}?utm_source=news&gclid=c") == "202"
        assert client.hit(ip, view=view, event="signup", id=str(uuid.uuid4()), props={"plan": "pro"}) == "202"
        assert client.hit(ip, view=view, engaged=4_000, scrolled=50) == "202"


def ask_for_variants(client: Client, word: str) -> None:
    """Ask for the script and for what a channel decides, and come to another page by a word."""
    script = f"/js/{client.key}.js"
    for ip in (*FORWARDED, *EACH_ADDRESS):
        said = json.dumps({"url": f"https://{DOMAIN}{KEPT}?from={ip}", "referrer": f"https://news.example/?of={ip}"})
        assert client.send("GET", script, ip=ip)[0] == 200
        assert client.send("POST", script, said.encode(), ip)[0] == 200
        assert client.send("POST", script, said[1:].encode(), ip)[0] == 400
        assert client.send("GET", f"{script}?humblytics_preview={word}", ip=ip)[0] == 200
        assert client.hit(ip, url=f"https://{DOMAIN}/b", split=word) == "202"
    for _, answer in client.answers:
        head = answer.partition(b"\n\n")[0].lower()
        assert b"set-cookie" not in head, head


def refuse_hits(client: Client) -> None:
    """Cause every refusal but the one of a database that is away."""
    refused: set[str] = set()
    for ip in EACH_ADDRESS:
        refused |= {
            client.hit(ip, agent=BOT),
            client.hit(ip, headers={"Sec_Purpose": "prefetch"}),
            client.hit(ip, headers={"Sec_GPC": "1"}),
            client.hit(ip, headers={"DNT": "1"}),
            client.hit(EXCLUDED),
            client.hit(ip, webdriver=True),
            client.hit(ip, view="not an id"),
            client.hit(ip, url="javascript:alert(1)"),
            client.hit(ip, referrer="x" * LONGEST_BODY),
            client.hit(ip, headers={"Content_Type": "multipart/form-data"}),
            client.hit(ip, site="nobodyskey00"),
            client.hit(ip, url="https://elsewhere.example/"),
            client.hit(ip, headers={"Origin": "https://elsewhere.example"}),
            send_slowly(client, ip),
        }
    flood(client)
    assert refused | {Refusal.TOO_MANY, Refusal.UNAVAILABLE} >= set(Refusal)


def flood(client: Client) -> None:
    """Send more than a network may, without waiting for the answers."""
    body = json.dumps({"site": client.key, "view": str(uuid.uuid4()), "url": f"https://{DOMAIN}/"})
    head = f"POST /collect HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {FLOODING}\r\nUser-Agent: {BOT}\r\n"
    request = f"{head}Content-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    with socket.create_connection(("127.0.0.1", client.port), timeout=60) as line:
        sender = threading.Thread(target=line.sendall, args=[request * 3 * BURST])
        sender.start()
        answers = b""
        while answers.count(b"HTTP/1.1 ") < 3 * BURST:
            answers += line.recv(2**20)
        sender.join()
    assert f"dropped={Refusal.TOO_MANY}".encode() in answers


def send_slowly(client: Client, ip: str) -> str:
    with socket.create_connection(("127.0.0.1", client.port), timeout=30) as line:
        head = f"POST /collect HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {ip}\r\nUser-Agent: {BROWSER}\r\n"
        line.sendall(f"{head}Content-Type: text/plain\r\nContent-Length: 900\r\n\r\n{{".encode())
        answer = line.recv(4096).decode()
    found = re.search(r"dropped=(\S+)", answer)
    return found[1] if found else answer


def break_requests(client: Client) -> None:
    """Requests that the server, its parser or Django do not understand."""
    for ip in EACH_ADDRESS:
        for raw in (
            f"POST /collect HTTP/9.9\r\nX-Forwarded-For: {ip}\r\nUser-Agent: {BROWSER}\r\n\r\n",
            f"POST /collect HTTP/1.1\r\nX-Forwarded-For: {ip}\r\nContent-Length: minus\r\n\r\n",
            f"G\0T / HTTP/1.1\r\nHost: {ip}\r\nX-Forwarded-For: {ip}\r\n\r\n",
            f"POST /collect HTTP/1.1\r\nX-Forwarded-For: {ip}\r\nContent-Length: 999\r\n\r\n{{",
            f"GET /{DOMAIN}/ HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-For: {ip}\r\nUser-Agent: {BROWSER}\r\n\r\n",
        ):
            with socket.create_connection(("127.0.0.1", client.port), timeout=30) as line:
                line.sendall(raw.encode())
                line.shutdown(socket.SHUT_WR)
                while line.recv(4096):
                    pass
        assert client.send("PUT", "/collect", ip=ip)[0] == 405
        assert client.send("POST", "/api/v1/events", b"{}", ip=ip, Authorization=f"Bearer {MARK}")[0] == 401
        assert client.send("GET", "/no/such/page/", ip=ip)[0] in (302, 404)
        assert client.send("POST", "/login/", b"username=a", ip=ip)[0] == 403
        assert client.send("GET", "/%00", ip=ip)[0] == 400


def use_the_dashboard(client: Client) -> None:
    assert client.log_in(EMAIL, MARK) == 200
    assert client.log_in(EMAIL, PASSWORD) == 302
    for ip in EACH_ADDRESS:
        for path in ("/", f"/{DOMAIN}/", f"/{DOMAIN}/revenue/", "/admin/", "/admin/tracking/visit/", "/readyz"):
            assert client.send("GET", path, ip=ip)[0] == 200
        assert client.send("GET", f"/{DOMAIN}/no-such-page/", ip=ip)[0] == 404
        assert client.send("POST", f"/{DOMAIN}/", ip=ip)[0] in (403, 405)


def new_token(client: Client) -> str:
    """Have the site's settings make a token for its server."""
    page = f"/{DOMAIN}/settings/sharing/"
    shown = client.post_form_of(page, f"{page}tokens/", {"token-name": "server", "token-scope": "events"})[2].decode()
    token = re.search(r"hl_[\w-]{43}", shown)
    assert token, shown
    return token[0]


def take_reports(client: Client, token: str) -> None:
    """Report events with a token that is good: such that are taken, and such that are refused."""
    # The server looks for tokens it does not know once a second.
    wait_until(lambda: client.report(token) != "401")
    for ip in FORWARDED:
        assert client.report(token, ip) == "202"
    for ip in EACH_ADDRESS:
        view = str(uuid.uuid4())
        assert client.hit(ip, view=view) == "202"
        assert client.report(token, ip, view_id=view, props={"plan": "pro"}) == "202"
        assert client.report(token, ip, visitor=f"{MARK} at {ip}") == "202"
        assert client.report(token, ip, agent=BOT, url=f"https://{DOMAIN}{KEPT}?from={ip}#{MARK}") == "202"
        refused = {
            client.report(token, ip, visitor=ip * 20),
            client.report(token, ip, view_id=ip),
            client.report(token, ip, kind="text/plain"),
            client.report(token, ip, url="https://elsewhere.example/"),
            client.report(token, ip, props={"long": ip * 2_000}),
        }
        assert refused == {Refusal.MALFORMED, Refusal.WRONG_TYPE, Refusal.OTHER_HOST, Refusal.TOO_LARGE}


@contextmanager
def database_away(stack: Stack) -> Iterator[None]:
    """The database's server runs, and takes nobody in."""
    with connect(stack.folder, "template1") as database:
        database.execute("ALTER DATABASE postgres ALLOW_CONNECTIONS false")
        database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'postgres'")
        try:
            yield
        finally:
            database.execute("ALTER DATABASE postgres ALLOW_CONNECTIONS true")


def refuse_without_database(client: Client, token: str) -> None:
    for ip in EACH_ADDRESS:
        assert client.hit(ip) == Refusal.UNAVAILABLE
        assert client.report(token, ip) == Refusal.UNAVAILABLE
        assert client.send("GET", "/readyz", ip=ip)[0] == 503
        # Django's answer to an error that nobody foresaw, with a traceback in the log.
        assert client.send("GET", f"/{DOMAIN}/", ip=ip)[0] == 500


def table_file(table: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_filepath(%s)", [table])
        return str(cursor.fetchone()[0])


def bytes_of(file: str) -> bytes:
    """What stands in a table's file, nothing if it is gone; a page that was changed is there after a CHECKPOINT."""
    with connection.cursor() as cursor:
        cursor.execute("CHECKPOINT")
        cursor.execute("SELECT pg_read_binary_file(%s, 0, 100000000, true)", [file])
        return bytes(cursor.fetchone()[0] or b"")


@pytest.mark.django_db(transaction=True)
def test_after_48_hours_no_salt_of_the_day_is_in_the_table_or_its_files(site: Site) -> None:
    send_hit(site, at=NOON)
    day = NOON.date()
    salts = {row.day: bytes(row.salt) for row in DailySalt.objects.all()}
    file = table_file("tracking_dailysalt")
    assert salts[day] in bytes_of(file)
    midnight = dt.datetime.combine(day, dt.time(), dt.UTC)

    forget_visitors(midnight + dt.timedelta(hours=47, minutes=59))
    assert salts[day] in bytes_of(table_file("tracking_dailysalt"))
    forget_visitors(midnight + dt.timedelta(hours=48))
    assert not DailySalt.objects.filter(day__lte=day).exists()
    for place in {file, table_file("tracking_dailysalt")}:
        for salt in salts.values():
            assert salt not in bytes_of(place)


@pytest.mark.django_db
def test_with_the_salts_that_are_left_nobody_is_known_again_from_address_and_user_agent(site: Site) -> None:
    def candidates() -> set[uuid.UUID]:
        salts = DailySalt.objects.values_list("salt", flat=True)
        return {visitor(bytes(salt), site.key, V4, BROWSER) for salt in salts}

    send_hit(site, at=NOON, ip=V4, user_agent=BROWSER)
    stored = Visit.objects.get().visitor
    assert stored in candidates()
    send_hit(site, at=NOON + dt.timedelta(days=2), ip=V4, user_agent=BROWSER)
    assert len(candidates()) == 2
    assert stored not in candidates()
