"""Nine invented weeks of a small shop, the same in every demo: who came, from where, and what they bought."""

import datetime as dt
import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from humblytics.demo.goods import DOMAIN, PRODUCTS, Product

WEEKS = 9
VISITS_A_DAY = 75


@dataclass(frozen=True, slots=True)
class Visitor:
    """`place` is country, region and city, as a proxy in front of the server would tell them."""

    ip: str
    user_agent: str
    place: "Place"


@dataclass(frozen=True, slots=True)
class Seen:
    """A page view, as the tracker would send it."""

    at: dt.datetime
    view: uuid.UUID
    url: str
    referrer: str
    visitor: Visitor


@dataclass(frozen=True, slots=True)
class Left:
    """A page that is no longer in front of its visitor, who has read it for so long and so far."""

    at: dt.datetime
    view: uuid.UUID
    url: str
    engaged_ms: int
    scrolled: int
    visitor: Visitor


@dataclass(frozen=True, slots=True)
class Did:
    """An event on a page."""

    at: dt.datetime
    id: uuid.UUID
    view: uuid.UUID
    url: str
    event: str
    props: dict[str, str]
    visitor: Visitor


@dataclass(frozen=True, slots=True)
class Bought:
    """A checkout: paid, declined or left. `carried` is what the shop hands to Stripe as the view id."""

    at: dt.datetime
    name: str
    product: Product
    quantity: int
    carried: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Returned:
    """A refund of the purchase called `name`, in part if `share` is below 1."""

    at: dt.datetime
    name: str
    share: float


Place = tuple[str, str, str]
Happening = Seen | Left | Did | Bought | Returned


@dataclass(frozen=True, slots=True)
class Origin:
    """Where visits come from: how many, and how readily they buy."""

    weight: int
    referrer: str
    query: str
    buys: float
    landing: Sequence[str]


HOME = ("/",)
JOURNAL = ("/journal/choosing-a-desk-lamp", "/journal/a-quiet-desk", "/journal/how-we-oil-oak")
SHELF = tuple(product.path for product in PRODUCTS.values())

ORIGINS = (
    Origin(26, "https://www.google.com/", "", 0.035, HOME + JOURNAL + SHELF),
    Origin(20, "", "", 0.05, HOME + SHELF),
    Origin(
        9,
        "https://www.google.com/",
        "utm_source=google&utm_medium=cpc&utm_campaign=autumn-light&utm_term=desk+lamp&gclid=demo",
        0.075,
        SHELF,
    ),
    Origin(5, "", "utm_source=newsletter&utm_medium=email&utm_campaign=october-letter&utm_content=top", 0.12, SHELF),
    Origin(3, "", "utm_source=newsletter&utm_medium=email&utm_campaign=october-letter&utm_content=foot", 0.09, SHELF),
    Origin(8, "https://l.instagram.com/", "", 0.02, HOME + SHELF),
    Origin(
        6,
        "https://l.instagram.com/",
        "utm_source=instagram&utm_medium=paid-social&utm_campaign=studio-set",
        0.03,
        ("/products/studio-set",),
    ),
    Origin(5, "https://www.pinterest.com/", "", 0.025, SHELF),
    Origin(5, "https://chatgpt.com/", "utm_source=chatgpt.com", 0.09, SHELF + JOURNAL),
    Origin(2, "https://www.perplexity.ai/", "", 0.06, SHELF + JOURNAL),
    Origin(4, "https://news.ycombinator.com/", "", 0.012, JOURNAL),
    Origin(3, "https://www.bing.com/", "", 0.04, HOME + SHELF),
    Origin(3, "https://duckduckgo.com/", "", 0.04, HOME + JOURNAL),
    Origin(3, "https://deskspaces.example/reviews/aurora", "", 0.08, ("/products/aurora-lamp",)),
)

RETURN = Origin(0, "", "", 0.12, HOME + SHELF)

# Networks, how many visitors come from each, and where they live. The last two numbers of an address are drawn.
NETWORKS: dict[str, tuple[int, Sequence[Place]]] = {
    "91.64": (26, (("DE", "Berlin", "Berlin"), ("DE", "Brandenburg", "Potsdam"), ("DE", "Hamburg", "Hamburg"))),
    "84.128": (10, (("DE", "Bavaria", "Munich"), ("DE", "Saxony", "Leipzig"), ("DE", "Hesse", "Frankfurt am Main"))),
    "73.10": (14, (("US", "New York", "New York"), ("US", "Massachusetts", "Boston"))),
    "98.20": (8, (("US", "California", "San Francisco"), ("US", "Washington", "Seattle"))),
    "86.10": (9, (("GB", "England", "London"), ("GB", "Scotland", "Edinburgh"))),
    "90.10": (7, (("FR", "Île-de-France", "Paris"), ("FR", "Auvergne-Rhône-Alpes", "Lyon"))),
    "84.24": (5, (("NL", "North Holland", "Amsterdam"), ("NL", "Utrecht", "Utrecht"))),
    "80.108": (5, (("AT", "Vienna", "Vienna"), ("AT", "Styria", "Graz"))),
    "85.0": (4, (("CH", "Zurich", "Zurich"), ("CH", "Basel-City", "Basel"))),
    "83.40": (4, (("ES", "Catalonia", "Barcelona"),)),
    "79.10": (4, (("IT", "Lombardy", "Milan"),)),
    "78.72": (3, (("SE", "Stockholm", "Stockholm"),)),
    "24.48": (4, (("CA", "Quebec", "Montreal"), ("CA", "Ontario", "Toronto"))),
    "126.10": (3, (("JP", "Tokyo", "Tokyo"),)),
    "177.10": (2, (("BR", "São Paulo", "São Paulo"),)),
}

