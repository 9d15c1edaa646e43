import tomllib
from collections import Counter
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tracking import sources
from tracking.sources import Channel, Kind, Source, classify, own_rules

SHOP = "https://shop.example.com/pricing"


def tagged(query: str) -> str:
    return f"{SHOP}?{query}"


@pytest.mark.parametrize(
    ("referrer", "channel", "source"),
    [
        pytest.param("", "Direct", "", id="nothing"),
        pytest.param("https://www.google.com/", "Organic Search", "Google", id="google"),
        pytest.param("https://www.google.de/", "Organic Search", "Google", id="google in Germany"),
        pytest.param("https://www.google.co.uk/", "Organic Search", "Google", id="google in Britain"),
        pytest.param("https://www.google.com.au/", "Organic Search", "Google", id="google in Australia"),
        pytest.param("https://search.yahoo.co.jp/search?p=x", "Organic Search", "Yahoo", id="yahoo in Japan"),
        pytest.param("https://de.search.yahoo.com/", "Organic Search", "Yahoo", id="country as subdomain"),
        pytest.param("https://yandex.ru/search/", "Organic Search", "Yandex", id="yandex"),
        pytest.param("https://duckduckgo.com/", "Organic Search", "DuckDuckGo", id="duckduckgo"),
        pytest.param("https://docs.google.com/document/d/1", "Referral", "docs.google.com", id="not all google"),
        pytest.param("https://google.github.io/", "Referral", "google.github.io", id="not google's host"),
        pytest.param("https://google.com.evil.net/", "Referral", "google.com.evil.net", id="google in front"),
        pytest.param("https://notgoogle.com/", "Referral", "notgoogle.com", id="google at the end"),
        pytest.param("https://chatgpt.com/", "AI Assistant", "ChatGPT", id="chatgpt"),
        pytest.param("https://www.perplexity.ai/search/1", "AI Assistant", "Perplexity", id="perplexity"),
        pytest.param("https://gemini.google.com/", "AI Assistant", "Gemini", id="gemini is not google"),
        pytest.param("https://copilot.microsoft.com/", "AI Assistant", "Copilot", id="copilot"),
        pytest.param("https://edgeservices.bing.com/", "AI Assistant", "Copilot", id="copilot is not bing"),
        pytest.param("https://l.facebook.com/l.php?u=x", "Organic Social", "Facebook", id="facebook's exit"),
        pytest.param("https://t.co/AbC", "Organic Social", "X", id="x's shortener"),
        pytest.param("https://www.pinterest.fr/", "Organic Social", "Pinterest", id="pinterest in France"),
        pytest.param("https://m.youtube.com/", "Organic Video", "YouTube", id="youtube"),
        pytest.param("https://www.amazon.fr/dp/1", "Organic Shopping", "Amazon", id="amazon in France"),
        pytest.param("https://aws.amazon.com/", "Referral", "aws.amazon.com", id="not all amazon"),
        pytest.param("https://mail.google.com/mail/", "Email", "Gmail", id="gmail"),
        pytest.param("https://www.awin1.com/cread.php", "Affiliates", "Awin", id="affiliate network"),
        pytest.param("https://claude.ai/chat/1", "AI Assistant", "Claude", id="claude"),
        pytest.param("https://chat.mistral.ai/chat", "AI Assistant", "Le Chat", id="mistral"),
        pytest.param("https://chat.deepseek.com/", "AI Assistant", "DeepSeek", id="deepseek"),
        pytest.param("https://grok.com/", "AI Assistant", "Grok", id="grok"),
        pytest.param("https://www.meta.ai/", "AI Assistant", "Meta AI", id="meta ai is not facebook"),
        pytest.param("https://you.com/search", "AI Assistant", "You.com", id="you.com"),
        pytest.param("https://www.phind.com/", "AI Assistant", "Phind", id="phind"),
        pytest.param("https://mail.yahoo.com/", "Email", "Yahoo Mail", id="yahoo mail"),
        pytest.param("https://news.ycombinator.com/", "Referral", "news.ycombinator.com", id="unlisted site"),
        pytest.param("http://intranet/wiki", "Referral", "intranet", id="host without a dot"),
        pytest.param("android-app://com.google.android.gm/", "Email", "Gmail", id="gmail app"),
        pytest.param("android-app://com.google.android.googlequicksearchbox", "Organic Search", "Google", id="app"),
        pytest.param("android-app://com.Slack/", "Referral", "com.slack", id="unlisted app"),
    ],
)
def test_referrer_gives_channel_and_source(referrer: str, channel: str, source: str) -> None:
    found = classify(SHOP, referrer)
    assert (found.channel, found.source) == (channel, source)


