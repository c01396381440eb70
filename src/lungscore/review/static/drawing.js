// Strokes of the pointer and of the keyboard, from their first place to the edit that is sent.
import { BRUSHES, LASSOS } from "./display.js";
import { labelColour, packed } from "./label_names.js";
import { PixelSet } from "./pixel_set.js";

export class Drawing {
  /**
   * @param {{display: object, geometry: object, volumes: object, edits: import("./edit_queue.js").EditQueue}} parts
   */
  constructor({ display, geometry, volumes, edits }) {
    Object.assign(this, { display, geometry, volumes, edits });
    this.view = null;
    // Another tool or layer in the middle of a stroke: the stroke is forgotten.
    display.addEventListener("tool", () => {
      if (this.view && (this.tool !== display.tool || this.layer !== display.layer)) this.cancel();
    });
  }

  get underway() {
    return this.view !== null;
  }

  /** Begin at a row and column of a view, with the tool in hand. */
  begin(view, place) {
    this.cancel();
    const { tool } = this.display;
    if (tool === "component") return this.#component(view, place);
    if (![...BRUSHES, ...LASSOS].includes(tool)) return undefined;
    this.view = view;
    this.tool = tool;
    this.layer = this.display.layer;
    this.cut = this.geometry.cut(view.plane, view.index);
    const [rowMm, columnMm] = this.geometry.pixelMm(view.plane);
    this.set = new PixelSet(this.cut.rows, this.cut.columns, rowMm / columnMm);
    this.last = place;
    view.stroke = { corners: LASSOS.includes(tool) ? [] : null, painted: null };
    this.extend(place);
    return undefined;
  }

  /** Go on to a row and column. */
  extend(place) {
    if (!this.view) return;
    const { stroke } = this.view;
    if (stroke.corners) {
      stroke.corners.push(place);
    } else {
      this.set.sweep(this.last, place, this.display.size);
      this.#paint();
    }
    this.last = place;
    this.view.redraw("marks");
  }

  /** Send what was drawn. */
  end() {
    if (!this.view) return;
    const { view, set, cut } = this;
    const { tool, layer } = this;
    if (view.stroke.corners) set.polygon(view.stroke.corners);
    const value = this.#value();
    const runs = set.runs();
    const { replaceable } = this.display;
    const voxels = set.voxels(cut, this.#passes(value));
    this.cancel();
    if (!runs.length) return;
    this.edits.add({
      tool: tool === "lasso-eraser" ? "lasso" : tool,
      layer,
      plane: view.plane,
      label: value,
      slices: [{ index: view.index, runs }],
      ...(replaceable && { over: replaceable }),
      ...(this.#within(value) && { hu: this.#within(value) }),
      ...(layer === "lesions" && { inside_lungs: this.display.insideLungs }),
    }, { layer, voxels, value });
  }

  /** Forget the stroke. */
  cancel() {
    if (!this.view) return;
    this.view.stroke = null;
    this.view.redraw("marks");
    this.view = null;
  }

  /** The piece at a place goes, or changes to the chosen label. */
  #component(view, [row, column]) {
    const at = this.geometry.voxel(view.plane, view.index, row, column);
    const { layer, changeTo } = this.display;
    this.edits.add({ tool: "component", layer, at, ...(changeTo && { label: changeTo }) });
  }

  #value() {
    return ["eraser", "lasso-eraser"].includes(this.display.tool) ? 0 : this.display.label;
  }

  /** Only opacity is drawn within densities; erasing goes anywhere. */
  #within(value) {
    return value > 0 && this.display.layer === "lesions" ? this.display.within : null;
  }

  /** What the server will most likely change; its answer replaces this. */
  #passes(value) {
    const { layer, insideLungs, replaceable } = this.display;
    const { lungs } = this.volumes.layers;
    const labels = this.volumes.layers[layer];
    const within = this.#within(value);
    const { values } = this.view.scan;
    const confined = layer === "lesions" && insideLungs && value > 0 && lungs;
    return (voxel) => labels[voxel] !== value
      && (!confined || lungs[voxel] > 0)
      && (!replaceable || replaceable.includes(labels[voxel]))
      && (!within || (values[voxel] >= within[0] && values[voxel] <= within[1]));
  }

  #paint() {
    const { rows, columns } = this.cut;
    const image = new ImageData(columns, rows);
    const pixels = new Uint32Array(image.data.buffer);
    const value = this.#value();
    const passes = this.#passes(value);
    const colour = value ? packed(labelColour(this.display.layer, value), 255) : 0xff808080;
    const { mask } = this.set;
    for (let i = mask.indexOf(1); i >= 0; i = mask.indexOf(1, i + 1)) {
      if (passes(this.cut.base + Math.floor(i / columns) * this.cut.rowStep + (i % columns) * this.cut.columnStep)) pixels[i] = colour;
    }
    const { stroke } = this.view;
    stroke.painted ??= new OffscreenCanvas(columns, rows);
    stroke.painted.getContext("2d").putImageData(image, 0, 0);
  }
}
