// Label maps arrive as PNG. A canvas may round or disturb the colours that it reads back (some
// browsers do so on purpose, against fingerprinting), so the stored numbers are unpacked here.

/** Unpack a PNG of 8 bits per pixel, grey or palette, to {width, height, values}. */
export async function unpackPng(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let width = 0;
  let height = 0;
  const packed = [];
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = view.getUint32(at);
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (kind === "IHDR") {
      width = view.getUint32(at + 8);
      height = view.getUint32(at + 12);
      const [depth, colour, , , interlace] = bytes.subarray(at + 16, at + 21);
      if (depth !== 8 || (colour !== 0 && colour !== 3) || interlace !== 0) {
        throw new Error(`The label must be a PNG of 8 bits per pixel, got ${depth}, kind ${colour}.`);
      }
    } else if (kind === "IDAT") {
      packed.push(bytes.subarray(at + 8, at + 8 + length));
    }
    at += 12 + length;
  }
  const stream = new Blob(packed).stream().pipeThrough(new DecompressionStream("deflate"));
  const raw = new Uint8Array(await new Response(stream).arrayBuffer());
  return { width, height, values: unfilter(raw, width, height) };
}

/** Undo the filter of each row (PNG specification, section 9). */
function unfilter(raw, width, height) {
  const values = new Uint8Array(width * height);
  for (let row = 0; row < height; row++) {
    const from = row * (width + 1);
    const to = row * width;
    const filter = raw[from];
    for (let x = 0; x < width; x++) {
      const left = x > 0 ? values[to + x - 1] : 0;
      const up = row > 0 ? values[to + x - width] : 0;
      const corner = x > 0 && row > 0 ? values[to + x - width - 1] : 0;
      values[to + x] = raw[from + 1 + x] + predict(filter, left, up, corner);
    }
  }
  return values;
}

function predict(filter, left, up, corner) {
  if (filter === 0) return 0;
  if (filter === 1) return left;
  if (filter === 2) return up;
  if (filter === 3) return (left + up) >> 1;
  const guess = left + up - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}
