// One model's view of the picture: canvases, legend, downloads.

import { classTable, drawnSize, paint, uncertaintyTable } from "/static/paint.js";
import { unpackPng } from "/static/png.js";
import { fromBase64 } from "/static/server.js";

const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;

export class Panel {
  /**
   * @param model as `/api/models` describes it.
   * @param viewport shared view.
   * @param events {point(name or null), pin(name), hover(point or null)}.
   */
  constructor(model, viewport, events) {
    this.model = model;
    this.events = events;
    this.root = document.getElementById("panel").content.cloneNode(true).firstElementChild;
    this.find = (selector) => this.root.querySelector(selector);
    this.find("h2").textContent = model.name;
    this.find(".summary").textContent = model.summary;
    this.stage = this.find(".stage");
    this.stage.setAttribute("aria-label", `Picture with the labels of ${model.name}; + and - zoom`);
    [this.image, this.overlay] = this.root.querySelectorAll(".layers canvas");
    this.drawRamp();
    this.listen(viewport);
    this.clear();
    viewport.attach(this.stage);
  }

  listen(viewport) {
    let down = null;
    this.stage.addEventListener("pointerdown", (event) => { down = event; });
    this.stage.addEventListener("pointermove", (event) => this.events.hover(viewport.locate(this.stage, event)));
    this.stage.addEventListener("pointerleave", () => this.events.hover(null));
    this.stage.addEventListener("click", (event) => {
      const moved = down ? Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) : 0;
      const point = viewport.locate(this.stage, event);
      if (moved > 5 || !point || !this.map) return;
      this.events.hover(point);
      this.events.pin(this.nameAt(point));
    });
    this.find(".save-overlay").addEventListener("click", () => this.saveOverlay());
  }

  /** Forget the last picture. */
  clear() {
    this.result = this.map = this.uncertainty = this.shown = null;
    this.find(".legend").replaceChildren();
    this.find(".downloads").hidden = true;
    this.find(".readout").textContent = "\u00a0";
    this.overlay.getContext("2d").clearRect(0, 0, this.overlay.width, this.overlay.height);
    if (this.link) URL.revokeObjectURL(this.link);
    this.link = null;
  }

  /** Draw the picture, before its labels are there. */
  setPicture(image, width, height) {
    const size = drawnSize(width, height);
    for (const canvas of [this.image, this.overlay]) [canvas.width, canvas.height] = size;
    const context = this.image.getContext("2d");
    context.fillStyle = "white"; // what the server lays transparent pictures over
    context.fillRect(0, 0, ...size);
    context.imageSmoothingQuality = "high";
    context.drawImage(image, 0, 0, ...size);
    const aspect = Math.min(4, Math.max(0.25, width / height));
    this.stage.style.setProperty("--aspect", String(aspect));
  }

  /** Say what is being waited for, and for how long already; null when it is over. */
  setWorking(text) {
    clearInterval(this.clock);
    const start = performance.now();
    const tell = () => {
      const seconds = Math.floor((performance.now() - start) / 1000);
      this.find(".working-text").textContent = seconds > 2 ? `${text}, ${seconds} s` : text ?? "";
    };
    if (text !== null) this.clock = setInterval(tell, 1000);
    this.root.setAttribute("aria-busy", String(text !== null));
    this.find(".working").hidden = text === null;
    tell();
  }

  /** Take an answer of the server. */
  async setResult(result, stem) {
    const bytes = fromBase64(result.label);
    const map = await unpackPng(bytes);
    const uncertainty = result.uncertainty === null ? null : await unpackPng(fromBase64(result.uncertainty));
    this.clear();
    [this.result, this.map, this.uncertainty, this.stem] = [result, map, uncertainty, stem];
    this.link = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
    const mask = this.find(".mask");
    mask.href = this.link;
    mask.download = `${stem}.png`;
    this.find(".timing").textContent = `${result.seconds.toFixed(2)} s on ${this.model.device}`;
    this.find(".downloads").hidden = false;
    this.find(".legend").replaceChildren(...result.classes.map((entry) => this.legendEntry(entry)));
  }

  legendEntry(entry) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.name = entry.name;
    button.setAttribute("aria-pressed", "false");
    for (const part of ["swatch", "name", "bar", "share", "pixels"]) {
      const span = document.createElement("span");
      span.className = part;
      button.append(span);
    }
    const [swatch, name, bar, share, pixels] = button.children;
    swatch.style.backgroundColor = entry.colour;
    name.textContent = entry.name;
    bar.append(document.createElement("span"));
    bar.firstElementChild.style.width = percent(entry.share, 3).replace(" ", "");
    share.textContent = entry.share < 0.001 ? "< 0.1 %" : percent(entry.share);
    pixels.textContent = `${entry.pixels.toLocaleString("en")} px`;
    for (const start of ["mouseenter", "focus"]) button.addEventListener(start, () => this.events.point(entry.name));
    for (const end of ["mouseleave", "blur"]) button.addEventListener(end, () => this.events.point(null));
    button.addEventListener("click", () => this.events.pin(entry.name));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }

  /** Paint the overlay: {mode, opacity, highlighted, pinned, differing}. */
  show(view) {
    this.find(".ramp").hidden = view.mode !== "uncertainty";
    for (const button of this.root.querySelectorAll(".legend button")) {
      button.setAttribute("aria-pressed", String(button.dataset.name === view.pinned));
    }
    if (!this.map) return;
    if (view.mode === "uncertainty") {
      if (this.uncertainty) paint(this.overlay, this.uncertainty, uncertaintyTable(view.opacity), null);
      return;
    }
    const table = classTable(this.model.classes, view.opacity, view.highlighted);
    paint(this.overlay, this.map, table, view.mode === "differences" ? view.differing : null);
  }

  /** Name of the class at a point. */
  nameAt(point) {
    return this.model.classes[this.map.values[this.offset(point)]].name;
  }

  /** Say what is at a point of the picture. */
  tell(point) {
    if (!this.map || !point) {
      this.find(".readout").textContent = "\u00a0";
      return;
    }
    const at = this.offset(point);
    const place = `x ${at % this.map.width}, y ${Math.floor(at / this.map.width)}`;
    const doubt = this.uncertainty ? `, uncertainty ${(this.uncertainty.values[at] / 255).toFixed(2)}` : "";
    this.find(".readout").textContent = `${place}: ${this.nameAt(point)}${doubt}`;
  }

  offset(point) {
    const { width, height } = this.map;
    return Math.floor(point.y * height) * width + Math.floor(point.x * width);
  }

  async saveOverlay() {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [this.image.width, this.image.height];
    const context = canvas.getContext("2d");
    context.drawImage(this.image, 0, 0);
    context.drawImage(this.overlay, 0, 0);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${this.stem}_overlay.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  drawRamp() {
    const values = Uint8Array.from({ length: 256 }, (_, value) => value);
    paint(this.find(".ramp canvas"), { width: 256, height: 1, values }, uncertaintyTable(1), null);
  }
}
