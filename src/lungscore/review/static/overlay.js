// Masks over a picture, drawn voxel by voxel at the resolution of the screen.
//
// As in the report: lungs dashed, lobe borders dotted, consolidation hatched, so that nobody depends on colour.
import { COLOURS, packed } from "./label_names.js";

/**
 * Pixel positions of a picture's columns (or rows): column i reaches from edges[i] to edges[i + 1].
 * @param {number} count @param {number} scale pixels a column @param {number} start pixel of column 0
 * @param {number} size pixels of the canvas
 */
export function pixelEdges(count, scale, start, size) {
  return Int32Array.from({ length: count + 1 }, (_, i) => Math.min(Math.max(Math.round(start + i * scale), 0), size));
}

/** A canvas' pixels and where a picture's rows and columns lie among them. */
export class Overlay {
  /** @param {number} width @param {number} height */
  constructor(width, height) {
    this.image = new ImageData(width, height);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.width = width;
  }

  /**
   * @param {import("./geometry.js").Cut} cut
   * @param {Int32Array} xs @param {Int32Array} ys edges of columns and rows, see pixelEdges
   */
  begin(cut, xs, ys) {
    Object.assign(this, { cut, xs, ys });
    this.pixels.fill(0);
    const visible = (edges) => {
      let [first, last] = [0, edges.length - 2];
      while (first < last && edges[first + 1] <= 0) first += 1;
      while (last > first && edges[last] >= edges[edges.length - 1] && edges[last - 1] >= edges[edges.length - 1]) last -= 1;
      return [first, last];
    };
    this.columns = visible(xs);
    this.rows = visible(ys);
  }

  /** Opacity: an area in its colour, hatched where consolidation, with a contour. */
  lesions(labels, { contours, fill }) {
    const alpha = Math.round(255 * fill);
    const colours = [null, COLOURS.ggo, COLOURS.consolidation].map((hex) => hex && [packed(hex, alpha), packed(hex, 255)]);
    this.#each(labels, (label, voxel, row, column) => {
      const [soft, full] = colours[label] ?? colours[1];
      if (alpha) this.#fill(row, column, soft);
      if (label === 2 && (contours || alpha)) this.#hatch(row, column, full);
      if (contours) this.#border(labels, label, voxel, row, column, full, 2, 1, 1);
    });
  }

  /** Lungs: a dashed contour around both, and where right meets left. */
  lungs(labels, { contours, fill }) {
    const [soft, full] = [packed(COLOURS.lungs, Math.round(255 * fill)), packed(COLOURS.lungs, 255)];
    this.#each(labels, (label, voxel, row, column) => {
      if (fill) this.#fill(row, column, soft);
      if (contours) this.#border(labels, label, voxel, row, column, full, 2, 14, 9);
    });
  }

  /** Lobes: a dotted line where two meet. */
  lobes(labels, { contours, fill }) {
    const [soft, full] = [packed(COLOURS.lobes, Math.round(255 * fill)), packed(COLOURS.lobes, 220)];
    this.#each(labels, (label, voxel, row, column) => {
      // Every second lobe of a lung is filled, so that neighbours differ.
      if (fill && (label === 2 || label === 4)) this.#fill(row, column, soft);
      if (contours) this.#border(labels, label, voxel, row, column, full, 1, 7, 3);
    });
  }

  #each(labels, draw) {
    const { base, rowStep, columnStep } = this.cut;
    const [firstColumn, lastColumn] = this.columns;
    for (let row = this.rows[0]; row <= this.rows[1]; row += 1) {
      let voxel = base + row * rowStep + firstColumn * columnStep;
      for (let column = firstColumn; column <= lastColumn; column += 1) {
        const label = labels[voxel];
        if (label) draw(label, voxel, row, column);
        voxel += columnStep;
      }
    }
  }

  // Where the picture is drawn smaller than it is, a voxel still gets a pixel, so that it is seen.
  #fill(row, column, colour) {
    const left = this.xs[column];
    const right = Math.max(this.xs[column + 1], left + 1);
    const bottom = Math.max(this.ys[row + 1], this.ys[row] + 1);
    for (let y = this.ys[row]; y < bottom; y += 1) this.pixels.fill(colour, y * this.width + left, y * this.width + right);
  }

  #hatch(row, column, colour) {
    this.#dash(this.xs[column], this.xs[column + 1], this.ys[row], this.ys[row + 1], colour, 8, 1);
  }

  /** The sides of a voxel that face another label: `thick` pixels, `on` of every `period` pixels. */
  #border(labels, label, voxel, row, column, colour, thick, period, on) {
    const { rowStep, columnStep, rows, columns } = this.cut;
    const [left, top] = [this.xs[column], this.ys[row]];
    const right = Math.max(this.xs[column + 1], left + 1);
    const bottom = Math.max(this.ys[row + 1], top + 1);
    if (row === 0 || labels[voxel - rowStep] !== label) this.#dash(left, right, top, Math.min(top + thick, bottom), colour, period, on);
    if (row === rows - 1 || labels[voxel + rowStep] !== label) this.#dash(left, right, Math.max(bottom - thick, top), bottom, colour, period, on);
    if (column === 0 || labels[voxel - columnStep] !== label) this.#dash(left, Math.min(left + thick, right), top, bottom, colour, period, on);
    if (column === columns - 1 || labels[voxel + columnStep] !== label) this.#dash(Math.max(right - thick, left), right, top, bottom, colour, period, on);
  }

  #dash(left, right, top, bottom, colour, period, on) {
    const end = Math.min(right, this.width);
    for (let y = top; y < bottom; y += 1) {
      for (let x = left; x < end; x += 1) if ((x + y) % period < on) this.pixels[y * this.width + x] = colour;
    }
  }
}
