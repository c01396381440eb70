// The strip above the slider: how much opacity each slice has, and which slices were changed.

/**
 * Bars of two kinds for each slice, and ticks.
 * @param {HTMLCanvasElement} canvas
 * @param {{bars: [number, string][][], marked: number[], range: [number, number]|null}} content
 *   bars: for each slice, heights and colours from below; marked: slices with a tick
 */
export function drawStrip(canvas, { bars, marked, range }) {
  const ratio = window.devicePixelRatio || 1;
  const width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  const height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  const styles = getComputedStyle(canvas);
  const highest = Math.max(1, ...bars.map((parts) => parts.reduce((sum, [value]) => sum + value, 0)));
  // The slider's thumb stands in the middle of a slice's bar: half a thumb is left free at both ends.
  const margin = 8 * ratio;
  const step = (width - 2 * margin) / Math.max(bars.length - 1, 1);
  const thick = Math.max(1, step);
  const room = height - 4 * ratio;
  const left = (z) => margin + z * step - thick / 2;
  if (range && range[1] > range[0]) {
    context.fillStyle = styles.getPropertyValue("--pale");
    context.fillRect(left(range[0]), 0, left(range[1]) + thick - left(range[0]), height);
  }
  bars.forEach((parts, z) => {
    let top = room;
    for (const [value, colour] of parts) {
      const tall = value ? Math.max((value / highest) * room, ratio) : 0;
      context.fillStyle = colour;
      context.fillRect(left(z), top - tall, thick, tall);
      top -= tall;
    }
  });
  context.fillStyle = styles.color;
  for (const z of marked) context.fillRect(left(z), height - 3 * ratio, thick, 3 * ratio);
}
