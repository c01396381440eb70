// What is drawn above the picture: crosshair, letters, the brush, a stroke in the making.
import { BRUSHES } from "./display.js";
import { LETTERS } from "./geometry.js";
import { labelColour } from "./label_names.js";

/** @param {import("./plane_view.js").PlaneView} view */
export function drawMarks(view) {
  const context = view.marks.getContext("2d");
  const { width, height } = view.marks;
  context.clearRect(0, 0, width, height);
  const scale = view.scale;
  const at = ([row, column]) => [scale.left + (column + 0.5) * scale.x, scale.top + (row + 0.5) * scale.y];
  crosshair(context, at(view.cursor), view);
  letters(context, view);
  if (view.stroke) stroke(context, view, scale, at);
  const place = view.pointer ?? (view.host === document.activeElement ? view.cursor : null);
  if (place && BRUSHES.includes(view.display.tool)) brush(context, at(place), scale, view);
}

function crosshair(context, [x, y], { marks: { width, height }, ratio }) {
  const gap = 9 * ratio;
  context.lineWidth = ratio;
  context.strokeStyle = "rgba(255, 255, 255, .6)";
  context.beginPath();
  for (const [fromX, fromY, toX, toY] of [[0, y, x - gap, y], [x + gap, y, width, y], [x, 0, x, y - gap], [x, y + gap, x, height]]) {
    context.moveTo(fromX, fromY);
    context.lineTo(toX, toY);
  }
  context.stroke();
}

function letters(context, { plane, marks: { width, height }, ratio }) {
  const size = 15 * ratio;
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  context.lineWidth = 3 * ratio;
  context.strokeStyle = "#000";
  context.fillStyle = "#fff";
  LETTERS[plane].forEach((letter, end) => {
    context.textAlign = end ? "right" : "left";
    const place = [end ? width - 6 * ratio : 6 * ratio, size];
    context.strokeText(letter, ...place);
    context.fillText(letter, ...place);
  });
}

/** The rim of the brush: white on black, so that it shows on any grey. */
function brush(context, [x, y], scale, { display, ratio }) {
  const radius = Math.max(display.size / 2, 0.5) * scale.x;
  for (const [width, colour] of [[3, "#000"], [1.25, "#fff"]]) {
    context.lineWidth = width * ratio;
    context.strokeStyle = colour;
    context.setLineDash(display.tool === "eraser" ? [4 * ratio, 3 * ratio] : []);
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.stroke();
  }
  context.setLineDash([]);
}

function stroke(context, { stroke: { corners, painted }, display, ratio }, scale, at) {
  const colour = labelColour(display.layer, display.label);
  if (painted) {
    context.globalAlpha = 0.6;
    context.imageSmoothingEnabled = false;
    context.drawImage(painted, scale.left, scale.top, painted.width * scale.x, painted.height * scale.y);
    context.globalAlpha = 1;
  }
  if (!corners?.length) return;
  for (const [width, ink] of [[4, "#000"], [2, colour]]) {
    context.lineWidth = width * ratio;
    context.strokeStyle = ink;
    context.beginPath();
    corners.forEach((corner) => context.lineTo(...at(corner)));
    context.closePath();
    context.stroke();
  }
}
