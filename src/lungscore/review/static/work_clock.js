// Tells the server that somebody is working: which slices were seen, and for how long.
import { post } from "./api.js";

const EVERY = 15; // seconds
const IDLE = 20; // seconds without a key or the pointer that still count as work

/**
 * @param {string} session path
 * @param {import("./display.js").Display} display
 * @param {(error: Error) => void} complain
 * @returns {{stop: () => void, tell: () => Promise<void>}} tell: says at once what has not been told yet
 */
export function workClock(session, display, complain) {
  let [seconds, last] = [0, performance.now()];
  const viewed = new Set([display.position[0]]);
  const stir = () => { last = performance.now(); };
  for (const name of ["pointermove", "pointerdown", "keydown", "wheel"]) document.addEventListener(name, stir, { passive: true });
  display.addEventListener("moved", () => viewed.add(display.position[0]));

  const tick = setInterval(() => {
    if (document.visibilityState === "visible" && performance.now() - last < IDLE * 1000) seconds += 1;
  }, 1000);
  const tell = async () => {
    const body = { viewed: [...viewed], active: Math.min(seconds, 60) };
    viewed.clear();
    seconds = 0;
    await post(`${session}/alive`, body).catch(complain);
  };
  const call = setInterval(() => document.visibilityState === "visible" && tell(), EVERY * 1000);
  return { tell, stop: () => [tick, call].forEach(clearInterval) };
}
