// Requests to the server; whatever goes wrong becomes an Error whose message is a sentence.

const BUSY = 503;
const MAX_TRIES = 60;

/** What the server shows and accepts. */
export async function describe() {
  return (await ask("/api/models", {})).json();
}

/** Label a picture; waits for its turn while the server is busy. */
export async function segment(blob, wish, signal, tellBusy) {
  const query = new URLSearchParams({ model: wish.model, uncertainty: wish.uncertainty, picture: wish.image });
  const options = { method: "POST", body: blob, signal, headers: { "Content-Type": "application/octet-stream" } };
  return (await ask(`/api/segment?${query}`, options, tellBusy)).json();
}

/** Bytes of base64 text. */
export function fromBase64(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

async function ask(address, options, tellBusy = () => {}) {
  for (let tries = 1; ; tries++) {
    const response = await send(address, options);
    if (response.ok) return response;
    if (response.status === BUSY && tries < MAX_TRIES) {
      tellBusy();
      await pause(1000 * Number(response.headers.get("Retry-After") ?? 2), options.signal);
      continue;
    }
    throw new Error(await sentence(response));
  }
}

async function send(address, options) {
  try {
    return await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is `parsenet serve` still running?");
  }
}

async function sentence(response) {
  try {
    return (await response.json()).error;
  } catch {
    return `The server answered with status ${response.status}.`;
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("aborted", "AbortError"));
    });
  });
}
