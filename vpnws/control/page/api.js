// Speaks to the server's API: where it is, the token of changes, and errors as sentences.

/** How long a request for a view or a change may take. */
const REQUEST_MS = 10_000;
const LOST = "The server cannot be reached. Check the connection, then try again.";

/** The API's URL. The page's own may hold a password, with which fetch() refuses to work. */
function apiUrl() {
  const url = new URL("../api/v1/", import.meta.url);
  url.username = "";
  url.password = "";
  return url;
}

/** What the server refused, in a sentence to show. */
export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export class Api {
  constructor() {
    this.base = apiUrl();
    this.token = "";
  }

  /** Return the URL of a path of the API; empty parameters are left out. */
  url(path, parameters = {}) {
    const url = new URL(path, this.base);
    for (const [name, value] of Object.entries(parameters)) {
      if (value !== "" && value !== null && value !== undefined && value !== false) {
        url.searchParams.set(name, value === true ? "1" : value);
      }
    }
    return url;
  }

  /** Return a view. Raises ApiError. */
  async get(path, parameters = {}) {
    const answer = await request(this.url(path, parameters), { method: "GET" });
    return answer.json();
  }

  /** Make a change and return its answer. Raises ApiError. A token that has expired is renewed. */
  async change(method, path, body) {
    try {
      return await this.changeOnce(method, path, body);
    } catch (error) {
      if (error.status !== 403 || this.token === "") {
        throw error;
      }
      this.token = "";
      return this.changeOnce(method, path, body);
    }
  }

  async changeOnce(method, path, body) {
    const isKnown = this.token !== "";
    const token = isKnown ? this.token : (await this.get("token")).token;
    const headers = { "X-vpnws-token": token, "Content-Type": "application/json" };
    const answer = await request(this.url(path), { method, headers, body: JSON.stringify(body) });
    this.token = token;
    const text = await answer.text();
    return text ? JSON.parse(text) : {};
  }

  /** Start to read what the server streams, for example a capture. Raises ApiError. */
  async open(path, parameters, signal) {
    return request(this.url(path, parameters), { method: "GET", signal });
  }
}

async function request(url, options) {
  let answer;
  try {
    const signal = options.signal ?? AbortSignal.timeout(REQUEST_MS);
    answer = await fetch(url, { ...options, signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") {
      throw error;
    }
    throw new ApiError(LOST, 0);
  }
  if (!answer.ok) {
    throw new ApiError(await sentenceOf(answer), answer.status);
  }
  return answer;
}

async function sentenceOf(answer) {
  try {
    const { error } = await answer.json();
    if (typeof error === "string" && error) {
      return error;
    }
  } catch {
    // A web server's own error page: its status has to do.
  }
  const hints = {
    401: "Log in again: reload the page.",
    403: "This location does not allow it.",
    502: "uWSGI is not running, or not where the web server looks for it.",
    503: "The server is busy or starts just now: try again.",
    504: "The server did not answer in time: try again.",
  };
  const hint = hints[answer.status] ?? "The web server's log says why.";
  return `The web server answered ${answer.status}. ${hint}`;
}
