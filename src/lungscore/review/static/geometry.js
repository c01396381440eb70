// Where voxels lie in the three planes. Voxels are [z, y, x]: head to feet, front to back, right to left.

export const PLANES = ["axial", "coronal", "sagittal"];
/** The axis that a plane is cut across. */
export const AXES = { axial: 0, coronal: 1, sagittal: 2 };
/** The axes of a plane's rows and columns. */
const ROW_AND_COLUMN = { axial: [1, 2], coronal: [0, 2], sagittal: [0, 1] };
/** Letters at the left and right edge. */
export const LETTERS = { axial: ["R", "L"], coronal: ["R", "L"], sagittal: ["A", "P"] };

/**
 * One slice of a volume as a picture: pixel (row, column) is voxel base + row · rowStep + column · columnStep.
 * @typedef {{base: number, rowStep: number, columnStep: number, rows: number, columns: number}} Cut
 */

export class Geometry {
  /** @param {number[]} shape @param {number[]|null} spacing in mm */
  constructor(shape, spacing) {
    const [depth, height, width] = shape;
    this.shape = shape;
    this.known = spacing !== null;
    // Without a voxel size the height is drawn as the width.
    this.spacing = spacing ?? [depth > 1 ? width / depth : 1, 1, 1];
    this.steps = [height * width, width, 1];
    this.area = height * width;
    this.voxels = depth * this.area;
  }

  /** How many slices a plane has. */
  count(plane) {
    return this.shape[AXES[plane]];
  }

  /** @returns {Cut} */
  cut(plane, index) {
    const [row, column] = ROW_AND_COLUMN[plane];
    return {
      base: index * this.steps[AXES[plane]],
      rowStep: this.steps[row],
      columnStep: this.steps[column],
      rows: this.shape[row],
      columns: this.shape[column],
    };
  }

  /** Millimetres of a picture's pixel, down and across. */
  pixelMm(plane) {
    return ROW_AND_COLUMN[plane].map((axis) => this.spacing[axis]);
  }

  /** Row and column of a voxel in a plane. */
  inPlane(plane, voxel) {
    return ROW_AND_COLUMN[plane].map((axis) => voxel[axis]);
  }

  /** The voxel at a row and column of a plane. */
  voxel(plane, index, row, column) {
    const voxel = [0, 0, 0];
    const [rows, columns] = ROW_AND_COLUMN[plane];
    voxel[AXES[plane]] = index;
    voxel[rows] = row;
    voxel[columns] = column;
    return this.clamped(voxel);
  }

  /** The nearest voxel within the scan. */
  clamped(voxel) {
    return voxel.map((place, axis) => Math.min(Math.max(Math.round(place), 0), this.shape[axis] - 1));
  }

  /** The index of a voxel in the arrays. */
  flat([z, y, x]) {
    return z * this.steps[0] + y * this.steps[1] + x;
  }
}
