// The events as they happen, newest first.

import { byId, make, setAttribute } from "./dom.js";
import * as format from "./format.js";

/** The list holds so many; older ones are in the log and in the API. */
const MAX_SHOWN = 200;
/** Events wait this long for others, so that a burst is one change of the page. */
const BATCH_MS = 250;

export class EventList {
  /** `choose(id)` selects a port. */
  constructor(model, choose) {
    this.model = model;
    this.choose = choose;
    this.list = byId("events-list");
    this.level = byId("events-level");
    this.seen = new Map();
    this.waiting = [];
    this.timer = null;
    this.level.addEventListener("change", () => {
      setAttribute(this.list, "data-level", this.level.value);
    });
  }

  /** Take an event; one that has been shown is ignored. */
  take(view) {
    const key = `${view.process} ${view.time_s} ${view.seq}`;
    if (this.seen.has(key)) {
      return;
    }
    this.seen.set(key, true);
    this.waiting.push(view);
    // A burst shows its newest, and does not wait in full.
    if (this.waiting.length > MAX_SHOWN) {
      this.waiting.shift();
    }
    this.timer ??= setTimeout(() => this.flush(), BATCH_MS);
    this.forgetOldKeys();
  }

  forgetOldKeys() {
    for (const key of this.seen.keys()) {
      if (this.seen.size <= 4 * MAX_SHOWN) {
        break;
      }
      this.seen.delete(key);
    }
  }

  flush() {
    this.timer = null;
    this.waiting.forEach((view) => this.insert(view));
    this.waiting = [];
    while (this.list.childElementCount > MAX_SHOWN) {
      this.list.lastElementChild.remove();
    }
  }

  /** Newest first, also when an older one comes later, as after an outage. */
  insert(view) {
    const item = this.makeEvent(view);
    item.timeS = view.time_s;
    let before = this.list.firstElementChild;
    while (before && before.timeS > view.time_s) {
      before = before.nextElementSibling;
    }
    this.list.insertBefore(item, before);
  }

  makeEvent(view) {
    const time = make("time", { datetime: new Date(view.time_s * 1000).toISOString() }, format.clock(view.time_s));
    const name = make("span", { class: "event-name" }, view.name);
    const text = make("span", { class: "event-text" }, view.text);
    const item = make("li", { class: `level-${levelOf(view)}` }, time, name, text);
    const { port } = view.fields;
    if (typeof port === "string" && this.model.ports.has(port)) {
      const button = make("button", { type: "button", class: "link" }, `Show ${port}`);
      button.addEventListener("click", () => this.choose(port));
      item.append(button);
    }
    return item;
  }
}

function levelOf(view) {
  return ["warning", "error"].includes(view.level) ? view.level : "info";
}
