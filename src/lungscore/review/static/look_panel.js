// Window and overlays.
import { byId, element } from "./elements.js";
import { PRESETS } from "./grey_window.js";
import { LAYERS } from "./label_names.js";

const LEGEND = [["ggo", "GGO"], ["consolidation", "Consolidation, hatched"], ["lungs", "Lungs, dashed"], ["lobes", "Lobes, dotted"]];

/**
 * @param {import("./display.js").Display} display
 * @param {{units: string, layers: string[], has_ct: boolean}} opened
 * @param {(layer: string) => void} load a layer that is to be shown
 */
export function lookPanel(display, opened, load) {
  const buttons = PRESETS[opened.units].map(([textContent, level, width]) => {
    const button = element("button", { type: "button", textContent, data: { level, width } });
    button.addEventListener("click", () => display.setWindow(level, width));
    return button;
  });
  byId("presets").replaceChildren(...buttons);
  byId("presets").closest("fieldset").disabled = !opened.has_ct;
  const boxes = opened.layers.map((layer) => {
    const input = element("input", { type: "checkbox", name: "shown", value: layer });
    input.addEventListener("change", () => display.show({ shown: { ...display.shown, [layer]: input.checked } }));
    return element("label", { className: "check" }, input, LAYERS[layer].name);
  });
  byId("layers-shown").replaceChildren(...boxes);
  byId("legend").replaceChildren(...LEGEND.filter(([name]) => name !== "lobes" || opened.layers.includes("lobes"))
    .map(([name, text]) => element("li", {}, element("i", { className: `swatch ${name}` }), text)));

  for (const id of ["level", "width"]) {
    byId(id).addEventListener("change", () => display.setWindow(Number(byId("level").value), Number(byId("width").value)));
  }
  byId("contours").addEventListener("change", ({ target }) => display.show({ contours: target.checked }));
  byId("fill").addEventListener("input", ({ target }) => display.show({ fill: Number(target.value) / 100 }));

  const show = () => {
    byId("level").value = String(display.window.level);
    byId("width").value = String(display.window.width);
    for (const button of buttons) {
      const same = Number(button.dataset.level) === display.window.level && Number(button.dataset.width) === display.window.width;
      button.setAttribute("aria-pressed", String(same));
    }
    byId("contours").checked = display.contours;
    byId("fill").value = String(Math.round(display.fill * 100));
    byId("fill-shown").textContent = `${Math.round(display.fill * 100)} %`;
    for (const input of byId("layers-shown").querySelectorAll("input")) {
      input.checked = display.shown[input.value];
      if (input.checked) load(input.value);
    }
  };
  display.addEventListener("look", show);
  show();
}
