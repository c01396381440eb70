// The masks as this page shows them: what the server holds, and strokes that it has not answered yet.
import { getBytes } from "./api.js";

/** One Uint8Array per layer; dispatches "changed" with the layer's name. */
export class LabelVolumes extends EventTarget {
  /**
   * @param {import("./geometry.js").Geometry} geometry
   * @param {(layer: string) => string} address of a layer
   */
  constructor(geometry, address) {
    super();
    this.geometry = geometry;
    this.address = address;
    /** @type {Record<string, Uint8Array>} */
    this.layers = {};
    this.requests = new Map();
    this.version = 0; // of the masks after the last answer
    /** @type {{layer: string, voxels: Uint32Array, value: number, former: Uint8Array}[]} */
    this.previews = [];
  }

  /** Fetch a layer, once. */
  load(layer) {
    if (!this.requests.has(layer)) this.requests.set(layer, this.#fetch(layer));
    return this.requests.get(layer);
  }

  /** Fetch every layer anew that was fetched before. */
  async reload() {
    this.previews = [];
    const names = [...this.requests.keys()];
    this.requests.clear();
    await Promise.all(names.map((layer) => this.load(layer)));
  }

  async #fetch(layer) {
    const { bytes, version } = await getBytes(this.address(layer));
    // An edit that was answered in between is not in these bytes.
    if (version < this.version) return this.#fetch(layer);
    this.layers[layer] = new Uint8Array(bytes);
    this.#tell(layer);
    return undefined;
  }

  #tell(layer) {
    this.dispatchEvent(new CustomEvent("changed", { detail: layer }));
  }

  /** The label of a voxel, 0 while the layer is not here. */
  at(layer, voxel) {
    return this.layers[layer]?.[this.geometry.flat(voxel)] ?? 0;
  }

  /**
   * Show a stroke before the server has answered it.
   * @param {string} layer @param {Uint32Array} voxels @param {number} value
   */
  preview(layer, voxels, value) {
    const labels = this.layers[layer];
    const former = Uint8Array.from(voxels, (voxel) => labels[voxel]);
    for (const voxel of voxels) labels[voxel] = value;
    const stroke = { layer, voxels, value, former };
    this.previews.push(stroke);
    this.#tell(layer);
    return stroke;
  }

  /**
   * Put what the server answered in the place of a stroke's preview (null: of nothing).
   * @param {object|null} stroke
   * @param {{layer: string, slices: [number, number[]][]}[]} changes
   * @param {number} version of the masks with these changes
   */
  settle(stroke, changes, version = this.version) {
    this.version = version;
    for (const pending of [...this.previews].reverse()) this.#undraw(pending);
    this.previews = this.previews.filter((pending) => pending !== stroke);
    for (const { layer, slices } of changes) {
      const labels = this.layers[layer];
      if (!labels) continue; // Not fetched yet: it will come with the change.
      for (const [z, runs] of slices) {
        const base = z * this.geometry.area;
        for (let i = 0; i < runs.length; i += 3) {
          labels.fill(runs[i + 2], base + runs[i], base + runs[i] + runs[i + 1]);
        }
      }
      this.#tell(layer);
    }
    for (const pending of this.previews) this.#redraw(pending);
    if (stroke) this.#tell(stroke.layer);
  }

  #undraw({ layer, voxels, former }) {
    const labels = this.layers[layer];
    voxels.forEach((voxel, i) => { labels[voxel] = former[i]; });
  }

  #redraw(pending) {
    const labels = this.layers[pending.layer];
    pending.former = Uint8Array.from(pending.voxels, (voxel) => labels[voxel]);
    for (const voxel of pending.voxels) labels[voxel] = pending.value;
  }
}
