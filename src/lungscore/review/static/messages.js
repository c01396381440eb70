// Messages above the page, each with what can be done about it.
import { byId, element } from "./elements.js";

/**
 * Show a message; one with the same key takes its place.
 * @param {string} key
 * @param {string} text
 * @param {{text: string, act: () => void}|null} action null: the message can be put away
 */
export function showMessage(key, text, action = null) {
  hideMessage(key);
  const button = element("button", { type: "button", textContent: action?.text ?? "Close" });
  button.addEventListener("click", () => {
    hideMessage(key);
    action?.act();
  });
  byId("messages").append(element("p", { className: "message", data: { key } }, text, " ", button));
}

/** Take a message away. */
export function hideMessage(key) {
  byId("messages").querySelector(`[data-key="${key}"]`)?.remove();
}