@pytest.mark.parametrize(
    ("query", "referrer", "channel", "source"),
    [
        pytest.param("utm_source=chatgpt.com", "", "AI Assistant", "ChatGPT", id="chatgpt names itself"),
        pytest.param("utm_source=google", "", "Organic Search", "Google", id="source alone"),
        pytest.param("utm_source=www.Google.com", "", "Organic Search", "Google", id="source as host"),
        pytest.param("utm_source=LinkedIn+Ads&utm_medium=cpc", "", "Paid Social", "LinkedIn", id="alias"),
        pytest.param("UTM_Source=IG", "", "Organic Social", "Instagram", id="upper case"),
        pytest.param("utm_source=&utm_source=fb", "", "Organic Social", "Facebook", id="empty does not count"),
        pytest.param("utm_source=bing&utm_source=fb", "", "Organic Search", "Bing", id="first one counts"),
        pytest.param("utm_source=acme&utm_campaign=x-cross-network", "", "Cross-network", "acme", id="cross-network"),
        pytest.param("utm_source=amazon&utm_medium=cpc", "", "Paid Shopping", "Amazon", id="paid shopping"),
        pytest.param(
            "utm_source=google&utm_medium=cpc&utm_campaign=shopping",
            "",
            "Paid Shopping",
            "Google",
            id="by campaign",
        ),
        pytest.param("utm_source=google&utm_medium=CPC", "", "Paid Search", "Google", id="paid search"),
        pytest.param("utm_source=google&utm_medium=display", "", "Display", "Google", id="display"),
        pytest.param("utm_source=youtube&utm_medium=paid-video", "", "Paid Video", "YouTube", id="paid video"),
        pytest.param("utm_source=acme&utm_medium=ppc", "", "Paid Other", "acme", id="paid other"),
        pytest.param("utm_source=acme&utm_medium=unpaid", "", "Unassigned", "acme", id="not paid"),
        pytest.param("utm_source=acme&utm_medium=ppcx", "", "Unassigned", "acme", id="not quite ppc"),
        pytest.param("utm_source=acme&utm_campaign=my-shop", "", "Organic Shopping", "acme", id="shop campaign"),
        pytest.param("utm_source=acme&utm_campaign=workshop", "", "Unassigned", "acme", id="workshop is no shop"),
        pytest.param("utm_source=acme&utm_medium=social", "", "Organic Social", "acme", id="social medium"),
        pytest.param("utm_source=acme&utm_medium=video", "", "Organic Video", "acme", id="video medium"),
        pytest.param("utm_source=acme&utm_medium=organic", "", "Organic Search", "acme", id="organic medium"),
        pytest.param("utm_source=acme&utm_medium=ai-assistant", "", "AI Assistant", "acme", id="ai medium"),
        pytest.param("utm_source=may&utm_medium=email", "", "Email", "may", id="email medium"),
        pytest.param("utm_source=newsletter", "", "Email", "Newsletter", id="newsletter source"),
        pytest.param("utm_source=acme&utm_medium=affiliate", "", "Affiliates", "acme", id="affiliate"),
        pytest.param("utm_source=acme&utm_medium=referral", "", "Referral", "acme", id="referral medium"),
        pytest.param("utm_source=acme&utm_medium=audio", "", "Audio", "acme", id="audio"),
        pytest.param("utm_source=acme&utm_medium=sms", "", "SMS", "acme", id="sms"),
        pytest.param("utm_source=acme&utm_medium=webpush", "", "Mobile Push", "acme", id="push"),
        pytest.param("utm_source=acme", "", "Unassigned", "acme", id="says too little"),
        pytest.param("utm_source=may&utm_medium=email", "https://www.google.com/", "Email", "may", id="tags win"),
        pytest.param("utm_source=bio", "https://l.instagram.com/", "Organic Social", "bio", id="referrer's kind"),
        pytest.param(
            "utm_source=ann&utm_medium=affiliate",
            "https://l.instagram.com/",
            "Affiliates",
            "ann",
            id="medium's kind",
        ),
        pytest.param("utm_source=acme", "https://blog.example.org/", "Referral", "acme", id="named by the tag"),
        pytest.param("utm_campaign=may", "https://www.google.com/", "Organic Search", "Google", id="campaign only"),
        pytest.param("utm_source=may&utm_medium=email", f"{SHOP}/go", "Email", "may", id="own redirect"),
        pytest.param("utm_source=paypal&utm_medium=affiliate", "", "Affiliates", "PayPal", id="gateway as partner"),
        pytest.param("ref=google&q=utm_source", "", "Direct", "", id="other parameters"),
        pytest.param("a=1#utm_source=google", "", "Direct", "", id="fragment"),
    ],
)
def test_tags_give_channel_and_source(query: str, referrer: str, channel: str, source: str) -> None:
    found = classify(tagged(query), referrer)
    assert (found.channel, found.source) == (channel, source)


