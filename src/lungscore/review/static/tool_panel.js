// Tools, layers, labels, and how strokes behave.
import { byId, element } from "./elements.js";
import { fillChoices, mark } from "./choices.js";
import { LAYERS } from "./label_names.js";

const TOOLS = [
  ["look", "Look", "V"], ["brush", "Brush", "B"], ["eraser", "Eraser", "E"], ["lasso", "Lasso", "L"],
  ["lasso-eraser", "Lasso eraser", "K"], ["component", "Piece", "X"],
];

/** What a label is called in a list of choices, with its swatch. */
function labelChoice(layer, text, label) {
  const swatch = layer === "lesions" ? ["", "ggo", "consolidation"][label] : layer;
  return { value: String(label), text, key: String(label), swatch };
}

/**
 * @param {import("./display.js").Display} display
 * @param {string[]} layers that this case has
 */
export function toolPanel(display, layers) {
  fillChoices(byId("tool-choice"), "tool", TOOLS.map(([value, text, key]) => ({ value, text, key })),
    (tool) => display.choose({ tool }));
  fillChoices(byId("layer-choice"), "layer", layers.map((value) => ({ value, text: LAYERS[value].name })),
    (layer) => display.choose({ layer, label: 1, changeTo: 0 }));
  byId("brush-size").addEventListener("input", (event) => display.choose({ size: Number(event.target.value) }));
  byId("keep-others").addEventListener("change", (event) => display.choose({ keepOthers: event.target.checked }));
  byId("inside-lungs").addEventListener("change", (event) => display.choose({ insideLungs: event.target.checked }));
  byId("component-change").addEventListener("change", (event) => display.choose({ changeTo: Number(event.target.value) }));

  let layer = null;
  const show = () => {
    if (display.layer !== layer) {
      layer = display.layer;
      const names = LAYERS[layer].labels.slice(1);
      fillChoices(byId("label-choice"), "label", names.map((text, i) => labelChoice(layer, text, i + 1)),
        (label) => display.choose({ label: Number(label) }));
      byId("component-change").replaceChildren(...["removed", ...names].map((textContent, value) => element("option", { value, textContent })));
    }
    mark(byId("tool-choice"), display.tool);
    mark(byId("layer-choice"), layer);
    mark(byId("label-choice"), display.label);
    byId("component-change").value = String(display.changeTo ?? 0);
    byId("brush-size").value = String(display.size);
    byId("brush-size-shown").textContent = `${display.size} px`;
    byId("inside-lungs-line").hidden = layer !== "lesions";
    byId("stroke-options").hidden = ["look", "component"].includes(display.tool);
    byId("component-options").hidden = display.tool !== "component";
    document.body.dataset.tool = display.tool;
  };
  display.addEventListener("tool", show);
  show();
}
