// One case: opens it and joins its parts.
import { ReviewError, get, post, serverSession } from "./api.js";
import { Comparison } from "./comparison.js";
import { Display } from "./display.js";
import { Drawing } from "./drawing.js";
import { EditQueue } from "./edit_queue.js";
import { editNotes } from "./edit_notes.js";
import { byId, element } from "./elements.js";
import { Geometry, PLANES } from "./geometry.js";
import { GreyWindow } from "./grey_window.js";
import { followKeys } from "./keys.js";
import { LabelVolumes } from "./label_volumes.js";
import { lookPanel } from "./look_panel.js";
import { hideMessage, showMessage } from "./messages.js";
import { numbersPanel } from "./numbers_panel.js";
import { PlaneView } from "./plane_view.js";
import { followPointer } from "./pointer.js";
import { readerName } from "./reader.js";
import { ScanPixels } from "./scan_pixels.js";
import { sliceCommands } from "./slice_commands.js";
import { slicePanel } from "./slice_panel.js";
import { toolPanel } from "./tool_panel.js";
import { verdictPanel } from "./verdict_panel.js";
import { workClock } from "./work_clock.js";

const ENDED = ["review-ended", "review-not-found", "review-forbidden"];
const caseId = location.hash.slice(1).split("/")[0];

const goBack = { text: "Back to the cases", act: () => location.assign("/") };

/** Errors that end the work are said differently from those after which it goes on. */
function complainer(edits, openAgain) {
  return (error) => {
    if (!(error instanceof ReviewError)) console.error(error);
    const text = error.text ?? `This page failed: ${error.message}`;
    if (!ENDED.includes(error.code)) return showMessage(error.code ?? "failed", text);
    edits?.close();
    edits?.dispatchEvent(new Event("state"));
    document.body.dataset.ended = "";
    return showMessage("ended", text, error.code === "review-ended" ? { text: "Continue here", act: openAgain } : goBack);
  };
}

/** Open the case; where this tab had it open, a reload takes it over without a question. */
async function openCase(reader, takeOver) {
  const key = `lungscore-session-${caseId}`;
  try {
    const opened = await post(`/api/cases/${caseId}/open`, { reader, take_over: takeOver });
    sessionStorage.setItem(key, opened.session);
    return opened;
  } catch (error) {
    if (error.code === "review-in-use" && !takeOver && sessionStorage.getItem(key)) return openCase(reader, true);
    throw error;
  }
}

function refused(error) {
  byId("title").textContent = "Not opened";
  if (error.code === "review-in-use") {
    return showMessage("opening", error.text, { text: "Continue here", act: () => { sessionStorage.setItem("lungscore-take-over", caseId); location.reload(); } });
  }
  return showMessage("opening", error.text ?? `This page failed: ${error.message}`, goBack);
}

/** The slice with most opacity is shown first. */
function firstVoxel(geometry, counts) {
  const sums = counts.map(([ggo, consolidation]) => ggo + consolidation);
  const most = Math.max(0, ...sums);
  return geometry.shape.map((count, axis) => (axis === 0 && most ? sums.indexOf(most) : count >> 1));
}

/** The middle one of a slice's voxels of opacity, so that all planes show some. */
function inOpacity(geometry, lesions, position) {
  const base = position[0] * geometry.area;
  const slice = lesions?.subarray(base, base + geometry.area) ?? [];
  const places = [];
  slice.forEach((label, place) => label && places.push(place));
  if (!places.length) return position;
  const middle = places[places.length >> 1];
  return [position[0], Math.floor(middle / geometry.shape[2]), middle % geometry.shape[2]];
}

function showHead(opened, reader, session) {
  const { case: about } = opened;
  document.title = `${about.case} – lungscore review`;
  byId("title").textContent = about.case;
  byId("reader-shown").textContent = reader;
  byId("research").textContent = session.research_use;
  byId("warnings").hidden = about.warnings.length === 0;
  byId("warnings").querySelector("summary").textContent = `Warnings (${about.warnings.length})`;
  byId("warnings").querySelector("ul").replaceChildren(...about.warnings.map(({ message }) => element("li", { textContent: message })));
  if (!about.has_ct && about.no_ct_reason) showMessage("no-ct", about.no_ct_reason);
  if (opened.recovered_edits) showMessage("resumed", "Your unsaved changes of this case were taken up again.");
}

function helpDialog() {
  byId("help-button").addEventListener("click", () => byId("help").showModal());
  document.addEventListener("keydown", (event) => {
    if (event.key === "?" && !event.target.matches("textarea, input") && !byId("help").open) byId("help").showModal();
  });
}