@pytest.mark.parametrize(
    ("query", "referrer", "channel", "source", "click_id"),
    [
        pytest.param("gclid=1", "https://www.google.com/", "Paid Search", "Google", "gclid", id="google ads"),
        pytest.param("gclid=1&fbclid=2", "", "Paid Search", "Google", "gclid", id="ad before share"),
        pytest.param("gclid=1&utm_medium=display", "", "Display", "Google", "gclid", id="google display"),
        pytest.param("gclid=1&utm_source=acme", "", "Paid Search", "acme", "gclid", id="tag names, click id tells"),
        pytest.param("wbraid=1", "https://news.site.com/", "Paid Search", "Google", "wbraid", id="on a partner's site"),
        pytest.param("msclkid=1", "https://duckduckgo.com/", "Paid Search", "Bing", "msclkid", id="bing ads"),
        pytest.param("ttclid=1&utm_medium=social", "", "Paid Social", "TikTok", "ttclid", id="tiktok ads"),
        pytest.param("scCID=1", "", "Paid Social", "Snapchat", "ScCid", id="spelling of the platform"),
        pytest.param("fbclid=1", "", "Organic Social", "Facebook", "fbclid", id="fbclid does not prove an ad"),
        pytest.param("fbclid=1&utm_medium=paid", "", "Paid Social", "Facebook", "fbclid", id="paid facebook"),
        pytest.param(
            "fbclid=1",
            "https://l.instagram.com/",
            "Organic Social",
            "Instagram",
            "fbclid",
            id="fbclid from instagram",
        ),
        pytest.param("gclid=", "", "Direct", "", "", id="empty"),
        pytest.param("dclid=1", "https://news.site.com/", "Display", "Google", "dclid", id="display by its click id"),
        pytest.param("dclid=1&utm_medium=cpc", "", "Paid Search", "Google", "dclid", id="the tag's medium before it"),
        pytest.param("gbraid=1", "", "Paid Search", "Google", "gbraid", id="google ads on iOS"),
        pytest.param("yclid=1", "", "Paid Search", "Yandex", "yclid", id="yandex ads"),
        pytest.param("li_fat_id=1", "", "Paid Social", "LinkedIn", "li_fat_id", id="linkedin ads"),
        pytest.param("epik=1", "", "Paid Social", "Pinterest", "epik", id="pinterest ads"),
        pytest.param("rdt_cid=1", "", "Paid Social", "Reddit", "rdt_cid", id="reddit ads"),
        pytest.param("twclid=1", "https://t.co/a", "Paid Social", "X", "twclid", id="x ads"),
        pytest.param("awc=1", "", "Affiliates", "Awin", "awc", id="affiliate network"),
        pytest.param("awc=1", "https://blog.example.org/", "Affiliates", "blog.example.org", "awc", id="affiliate"),
    ],
)
def test_click_id_tells_the_ad(query: str, referrer: str, channel: str, source: str, click_id: str) -> None:
    found = classify(tagged(query), referrer)
    assert (found.channel, found.source, found.click_id) == (channel, source, click_id)


