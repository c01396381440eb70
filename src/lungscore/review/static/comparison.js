// Two readings side by side: the same slice, window and zoom, with different masks.
import { get } from "./api.js";
import { byId, counted, element, numberText } from "./elements.js";
import { LabelVolumes } from "./label_volumes.js";
import { PlaneView } from "./plane_view.js";
import { followPointer } from "./pointer.js";
import { readingName } from "./reading_names.js";
import { drawStrip } from "./slice_strip.js";

const SIDES = ["a", "b"];
const DICE = [["lesions", "Opacity"], ["ggo", "GGO"], ["consolidation", "Consolidation"], ["lungs", "Lungs"]];

export class Comparison {
  /** @param {{display: object, geometry: object, scan: object, caseId: string, reader: string, complain: (error: Error) => void}} parts */
  constructor(parts) {
    Object.assign(this, parts);
    this.readings = [];
    this.views = {};
    this.slices = [];
    this.depth = this.geometry.shape[0];
    byId("comparison-slice").max = String(this.depth);
    byId("comparison-slice").addEventListener("input", ({ target }) => this.display.step(0, Number(target.value) - 1 - this.display.position[0]));
    byId("next-difference").addEventListener("click", () => this.#nextDifference());
    byId("comparison-choice").addEventListener("submit", (event) => event.preventDefault());
    for (const side of SIDES) byId(`reading-${side}`).addEventListener("change", () => this.#show().catch(this.complain));
    this.display.addEventListener("moved", () => this.#place());
    new ResizeObserver(() => this.#strip()).observe(byId("difference-strip"));
  }

  /** Ask for the readings that are there, and show two of them. */
  async open() {
    const { reviews } = await get(`${this.#address()}/reviews?reader=${encodeURIComponent(this.reader)}`);
    const chosen = SIDES.map((side) => byId(`reading-${side}`).value);
    this.readings = reviews;
    for (const [i, side] of SIDES.entries()) {
      byId(`reading-${side}`).replaceChildren(...reviews.map((reading) => element("option", { value: reading.id, textContent: readingName(reading) })));
      const usual = this.#usual()[i];
      byId(`reading-${side}`).value = reviews.some(({ id }) => id === chosen[i]) ? chosen[i] : usual.id;
    }
    await this.#show();
  }

  /** One's own reading beside another reader's, else the original beside what there is. */
  #usual() {
    const own = this.readings.find(({ reader }) => reader === this.reader);
    const [other] = this.readings.filter((reading) => reading.reader && reading !== own);
    const [original] = this.readings;
    if (own && other) return [own, other];
    return [original, own ?? other ?? original];
  }

  #address() {
    return `/api/cases/${this.caseId}`;
  }

  async #show() {
    const ids = SIDES.map((side) => byId(`reading-${side}`).value);
    this.request = ids.join();
    for (const [i, side] of SIDES.entries()) {
      byId(`caption-${side}`).textContent = readingName(this.readings.find(({ id }) => id === ids[i]));
      this.#showSide(side, ids[i]).catch(this.complain);
    }
    const compared = await get(`${this.#address()}/compare?a=${ids[0]}&b=${ids[1]}`);
    if (this.request !== ids.join()) return;
    this.slices = compared.slices;
    this.#table(compared);
    this.#strip();
    this.#place();
    byId("comparison").dataset.shown = this.request;
  }

  /** The view of a side keeps its place; its masks are exchanged. */
  async #showSide(side, id) {
    if (!this.views[side]) {
      const volumes = new LabelVolumes(this.geometry, (layer) => `${this.#address()}/reviews/${this.views[side].reading}/labels/${layer}`);
      const host = document.querySelector(`[data-side=${side}]`);
      const { geometry, scan, display } = this;
      this.views[side] = new PlaneView(host, { plane: "axial", geometry, scan, volumes, display });
      followPointer(this.views[side], null);
      host.addEventListener("zoomed", ({ detail }) => this.#follow(detail));
    }
    const view = this.views[side];
    if (view.reading === id) return;
    view.reading = id;
    const { volumes } = view;
    volumes.requests.clear();
    await Promise.all(["lesions", "lungs"].map((layer) => volumes.load(layer)));
  }

  #follow(moved) {
    for (const view of Object.values(this.views)) {
      if (view === moved) continue;
      Object.assign(view, { zoom: moved.zoom, centre: moved.centre });
      view.redraw();
    }
  }

  #table({ numbers, dice }) {
    const overlap = DICE.filter(([key]) => dice[key] !== null && dice[key] !== undefined)
      .map(([key, name]) => `${name} ${numberText(dice[key], 3)}`).join(" · ");
    const row = ({ path, title, unit, decimals, a, b }) => element("tr", { data: { path } },
      element("th", { scope: "row", textContent: title }),
      ...[a, b].map((value) => element("td", { className: "n", textContent: numberText(value, decimals), data: { value: JSON.stringify(value) } })),
      element("td", { className: "unit", textContent: unit }));
    const captions = () => SIDES.map((side) => element("th", { scope: "col", className: "n", textContent: byId(`caption-${side}`).textContent }));
    const table = (lines) => element("table", {}, element("thead", {}, element("tr", {}, element("th", { scope: "col", textContent: "Number" }),
      ...captions(), element("th", { scope: "col" }, element("span", { className: "unseen", textContent: "Unit" })))), element("tbody", {}, ...lines.map(row)));
    const differing = numbers.filter(({ a, b }) => a !== b);
    const equal = numbers.filter(({ a, b }) => a === b);
    byId("differences").replaceChildren(
      element("p", { textContent: overlap ? `Overlap (Dice): ${overlap}` : "No overlap to count: neither has any opacity." }),
      element("h2", { textContent: differing.length ? "Numbers that differ" : "No number differs" }), ...(differing.length ? [table(differing)] : []),
      ...(equal.length ? [element("details", {}, element("summary", { textContent: `${counted(equal.length, "number")} the same` }), table(equal))] : []));
  }

  #strip() {
    const bars = Array.from({ length: this.depth }, () => []);
    const styles = getComputedStyle(byId("difference-strip"));
    const [one, other] = ["--ink", "--soft"].map((name) => styles.getPropertyValue(name));
    for (const [z, onlyA, onlyB] of this.slices) bars[z] = [[onlyA, one], [onlyB, other]];
    drawStrip(byId("difference-strip"), { bars, marked: [], range: null });
  }

  #place() {
    const [z] = this.display.position;
    byId("comparison-slice").value = String(z + 1);
    const counts = this.slices.find(([slice]) => slice === z);
    const text = counts ? `only left ${counts[1]}, only right ${counts[2]}, both ${counts[3]} voxels of opacity` : "no opacity in either";
    byId("comparison-readout").textContent = `Slice ${z + 1} of ${this.depth} · ${text}`;
  }

  #nextDifference() {
    const differing = this.slices.filter(([, a, b]) => a + b > 0).map(([z]) => z).sort((a, b) => a - b);
    const [now] = this.display.position;
    const next = differing.find((z) => z > now) ?? differing[0];
    if (next !== undefined) this.display.step(0, next - now);
  }
}
