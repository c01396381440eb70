// The pixels of a picture that a stroke covers, and their runs.

export class PixelSet {
  /**
   * @param {number} rows @param {number} columns
   * @param {number} aspect height of a pixel by its width: a brush is round on the screen
   */
  constructor(rows, columns, aspect = 1) {
    Object.assign(this, { rows, columns, aspect });
    this.mask = new Uint8Array(rows * columns);
  }

  #add(row, column) {
    if (row >= 0 && row < this.rows && column >= 0 && column < this.columns) this.mask[row * this.columns + column] = 1;
  }

  /** A disc; places are continuous, pixel (r, c) has its centre at (r, c). @param {number} size diameter in columns */
  disc(row, column, size) {
    const radius = size / 2;
    const tall = radius / this.aspect;
    for (let r = Math.ceil(row - tall); r <= row + tall; r += 1) {
      const half = radius * Math.sqrt(Math.max(0, 1 - ((r - row) / tall) ** 2));
      for (let c = Math.ceil(column - half); c <= column + half; c += 1) this.#add(r, c);
    }
    this.#add(Math.round(row), Math.round(column));
  }

  /** Discs from one place to another, close enough to leave no gap. */
  sweep([fromRow, fromColumn], [toRow, toColumn], size) {
    const way = Math.hypot((toRow - fromRow) * this.aspect, toColumn - fromColumn);
    const count = Math.max(1, Math.ceil(way / Math.max(size / 4, 0.5)));
    for (let i = 0; i <= count; i += 1) {
      this.disc(fromRow + ((toRow - fromRow) * i) / count, fromColumn + ((toColumn - fromColumn) * i) / count, size);
    }
  }

  /** The inside of a closed line (even-odd), and the pixels under its corners. @param {[number, number][]} corners */
  polygon(corners) {
    for (const [row, column] of corners) this.#add(Math.round(row), Math.round(column));
    const heights = corners.map(([row]) => row);
    const first = Math.max(0, Math.ceil(Math.min(...heights)));
    const last = Math.min(this.rows - 1, Math.floor(Math.max(...heights)));
    for (let row = first; row <= last; row += 1) {
      const crossings = [];
      corners.forEach(([fromRow, fromColumn], i) => {
        const [toRow, toColumn] = corners[(i + 1) % corners.length];
        if ((fromRow <= row) !== (toRow <= row)) {
          crossings.push(fromColumn + ((row - fromRow) / (toRow - fromRow)) * (toColumn - fromColumn));
        }
      });
      crossings.sort((a, b) => a - b);
      for (let i = 0; i + 1 < crossings.length; i += 2) {
        for (let column = Math.ceil(crossings[i]); column <= crossings[i + 1]; column += 1) this.#add(row, column);
      }
    }
  }

  /** [start, length] of every run, in order. */
  runs() {
    const runs = [];
    let start = -1;
    for (let i = 0; i <= this.mask.length; i += 1) {
      if (this.mask[i] && start < 0) start = i;
      if (!this.mask[i] && start >= 0) {
        runs.push([start, i - start]);
        start = -1;
      }
    }
    return runs;
  }

  /** Indices of the voxels in a cut that pass a test. @param {import("./geometry.js").Cut} cut */
  voxels(cut, passes) {
    const voxels = [];
    for (let i = this.mask.indexOf(1); i >= 0; i = this.mask.indexOf(1, i + 1)) {
      const voxel = cut.base + Math.floor(i / this.columns) * cut.rowStep + (i % this.columns) * cut.columnStep;
      if (passes(voxel)) voxels.push(voxel);
    }
    return Uint32Array.from(voxels);
  }
}
