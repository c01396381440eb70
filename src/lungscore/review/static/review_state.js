// The state of a review, as the server sends it whole or in part.

/** Values of a list that come either whole or as [place, …values] of what changed. */
function patched(former, changes, value) {
  if (!changes) return former;
  if (!changes.length || !Array.isArray(changes[0])) return changes.length ? changes : former;
  const list = [...former];
  for (const change of changes) list[change[0]] = value(change);
  return list;
}

/**
 * The state after an answer to an edit, or to the question for numbers.
 * @param {object} state State of the contract @param {object} answer Changed, or the answer to GET numbers
 */
export function merged(state, answer) {
  return {
    ...state,
    version: answer.version,
    undo: answer.undo ?? state.undo,
    redo: answer.redo ?? state.redo,
    numbers: { ...state.numbers, ...answer.numbers },
    pending: answer.pending,
    pending_paths: answer.pending_paths ?? [],
    slice_percent: patched(state.slice_percent, answer.slice_percent, (change) => change[1]),
    slice_lesion_voxels: answer.slice_lesion_voxels
      ? patched(state.slice_lesion_voxels, answer.slice_lesion_voxels, (change) => change.slice(1))
      : state.slice_lesion_voxels,
    changed_slices: answer.changed_slices ?? state.changed_slices,
  };
}
