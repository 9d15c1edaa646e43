// Counts page views without a cookie or anything else kept in the browser.
// Served as /js/SITEKEY.js, with the site's key and this visitor's split-test variants in place of the last word.
(function (config) {
  "use strict";
  var own = (window.Humblytics = window.Humblytics || {});
  if (own.viewId) return;

  // A page that puts the element under test on later than this is shown, and counted, as if there were no test.
  var PATIENCE = 2000;
  var endpoint = new URL("../collect", document.currentScript.src).href;
  var lastAddress;
  // The view that has not been sent yet, and its tests whose element has not been found yet.
  var waiting;
  var open = [];
  // Each element belongs to the first test that finds it: two that rewrote it in turn would never end.
  var texts = new Map();
  var watcher = new MutationObserver(look);

  // UUIDv7, so that ids made one after the other lie side by side in the database's index.
  // crypto.randomUUID is missing on pages without https.
  function newId() {
    var bytes = crypto.getRandomValues(new Uint8Array(16));
    var time = Date.now();
    for (var i = 5; i >= 0; i--) {
      bytes[i] = time % 256;
      time = Math.floor(time / 256);
    }
    bytes[6] = (bytes[6] & 15) | 112;
    bytes[8] = (bytes[8] & 63) | 128;
    return Array.from(bytes, function (byte) {
      return (byte + 256).toString(16).slice(1);
    })
      .join("")
      .replace(/(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  }

  // A string body is sent as text/plain, which asks for no preflight. A second try carries the same id, so
  // that a hit which arrived although its answer got lost is not counted twice.
  function send(hit, isSecondTry) {
    function again() {
      if (!isSecondTry) setTimeout(send, 1000, hit, true);
    }
    fetch(endpoint, { method: "POST", body: JSON.stringify(hit), keepalive: true, credentials: "omit" }).then(
      function (answer) {
        if (answer.status > 499) again();
      },
      again
    );
  }

  function address() {
    return location.href.split("#")[0];
  }

  function isUnderTest(test) {
    var prefix = test.path.replace(/\*$/, "");
    return prefix === test.path ? location.pathname === prefix : location.pathname.indexOf(prefix) === 0;
  }

  function view(referrer) {
    var now = address();
    if (now === lastAddress) return;
    sendView();
    lastAddress = now;
    own.viewId = newId();
    waiting = {
      site: config.site,
      view: own.viewId,
      url: now.slice(0, 4000),
      referrer: String(referrer).slice(0, 2000),
      variants: [],
    };
    texts.clear();
    open = config.tests.filter(isUnderTest);
    if (open.length) {
      watcher.observe(document.documentElement, { childList: true, subtree: true, characterData: true });
      if (document.readyState !== "loading") setTimeout(stopLooking, PATIENCE, own.viewId);
    }
    look();
  }

  // Texts are put in while the page is being read, before it is painted, and a test counts as seen when its
  // element is there: with the control's text as with any other.
  function look() {
    open = open.filter(function (test) {
      if (!test.selector) {
        waiting.variants.push(test.variant);
        return false;
      }
      try {
        var element = document.querySelector(test.selector);
      } catch (error) {
        // A selector that is none leaves the page as it is.
        return false;
      }
      if (!element) return true;
      if (!texts.has(element)) {
        texts.set(element, test.text);
        waiting.variants.push(test.variant);
      }
      return false;
    });
    texts.forEach(function (text, element) {
      if (text && element.textContent !== text) element.textContent = text;
    });
    if (!open.length) sendView();
  }

  function stopLooking(viewId) {
    if (viewId !== own.viewId) return;
    watcher.disconnect();
    open = [];
    sendView();
  }

  // A page that is only prepared for a click has not been seen: its view is sent when it is shown.
  function sendView() {
    if (!waiting || document.prerendering) return;
    send(waiting);
    waiting = null;
  }

  own.track = function (name) {
    send({ site: config.site, view: own.viewId, url: address().slice(0, 4000), event: String(name), id: newId() });
  };

  // The variant's name that a test gives this visitor, or undefined when no such test is running.
  own.variant = function (key) {
    var test = config.tests.find(function (test) {
      return test.key === key;
    });
    return test && test.name;
  };

  // Pages that change their address without loading anew make a new view with each address; one that only
  // tidies up what stands behind the question mark is still the same.
  ["pushState", "replaceState"].forEach(function (method) {
    var original = history[method];
    history[method] = function () {
      var from = location.href;
      var path = location.pathname;
      original.apply(this, arguments);
      if (method === "replaceState" && location.pathname === path) {
        lastAddress = address();
        return;
      }
      try {
        view(from);
      } catch (error) {
        // Whatever goes wrong in counting is not to stop the page's own navigation.
      }
    };
  });
  addEventListener("popstate", function () {
    view(lastAddress);
  });
  document.addEventListener("prerenderingchange", sendView);
  addEventListener("pagehide", sendView);
  addEventListener("DOMContentLoaded", function () {
    setTimeout(stopLooking, PATIENCE, own.viewId);
  });

  view(document.referrer);
})(CONFIG);
