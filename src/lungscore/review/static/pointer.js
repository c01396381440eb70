// The pointer on a plane: strokes, crosshair, window, zoom and the wheel.

const PER_NOTCH = 100; // wheel units that scroll one slice

/**
 * @param {import("./plane_view.js").PlaneView} view
 * @param {import("./drawing.js").Drawing|null} drawing null where nothing is edited
 */
export function followPointer(view, drawing) {
  const { host, display } = view;
  let drag = null; // what a pressed button does, called with each move
  let rest = 0;

  const cross = (event) => display.moveTo(view.geometry.voxel(view.plane, view.index, ...view.under(event)));
  const grey = (event) => display.setWindow(display.window.level + event.movementY * 3, display.window.width + event.movementX * 5);
  const pan = (event) => view.pan(event.movementX, event.movementY);

  function action(event) {
    if (event.button === 1 || (event.button === 0 && event.altKey)) return pan;
    if (event.button === 2) return grey;
    if (display.tool === "look" || event.ctrlKey || event.metaKey || !drawing || event.pointerType === "touch") {
      cross(event);
      return cross;
    }
    drawing.begin(view, view.under(event));
    return (move) => {
      // A fast hand leaves more places than there are frames.
      const places = move.getCoalescedEvents?.() ?? [];
      for (const place of places.length ? places : [move]) drawing.extend(view.under(place));
    };
  }

  host.addEventListener("pointerdown", (event) => {
    if (drag) return;
    host.focus({ preventScroll: true });
    event.preventDefault();
    host.setPointerCapture(event.pointerId);
    drag = action(event);
  });
  host.addEventListener("pointermove", (event) => {
    view.pointer = event.pointerType === "touch" ? null : view.under(event);
    drag?.(event);
    view.redraw("marks");
  });
  host.addEventListener("pointerup", () => {
    drag = null;
    if (drawing?.view === view) drawing.end();
  });
  host.addEventListener("pointercancel", () => {
    drag = null;
    drawing?.cancel();
  });
  host.addEventListener("pointerleave", () => {
    view.pointer = null;
    view.redraw("marks");
  });
  host.addEventListener("contextmenu", (event) => event.preventDefault());
  host.addEventListener("wheel", (event) => {
    event.preventDefault();
    // Browsers turn the wheel sideways while Shift is down.
    const turned = event.deltaY || event.deltaX;
    if (event.shiftKey) return display.choose({ size: display.size - Math.sign(turned) * Math.max(1, display.size >> 3) });
    if (event.ctrlKey) return view.zoomBy(2 ** (-turned / 300), view.under(event));
    rest += event.deltaMode === 0 ? turned / PER_NOTCH : Math.sign(turned);
    const count = Math.trunc(rest);
    if (count) {
      rest -= count;
      display.step(view.axis, count);
    }
    return undefined;
  }, { passive: false });
}
