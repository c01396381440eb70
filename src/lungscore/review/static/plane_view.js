// One plane on the screen: three canvases above each other, each drawn only when it has to be.
import { AXES } from "./geometry.js";
import { colourLungs } from "./grey_window.js";
import { drawMarks } from "./marks.js";
import { Overlay, pixelEdges } from "./overlay.js";
import { element } from "./elements.js";

const ZOOMS = [1, 16];
const SHARPEST = 2; // device pixels per CSS pixel, at most

export class PlaneView {
  /**
   * @param {HTMLElement} host an empty element that can take the focus
   * @param {{plane: string, geometry: object, scan: object, volumes: object, display: object}} sources
   */
  constructor(host, { plane, geometry, scan, volumes, display }) {
    Object.assign(this, { host, plane, geometry, scan, volumes, display });
    this.axis = AXES[plane];
    [this.grey, this.overlay, this.marks] = ["grey", "overlay", "marks"].map((name) =>
      element("canvas", { className: name, aria: { hidden: "true" } }));
    host.append(this.grey, this.overlay, this.marks);
    const { rows, columns } = geometry.cut(plane, 0);
    this.image = new ImageData(columns, rows);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.stored = new OffscreenCanvas(columns, rows);
    this.zoom = 1;
    this.centre = [rows / 2, columns / 2];
    /** What the pointer or a stroke in the making adds, see drawing.js. */
    this.stroke = null;
    this.pointer = null;
    this.stale = { grey: true, overlay: true, marks: true };
    this.index = -1;
    display.addEventListener("moved", () => this.#moved());
    display.addEventListener("look", () => this.redraw());
    display.addEventListener("tool", () => this.redraw("marks"));
    volumes.addEventListener("changed", () => this.redraw(scan.exists ? "overlay" : undefined));
    scan.addEventListener("loaded", () => this.#loaded());
    new ResizeObserver(() => this.#resize()).observe(host);
    this.#moved();
  }

  #moved() {
    const index = this.display.position[this.axis];
    if (index !== this.index) {
      this.index = index;
      this.redraw();
    }
    if (this.zoom > 1) this.#keepInSight();
    this.redraw("marks");
  }

  #loaded() {
    // An axial slice comes as a whole; the others are filled bit by bit.
    if (this.plane !== "axial" || (this.missing && this.scan.has(this.index))) this.redraw("grey");
  }

  #resize() {
    const ratio = Math.min(window.devicePixelRatio || 1, SHARPEST);
    const [width, height] = [this.host.clientWidth, this.host.clientHeight].map((length) => Math.max(1, Math.round(length * ratio)));
    for (const canvas of [this.grey, this.overlay, this.marks]) Object.assign(canvas, { width, height });
    this.ratio = ratio;
    this.layer = new Overlay(width, height);
    this.redraw();
  }

  /** Draw again at the next frame: "grey", "overlay" or "marks"; all of them without a name. */
  redraw(what) {
    for (const name of what ? [what] : Object.keys(this.stale)) this.stale[name] = true;
    this.request ??= requestAnimationFrame(() => this.#draw());
  }

  /** Device pixels of a column and a row, and the pixel where column 0 and row 0 begin. */
  get scale() {
    const [rowMm, columnMm] = this.geometry.pixelMm(this.plane);
    const { rows, columns } = this.geometry.cut(this.plane, 0);
    const { width, height } = this.grey;
    const perMm = this.zoom * Math.min(width / (columns * columnMm), height / (rows * rowMm));
    const [x, y] = [perMm * columnMm, perMm * rowMm];
    return { x, y, left: width / 2 - this.centre[1] * x, top: height / 2 - this.centre[0] * y };
  }

  /** Row and column under a place of the window; pixel centres are whole numbers. */
  under({ clientX, clientY }) {
    const box = this.host.getBoundingClientRect();
    const { x, y, left, top } = this.scale;
    return [((clientY - box.top) * this.ratio - top) / y - 0.5, ((clientX - box.left) * this.ratio - left) / x - 0.5];
  }

  /** Zoom around a row and column. */
  zoomBy(factor, [row, column] = this.cursor) {
    const former = this.zoom;
    this.zoom = Math.min(Math.max(this.zoom * factor, ZOOMS[0]), ZOOMS[1]);
    const share = former / this.zoom;
    this.#centreOn([row + 0.5 + (this.centre[0] - row - 0.5) * share, column + 0.5 + (this.centre[1] - column - 0.5) * share]);
  }

  /** Push the picture by CSS pixels. */
  pan(x, y) {
    const { scale } = this;
    this.#centreOn([this.centre[0] - (y * this.ratio) / scale.y, this.centre[1] - (x * this.ratio) / scale.x]);
  }

  #centreOn([row, column]) {
    const { rows, columns } = this.image.width ? this.geometry.cut(this.plane, 0) : {};
    this.centre = this.zoom === 1 ? [rows / 2, columns / 2]
      : [Math.min(Math.max(row, 0), rows), Math.min(Math.max(column, 0), columns)];
    this.redraw();
    this.host.dispatchEvent(new CustomEvent("zoomed", { detail: this }));
  }

  #keepInSight() {
    const { x, y, left, top } = this.scale;
    const [row, column] = this.cursor;
    const [across, down] = [left + column * x, top + row * y];
    if (across < 0 || down < 0 || across > this.grey.width || down > this.grey.height) this.#centreOn([row, column]);
  }

  /** Row and column of the crosshair. */
  get cursor() {
    return this.geometry.inPlane(this.plane, this.display.position);
  }

  #draw() {
    this.request = null;
    if (!this.layer || this.host.clientWidth === 0) return;
    const { stale } = this;
    const cut = this.geometry.cut(this.plane, this.index);
    if (stale.grey) this.#drawGrey(cut);
    if (stale.overlay) this.#drawOverlay(cut);
    drawMarks(this);
    this.stale = { grey: false, overlay: false, marks: false };
    this.host.dataset.shown = `${this.plane} ${this.index}`;
  }

  #drawGrey(cut) {
    this.missing = this.plane === "axial" && !this.scan.has(this.index);
    this.host.toggleAttribute("data-missing", this.missing);
    if (this.scan.exists) this.display.window.colour(this.pixels, this.scan.values, cut);
    else colourLungs(this.pixels, this.volumes.layers.lungs, cut);
    if (this.missing) this.pixels.fill(0xff000000);
    this.stored.getContext("2d").putImageData(this.image, 0, 0);
    const context = this.grey.getContext("2d", { alpha: false });
    const { x, y, left, top } = this.scale;
    context.fillRect(0, 0, this.grey.width, this.grey.height);
    context.drawImage(this.stored, left, top, cut.columns * x, cut.rows * y);
  }

  #drawOverlay(cut) {
    const { x, y, left, top } = this.scale;
    const { layers } = this.volumes;
    const { shown, layer: edited, contours, fill } = this.display;
    this.layer.begin(cut, pixelEdges(cut.columns, x, left, this.overlay.width), pixelEdges(cut.rows, y, top, this.overlay.height));
    for (const name of ["lungs", "lobes", "lesions"]) {
      if (!shown[name] || !layers[name]) continue;
      // Areas of lungs and lobes are filled only while they are edited; opacity always.
      const filled = name === "lesions" || (name === edited && this.display.tool !== "look");
      this.layer[name](layers[name], { contours, fill: filled ? fill : 0 });
    }
    this.overlay.getContext("2d").putImageData(this.layer.image, 0, 0);
  }
}
