// The page: takes pictures, asks the server about them, and shows the answers in panels.

import { Panel } from "/static/panel.js";
import { describe, fromBase64, segment } from "/static/server.js";
import { Viewport } from "/static/viewport.js";

const at = (id) => document.getElementById(id);
const view = { mode: "classes", opacity: 0.6, highlighted: null, pinned: null, differing: null };
const viewport = new Viewport((zoom) => { at("zoom-value").textContent = `${zoom.toFixed(zoom < 10 ? 1 : 0)}\u00d7`; });
let panels = [];
let limits = null;
let current = null; // {blob, name, image} of the picture that is shown
let running = null; // AbortController of the requests under way
let isScheduled = false;

function repaint() {
  if (isScheduled) return;
  isScheduled = true;
  requestAnimationFrame(() => {
    isScheduled = false;
    for (const panel of panels) panel.show(view);
  });
}

function say(text) { at("status").textContent = text; }

function complain(text) {
  at("error").textContent = text ?? "";
  at("error").hidden = !text;
}

/** Take a picture file, and label it with each model. */
async function take(file) {
  running?.abort();
  const mine = (running = new AbortController());
  complain(null);
  const refused = check(file);
  if (refused) return complain(refused);
  say(`Reading ${file.name || "the picture"}`);
  try {
    // Read at once: a file that changes or goes away later would fail in the middle.
    const blob = new Blob([await file.arrayBuffer()]);
    const image = await createImageBitmap(blob).catch(() => null);
    mine.signal.throwIfAborted();
    current = { blob, name: file.name || "picture", image };
    forget();
    if (image) display(image);
    else document.body.classList.remove("shows");
    await label(mine);
  } catch (error) {
    if (error.name !== "AbortError") fail(error);
  }
}

function check(file) {
  if (file.size === 0) return `'${file.name}' must be a picture, got an empty file or a folder.`;
  if (limits && file.size > limits.bytes) {
    const mebibytes = (size) => (size / 2 ** 20).toFixed(0);
    return `'${file.name}' must have at most ${mebibytes(limits.bytes)} MiB, got ${mebibytes(file.size)}. Make it smaller, or start the server with a larger --megabytes.`;
  }
  return null;
}

function forget() {
  [view.highlighted, view.pinned, view.differing] = [null, null, null];
  at("agreement").hidden = true;
  viewport.fit();
  for (const panel of panels) panel.clear();
}

function display(image) {
  document.body.classList.add("shows");
  for (const panel of panels) panel.setPicture(image, image.width, image.height);
  viewport.fit();
}

async function label(mine) {
  say(`Labelling ${current.name}`);
  for (const panel of panels) panel.setWorking("Waiting");
  try {
    for (const panel of panels) await labelOne(panel, mine);
  } finally {
    if (running === mine) for (const panel of panels) panel.setWorking(null);
  }
  const { width, height } = panels[0].map;
  say(`${current.name}: ${width} \u00d7 ${height} pixels`);
  compare();
  repaint();
}

async function labelOne(panel, mine) {
  panel.setWorking("Labelling");
  const wish = { model: panel.model.index, uncertainty: view.mode === "uncertainty", picture: current.image === null };
  const busy = () => panel.setWorking("Waiting for the server");
  let result = await segment(current.blob, wish, mine.signal, busy);
  const fits = ({ width, height }) => current.image && current.image.width === width && current.image.height === height;
  if (!fits(result)) {
    // The browser cannot read this format, or turns it otherwise: show what the server saw.
    if (result.image === null) result = await segment(current.blob, { ...wish, picture: true }, mine.signal, busy);
    current.image = await createImageBitmap(new Blob([fromBase64(result.image)]));
    mine.signal.throwIfAborted();
    display(current.image);
  }
  mine.signal.throwIfAborted();
  await panel.setResult(result, stemOf(panel));
  mine.signal.throwIfAborted();
  panel.setWorking(null);
  panel.show(view);
}

