// Building what is shown. Texts are text nodes, never HTML.

/** The element with an id. */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * A new element.
 * @param {string} tag
 * @param {Record<string, unknown>} properties of the element; `data` and `aria` are objects of their own
 * @param {...(Node|string)} children
 */
export function element(tag, properties = {}, ...children) {
  const { data = {}, aria = {}, ...plain } = properties;
  const node = Object.assign(document.createElement(tag), plain);
  Object.assign(node.dataset, data);
  for (const [name, value] of Object.entries(aria)) node.setAttribute(`aria-${name}`, value);
  node.append(...children);
  return node;
}

/** A number with its decimals and a true minus sign; a dash where there is none. */
export function numberText(value, decimals = 0, symbol = "") {
  if (value === null || value === undefined) return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "number") return String(value);
  const text = value.toFixed(decimals).replace("-", "−");
  return symbol ? `${text} ${symbol}` : text;
}

/** "1 slice", "2 slices". */
export function counted(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** Whether keys typed into this element are text, or choose its value. */
export function takesText(node) {
  return node.matches?.("textarea, select, input:not([type=range], [type=checkbox], [type=radio])") ?? false;
}
