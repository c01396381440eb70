// Requests to the server that this page came from: JSON, bytes, and errors in its own words.

/** An error that the server explained; `message` is made of whole sentences. */
export class ReviewError extends Error {
  /**
   * @param {number} status of HTTP; 0 where the server did not answer
   * @param {{code: string, message: string, hint?: string}} error
   * @param {number} wait seconds after which the server may be asked again
   */
  constructor(status, error, wait = 0) {
    super(error.message);
    Object.assign(this, { status, wait, detail: error, code: error.code, hint: error.hint ?? "" });
  }

  /** Message and advice, ready to be shown. */
  get text() {
    return [this.message, this.hint].filter(Boolean).join(" ");
  }
}

const SILENT = {
  code: "no-answer",
  message: "The server does not answer.",
  hint: "Every change that it confirmed is kept: start it again, then open the case again from the list.",
};

let session = null;

/** What the server says about itself; asked once. */
export function serverSession() {
  session ??= get("/api/session");
  return session;
}

async function answer(path, options) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", cache: "no-store", ...options });
  } catch {
    throw new ReviewError(0, SILENT);
  }
  if (response.ok) return response;
  let error = { code: "review-failed", message: `The server answered with status ${response.status}.` };
  try {
    error = (await response.json()).error ?? error;
  } catch {
    // Not JSON: the status has to do.
  }
  throw new ReviewError(response.status, error, Number(response.headers.get("Retry-After")) || 0);
}

/** The JSON at a path. */
export async function get(path) {
  return (await answer(path)).json();
}

/** The bytes at a path, unzipped by the browser outside this thread, and the version they are of. */
export async function getBytes(path) {
  const response = await answer(path);
  return { bytes: await response.arrayBuffer(), version: Number(response.headers.get("X-Version") ?? 0) };
}

/**
 * The JSON that the server answers to `body`; a busy server is asked again, up to three times.
 * @param {string} path
 * @param {object} body
 * @param {RequestInit} [options]
 */
export async function post(path, body, options = {}) {
  for (let attempt = 1; ; attempt += 1) {
    const { csrf } = await serverSession();
    const headers = { "Content-Type": "application/json", "X-CSRF-Token": csrf };
    try {
      return await (await answer(path, { method: "POST", headers, body: JSON.stringify(body), ...options })).json();
    } catch (error) {
      if (error.code !== "review-busy" || attempt === 3) throw error;
      await new Promise((done) => setTimeout(done, 1000 * (error.wait || 1)));
    }
  }
}
