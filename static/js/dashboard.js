// Comforts only: without this file every page still reads, links and submits.

document.addEventListener("click", async (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }

  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const code = button.closest(".copy").querySelector("code");
  const status = button.querySelector("[aria-live]");
  button.dataset.label ??= status.textContent;
  try {
    await navigator.clipboard.writeText(code.textContent);
    status.textContent = "Copied";
  } catch {
    // Browsers refuse the clipboard on a page that came over plain HTTP: leave the text selected instead.
    getSelection().selectAllChildren(code);
    status.textContent = "Selected";
  }
  setTimeout(() => { status.textContent = button.dataset.label; }, 2000);
});

document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

// Keys for what has one: periods, the filter. Not while somebody is typing, nor with a key that belongs to the browser.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  if (!/^[a-z]$/.test(event.key)) return;
  const wanted = document.querySelector(`[data-key="${event.key}"]`);
  if (!wanted) return;
  event.preventDefault();
  wanted.click();
});

// With the arrow keys a chart is read point by point, as with the pointer.
document.addEventListener("keydown", (event) => {
  const chart = event.target.closest("[data-chart]");
  if (!chart) return;
  const points = [...chart.querySelectorAll(".point")];
  const now = points.findIndex((point) => point.classList.contains("read"));
  const last = points.length - 1;
  const next = { ArrowLeft: now < 0 ? last : Math.max(now - 1, 0), ArrowRight: Math.min(now + 1, last), Home: 0, End: last };
  if (!(event.key in next)) return;
  event.preventDefault();
  points[now]?.classList.remove("read");
  const point = points[next[event.key]];
  point.classList.add("read");
  chart.closest(".panel").querySelector("[data-reading]").textContent = point.querySelector(".readout").textContent;
});

document.addEventListener("focusout", (event) => {
  event.target.closest("[data-chart]")?.querySelector(".read")?.classList.remove("read");
});

// A panel that could not be fetched says so, instead of seeming to load for ever.
for (const failure of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(failure, (event) => {
    const panel = event.target.closest(".panel[aria-busy]");
    const template = panel?.querySelector("template");
    if (!template) return;
    const failed = template.content.firstElementChild.cloneNode(true);
    panel.replaceWith(failed);
    htmx.process(failed);
  });
}

// “Pick on the page” opens the site's page, which tells the element that is clicked there; so it does for nobody else.
let picking;

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-pick]");
  if (!button) return;
  const { origin, pickToken } = button.form.dataset;
  const rule = button.form.elements.pages.value.split("\n").find((line) => /^\s*\//.test(line)) ?? "/";
  const page = new URL(rule.trim().split("*")[0], origin);
  page.searchParams.set("humblytics_pick", pickToken);
  picking = { field: button.parentElement.querySelector("input"), hostname: page.hostname, opened: open(page.href.replaceAll("%3A", ":")) };
});

addEventListener("message", ({ source, origin, data }) => {
  const { hostname } = URL.canParse(origin) ? new URL(origin) : {};
  if (!picking || source !== picking.opened || data?.humblytics !== "picked") return;
  if (hostname !== picking.hostname && !hostname?.endsWith(`.${picking.hostname}`)) return;
  picking.field.value = String(data.selector).slice(0, picking.field.maxLength);
  picking.field.dispatchEvent(new Event("input", { bubbles: true }));
  source.postMessage({ humblytics: "taken" }, origin);
});

function prepare(root) {
  for (const button of root.querySelectorAll("[data-pick]")) button.hidden = false;
  root.querySelector("[aria-invalid='true']")?.focus();
  for (const chart of root.querySelectorAll("[data-chart]")) chart.tabIndex = 0;
  // What is chosen in a row that is too long for a phone is to be seen.
  for (const chosen of root.querySelectorAll(":is(.tabs, .segments) > [aria-current]")) {
    const row = chosen.parentElement;
    row.scrollLeft = chosen.offsetLeft - row.offsetLeft - (row.clientWidth - chosen.clientWidth) / 2;
  }
}

prepare(document);

document.addEventListener("htmx:afterSettle", (event) => {
  prepare(event.target);
  // A link that replaced the panels was replaced with them: keep the reader's place for the keyboard.
  const panels = document.getElementById("panels");
  if (panels && event.target === panels && document.activeElement === document.body) {
    panels.tabIndex = -1;
    panels.focus({ preventScroll: true });
  }
});