/** Name of downloads: the picture's, and the model's where there are two. */
function stemOf(panel) {
  const stem = current.name.replace(/\.[^.]*$/, "") || "picture";
  if (panels.length === 1) return stem;
  return `${stem}_${panel.model.index + 1}_${panel.model.name.replace(/\.[^.]*$/, "").replace(/[^\w.-]+/g, "_")}`;
}

/** Where two models that know the same classes differ. */
function compare() {
  if (panels.length !== 2 || at("differences-choice").hidden) return;
  const [one, other] = panels.map((panel) => panel.map.values);
  view.differing = new Uint8Array(one.length);
  let count = 0;
  for (let i = 0; i < one.length; i++) count += view.differing[i] = Number(one[i] !== other[i]);
  at("agreement").textContent = `The two agree on ${((100 * (one.length - count)) / one.length).toFixed(2)} % of the pixels.`;
  at("agreement").hidden = false;
}

function fail(error) {
  say("");
  complain(error.message);
}

/** Ask again for what the new mode needs. */
async function setMode(mode) {
  view.mode = mode;
  repaint();
  if (mode !== "uncertainty" || !current || panels.every((panel) => panel.uncertainty)) return;
  running?.abort();
  const mine = (running = new AbortController());
  complain(null);
  try {
    await label(mine);
  } catch (error) {
    if (error.name !== "AbortError") fail(error);
  }
}

function pin(name) {
  view.pinned = view.pinned === name ? null : name;
  view.highlighted = view.pinned;
  repaint();
}

const events = {
  pin,
  point(name) {
    view.highlighted = name ?? view.pinned;
    repaint();
  },
  hover(point) { for (const panel of panels) panel.tell(point); },
};

function takeFirst(files, problem) {
  const pictures = [...files];
  if (pictures.length === 0) return complain(problem);
  take(pictures[0]).then(() => {
    if (pictures.length > 1) say(`${at("status").textContent} (the first of ${pictures.length} files)`);
  });
}

function listen() {
  at("choose").addEventListener("click", () => at("file").click());
  at("file").addEventListener("change", () => {
    takeFirst(at("file").files, null);
    at("file").value = ""; // choosing the same file again counts as a choice
  });
  document.addEventListener("paste", (event) => takeFirst(event.clipboardData.files, "The clipboard must hold a picture, got none. Copy a picture, not its address."));
  let depth = 0; // elements that the drag is over
  const drag = (change) => (event) => {
    event.preventDefault();
    depth = Math.max(0, depth + change);
    document.body.classList.toggle("dragging", depth > 0);
  };
  document.addEventListener("dragenter", drag(1));
  document.addEventListener("dragleave", drag(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    drag(-depth)(event);
    takeFirst(event.dataTransfer.files, "What is dropped must be a picture file, got none. Save the picture first, then drop the file.");
  });
  at("opacity").addEventListener("input", (event) => {
    view.opacity = event.target.valueAsNumber / 100;
    at("opacity-value").textContent = `${event.target.value} %`;
    repaint();
  });
  at("modes").addEventListener("change", (event) => setMode(event.target.value));
  at("zoom-in").addEventListener("click", () => viewport.step(1));
  at("zoom-out").addEventListener("click", () => viewport.step(-1));
  at("zoom-fit").addEventListener("click", () => viewport.fit());
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && view.pinned) pin(view.pinned); });
  window.addEventListener("resize", () => viewport.show());
}

async function start() {
  listen();
  try {
    const served = await describe();
    limits = served.limits;
    at("limits").textContent = `Up to ${limits.bytes / 2 ** 20} MiB and ${limits.pixels / 1e6} million pixels; ${limits.formats.join(", ")}. The picture goes to this server only, and is not stored.`;
    panels = served.models.map((model) => new Panel(model, viewport, events));
    at("panels").replaceChildren(...panels.map((panel) => panel.root));
    at("panels").classList.toggle("two", panels.length === 2);
    const names = served.models.map((model) => model.classes.map((entry) => entry.name).join());
    at("differences-choice").hidden = names.length !== 2 || names[0] !== names[1];
    document.documentElement.dataset.ready = "true";
  } catch (error) {
    fail(error);
  }
}

start();
