// Counts page views without a cookie or anything else kept in the browser.
// Served as /js/SITEKEY.js, with the site's key and this visitor's split-test variants in place of the last word, CONFIG.
(function (config) {
  "use strict";
  var own = (window.Humblytics = window.Humblytics || {});
  if (own.viewId) return;

  var endpoint = new URL("../collect", document.currentScript.src).href;
  var lastAddress;

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

  function isUnderTest(test) {
    var prefix = test.path.replace(/\*$/, "");
    return prefix === test.path ? location.pathname === prefix : location.pathname.indexOf(prefix) === 0;
  }

  function view(referrer) {
    var address = location.href.split("#")[0];
    if (address === lastAddress) return;
    lastAddress = address;
    own.viewId = newId();
    send({
      site: config.site,
      view: own.viewId,
      url: location.href,
      referrer: referrer,
      variants: config.tests.filter(isUnderTest).map(function (test) {
        return test.variant;
      }),
    });
    show();
  }

  // The texts are put in while the page is being read, before it is painted.
  function show() {
    config.tests.filter(isUnderTest).forEach(function (test) {
      try {
        var element = test.text && document.querySelector(test.selector);
        if (element && element.textContent !== test.text) element.textContent = test.text;
      } catch (error) {
        // A selector that is none leaves the page as it is, and everything else at work.
      }
    });
  }

  own.track = function (name) {
    send({ site: config.site, view: own.viewId, url: location.href, event: String(name), id: newId() });
  };

  // The variant's name that a test gives this visitor, or undefined when no such test is running.
  own.variant = function (key) {
    var test = config.tests.find(function (test) {
      return test.key === key;
    });
    return test && test.name;
  };

  // Pages that change their address without loading anew make a new view with each address.
  ["pushState", "replaceState"].forEach(function (method) {
    var original = history[method];
    history[method] = function () {
      var from = location.href;
      original.apply(this, arguments);
      view(from);
    };
  });
  addEventListener("popstate", function () {
    view(lastAddress);
  });

  view(document.referrer);

  if (config.tests.length) {
    var watcher = new MutationObserver(show);
    watcher.observe(document.documentElement, { childList: true, subtree: true });
    addEventListener("DOMContentLoaded", function () {
      watcher.disconnect();
      show();
    });
  }
})(CONFIG);
