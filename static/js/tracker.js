// Counts page views without a cookie or anything else kept in the browser.
//
// Served minified, as /js/SITEKEY.js, with what the site has chosen in place of the last word. Of the lines that end with
// “#end”, those after “#tests” are only served where a split test runs, and those after “#preview” only to who follows
// the link to a preview, who is served none of those after “#hits”. After a change:
// uv run --group dev python -m tests.benchmarks.script_size --write
(function (config) {
  // #hits
  const tag = document.currentScript;
  // The link to a preview, or to where an element is picked, has another script, which counts nothing.
  if (location.search.match("humblytics_p")) return import(tag.src + location.search);
  // #end
  // The page may have made it already, by the stub of the instructions: an id, and a queue of what it tracked.
  const own = (window.Humblytics ||= { queue: [] });
  const told = own.queue;
  // The same tag stands in the page twice.
  if (!told) return;
  own.queue = 0;
  own.viewId ||= newId();

  // #hits
  const endpoint = tag.dataset.api || new URL("../collect", tag.src);
  // #end
  // The view's part in each hit; what is to be sent of it, until it has been; and what tells the page that it has.
  let current, waiting, acknowledge;
  let place, since, isWatched, engaged, reported, reach;

  // Whatever goes wrong in counting neither stops the page nor is an error of it.
  function on(types, listener) {
    types.split(" ").map((type) =>
      addEventListener(
        type,
        (event) => {
          try {
            listener(event);
          } catch {}
        },
        true
      )
    );
  }

  // UUIDv7, so that ids made one after the other lie side by side in the database's index.
  // crypto.randomUUID is missing on pages without https.
  function newId() {
    return ("0" + Date.now().toString(16) + "-7xxx-8xxx-xxxxxxxxxxxx")
      .replace(/.{8}/, "$&-")
      .replace(/x/g, () => (crypto.getRandomValues(new Uint8Array(1))[0] & 15).toString(16));
  }

  // A string body is sent as text/plain, which asks for no preflight. The second try carries the same id, so that
  // a hit which arrived although its answer got lost is not counted twice; the browser makes it even if the page
  // has gone by then.
  async function send(hit) {
    // #hits
    try {
      hit = JSON.stringify({ ...current, ...hit });
      if ((await fetch(endpoint, { method: "POST", body: hit, keepalive: true, credentials: "omit" })).status < 500) return;
    } catch {}
    setTimeout(() => navigator.sendBeacon(endpoint, hit), 1000);
    // #end
  }

  // A view is of a path (and of a #/route, where the site has such): other words behind the question mark are still
  // the same view. Pages that change their address without loading anew come here with each one.
  function view(referrer) {
    const url = location.href.match(config.url)[0].slice(0, 3000);
    if (place == (place = url.replace(/\?[^#]*/g, ""))) return;
    leave();
    const id = current ? newId() : own.viewId;
    current = {
      ...config,
      // #tests
      tests: void 0,
      // #end
      view: (own.viewId = id),
      url,
      webdriver: navigator.webdriver,
    };
    own.ready = new Promise((resolve) => (acknowledge = () => resolve(id)));
    waiting = { referrer };
    engaged = reported = reach = 0;
    // #tests
    startTests();
    // #end
    look();
  }

  // A page that is only prepared for a click has not been seen: its view is sent when it is shown.
  function sendView() {
    if (waiting && !document.prerendering) {
      send(waiting).then(acknowledge);
      waiting = 0;
    }
  }

  // Runs whenever the page has changed, before it is painted.
  function look() {
    // Browsers find a bare name in a tenth of the time that any longer selector takes.
    for (const name of ["stripe-buy-button", "stripe-pricing-table"])
      for (const element of document.querySelectorAll(name))
        if (!element.hasAttribute("client-reference-id")) element.setAttribute("client-reference-id", own.viewId);
    // #tests
    if (isUndecided()) return;
    // #end
    sendView();
  }

  // Time counts from one sign of life to the next, a pause at most as 30 seconds, while somebody looks at the page.
  function live() {
    const now = performance.now();
    if (isWatched) engaged += Math.min(now - since, 30000);
    since = now;
    isWatched = !document.hidden && document.hasFocus();
    reach = Math.max(reach, scrollY + innerHeight);
  }

  // The page may be gone after this. Time and depth are of the whole view until now, so they may be sent again.
  function leave(event) {
    live();
    // #tests
    // Whoever looks at another tab meanwhile is not gone: of the variants that are other pages, too, none is lost by it.
    if (undecided && event?.type == "visibilitychange") return;
    stopTests();
    // #end
    sendView();
    // Leaving sets off more than one event.
    if (engaged > reported + 99) {
      reported = engaged;
      send({ engaged: engaged | 0, scrolled: ((reach / document.documentElement.scrollHeight) * 100) | 0 });
    }
  }

  own.track = (event, props) => {
    send({ event, id: newId(), props });
  };

  // The name of the variant that a test gives this visitor, or undefined when no such test is running.
  own.variant = (key) => {
    // #tests
    return config.tests.find((test) => test.key == key)?.name;
    // #end
  };

  // #tests
  // A page that puts the element under test on later than this is shown, and counted, as if there were no test; and for
  // longer than this, none is hidden.
  const PATIENCE = 2000;
  // From the request for this page to this line.
  const took = performance.now() - (performance.getEntriesByType("navigation")[0]?.requestStart || 0);
  // Each element belongs to the first test that finds it: two that changed it in turn would never end.
  let owners;
  // The tests of this page, those of which an element has been found, whether others are still looked for, and what
  // else is waited for.
  let here, seen, isOpen, undecided;
  // What a redirect has brought along to the page that it leads to: the server's word that it did, and the referrer.
  let [carried, arrival, referrer] = location.search.match(/[?&]humblytics_split=([\w:-]*)~?([^&]*)/) || [];
  try {
    referrer = decodeURIComponent(referrer);
    if (carried) {
      const { pathname, search, hash } = location;
      history.replaceState(history.state, "", pathname + search.replace(carried, "").replace(/^&/, "?") + hash);
    }
  } catch {}
  // #end

  ["pushState", "replaceState"].map((method) => {
    const original = history[method];
    history[method] = function () {
      original.apply(this, arguments);
      try {
        view(current.url);
      } catch {}
    };
  });

  // Clicks with either button, by keyboard too, and submits, before the page's own code sees them.
  on("click auxclick submit", ({ type, target, button }) => {
    if (button > 1) return;
    const isForm = type == "submit";
    const link = target.closest("a[href]");
    const named = target.closest(isForm ? "form" : "[data-humblytics-event]:not(form)");
    const props = {};
    let name;
    // No mailto: and the like, whose addresses are personal.
    if (link?.host) {
      const { host, pathname } = link;
      if (host == "buy.stripe.com" && !link.search.match("client_reference_id"))
        link.search += (link.search && "&") + "client_reference_id=" + own.viewId;
      name = link.hasAttribute("download") || /\.(pdf|zip|rar|7z|gz|dmg|exe|docx?|xlsx?|pptx?|csv|txt|mp[34])$/i.test(pathname)
        ? "File download"
        : host != location.host && "Outbound link";
      props.url = host + pathname;
    }
    if (isForm) {
      name = "Form submit";
      // Not target.id, which may be a field that is called so.
      props.form = target.getAttribute("id") || "";
    }
    if (named)
      for (const { name: attribute, value } of named.attributes) {
        const [, prop] = attribute.split("data-humblytics-event");
        if (prop) props[prop.slice(1)] = value;
        else if (prop == "") name = value;
      }
    if (name) own.track(name, props);
  });
  on("scroll keydown pointermove focus blur", live);
  on("popstate", () => view(current.url));
  on("visibilitychange pagehide", leave);
  // A page that comes back from the browser's memory is seen anew.
  on("pageshow", (event) => {
    if (event.persisted) view(document.referrer, (place = 0));
  });
  on("prerenderingchange", sendView);

  // #tests
  function startTests() {
    waiting.variants = [];
    here = [];
    seen = [];
    owners = new Map();
    isOpen = true;
    undecided = 0;
    if (carried) Object.assign(waiting, { split: arrival, referrer });
    carried = 0;
    enter(config.tests);
    if (config.ask && !undecided) ask();
    if (document.readyState != "loading") stopLater();
  }

  // The tests of this page, of which one at most leads to another page: not from there on, not back and forth, and not
  // from a page that is only prepared for a click.
  function enter(tests) {
    tests = tests.filter(isHere);
    const crossing = waiting.split == null && !document.prerendering && tests.find((test) => test.away);
    here.push(...tests.filter((test) => !test.away));
    if (crossing) cross(crossing);
  }

  // Whoever opens a page that a variant redirects to has not come by the test.
  function isHere({ pages, away = [] }) {
    const told = new URLSearchParams(location.search);
    const fits = ({ path, query = {} }) =>
      location.pathname.match(path) && Object.keys(query).every((name) => told.get(name)?.match(query[name]));
    const isAt = (address) => {
      const { host, pathname, searchParams } = new URL(address, location);
      return host + pathname == location.host + location.pathname &&
        [...searchParams].every(([name, value]) => told.get(name) == value);
    };
    return pages.include.some(fits) && !pages.exclude.some(fits) && !away.some(isAt);
  }

  // The page is hidden by a property, which no policy of the page forbids, unlike a style sheet.
  function hide(isHidden) {
    document.documentElement.style[isHidden ? "setProperty" : "removeProperty"]("opacity", "0", "important");
  }

  // Hide the page until something is decided, or the time is over; then do what is given, on the same view only.
  function hold(milliseconds, act) {
    const held = (undecided = {});
    const end = () => {
      if (undecided != held) return;
      undecided = 0;
      hide();
      act();
      look();
    };
    hide(1);
    setTimeout(end, Math.min(milliseconds, PATIENCE));
    return end;
  }

  // The view is the other page's. Browsers read no further in a page that they leave, so one whose way to the other
  // takes too long is loaded anew, and shown as it is. The control waits for as long as the others are on their way,
  // and is lost as they are if its visitor leaves meanwhile.
  function cross({ key, name, variant, to, sign }) {
    own.track("Split test choice", { test: key, variant: name });
    if (!to) {
      hold(took, () => waiting.variants.push(variant));
      return;
    }
    const { search, hash } = location;
    const from = encodeURIComponent(waiting.referrer.slice(0, 1000));
    const lead = (address, asked, word) => {
      const url = new URL(address, location);
      url.search = [url.search.slice(1), asked, "humblytics_split=" + word + "~" + from].filter((part) => part).join("&");
      url.hash ||= hash;
      location.replace(url);
    };
    waiting = 0;
    here = [];
    hide(1);
    setTimeout(() => lead(location, "", ""), PATIENCE);
    lead(to, search.slice(1), sign);
  }

  // Where a test is for some channels only, the server has to know where this visit comes from.
  function ask() {
    const { referrer } = waiting;
    const end = hold(PATIENCE, () => {});
    fetch(tag.src, { method: "POST", body: JSON.stringify({ url: current.url, referrer }), credentials: "omit" })
      .then((answer) => answer.json())
      .then((tests) => {
        config.ask = 0;
        config.tests.push(...tests);
        if (undecided) enter(tests);
      })
      .catch(() => {})
      .then(end);
  }

  function stopLater() {
    const id = own.viewId;
    setTimeout(() => {
      if (id == own.viewId) {
        isOpen = false;
        look();
      }
    }, PATIENCE);
  }

  // Changes are made before they are painted, and a test counts as seen when an element that any of its variants
  // changes is there: with the control as with any other.
  function isUndecided() {
    here = here.filter((test) => {
      try {
        const found = test.find?.flatMap((selector) => elements(test, selector));
        if (isOpen && !seen.includes(test) && (!found || found.length)) {
          waiting.variants.push(test.variant);
          seen.push(test);
        }
        return true;
      } catch {
        // A selector that is none leaves the page as it is.
      }
    });
    const made = [];
    try {
      for (const test of seen)
        for (const change of test.changes || [])
          for (const element of elements(test, change.selector)) made.push(put(element, change));
    } catch {
      // The page's policy forbids HTML that a script puts in.
    }
    // Of what stands in what, each is as all changes together have left it.
    if (made.some(({ isNew }) => isNew)) made.map((each) => (each.done.as = each.read()));
    return (isOpen && seen.length < here.length) || undecided;
  }

  function elements(test, selector) {
    return [...document.querySelectorAll(selector)].filter((element) => {
      if (!owners.has(element)) owners.set(element, test);
      return owners.get(element) == test;
    });
  }

  // Page code that puts the old back again and again has the last word at some time.
  function put(element, change) {
    const { action, name, value } = change;
    const text = action == "html" ? "innerHTML" : "textContent";
    const read = () =>
      action == "css" ? element.style.getPropertyValue(name)
      : action == "attribute" ? element.getAttribute(name)
      : element[text];
    const known = (change.known ||= new WeakMap());
    const done = known.get(element) || { times: 0 };
    known.set(element, done);
    const isNew = (!done.times || read() != done.as) && done.times++ < 30;
    if (isNew) {
      if (action == "css") element.style.setProperty(name, value, "important");
      else if (action == "attribute") element.setAttribute(name, value);
      else element[text] = value;
    }
    return { isNew, done, read };
  }

  function stopTests() {
    isOpen = false;
    if (undecided) hide();
    undecided = 0;
  }

  on("DOMContentLoaded", stopLater);
  // #end
  // #preview
  const label = document.createElement("div");
  label.style.cssText =
    "all:initial;position:fixed;z-index:2147483647;left:8px;bottom:8px;padding:4px 10px;border-radius:6px;" +
    "background:#1d2330;color:#fff;font:12px/1.5 system-ui,sans-serif;pointer-events:none";
  label.textContent = config.note;
  document.documentElement.append(label);
  // #end
  view(document.referrer);
  new MutationObserver(look).observe(document, {
    childList: true,
    subtree: true,
    // #tests
    characterData: true,
    attributes: config.ask || config.tests.some(({ changes = [] }) => changes.some(({ name }) => name)),
    // #end
  });
  // Page code may have kept the stub's own track().
  told.map((told.push = (hit) => own.track(...hit)));
})(CONFIG);
