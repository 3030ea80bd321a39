// Keeps the one stream of a page open, and says how old its news is.

/** After this long without a state, what the page shows is called old. */
export const STALE_MS = 5_000;
/** The longest pause before the stream is opened again. */
const MAX_PAUSE_MS = 15_000;
const FIRST_PAUSE_MS = 1_000;
const LOOK_MS = 1_000;

/**
 * An EventSource that comes back whatever happens.
 *
 * EventSource opens itself again when a connection breaks, but gives up when it is refused. `handlers`
 * has state(data), event(data) and health({state, ageS, reason}): live, connecting, old or refused.
 */
export class Stream {
  constructor(api, handlers) {
    this.api = api;
    this.handlers = handlers;
    this.pauseMs = FIRST_PAUSE_MS;
    this.heardMs = null;
    this.reason = "";
    setInterval(() => this.look(), LOOK_MS);
    addEventListener("pagehide", () => this.source?.close());
    addEventListener("pageshow", (event) => event.persisted && this.open());
  }

  /** Open it; it stays open until the page is left. */
  open() {
    this.source?.close();
    this.source = new EventSource(this.api.url("stream"));
    this.source.addEventListener("state", (message) => this.takeState(message));
    this.source.addEventListener("event", (message) => {
      this.handlers.event(JSON.parse(message.data));
    });
    this.source.addEventListener("error", () => this.takeError());
  }

  takeState(message) {
    this.heardMs = performance.now();
    this.pauseMs = FIRST_PAUSE_MS;
    this.reason = "";
    this.handlers.state(JSON.parse(message.data));
    this.look();
  }

  takeError() {
    if (this.source.readyState !== EventSource.CLOSED) {
      return;
    }
    setTimeout(() => this.open(), this.pauseMs * (0.75 + Math.random() / 2));
    this.pauseMs = Math.min(this.pauseMs * 2, MAX_PAUSE_MS);
    this.askWhy();
  }

  /** Ask for a view, because an EventSource does not tell why it was refused. */
  async askWhy() {
    try {
      await this.api.get("status");
    } catch (error) {
      this.reason = error.message;
      this.look();
    }
  }

  look() {
    const ageMs = this.heardMs === null ? null : performance.now() - this.heardMs;
    const ageS = ageMs === null ? null : ageMs / 1000;
    this.handlers.health({ state: this.stateOf(ageMs), ageS, reason: this.reason });
  }

  stateOf(ageMs) {
    if (this.reason) {
      return "refused";
    }
    if (ageMs === null) {
      return "connecting";
    }
    return ageMs < STALE_MS ? "live" : "old";
  }
}
