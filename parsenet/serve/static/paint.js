// Numbers to colours. A table has a colour for each value of 8 bits, as canvas pixels hold it.

const VEIL = 0.72; // how dark everything else becomes when one class is pointed at
const LARGEST_SIDE = 4096; // what canvases of all browsers can do, phones included
const LARGEST_AREA = 16_000_000;

// Blue over purple and orange to yellow, dark to bright; also told apart without colour vision.
const RAMP = [[13, 8, 60], [84, 18, 110], [160, 42, 99], [221, 81, 58], [252, 150, 34], [250, 235, 110]];

/** Size at which a picture is drawn: its own, or what a canvas can hold. */
export function drawnSize(width, height) {
  const factor = Math.min(1, LARGEST_SIDE / Math.max(width, height), Math.sqrt(LARGEST_AREA / (width * height)));
  return [Math.max(1, Math.floor(width * factor)), Math.max(1, Math.floor(height * factor))];
}

/** Colours of classes at an opacity; black ones, VOC's background, leave the picture as it is. */
export function classTable(classes, opacity, highlighted) {
  const table = new Uint32Array(256);
  for (const { index, name, colour } of classes) {
    const isVeiled = highlighted !== null && highlighted !== name;
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
    if (isVeiled) table[index] = pixel(0, 0, 0, VEIL);
    else if (r || g || b) table[index] = pixel(r, g, b, opacity);
  }
  return table;
}

/** Colours of uncertainty: 0 is sure, 255 is as good as guessing. */
export function uncertaintyTable(opacity) {
  const table = new Uint32Array(256);
  for (let value = 0; value < 256; value++) {
    const place = (value / 255) * (RAMP.length - 1);
    const step = Math.min(Math.floor(place), RAMP.length - 2);
    const mix = RAMP[step].map((low, i) => Math.round(low + (RAMP[step + 1][i] - low) * (place - step)));
    table[value] = pixel(mix[0], mix[1], mix[2], opacity);
  }
  return table;
}

/** Paint values through a table; where `shown` is 0 the picture is veiled. */
export function paint(canvas, map, table, shown) {
  const context = canvas.getContext("2d");
  const { width, height } = canvas;
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const veil = pixel(0, 0, 0, VEIL);
  for (let y = 0, to = 0; y < height; y++) {
    const row = Math.floor(((y + 0.5) * map.height) / height) * map.width;
    for (let x = 0; x < width; x++, to++) {
      const from = row + (width === map.width ? x : Math.floor(((x + 0.5) * map.width) / width));
      pixels[to] = shown === null || shown[from] ? table[map.values[from]] : veil;
    }
  }
  context.putImageData(image, 0, 0);
}

function pixel(r, g, b, opacity) {
  const bytes = new Uint8ClampedArray([r, g, b, Math.round(255 * opacity)]);
  return new Uint32Array(bytes.buffer)[0]; // in the byte order of this machine
}
