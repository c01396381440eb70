// Edits of whole slices: copy, smooth, fill between, clear, and keeping a range of densities.
import { byId } from "./elements.js";

/**
 * @param {object} parts
 * @param {import("./display.js").Display} parts.display
 * @param {import("./edit_queue.js").EditQueue} parts.edits
 * @param {boolean} parts.density whether the case has Hounsfield units
 * @returns {Record<string, () => void>} commands by their key
 */
export function sliceCommands({ display, edits, density }) {
  const depth = display.geometry.shape[0];
  const number = (id) => Number(byId(id).value);
  /** One lung alone, where the reader chose one. */
  const side = () => (number("lung") && display.layer !== "lungs" ? { lung: number("lung") } : {});

  function copy(step) {
    const from = display.position[0];
    const to = from + step;
    if (to < 0 || to >= depth) return;
    edits.add({ tool: "copy", layer: display.layer, from, to, ...side(), ...(byId("copy-add").checked && { add: true }) });
    display.step(0, step);
  }

  function overRange(tool, more = {}) {
    edits.add({ tool, layer: display.layer, slices: display.range, ...side(), ...more });
  }

  function keepDensity() {
    if (!density) return;
    const scope = byId("hu-scope").value;
    const [z] = display.position;
    edits.add({
      tool: "keep_hu",
      layer: "lesions",
      low: number("hu-low"),
      high: number("hu-high"),
      scope,
      ...(scope === "slice" && { index: z }),
      ...(scope === "component" && { at: display.position }),
      labels: byId("hu-labels").value.split(",").map(Number),
    });
  }

  const fill = () => display.layer === "lesions" && overRange("fill_between");
  const clicks = {
    "copy-next": () => copy(1), "copy-previous": () => copy(-1), smooth: () => overRange("smooth"),
    "fill-between": fill, clear: () => overRange("clear", { label: display.label }), "keep-hu": keepDensity,
  };
  for (const [id, action] of Object.entries(clicks)) byId(id).addEventListener("click", action);

  const within = () => display.choose({ within: byId("within").checked ? [number("hu-low"), number("hu-high")] : null });
  for (const id of ["within", "hu-low", "hu-high"]) byId(id).addEventListener("change", within);

  const slice = (value) => Math.min(Math.max((Number(value) || 1) - 1, 0), depth - 1);
  byId("range-first").addEventListener("change", ({ target }) => {
    const first = slice(target.value);
    display.choose({ range: [first, Math.max(first, display.range[1])] });
  });
  byId("range-last").addEventListener("change", ({ target }) => {
    const last = slice(target.value);
    display.choose({ range: [Math.min(last, display.range[0]), last] });
  });
  const show = () => {
    const [first, last] = display.range;
    byId("range-first").value = String(first + 1);
    byId("range-last").value = String(last + 1);
    byId("fill-between").disabled = display.layer !== "lesions" || last - first < 2;
    byId("within-line").hidden = !density || display.layer !== "lesions";
    byId("lung-line").hidden = display.layer === "lungs";
  };
  for (const id of ["range-first", "range-last"]) byId(id).max = String(depth);
  byId("density").hidden = !density;
  display.addEventListener("tool", show);
  show();
  return { n: () => copy(1), p: () => copy(-1), s: () => overRange("smooth"), f: () => byId("fill-between").click(), h: keepDensity };
}
