// Sliders of the three planes, the strip, and what lies under the crosshair.
import { byId } from "./elements.js";
import { AXES } from "./geometry.js";
import { COLOURS, LAYERS } from "./label_names.js";
import { drawStrip } from "./slice_strip.js";

/** What is under the crosshair, in words. */
function underCross({ display, scan, volumes, units }) {
  const { position, geometry } = display;
  const parts = [];
  if (scan.exists && scan.has(position[0])) {
    const value = scan.values[geometry.flat(position)];
    parts.push(units === "hu" ? `${String(value).replace("-", "−")} HU` : `grey ${value}`);
  }
  for (const layer of ["lesions", "lungs", "lobes"]) {
    const label = volumes.at(layer, position);
    if (label) parts.push(layer === "lungs" ? `${LAYERS[layer].labels[label].toLowerCase()} lung` : LAYERS[layer].labels[label]);
  }
  return parts.join(", ");
}

/**
 * @param {object} parts
 * @param {import("./display.js").Display} parts.display
 * @param {import("./scan_pixels.js").ScanPixels} parts.scan
 * @param {import("./label_volumes.js").LabelVolumes} parts.volumes
 * @param {import("./edit_queue.js").EditQueue} parts.edits
 * @param {string} parts.units
 */
export function slicePanel({ display, scan, volumes, edits, units }) {
  const { geometry } = display;
  const depth = geometry.shape[0];
  const sliders = { axial: byId("slice") };
  for (const plane of ["coronal", "sagittal"]) sliders[plane] = document.querySelector(`[data-slider=${plane}]`);
  for (const [plane, slider] of Object.entries(sliders)) {
    slider.max = String(geometry.count(plane));
    slider.addEventListener("input", () => {
      display.step(AXES[plane], Number(slider.value) - 1 - display.position[AXES[plane]]);
    });
  }

  const readout = () => {
    const [z] = display.position;
    const percent = edits.state.slice_percent[z];
    const share = percent === null || percent === undefined ? "" : ` · opacity ${percent.toFixed(1)} %`;
    const cross = underCross({ display, scan, volumes, units });
    byId("readout").textContent = `Slice ${z + 1} of ${depth}${share}${cross ? ` · at the cross: ${cross}` : ""}`;
  };
  const place = () => {
    for (const [plane, slider] of Object.entries(sliders)) {
      const index = display.position[AXES[plane]];
      slider.value = String(index + 1);
      slider.setAttribute("aria-valuetext", `slice ${index + 1} of ${geometry.count(plane)}`);
    }
    scan.near(display.position[0]);
    readout();
  };
  const strip = () => drawStrip(byId("slice-strip"), {
    bars: edits.state.slice_lesion_voxels.map(([ggo, consolidation]) => [[consolidation, COLOURS.consolidation], [ggo, COLOURS.ggo]]),
    marked: edits.state.changed_slices,
    range: display.range,
  });

  display.addEventListener("moved", place);
  display.addEventListener("tool", strip);
  volumes.addEventListener("changed", readout);
  edits.addEventListener("state", () => {
    readout();
    strip();
  });
  new ResizeObserver(strip).observe(byId("slice-strip"));
  place();
}