/** Switch between correcting and comparing; the address says which, so that Back works. */
function modes(comparison, complain) {
  const show = () => {
    const comparing = location.hash.endsWith("/compare");
    byId("desk").hidden = comparing;
    byId("comparison").hidden = !comparing;
    byId("compare-button").setAttribute("aria-pressed", String(comparing));
    if (comparing) comparison.open().catch(complain);
  };
  byId("compare-button").addEventListener("click", () => {
    location.hash = location.hash.endsWith("/compare") ? caseId : `${caseId}/compare`;
  });
  window.addEventListener("hashchange", () => (location.hash.slice(1).split("/")[0] === caseId ? show() : location.reload()));
  show();
}

async function start() {
  const session = await serverSession();
  const reader = readerName(session);
  if (!reader || !caseId) return location.assign("/");
  const takeOver = sessionStorage.getItem("lungscore-take-over") === caseId;
  sessionStorage.removeItem("lungscore-take-over");
  const opened = await openCase(reader, takeOver);
  const { case: about, state } = opened;
  const path = `/api/sessions/${opened.session}`;

  const geometry = new Geometry(about.shape, about.spacing_mm);
  const scan = new ScanPixels(geometry, about.ct, `${path}/ct`);
  const volumes = new LabelVolumes(geometry, (layer) => `${path}/labels/${layer}`);
  const display = new Display(geometry, new GreyWindow(...about.window));
  const edits = new EditQueue(path, state, volumes);
  const complain = complainer(edits, () => { sessionStorage.setItem("lungscore-take-over", caseId); location.reload(); });
  const load = (layer) => volumes.load(layer).catch(complain);
  display.position = firstVoxel(geometry, state.slice_lesion_voxels);
  display.range = [Math.max(0, display.position[0] - 1), Math.min(about.shape[0] - 1, display.position[0] + 1)];
  const first = display.position;
  const untouched = () => display.position === first;
  scan.near(display.position[0]);

  showHead(opened, reader, session);
  byId("desk").hidden = false;
  const drawing = new Drawing({ display, geometry, volumes, edits });
  const views = PLANES.map((plane) => {
    const view = new PlaneView(document.querySelector(`#desk [data-plane=${plane}]`), { plane, geometry, scan, volumes, display });
    followPointer(view, drawing);
    return view;
  });
  toolPanel(display, about.layers);
  lookPanel(display, about, load);
  const commands = sliceCommands({ display, edits, density: about.has_ct && about.units === "hu" });
  slicePanel({ display, scan, volumes, edits, units: about.units });
  numbersPanel(about.numbers, edits);
  const clock = workClock(path, display, complain);
  verdictPanel({ edits, session: path, reader, caseId, complain, tell: clock.tell, onSaved: () => hideMessage("resumed") });
  editNotes(edits);
  const nextLayer = () => display.choose({ layer: about.layers[(about.layers.indexOf(display.layer) + 1) % about.layers.length], label: 1, changeTo: 0 });
  byId("undo").addEventListener("click", () => edits.undo());
  byId("redo").addEventListener("click", () => edits.redo());

  edits.addEventListener("answered", () => hideMessage("review-invalid"));
  edits.addEventListener("failed", ({ detail }) => complain(detail));
  scan.addEventListener("failed", ({ detail }) => complain(detail));
  scan.addEventListener("loaded", () => { document.body.dataset.slices = String(scan.loaded.reduce((sum, here) => sum + here, 0)); });
  // An edit on its way would be lost with the page: the browser asks first.
  window.addEventListener("beforeunload", (event) => edits.idle || edits.closed || event.preventDefault());
  window.addEventListener("pagehide", () => {
    clock.stop();
    post(`${path}/close`, {}, { keepalive: true }).catch(() => {});
  });
  window.addEventListener("pageshow", (event) => event.persisted && location.reload());

  byId("compare-button").hidden = session.blinded;
  const comparison = new Comparison({ display, geometry, scan, caseId, reader, complain });
  const comparing = () => !byId("comparison").hidden;
  followKeys({
    views: () => (comparing() ? Object.values(comparison.views) : views),
    display,
    drawing,
    edits,
    commands: { ...commands, g: nextLayer },
    editable: () => !comparing() && !edits.closed && getComputedStyle(byId("tools")).display !== "none",
    single: () => byId("single-keys").checked,
  });
  if (!session.blinded) modes(comparison, complain);
  await Promise.all(["lungs", "lesions"].map(load));
  if (untouched()) display.moveTo(inOpacity(geometry, volumes.layers.lesions, display.position));
  edits.start();
  document.body.dataset.ready = "";
  return undefined;
}

helpDialog();
start().catch(refused);
