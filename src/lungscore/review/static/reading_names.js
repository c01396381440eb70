// How a saved reading is called.

/** @param {{id: string, reader: string|null, verdict?: string}} reading */
export function readingName({ id, reader, verdict }) {
  return id === "original" || !reader ? "Original masks" : `${reader}${verdict ? ` (${verdict})` : ""}`;
}