@pytest.mark.parametrize(
    ("page_url", "referrer"),
    [
        pytest.param(SHOP, "https://shop.example.com/", id="same host"),
        pytest.param("https://example.com/", "https://www.example.com/", id="www"),
        pytest.param(SHOP, "https://blog.example.com/post", id="sister host"),
        pytest.param("https://a.example.co.uk/", "https://b.example.co.uk/", id="under co.uk"),
        pytest.param("http://localhost:8000/", "http://localhost:3000/", id="other port"),
        pytest.param("https://xn--mnchen-3ya.de/", "https://shop.xn--mnchen-3ya.de/", id="international"),
        pytest.param("http://10.0.0.1/", "http://10.0.0.1/", id="address"),
    ],
)
def test_own_site_is_no_source(page_url: str, referrer: str) -> None:
    assert classify(page_url, referrer) == Source(Channel.DIRECT)


@pytest.mark.parametrize(
    ("page_url", "referrer", "source"),
    [
        pytest.param("https://bob.github.io/", "https://alice.github.io/", "alice.github.io", id="github pages"),
        pytest.param("https://a.co.uk/", "https://b.co.uk/", "b.co.uk", id="same public suffix"),
        pytest.param("http://10.0.0.1/", "http://192.168.0.1/", "192.168.0.1", id="addresses have no parents"),
        pytest.param("http://localhost/", "http://intranet/", "intranet", id="hosts without a dot"),
        pytest.param("not an address", "https://blog.example.com/", "blog.example.com", id="page unknown"),
    ],
)
def test_neighbour_under_a_public_suffix_is_a_source(page_url: str, referrer: str, source: str) -> None:
    found = classify(page_url, referrer)
    assert (found.channel, found.source) == (Channel.REFERRAL, source)


@pytest.mark.parametrize(
    "referrer",
    [
        "https://checkout.stripe.com/c/pay/cs_live_1",
        "https://www.paypal.com/checkoutnow?token=1",
        "https://pay.klarna.com/eu/",
        "https://sis.redsys.es/",
        "https://pay.amazon.co.uk/",
    ],
)
@pytest.mark.parametrize("query", ["", "utm_source=stripe&utm_medium=checkout&gclid=1"])
def test_payment_gateway_continues_the_visit(referrer: str, query: str) -> None:
    assert classify(tagged(query), referrer) == Source(Channel.DIRECT, continues=True)


def test_page_about_a_gateway_is_a_referral() -> None:
    found = classify(SHOP, "https://stripe.com/customers/acme")
    assert (found.channel, found.source, found.continues) == (Channel.REFERRAL, "stripe.com", False)


