// Gives how many texts of a page can be seen, and those that stand out too little from what is behind them (WCAG 2.2,
// 1.4.3): less than 4.5:1, or 3:1 for large ones.
() => {
  const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
  const rgba = (colour) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = pen.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  };
  const over = ([red, green, blue, alpha], below) =>
    [red, green, blue].map((part, n) => part * alpha + below[n] * (1 - alpha));
  const luminance = (colour) => {
    const [red, green, blue] = colour.map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const around = (element) => (element ? [...around(element.parentElement), element] : []);
  const ground = (element) =>
    around(element).reduce((below, each) => {
      const painted = over(rgba(getComputedStyle(each).backgroundColor), below);
      const bar = each.matches(".breakdown tbody th") && each.querySelector("svg");
      return bar ? over(rgba(getComputedStyle(bar).fill), painted) : painted;
    }, rgba("Canvas").slice(0, 3));

  const weak = [];
  let texts = 0;
  const look = (text, element, style, colour) => {
    const opacity = around(element).reduce((product, each) => product * getComputedStyle(each).opacity, 1);
    if (opacity === 0) return;
    const below = ground(element.closest("svg")?.parentElement ?? element);
    const [red, green, blue, alpha] = rgba(colour);
    const lights = [below, over([red, green, blue, alpha * opacity], below)].map(luminance).sort((a, b) => b - a);
    const ratio = (lights[0] + 0.05) / (lights[1] + 0.05);
    const size = parseFloat(style.fontSize);
    texts += 1;
    if (ratio < (size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5)) {
      weak.push(`${text.slice(0, 40)}: ${ratio.toFixed(2)}`);
    }
  };

  const nodes = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (nodes.nextNode()) {
    const text = nodes.currentNode.data.trim();
    const element = nodes.currentNode.parentElement;
    if (!text || !element.checkVisibility() || element.closest(".visually-hidden, script, template, option")) continue;
    const style = getComputedStyle(element);
    look(text, element, style, element instanceof SVGElement ? style.fill : style.color);
  }
  for (const field of document.querySelectorAll("input, select, textarea")) {
    if (!field.checkVisibility() || /checkbox|radio|hidden/.test(field.type)) continue;
    const style = getComputedStyle(field);
    look(field.value, field, style, style.color);
    const placeholder = getComputedStyle(field, "::placeholder");
    if (field.placeholder) look(field.placeholder, field, placeholder, placeholder.color);
  }
  return [texts, weak];
}
