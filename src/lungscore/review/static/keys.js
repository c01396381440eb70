// The keyboard: everything that the pointer does can be done from here.
import { BRUSHES, LASSOS } from "./display.js";
import { LAYERS } from "./label_names.js";
import { takesText } from "./elements.js";

const TOOLS = { v: "look", b: "brush", e: "eraser", l: "lasso", k: "lasso-eraser", x: "component" };
const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/**
 * @param {object} parts
 * @param {() => import("./plane_view.js").PlaneView[]} parts.views those on the screen; the first is used where none has the focus
 * @param {import("./display.js").Display} parts.display
 * @param {import("./drawing.js").Drawing} parts.drawing
 * @param {import("./edit_queue.js").EditQueue} parts.edits
 * @param {Record<string, () => void>} parts.commands further keys, by their letter
 * @param {() => boolean} parts.editable whether anything can be drawn now
 * @param {() => boolean} parts.single whether single letters are shortcuts
 */
export function followKeys({ views, display, drawing, edits, commands, editable, single }) {
  let held = false; // Space is down

  const current = () => views().find((view) => view.host === document.activeElement) ?? views()[0];

  /** Arrows scroll with the tool "look" and move the crosshair with all others. */
  function arrow(event, view) {
    const [down, across] = ARROWS[event.key];
    if ((display.tool === "look" || !editable()) && !event.shiftKey) return display.step(view.axis, down || across);
    const stride = event.shiftKey ? 10 : 1;
    const [row, column] = view.cursor;
    display.moveTo(view.geometry.voxel(view.plane, view.index, row + down * stride, column + across * stride));
    if (drawing.view === view) drawing.extend(view.cursor);
    return undefined;
  }

  /** Space and Enter act at the crosshair: see the help of the page. */
  function press(event, view) {
    const { tool } = display;
    if (tool === "component") return event.repeat || drawing.begin(view, view.cursor);
    if (BRUSHES.includes(tool)) {
      if (event.repeat) return undefined;
      if (event.key === "Enter" && drawing.underway) return drawing.end();
      held = event.key === " ";
      return drawing.underway || drawing.begin(view, view.cursor);
    }
    if (!LASSOS.includes(tool)) return undefined;
    if (event.key === "Enter") return drawing.end();
    return drawing.underway || drawing.begin(view, view.cursor);
  }

  const moves = {
    PageUp: (view) => display.step(view.axis, -10),
    PageDown: (view) => display.step(view.axis, 10),
    Home: (view) => display.step(view.axis, -view.index),
    End: (view) => display.step(view.axis, view.geometry.count(view.plane) - 1 - view.index),
    Escape: () => drawing.cancel(),
    ",": (view) => display.step(view.axis, -1),
    ".": (view) => display.step(view.axis, 1),
    "+": (view) => view.zoomBy(1.5),
    "-": (view) => view.zoomBy(1 / 1.5),
    "0": (view) => view.zoomBy(0.01),
    c: () => display.show({ contours: !display.contours }),
  };

  const choices = {
    "[": () => display.choose({ size: display.size - Math.max(1, display.size >> 3) }),
    "]": () => display.choose({ size: display.size + Math.max(1, display.size >> 3) }),
    i: () => display.choose({ range: [display.position[0], Math.max(display.position[0], display.range[1])] }),
    o: () => display.choose({ range: [Math.min(display.position[0], display.range[0]), display.position[0]] }),
    ...Object.fromEntries(Object.entries(TOOLS).map(([key, tool]) => [key, () => display.choose({ tool })])),
    ...Object.fromEntries([1, 2, 3, 4, 5].map((label) => [String(label), () => label < LAYERS[display.layer].labels.length && display.choose({ label })])),
  };

  function history(key, shift) {
    if (key === "y" || (key === "z" && shift)) edits.redo();
    else if (key === "z") edits.undo();
    else return false;
    return true;
  }

  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    const { target } = event;
    const letter = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (takesText(target)) return;
    if (event.ctrlKey || event.metaKey) {
      if (editable() && history(letter, event.shiftKey)) event.preventDefault();
      return;
    }
    if (event.altKey) return;
    const view = current();
    if (!view) return;
    const inView = views().some(({ host }) => host === target);
    const onPage = inView || target === document.body;
    // Elsewhere these keys belong to what has the focus: buttons, sliders, the page itself.
    if (letter in ARROWS || letter === " " || letter === "Enter" || ["PageUp", "PageDown", "Home", "End"].includes(letter)) {
      if (!onPage) return;
    } else if (letter.length === 1 && !single()) {
      return;
    }
    if (letter in ARROWS) arrow(event, view);
    else if (letter in moves) moves[letter](view);
    else if (!editable()) return;
    else if (letter === " " || letter === "Enter") press(event, view);
    else if (letter in choices) choices[letter]();
    else if (letter in commands) commands[letter]();
    else return;
    event.preventDefault();
  });

  document.addEventListener("keyup", (event) => {
    if (event.key !== " " || !held) return;
    held = false;
    drawing.end();
  });
}
