// Edits go to the server one after the other; strokes show at once and are replaced by its answers.
import { get, post } from "./api.js";
import { merged } from "./review_state.js";

/** Dispatches "state" (new numbers or a new version), "answered" (detail: Changed) and "failed" (detail: the error). */
export class EditQueue extends EventTarget {
  /**
   * @param {string} session path of the session
   * @param {object} state State of the contract
   * @param {import("./label_volumes.js").LabelVolumes} volumes
   */
  constructor(session, state, volumes) {
    super();
    Object.assign(this, { session, state, volumes });
    this.jobs = [];
    this.running = false;
    this.closed = false;
  }

  /** Nothing is under way or waits. */
  get idle() {
    return !this.running && this.jobs.length === 0;
  }

  /**
   * @param {object} edit body of the contract without its version
   * @param {{layer: string, voxels: Uint32Array, value: number}} [preview]
   */
  add(edit, preview) {
    if (this.closed) return;
    const ready = preview && preview.voxels.length && this.volumes.layers[preview.layer];
    const stroke = ready ? this.volumes.preview(preview.layer, preview.voxels, preview.value) : null;
    this.#enqueue({ path: "edits", body: edit, stroke });
  }

  undo() {
    this.#enqueue({ path: "undo", body: {}, stroke: null, allowed: () => this.state.undo > 0 });
  }

  redo() {
    this.#enqueue({ path: "redo", body: {}, stroke: null, allowed: () => this.state.redo > 0 });
  }

  /** When all edits are answered. */
  async settled() {
    while (!this.idle) await new Promise((done) => this.addEventListener("state", done, { once: true }));
  }

  /** No edit is sent from now on. */
  close() {
    this.closed = true;
  }

  #enqueue(job) {
    if (this.closed) return;
    this.jobs.push(job);
    this.#tell("state");
    if (!this.running) this.#work();
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  async #work() {
    this.running = true;
    while (this.jobs.length && !this.closed) {
      const job = this.jobs.shift();
      if (job.allowed && !job.allowed()) continue;
      try {
        const changed = await post(`${this.session}/${job.path}`, { version: this.state.version, ...job.body });
        this.volumes.settle(job.stroke, changed.changed, changed.version);
        this.state = merged(this.state, changed);
        this.#tell("answered", { ...changed, path: job.path, tool: job.body.tool });
      } catch (error) {
        await this.#recover(error, job);
      }
      this.#tell("state");
    }
    this.running = false;
    this.#tell("state");
    this.#followNumbers();
  }

  /** After a refusal everything that waits was meant for masks that are not there: it is dropped. */
  async #recover(error, job) {
    for (const { stroke } of [...this.jobs.reverse(), job]) if (stroke) this.volumes.settle(stroke, []);
    this.jobs = [];
    this.#tell("failed", error);
    // Without an answer nobody knows whether the edit was made.
    if (error.code === "review-behind" || !error.status) await this.reload().catch((again) => this.#tell("failed", again));
  }

  /** Take state and masks from the server again. */
  async reload() {
    this.state = await get(`${this.session}/state`);
    await this.volumes.reload();
  }

  /** Wait for the numbers that are still being counted. */
  async #followNumbers() {
    if (this.following) return;
    this.following = true;
    try {
      while (this.state.pending && this.idle && !this.closed) {
        const { version } = this.state;
        const numbers = await get(`${this.session}/numbers?version=${version}`);
        if (numbers.version !== this.state.version) continue;
        this.state = merged(this.state, numbers);
        this.#tell("state");
      }
    } catch (error) {
      this.#tell("failed", error);
    } finally {
      this.following = false;
    }
  }

  /** Begin to wait, when the case was opened with numbers still being counted. */
  start() {
    this.#followNumbers();
  }
}
