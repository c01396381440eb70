// The numbers of the case: as they were, and as they are after the corrections.
import { byId, element, numberText } from "./elements.js";

const TITLES = { headline: "", scores: "Scores", lobes: "Lobes", details: "Details", regions: "Regions" };
const OPEN = ["headline", "scores"];

/** "aeration" → "Aeration". */
function groupTitle(group) {
  return TITLES[group] ?? group[0].toUpperCase() + group.slice(1).replaceAll("_", " ");
}

/**
 * @param {{path: string, title: string, unit: string, symbol: string, decimals: number, group: string, before: number|null}[]} list
 * @param {import("./edit_queue.js").EditQueue} edits
 */
export function numbersPanel(list, edits) {
  byId("no-numbers").hidden = list.length > 0;
  byId("counting").parentElement.hidden = list.length === 0;
  const cells = new Map();
  const groups = Map.groupBy(list, ({ group }) => group);
  for (const [group, numbers] of groups) {
    const body = element("tbody");
    for (const number of numbers) {
      const now = element("td", { className: "n now", data: { path: number.path } });
      const row = element("tr", {}, element("th", { scope: "row", textContent: number.title }),
        element("td", { className: "n before", textContent: numberText(number.before, number.decimals), data: { value: JSON.stringify(number.before) } }),
        now, element("td", { className: "unit", textContent: number.symbol || number.unit }));
      cells.set(number.path, { now, row, number });
      body.append(row);
    }
    const head = element("thead", {}, element("tr", {}, element("th", { scope: "col", textContent: groupTitle(group) || "Number" }),
      ...["before", "now"].map((textContent) => element("th", { scope: "col", className: "n", textContent })),
      element("th", { scope: "col" }, element("span", { className: "unseen", textContent: "Unit" }))));
    const table = element("table", {}, head, body);
    byId("numbers").append(OPEN.includes(group) ? table
      : element("details", {}, element("summary", { textContent: groupTitle(group) }), table));
  }

  const show = () => {
    const { numbers, pending, pending_paths: waiting = [] } = edits.state;
    const uncounted = new Set(pending ? waiting : []);
    const busy = pending || !edits.idle;
    for (const [path, { now, row, number }] of cells) {
      const value = numbers[path] ?? null;
      const text = uncounted.has(path) ? "…" : numberText(value, number.decimals);
      if (now.textContent !== text) now.textContent = text;
      now.dataset.value = JSON.stringify(value);
      row.classList.toggle("changed", !uncounted.has(path) && value !== number.before);
    }
    byId("counting").textContent = busy && list.length ? "counting …" : "";
    byId("numbers").setAttribute("aria-busy", String(busy));
  };
  edits.addEventListener("state", show);
  show();
}
