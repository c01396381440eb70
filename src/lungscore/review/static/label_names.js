// Layers and their labels: names for readers, and the colours of the report.

/** Okabe and Ito's palette, as in the report; told apart without colour, too: see overlay.js. */
export const COLOURS = { lungs: "#d583b5", lobes: "#f0e442", ggo: "#56b4e9", consolidation: "#e69f00" };

export const LAYERS = {
  lesions: { name: "Opacity", labels: ["", "GGO", "Consolidation"] },
  lungs: { name: "Lungs", labels: ["", "Right", "Left"] },
  lobes: { name: "Lobes", labels: ["", "LUL", "LLL", "RUL", "RML", "RLL"] },
};

/** The colour of a label. */
export function labelColour(layer, label) {
  return layer === "lesions" ? COLOURS[label === 2 ? "consolidation" : "ggo"] : COLOURS[layer];
}

/** A colour as the number that a little-endian canvas stores. */
export function packed(hex, alpha) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}
