// Groups of radio buttons that look like buttons.
import { element } from "./elements.js";

/**
 * Fill a fieldset with one radio button for each choice.
 * @param {HTMLElement} fieldset
 * @param {string} name
 * @param {{value: string, text: string, key?: string, colour?: string}[]} choices
 * @param {(value: string) => void} choose
 */
export function fillChoices(fieldset, name, choices, choose) {
  const box = element("div", { className: "choices" });
  for (const { value, text, key, swatch } of choices) {
    const input = element("input", { type: "radio", name, value });
    input.addEventListener("change", () => choose(value));
    const label = element("label", { className: "choice" }, input, element("span", {}, text));
    if (swatch) label.lastChild.prepend(element("i", { className: `swatch ${swatch}`, aria: { hidden: "true" } }));
    if (key) label.lastChild.append(" ", element("kbd", { textContent: key }));
    box.append(label);
  }
  fieldset.querySelector(".choices")?.remove();
  fieldset.append(box);
}

/** Mark the choice that holds. */
export function mark(fieldset, value) {
  for (const input of fieldset.querySelectorAll("input[type=radio]")) input.checked = input.value === String(value);
}
