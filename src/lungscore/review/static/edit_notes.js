// What the last edit did, whether work is kept, and what can be undone.
import { byId, counted } from "./elements.js";

const KINDS = { added: "added", removed: "removed", relabelled: "relabelled" };

/** "12 voxels added, 3 removed". */
function effect({ path, voxels, outside, changed }) {
  const sums = Object.entries(KINDS).map(([kind, word]) => [Object.values(voxels ?? {}).reduce((sum, layer) => sum + layer[kind], 0), word]);
  const parts = sums.filter(([count]) => count).map(([count, word], i) => (i ? `${count} ${word}` : `${counted(count, "voxel")} ${word}`));
  const missed = outside ? `; ${counted(outside, "voxel")} outside the lungs left as they were` : "";
  const lead = { undo: "Undone: ", redo: "Redone: " }[path] ?? "";
  if (!changed.length) return `Nothing changed${missed}.`;
  return `${lead}${parts.join(", ") || "changed"}${missed}.`;
}

/** @param {import("./edit_queue.js").EditQueue} edits */
export function editNotes(edits) {
  const show = () => {
    const { undo, redo, edits: count } = edits.state;
    byId("undo").disabled = undo === 0 || edits.closed;
    byId("redo").disabled = redo === 0 || edits.closed;
    byId("undo").textContent = undo ? `Undo (${undo})` : "Undo";
    byId("redo").textContent = redo ? `Redo (${redo})` : "Redo";
    document.body.dataset.version = String(edits.state.version);
    document.body.toggleAttribute("data-busy", !edits.idle);
    const kept = count || undo ? "All changes are kept" : "";
    byId("kept").textContent = edits.closed ? "Not editable any more" : edits.idle ? kept : "Keeping …";
  };
  edits.addEventListener("state", show);
  edits.addEventListener("answered", ({ detail }) => { byId("edit-note").textContent = effect(detail); });
  show();
}
