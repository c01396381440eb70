// The list of cases: worst and least reliable first, with the reader's progress.
import { get, serverSession } from "./api.js";
import { byId, counted, element, numberText, takesText } from "./elements.js";
import { readerName, rememberReader } from "./reader.js";

const STATES = { accepted: "accepted", corrected: "corrected", rejected: "rejected", open: "in progress" };
const DONE = ["accepted", "corrected", "rejected"];
const GRADES = { A: "A, high", B: "B, moderate", C: "C, low", D: "D, not reliable" };

let session;
let cases = [];

function complain(error) {
  byId("messages").replaceChildren(element("p", { className: "message", textContent: error.text ?? String(error) }));
}

function askForName() {
  byId("work").hidden = byId("who").hidden = true;
  byId("reader-form").hidden = false;
  const listed = session.readers.length > 0;
  byId("name-typed").hidden = listed;
  byId("name-chosen").hidden = !listed;
  byId("reader-choice").replaceChildren(...session.readers.map((name) => element("option", { textContent: name })));
  byId(listed ? "reader-choice" : "reader-name").focus();
}

function caseAddress(item) {
  return `/case#${item.id}`;
}

function verdictOf(item) {
  const state = item.mine ?? "todo";
  return element("span", { className: `state ${state}`, textContent: STATES[state] ?? "to do" });
}

function row(item) {
  const name = item.error
    ? element("span", {}, item.case, element("small", { textContent: ` ${item.error.message}` }))
    : element("a", { href: caseAddress(item), textContent: item.case });
  const line = element("tr", { className: item.error ? "broken" : "" }, element("th", { scope: "row" }, name));
  const others = item.others.map(({ reader, verdict }) => `${reader}: ${verdict}`).join(", ");
  const cell = (content, className = "") => line.append(element("td", { className }, content));
  cell(item.error ? "cannot be opened" : verdictOf(item));
  if (!session.blinded) {
    cell(item.reliability ? element("span", { className: `grade ${item.reliability}`, textContent: GRADES[item.reliability] }) : "–");
    cell(item.category ?? "–", "wide");
    cell(numberText(item.infection_percent, 1, "%"), "n");
    cell(numberText(item.ct_ss), "n");
  }
  cell(String(item.slices ?? "–"), "n wide");
  if (!session.blinded) {
    cell(String(item.warnings), "n wide");
    cell(others || "–", "wide");
  }
  return line;
}

function chosen() {
  const text = byId("search").value.trim().toLowerCase();
  const states = byId("states").value;
  const order = byId("order").value;
  const shown = cases.filter((item) => item.case.toLowerCase().includes(text)
    && (!states || DONE.includes(item.mine) === (states === "done")));
  if (order === "case") shown.sort((a, b) => a.case.localeCompare(b.case, undefined, { numeric: true }));
  if (order === "infection_percent") shown.sort((a, b) => (b.infection_percent ?? -1) - (a.infection_percent ?? -1));
  if (order === "state") shown.sort((a, b) => DONE.indexOf(a.mine) - DONE.indexOf(b.mine));
  return shown;
}

function showCases() {
  const shown = chosen();
  byId("cases").tBodies[0].replaceChildren(...shown.map(row));
  byId("count").textContent = `${shown.length} of ${counted(cases.length, "case")}`;
}

function showProgress(progress) {
  const { total, done, open, readers } = progress;
  byId("progress").max = Math.max(total, 1);
  byId("progress").value = done;
  byId("progress-text").textContent = `${done} of ${counted(total, "case")} done${open ? `, ${open} in progress` : ""}`;
  byId("everyone").hidden = readers.length < 2;
  byId("readers").replaceChildren(...readers.map((line) => element("tr", {}, element("th", { scope: "row", textContent: line.reader }),
    ...[line.done, line.open, line.total].map((value) => element("td", { className: "n", textContent: String(value) })))));
  const next = cases.find((item) => !item.error && !DONE.includes(item.mine));
  byId("next").hidden = !next;
  if (next) byId("next").href = caseAddress(next);
}

async function showList() {
  const name = readerName(session);
  if (!name) return askForName();
  byId("reader-form").hidden = true;
  const answer = await get(`/api/cases?reader=${encodeURIComponent(name)}`);
  cases = answer.cases;
  byId("who").hidden = false;
  byId("reader-shown").textContent = name;
  byId("change-reader").hidden = Boolean(session.reader);
  byId("work").hidden = false;
  for (const node of document.querySelectorAll("[data-open]")) node.hidden = session.blinded;
  byId("order").querySelector("[value=infection_percent]").hidden = session.blinded;
  byId("ratings").hidden = session.blinded;
  byId("ratings").href = `/api/ratings?reader=${encodeURIComponent(name)}`;
  showProgress(answer.progress);
  showCases();
  return undefined;
}

function moveFocus(step) {
  const links = [...document.querySelectorAll("#cases a")];
  const place = links.indexOf(document.activeElement);
  links[Math.min(Math.max(place + step, 0), links.length - 1)]?.focus();
}

function onKey(event) {
  if (takesText(event.target) || event.ctrlKey || event.altKey || event.metaKey || byId("work").hidden) return;
  const action = {
    ArrowDown: () => moveFocus(1), ArrowUp: () => moveFocus(-1), "/": () => byId("search").focus(), n: () => byId("next").click(),
  }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

async function start() {
  session = await serverSession();
  byId("research").textContent = session.research_use;
  byId("version").textContent = `lungscore ${session.version}`;
  await showList();
}

const refresh = () => showList().catch(complain);
byId("reader-form").addEventListener("submit", (event) => {
  event.preventDefault();
  rememberReader((session.readers.length ? byId("reader-choice") : byId("reader-name")).value.trim());
  refresh();
});
byId("change-reader").addEventListener("click", () => {
  rememberReader("");
  askForName();
});
for (const id of ["search", "states", "order"]) byId(id).addEventListener("input", showCases);
document.addEventListener("keydown", onKey);
// A page that the browser had put aside may show states of long ago.
window.addEventListener("pageshow", (event) => event.persisted && refresh());
start().catch(complain);
