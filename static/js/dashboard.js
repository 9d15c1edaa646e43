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

function focusFirstMistake(root) {
  root.querySelector("[aria-invalid='true']")?.focus();
}

focusFirstMistake(document);

document.addEventListener("htmx:afterSettle", (event) => {
  focusFirstMistake(event.target);
  // A link that replaced the panels was replaced with them: keep the reader's place for the keyboard.
  const panels = document.getElementById("panels");
  if (panels && event.target === panels && document.activeElement === document.body) {
    panels.tabIndex = -1;
    panels.focus({ preventScroll: true });
  }
});
