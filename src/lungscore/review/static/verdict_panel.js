// The reader's verdict, and where to go afterwards.
import { get, post } from "./api.js";
import { byId, counted, element, numberText } from "./elements.js";

const WORDS = { accepted: "Accepted", corrected: "Corrected", rejected: "Rejected" };

/** The next case without a verdict, after this one in the list. */
async function nextCase(reader, caseId) {
  const { cases } = await get(`/api/cases?reader=${encodeURIComponent(reader)}`);
  const place = cases.findIndex(({ id }) => id === caseId);
  const open = (item) => !item.error && item.id !== caseId && !["accepted", "corrected", "rejected"].includes(item.mine);
  return cases.slice(place + 1).find(open) ?? cases.find(open) ?? null;
}

/**
 * @param {object} parts
 * @param {import("./edit_queue.js").EditQueue} parts.edits
 * @param {string} parts.session path @param {string} parts.reader @param {string} parts.caseId
 * @param {(error: Error) => void} parts.complain
 * @param {() => Promise<void>} parts.tell says what was looked at, for how long
 * @param {() => void} parts.onSaved
 */
export function verdictPanel({ edits, session, reader, caseId, complain, tell, onSaved }) {
  const form = byId("verdict-form");
  const radios = [...form.elements.verdict];
  let saving = false;
  let saved = edits.state.saved;

  const show = () => {
    const changed = edits.state.changed_slices.length > 0;
    for (const radio of radios) {
      const impossible = (radio.value === "accepted" && changed) || (radio.value === "corrected" && !changed);
      radio.disabled = impossible || edits.closed;
      if (impossible) radio.checked = false;
    }
    byId("save").disabled = saving || edits.closed;
    if (saving) return;
    const since = saved && saved.version !== edits.state.version ? " Changed since then: save again." : "";
    byId("save-note").textContent = saved ? `${WORDS[saved.verdict]}, saved.${since}` : changed ? `Changed: ${counted(edits.state.changed_slices.length, "slice")}.` : "";
  };

  function showChanges({ changes, folder, aside }) {
    const earlier = aside.length ? ` What was made of the earlier verdict is kept there as ${aside.join(", ")}.` : "";
    byId("changes").replaceChildren(element("p", { className: "note", textContent: `Saved in ${folder}.${earlier}` }));
    if (!changes.length) return;
    byId("changes").append(element("details", {}, element("summary", { textContent: `${counted(changes.length, "number")} changed` }),
      element("ul", {}, ...changes.map(({ title, before, after }) =>
        element("li", { textContent: `${title}: ${numberText(before, 3)} → ${numberText(after, 3)}` })))));
  }

  async function save() {
    const verdict = form.elements.verdict.value;
    saving = true;
    show();
    byId("save-note").textContent = "Saving masks, result and report …";
    try {
      await edits.settled();
      await tell();
      const answer = await post(`${session}/save`, { version: edits.state.version, verdict, comment: byId("comment").value });
      saved = answer.saved;
      edits.state = { ...edits.state, saved };
      showChanges(answer);
      const next = await nextCase(reader, caseId);
      byId("next-case").hidden = false;
      byId("next-case").textContent = next ? "Next case" : "Back to the cases";
      byId("next-case").href = next ? `/case#${next.id}` : "/";
      byId("next-case").focus();
      onSaved();
    } catch (error) {
      complain(error);
      byId("save-note").textContent = "Not saved.";
    } finally {
      saving = false;
      if (saved || byId("save-note").textContent !== "Not saved.") show();
      byId("save").disabled = edits.closed;
    }
  }

  if (saved) {
    byId("comment").value = saved.comment;
    const radio = radios.find(({ value }) => value === saved.verdict);
    if (radio) radio.checked = true;
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!saving) save();
  });
  edits.addEventListener("state", show);
  show();
}
