// Counts page views without a cookie or anything else kept in the browser.
//
// Served minified, as /js/SITEKEY.js, with what the site has chosen in place of the last word; the lines between
// “#tests” and “#end” only where a split test runs. After a change:
// uv run --group dev python -m tests.benchmarks.script_size --write
(function (config) {
  // The page may have made it already, by the stub of the instructions: an id, and a queue of what it tracked.
  const own = (window.Humblytics ||= { queue: [] });
  const told = own.queue;
  // The same tag stands in the page twice.
  if (!told) return;
  own.queue = 0;
  own.viewId ||= newId();

  const tag = document.currentScript;
  const endpoint = tag.dataset.api || new URL("../collect", tag.src);
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
    try {
      hit = JSON.stringify({ ...current, ...hit });
      const options = { method: "POST", body: hit, keepalive: true, credentials: "omit" };
      if ((await fetch(endpoint, options)).status < 500) return;
    } catch {}
    setTimeout(() => navigator.sendBeacon?.(endpoint, hit), 1000);
  }

  // A view is of a path (and of a #/route, where the site has such): other words behind the question mark are still
  // the same view. Pages that change their address without loading anew come here with each one.
  function view(referrer) {
    const url = location.href.match(config.url)[0].slice(0, 3000);
    if (place == (place = url.replace(/\?[^#]*/g, ""))) return;
    leave();
    const id = current ? newId() : own.viewId;
    current = { site: config.site, view: (own.viewId = id), url, webdriver: navigator.webdriver };
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
    if (hasMissingElements()) return;
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
  function leave() {
    live();
    // #tests
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
      const { host, pathname, search } = link;
      if (host == "buy.stripe.com" && !search.match("client_reference_id"))
        link.search += (search && "&") + "client_reference_id=" + own.viewId;
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
  // A page that puts the element under test on later than this is shown, and counted, as if there were no test.
  const PATIENCE = 2000;
  // Each element belongs to the first test that finds it: two that rewrote it in turn would never end.
  const texts = new Map();
  // The tests whose element has not been found yet.
  let open = [];

  function startTests() {
    waiting.variants = [];
    open = config.tests.filter(({ path }) =>
      path.endsWith("*") ? location.pathname.startsWith(path.slice(0, -1)) : location.pathname == path
    );
    if (document.readyState != "loading") stopLater();
  }

  function stopLater() {
    const id = own.viewId;
    setTimeout(() => {
      if (id == own.viewId) {
        stopTests();
        sendView();
      }
    }, PATIENCE);
  }

  // Texts are put in before they are painted, and a test counts as seen when its element is there: with the
  // control's text as with any other.
  function hasMissingElements() {
    open = open.filter(({ selector, text, variant }) => {
      try {
        const element = selector ? document.querySelector(selector) : {};
        if (!element) return true;
        if (!texts.has(element)) {
          texts.set(element, text);
          waiting.variants.push(variant);
        }
      } catch {
        // A selector that is none leaves the page as it is.
      }
    });
    texts.forEach((text, element) => {
      if (text && element.textContent != text) element.textContent = text;
    });
    return open.length;
  }

  function stopTests() {
    texts.clear();
    open = [];
  }

  on("DOMContentLoaded", stopLater);
  // #end
  view(document.referrer);
  new MutationObserver(look).observe(document, {
    childList: true,
    subtree: true,
    // #tests
    characterData: true,
    // #end
  });
  // Page code may have kept the stub's own track().
  told.map((told.push = (hit) => own.track(...hit)));
})(CONFIG);