CHROMIUM = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0"
BROWSERS = {
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROMIUM} Safari/537.36": 24,
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {CHROMIUM} Safari/537.36": 12,
    f"Mozilla/5.0 (Linux; Android 10; K) {CHROMIUM} Mobile Safari/537.36": 18,
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROMIUM} Safari/537.36 Edg/142.0.0.0": 7,
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 "
    "Safari/605.1.15": 10,
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/26.0 Mobile/15E148 Safari/604.1": 20,
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0": 6,
    "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0": 3,
}


def happenings(until: dt.datetime) -> list[Happening]:
    """Give everything that happened in the weeks before `until`, in order of time."""
    chance = random.Random("humblytics")
    first = until.replace(hour=0, minute=0, second=0, microsecond=0) - dt.timedelta(weeks=WEEKS)
    found: list[Happening] = []
    for day in range(WEEKS * 7 + 1):
        on = first + dt.timedelta(days=day)
        busy = (0.8 + 0.4 * day / (WEEKS * 7)) * (0.75 if on.weekday() > 4 else 1.0)
        for _ in range(round(VISITS_A_DAY * busy * chance.uniform(0.85, 1.15))):
            visitor = _visitor(chance)
            origin = chance.choices(ORIGINS, [one.weight for one in ORIGINS])[0]
            # Most of a day lies between breakfast and midnight in Europe.
            at = on + dt.timedelta(seconds=int(chance.triangular(5 * 3600, 86_000, 18 * 3600)))
            found.extend(_visit(chance, origin, at, visitor))
            if chance.random() < 0.15:
                # Somebody who thinks it over comes back the same day, by heart or by bookmark.
                back = at + dt.timedelta(minutes=chance.randrange(100, 300))
                found.extend(_visit(chance, RETURN, back, visitor))
    return sorted((one for one in found if one.at < until), key=lambda one: one.at)


def _visitor(chance: random.Random) -> Visitor:
    network = _drawn(chance, {network: weight for network, (weight, _) in NETWORKS.items()})
    ip = f"{network}.{chance.randrange(256)}.{chance.randrange(1, 255)}"
    return Visitor(ip, _drawn(chance, BROWSERS), chance.choice(NETWORKS[network][1]))


def _visit(chance: random.Random, origin: Origin, at: dt.datetime, visitor: Visitor) -> Iterator[Happening]:
    referrer = origin.referrer
    buys = chance.random() < origin.buys * 2.2
    paths = [chance.choice(origin.landing)]
    while chance.random() < (0.8 if buys else 0.45) and len(paths) < 7:
        paths.append(chance.choice(HOME + SHELF + SHELF + JOURNAL + ("/about",)))
    if buys and not paths[-1].startswith("/products/"):
        paths.append(chance.choice(SHELF))
    for n, path in enumerate(paths):
        view, url = _new_id(chance), f"http://{DOMAIN}{path}"
        query = f"?{origin.query}" if origin.query and not n else ""
        yield Seen(at, view, url + query, referrer, visitor)
        referrer = url
        stay = dt.timedelta(seconds=chance.randrange(8, 240))
        yield from _reading(chance, at, view, path, stay, visitor, buys=buys and n == len(paths) - 1)
        at += stay
    if buys:
        yield from _purchase(chance, at, view, PRODUCTS[paths[-1].removeprefix("/products/")], visitor)


def _reading(
    chance: random.Random,
    at: dt.datetime,
    view: uuid.UUID,
    path: str,
    stay: dt.timedelta,
    visitor: Visitor,
    *,
    buys: bool,
) -> Iterator[Happening]:
    """What happens on a page while it is open."""
    url = f"http://{DOMAIN}{path}"

    def did(event: str, share: float, **props: str) -> Did:
        return Did(at + stay * share, _new_id(chance), view, url, event, props, visitor)

    if path.startswith("/products/") and (buys or chance.random() < 0.06):
        yield did("Begin checkout", 1.0, product=path.removeprefix("/products/"))
    elif path in JOURNAL and chance.random() < 0.07:
        yield did("Newsletter", 0.9, page=path)
    elif path == "/about" and chance.random() < 0.25:
        yield did("Outbound link", 0.6, url="www.openstreetmap.org/")
    # Some browsers close without a word.
    if chance.random() < 0.9:
        engaged = stay * chance.uniform(0.4, 0.95)
        reach = chance.triangular(30, 100, 95 if path in JOURNAL else 70)
        yield Left(at + stay, view, url, round(engaged.total_seconds() * 1000), round(reach), visitor)


def _purchase(
    chance: random.Random, at: dt.datetime, view: uuid.UUID, product: Product, visitor: Visitor
) -> Iterator[Happening]:
    luck = chance.random()
    # A few orders come from places that know no view id: an old app, an invoice, a page with a mistake in it.
    carried = "" if luck < 0.05 else "undefined" if luck < 0.07 else str(view)
    outcome = chance.choices(["pay", "decline", "leave"], [80, 6, 14])[0]
    quantity = chance.choices([1, 2, 3], [85, 12, 3])[0]
    yield Bought(at, str(view), product, quantity, carried, outcome)
    if outcome != "pay":
        return
    back = at + dt.timedelta(seconds=chance.randrange(40, 150))
    yield Seen(back, _new_id(chance), f"http://{DOMAIN}/thank-you", "https://checkout.stripe.com/", visitor)
    if chance.random() < 0.07:
        yield Returned(at + dt.timedelta(days=chance.randrange(1, 12)), str(view), chance.choice([1, 1, 0.5]))


def _new_id(chance: random.Random) -> uuid.UUID:
    return uuid.UUID(int=chance.getrandbits(128), version=4)


def _drawn(chance: random.Random, weights: dict[str, int]) -> str:
    return chance.choices(list(weights), list(weights.values()))[0]