@pytest.mark.parametrize(
    ("referrer", "kept"),
    [
        pytest.param("https://google.com", "google.com/", id="no path"),
        pytest.param("https://www.google.com/", "google.com/", id="www"),
        pytest.param("https://blog.example.org/post/1?email=a@b.c#top", "blog.example.org/post/1", id="query"),
        pytest.param("https://blog.example.org#top", "blog.example.org/", id="fragment"),
        pytest.param("https://ann:secret@blog.example.org:8443/", "blog.example.org/", id="userinfo and port"),
        pytest.param("https://a@b@blog.example.org/", "blog.example.org/", id="two at signs"),
        pytest.param(r"https://blog.example.org\@google.com/", "blog.example.org/", id="backslash"),
        pytest.param("HTTPS://Blog.Example.ORG./Post", "blog.example.org/Post", id="case and trailing dot"),
        pytest.param(" https://blog.example.org/ ", "blog.example.org/", id="spaces"),
        pytest.param("https://xn--bcher-kva.example/", "xn--bcher-kva.example/", id="international"),
        pytest.param("https://bücher.example/", "", id="international, not from a browser"),
        pytest.param("https://blog.example.org/a\0b\ud800c", "blog.example.org/abc", id="unstorable"),
        pytest.param("android-app://com.google.android.gm", "com.google.android.gm/", id="app"),
        pytest.param("https://blog.example.org/" + "a" * 100_000, "blog.example.org/" + "a" * 483, id="long path"),
        pytest.param("http://[2001:db8::1]/", "", id="IPv6"),
        pytest.param("http://[::1", "", id="half an IPv6"),
        pytest.param("javascript:alert(1)", "", id="javascript"),
        pytest.param("data:text/html,hello", "", id="data"),
        pytest.param("blog.example.org/post", "", id="no scheme"),
        pytest.param("https://", "", id="no host"),
        pytest.param("https://a..b/", "", id="empty label"),
        pytest.param("https://exa mple.org/", "", id="space in host"),
        pytest.param("https://example.org:port/", "", id="no number as port"),
        pytest.param("https://" + "a" * 100_000, "", id="long host"),
        pytest.param("https://" + "a." * 126 + "de/", "", id="many labels"),
        pytest.param("https://\ud800/", "", id="half a surrogate pair"),
    ],
)
def test_referrer_is_kept_as_host_and_path(referrer: str, kept: str) -> None:
    found = classify(SHOP, referrer)
    assert (found.referrer, found.channel is Channel.DIRECT) == (kept, not kept)


def test_tags_are_kept_as_written() -> None:
    found = classify(
        tagged(
            "utm_source=Spring%20Mail&utm_medium=E-Mail&utm_campaign=+50%25+off%00&utm_term=%ff"
            "&utm_content=" + "x" * 300
        ),
        "",
    )
    assert found == Source(
        channel=Channel.EMAIL,
        source="Spring Mail",
        utm_source="Spring Mail",
        utm_medium="E-Mail",
        utm_campaign="50% off",
        utm_term="\ufffd",
        utm_content="x" * 200,
    )


OWN = own_rules(
    [
        ("referrer", "partner.example", "Partner", "Affiliates"),
        ("referrer", "WWW.Blog.Partner.Example", "Partner’s blog", ""),
        ("referrer", "google.com", "Google (organic)", ""),
        ("referrer", "ads.example", "Our banners", "Display"),
        ("referrer", "paypal.com", "PayPal offers", "Referral"),
        ("referrer", "shop.example.com", "Ourselves", "Referral"),
        ("referrer", "com.slack", "Slack", "Organic Social"),
        ("utm_source", "Spring Mail", "Newsletter", "Email"),
        ("utm_source", "bing", "Microsoft", ""),
    ]
)


@pytest.mark.parametrize(
    ("query", "referrer", "channel", "source"),
    [
        pytest.param("", "https://partner.example/deal", "Affiliates", "Partner", id="host"),
        pytest.param("", "https://m.www.partner.example/", "Affiliates", "Partner", id="host below"),
        pytest.param("", "https://a.blog.partner.example/", "Referral", "Partner’s blog", id="nearest host"),
        pytest.param("", "https://notpartner.example/", "Referral", "notpartner.example", id="end of a name"),
        pytest.param("", "https://www.google.com/", "Organic Search", "Google (organic)", id="name of a listed host"),
        pytest.param("", "https://gemini.google.com/", "AI Assistant", "Google (organic)", id="and of those below"),
        pytest.param("gclid=1", "https://www.google.com/", "Paid Search", "Google (organic)", id="channel as usual"),
        pytest.param("gclid=1", "https://ads.example/", "Display", "Our banners", id="channel before a click id"),
        pytest.param("", "android-app://com.slack/", "Organic Social", "Slack", id="app"),
        pytest.param("utm_source=SPRING+mail", "", "Email", "Newsletter", id="tag"),
        pytest.param("utm_source=bing&utm_medium=cpc", "", "Paid Search", "Microsoft", id="name of a listed tag"),
        pytest.param("utm_source=spring+mail", "https://partner.example/", "Email", "Newsletter", id="tag first"),
        pytest.param("utm_source=acme", "https://partner.example/", "Referral", "acme", id="tag without a rule"),
        pytest.param("", "https://blog.example.org/", "Referral", "blog.example.org", id="no rule"),
        pytest.param("", "", "Direct", "", id="nothing"),
        pytest.param("", "https://www.paypal.com/checkout", "Direct", "", id="a gateway is never a source"),
        pytest.param("", "https://shop.example.com/", "Direct", "", id="nor is the site itself"),
    ],
)
def test_a_site_s_own_rule_goes_first(query: str, referrer: str, channel: str, source: str) -> None:
    found = classify(tagged(query), referrer, OWN)
    assert (found.channel, found.source) == (channel, source)


