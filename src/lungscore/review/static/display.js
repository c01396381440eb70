// What is shown and with which tool: one object that every view and panel follows.

export const BRUSHES = ["brush", "eraser"];
export const LASSOS = ["lasso", "lasso-eraser"];

/** Dispatches "moved" (the crosshair), "look" (window, overlays) and "tool" (tool, layer, label, size, options). */
export class Display extends EventTarget {
  /**
   * @param {import("./geometry.js").Geometry} geometry
   * @param {import("./grey_window.js").GreyWindow} greyWindow
   */
  constructor(geometry, greyWindow) {
    super();
    this.geometry = geometry;
    this.window = greyWindow;
    /** The voxel under the crosshair. */
    this.position = geometry.shape.map((count) => count >> 1);
    this.contours = true;
    this.fill = 0.2;
    this.shown = { lesions: true, lungs: true, lobes: false };
    this.tool = "look";
    this.layer = "lesions";
    this.label = 1;
    this.size = 9;
    this.keepOthers = false;
    this.insideLungs = true;
    /** Lowest and highest HU at which strokes draw; null: any. */
    this.within = null;
    this.range = [0, 0];
  }

  #tell(name) {
    this.dispatchEvent(new Event(name));
  }

  /** Put the crosshair on a voxel. */
  moveTo(voxel) {
    const place = this.geometry.clamped(voxel);
    if (place.every((value, axis) => value === this.position[axis])) return;
    this.position = place;
    this.#tell("moved");
  }

  /** Move the crosshair along an axis. */
  step(axis, count) {
    this.moveTo(this.position.map((place, other) => (other === axis ? place + count : place)));
  }

  /** @param {{contours?: boolean, fill?: number, shown?: Record<string, boolean>}} look */
  show(look) {
    Object.assign(this, look);
    this.#tell("look");
  }

  setWindow(level, width) {
    this.window.set(level, width);
    this.#tell("look");
  }

  /** @param {Partial<Display>} choice of tool, layer, label, size, keepOthers, insideLungs, within, range */
  choose(choice) {
    Object.assign(this, choice);
    this.size = Math.min(Math.max(Math.round(this.size), 1), 99);
    this.#tell("tool");
    // What is edited must be seen.
    if (!this.shown[this.layer]) this.show({ shown: { ...this.shown, [this.layer]: true } });
  }

  /** The labels that a stroke may replace; null: all. */
  get replaceable() {
    if (!this.keepOthers) return null;
    return ["eraser", "lasso-eraser"].includes(this.tool) ? [this.label] : [0];
  }
}
