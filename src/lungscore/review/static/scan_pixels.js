// The values of the CT: blocks of slices, those near the shown slice first.
import { getBytes } from "./api.js";

const AT_ONCE = 4;
const TRIES = 3;

/** Dispatches "loaded" when slices have arrived and "failed" (detail: the error) when some cannot. */
export class ScanPixels extends EventTarget {
  /**
   * @param {import("./geometry.js").Geometry} geometry
   * @param {{dtype: string, block: number, blocks: number}|null} description null without CT
   * @param {string} address where block 0, 1, … is
   */
  constructor(geometry, description, address) {
    super();
    this.geometry = geometry;
    this.address = address;
    this.description = description;
    this.focus = 0;
    this.underway = 0;
    if (!description) return;
    this.Type = description.dtype === "uint8" ? Uint8Array : Int16Array;
    this.values = new this.Type(geometry.voxels);
    this.loaded = new Uint8Array(geometry.shape[0]);
    this.waiting = new Set(Array.from({ length: description.blocks }, (_, block) => block));
    this.failures = new Map();
  }

  get exists() {
    return this.description !== null;
  }

  /** Whether slice z is here; true without CT, since nothing more will come. */
  has(z) {
    return !this.exists || this.loaded[z] === 1;
  }

  /** Ask for the blocks around slice z before the others. */
  near(z) {
    this.focus = z;
    this.#fill();
  }

  #nearest() {
    const { block } = this.description;
    const distance = (index) => Math.abs((index + 0.5) * block - this.focus - 0.5);
    let nearest = null;
    for (const index of this.waiting) {
      if (nearest === null || distance(index) < distance(nearest)) nearest = index;
    }
    return nearest;
  }

  #fill() {
    while (this.exists && this.underway < AT_ONCE && this.waiting.size) {
      const index = this.#nearest();
      this.waiting.delete(index);
      this.underway += 1;
      this.#load(index).finally(() => {
        this.underway -= 1;
        this.#fill();
      });
    }
  }

  async #load(index) {
    const first = index * this.description.block;
    try {
      const { bytes } = await getBytes(`${this.address}/${index}`);
      this.values.set(new this.Type(bytes), first * this.geometry.area);
    } catch (error) {
      const count = (this.failures.get(index) ?? 0) + 1;
      this.failures.set(index, count);
      if (count < TRIES && [0, 429, 503].includes(error.status)) {
        await new Promise((done) => setTimeout(done, 1000 * Math.max(count, error.wait ?? 0)));
        this.waiting.add(index);
      } else {
        this.dispatchEvent(new CustomEvent("failed", { detail: error }));
      }
      return;
    }
    this.loaded.fill(1, first, first + this.description.block);
    this.dispatchEvent(new Event("loaded"));
  }
}