hosts = st.sampled_from(
    ["google.co.uk", "shop.example.com", "paypal.com", "a..b", "[::1]", "ü.de", "\ud800", "x" * 300]
)
urls = st.one_of(
    st.text(st.characters(exclude_categories=())),
    st.builds(
        "{}://{}{}/{}?{}={}".format,
        st.sampled_from(["http", "https", "android-app", "javascript"]),
        st.sampled_from(["", "ann:pw@", "@@", "\\"]),
        hosts | st.text(st.characters(exclude_categories=())),
        st.text(st.characters(exclude_categories=())),
        st.sampled_from([*sources.UTM, *sources.CLICK_IDS]),
        st.text(st.characters(exclude_categories=())),
    ),
)


@given(page_url=urls, referrer=urls)
@example(page_url="https://a.b/?utm_source=" + "\0é " * 50_000, referrer="https://a.b/" + "\udfff\0é" * 50_000)
@example(page_url="https://a.b/?" + "utm_term=%00&" * 10_000, referrer="https://" + "@" * 100_000)
def test_any_text_gives_short_storable_strings(page_url: str, referrer: str) -> None:
    found = classify(page_url, referrer, OWN)
    for field in fields(found):
        value = getattr(found, field.name)
        if field.name != "continues":
            assert len(value) <= (500 if field.name == "referrer" else 253 if field.name == "source" else 200)
            assert "\0" not in value
            value.encode()


LISTED = tomllib.loads(Path(sources.__file__).with_name("sources.toml").read_text(encoding="utf-8"))
ROWS = [(kind, row) for kind in Kind for row in LISTED.get(kind, [])]


def test_no_two_rows_claim_the_same_host_or_name() -> None:
    claims: Counter[tuple[str, str]] = Counter()
    for _, row in ROWS:
        claims.update(("host", host) for host in [*row.get("domains", []), *row.get("hosts", [])])
        claims[("name", sources.plain_name(row["name"]))] += 1
    claims.update(("name", alias) for alias in LISTED["aliases"])
    assert [claim for claim, times in claims.items() if times > 1] == []


def test_every_listed_host_leads_to_its_row() -> None:
    for kind, row in ROWS:
        platform = (row["name"], kind)
        for host in [*row.get("domains", []), *row.get("hosts", [])]:
            assert sources.platform_of_host(sources.clean_host(host.replace(".*", ".com.br"))) == platform
        for domain in row.get("domains", []):
            assert sources.platform_of_host("in." + domain.replace(".*", ".com")) == platform


def test_every_listed_app_and_alias_leads_to_its_row() -> None:
    for package, name in LISTED["apps"].items():
        assert classify(SHOP, f"android-app://{package}/").source == name
    for alias, name in LISTED["aliases"].items():
        assert classify(tagged(f"utm_source={alias}"), "").source == name


def test_every_click_id_names_a_listed_platform() -> None:
    assert all(sources.platform_named(click.platform).kind is not Kind.OTHER for click in sources.CLICK_IDS.values())


def test_the_rules_have_a_version_and_each_channel_is_told_by_one() -> None:
    assert sources.VERSION == LISTED["version"] > 0
    told = [row["channel"] for row in LISTED["channels"]]
    assert sorted(told) == sorted(set(Channel) - {Channel.DIRECT, Channel.UNASSIGNED})
