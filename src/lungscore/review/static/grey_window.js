// Windowing: from values to grey, through a table of every possible value.

export const PRESETS = {
  hu: [["Lung", -600, 1500], ["Narrow lung", -600, 900], ["Soft tissue", 40, 400], ["Bone", 400, 1800]],
  grey: [["Full", 128, 255], ["Dark", 64, 128], ["Bright", 192, 128]],
};

const OFFSET = 32768;

/** Level and width, and the table that they give. */
export class GreyWindow {
  constructor(low, high) {
    this.table = new Uint32Array(65536);
    this.set((low + high) / 2, high - low);
  }

  /** @param {number} level @param {number} width */
  set(level, width) {
    this.level = Math.round(Math.min(Math.max(level, -2000), 4000));
    this.width = Math.round(Math.min(Math.max(width, 1), 6000));
    const bottom = this.level - this.width / 2;
    for (let i = 0; i < 65536; i += 1) {
      const grey = Math.min(Math.max(((i - OFFSET - bottom) / this.width) * 255, 0), 255) | 0;
      this.table[i] = (0xff000000 | (grey << 16) | (grey << 8) | grey) >>> 0;
    }
  }

  /**
   * Colour a cut of the values into `pixels`, row by row.
   * @param {Uint32Array} pixels @param {Int16Array|Uint8Array} values @param {import("./geometry.js").Cut} cut
   */
  colour(pixels, values, cut) {
    const { table } = this;
    let pixel = 0;
    for (let row = 0; row < cut.rows; row += 1) {
      let voxel = cut.base + row * cut.rowStep;
      for (let column = 0; column < cut.columns; column += 1) {
        pixels[pixel] = table[values[voxel] + OFFSET];
        pixel += 1;
        voxel += cut.columnStep;
      }
    }
  }
}

/** Without CT: the lungs in dark grey, as in the report. */
export function colourLungs(pixels, lungs, cut) {
  let pixel = 0;
  for (let row = 0; row < cut.rows; row += 1) {
    let voxel = cut.base + row * cut.rowStep;
    for (let column = 0; column < cut.columns; column += 1) {
      pixels[pixel] = lungs?.[voxel] ? 0xff464646 : 0xff000000;
      pixel += 1;
      voxel += cut.columnStep;
    }
  }
}
