// Points at an element of a site's page and gives a CSS selector of it, for the form of a split test.
//
// Served minified, with the origin of the form in place of the last word, to who comes by the form's link alone. After
// a change: uv run --group dev python -m tests.benchmarks.script_size --write
(function (config) {
  // Names of elements that no selector of the page means, with styles that its own do not reach.
  const make = (parent, name, style, text = "") => {
    const made = document.createElement(name);
    made.style.cssText = "all:initial;box-sizing:border-box;font:14px/1.5 system-ui,sans-serif;" + style;
    made.textContent = text;
    parent.append(made);
    return made;
  };
  const root = make(document.documentElement, "humblytics-picker", "");
  const above = "position:fixed;z-index:2147483647;";
  const frame = make(root, "humblytics-frame", above + "pointer-events:none;border:2px solid #4f6bed;background:#4f6bed26;");
  const panel = make(
    root,
    "humblytics-panel",
    above +
      "left:50%;bottom:16px;transform:translateX(-50%);max-width:calc(100vw - 32px);padding:10px 14px;border-radius:8px;" +
      "background:#1d2330;color:#fff;box-shadow:0 4px 24px #0006;"
  );
  const note = make(panel, "humblytics-note", "display:block;color:#fff;", "Click the element to change. Escape ends.");
  const found = make(panel, "code", "display:none;margin-top:6px;font:13px/1.5 monospace;color:#fff;overflow-wrap:anywhere;user-select:all;");
  const copy = make(panel, "button", "display:none;margin-top:8px;padding:2px 10px;border-radius:6px;background:#4f6bed;color:#fff;cursor:pointer;", "Copy");

  // A name that was made by a program is another one after the next release of the page.
  const isStable = (name) => !/\d{3}|^(css|sc|jsx|svelte|ember|radix)-|[_-][a-zA-Z0-9]{5,}$|:/.test(name);

  function names(element) {
    const { id, localName, classList } = element;
    const attributes = ["data-testid", "data-test", "name"].filter((name) => element.hasAttribute(name));
    return [
      ...(id && isStable(id) ? ["#" + CSS.escape(id)] : []),
      ...attributes.map((name) => `${localName}[${name}="${CSS.escape(element.getAttribute(name))}"]`),
      localName,
      ...[...classList].filter(isStable).map((name) => `${localName}.${CSS.escape(name)}`),
    ];
  }

  // The shortest chain of names that means this element and no other, from an ancestor that has a name of its own.
  function selectorOf(element) {
    let tail = "";
    for (let each = element; each?.parentElement; each = each.parentElement) {
      for (const name of names(each)) {
        const all = document.querySelectorAll(name + tail);
        if (all.length == 1 && all[0] == element) return name + tail;
      }
      const { localName } = each;
      const alike = [...each.parentElement.children].filter((child) => child.localName == localName);
      tail = ` > ${localName}${alike.length > 1 ? `:nth-of-type(${alike.indexOf(each) + 1})` : ""}${tail}`;
    }
    return "html" + tail;
  }

  function show(element) {
    const { left, top, width, height } = element.getBoundingClientRect();
    Object.assign(frame.style, { left: left + "px", top: top + "px", width: width + "px", height: height + "px" });
  }

  const isOwn = ({ target }) => root.contains(target);
  const listeners = {
    pointermove(event) {
      if (!isOwn(event)) show(event.target);
    },
    click(event) {
      event.preventDefault();
      event.stopImmediatePropagation();
      if (event.target == copy) {
        navigator.clipboard?.writeText(found.textContent).then(() => (copy.textContent = "Copied"));
        return;
      }
      if (isOwn(event)) return;
      show(event.target);
      found.textContent = selectorOf(event.target);
      found.style.display = copy.style.display = "block";
      copy.textContent = "Copy";
      note.textContent = "Copy this selector into the form, or click another element.";
      opener?.postMessage({ humblytics: "picked", selector: found.textContent }, config.dashboard);
    },
    keydown(event) {
      if (event.key == "Escape") end();
    },
    message({ origin, source, data }) {
      if (origin == config.dashboard && source == opener && data?.humblytics == "taken")
        note.textContent = "It stands in the form now. Close this page, or click another element.";
    },
  };
  // The page's own code sees none of what is done here.
  const silenced = ["pointerdown", "pointerup", "mousedown", "mouseup", "touchstart", "touchend", "submit"];
  for (const type of silenced)
    listeners[type] = (event) => {
      event.stopImmediatePropagation();
      if (type == "submit" || type == "mousedown") event.preventDefault();
    };

  function end() {
    for (const type in listeners) removeEventListener(type, listeners[type], true);
    root.remove();
  }

  for (const type in listeners) addEventListener(type, listeners[type], { capture: true, passive: false });
})(CONFIG);
