// One view of the picture, shared by all panels: how near, and around which point.

const NEAREST = 40;
const STEP = 1.5;

export class Viewport {
  /** @param tellZoom called with the zoom factor after each change. */
  constructor(tellZoom) {
    this.zoom = 1;
    this.x = 0.5; // centre of the view, as a share of the picture's width and height
    this.y = 0.5;
    this.stages = [];
    this.tellZoom = tellZoom;
  }

  /** Let a stage follow the view, and its gestures change it. */
  attach(stage) {
    this.stages.push(stage);
    const fingers = new Map();
    stage.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
      event.preventDefault();
      this.zoomAt(this.locate(stage, event), Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.005)));
    }, { passive: false });
    stage.addEventListener("pointerdown", (event) => {
      fingers.set(event.pointerId, event);
      stage.setPointerCapture(event.pointerId);
    });
    stage.addEventListener("pointermove", (event) => {
      if (!fingers.has(event.pointerId)) return;
      if (fingers.size === 2) this.pinch(stage, fingers, event);
      else this.drag(stage, fingers.get(event.pointerId), event);
      fingers.set(event.pointerId, event);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      stage.addEventListener(end, (event) => {
        fingers.delete(event.pointerId);
        stage.classList.remove("moving");
      });
    }
    stage.addEventListener("keydown", (event) => this.key(event));
    this.show();
  }

  /** Point of the picture under the pointer, as shares of width and height; null outside. */
  locate(stage, event) {
    const box = stage.querySelector(".layers").getBoundingClientRect();
    const point = { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
    return point.x >= 0 && point.x < 1 && point.y >= 0 && point.y < 1 ? point : null;
  }

  /** Change the zoom so that a point stays where it is on the screen. */
  zoomAt(point, factor) {
    const fixed = point ?? { x: this.x, y: this.y };
    const zoom = Math.min(NEAREST, Math.max(1, this.zoom * factor));
    this.x = fixed.x + ((this.x - fixed.x) * this.zoom) / zoom;
    this.y = fixed.y + ((this.y - fixed.y) * this.zoom) / zoom;
    this.zoom = zoom;
    this.show();
  }

  step(direction) { this.zoomAt(null, STEP ** direction); }

  fit() {
    [this.zoom, this.x, this.y] = [1, 0.5, 0.5];
    this.show();
  }

  move(x, y) {
    this.x += x / this.zoom;
    this.y += y / this.zoom;
    this.show();
  }

  drag(stage, before, now) {
    if (this.zoom === 1) return;
    stage.classList.add("moving");
    const { width, height } = stage.getBoundingClientRect();
    this.move((before.clientX - now.clientX) / width, (before.clientY - now.clientY) / height);
  }

  pinch(stage, fingers, event) {
    const before = fingers.get(event.pointerId);
    const other = [...fingers.values()].find((finger) => finger.pointerId !== event.pointerId);
    const distance = (a) => Math.hypot(a.clientX - other.clientX, a.clientY - other.clientY);
    const middle = { clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2 };
    this.zoomAt(this.locate(stage, middle), distance(event) / Math.max(1, distance(before)));
    const { width, height } = stage.getBoundingClientRect();
    this.move((before.clientX - event.clientX) / 2 / width, (before.clientY - event.clientY) / 2 / height);
  }

  key(event) {
    const ways = {
      "+": () => this.step(1), "=": () => this.step(1), "-": () => this.step(-1), "0": () => this.fit(),
      ArrowLeft: () => this.move(-0.1, 0), ArrowRight: () => this.move(0.1, 0),
      ArrowUp: () => this.move(0, -0.1), ArrowDown: () => this.move(0, 0.1),
    };
    const isArrow = event.key.startsWith("Arrow");
    if (!(event.key in ways) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (isArrow && this.zoom === 1) return; // the page scrolls
    event.preventDefault();
    ways[event.key]();
  }

  show() {
    const half = 0.5 / this.zoom;
    this.x = Math.min(1 - half, Math.max(half, this.x));
    this.y = Math.min(1 - half, Math.max(half, this.y));
    for (const stage of this.stages) {
      const layers = stage.querySelector(".layers");
      const shift = [this.x, this.y].map((centre) => `${100 * (0.5 - centre * this.zoom)}%`);
      layers.style.transform = `translate(${shift.join(", ")}) scale(${this.zoom})`;
      stage.classList.toggle("zoomed", this.zoom > 1);
      const shown = (stage.clientWidth * this.zoom) / layers.firstElementChild.width;
      stage.classList.toggle("near", shown > 2); // pixels become squares when they are that large
    }
    this.tellZoom(this.zoom);
  }
}
