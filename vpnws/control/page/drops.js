// What is dropped, in words, with what to do about it.

import { byId, make, Parts, setText } from "./dom.js";
import * as format from "./format.js";

/** The words of drops are asked for again after this long, and only while something is dropped. */
const ASK_EVERY_MS = 5_000;
/** How many ports a reason names. */
const MAX_PORTS_NAMED = 4;
/** How many drops are asked for: the API's own limit. */
const MAX_DROPS = 1_000;

export class DropList {
  /** `choose(id)` selects a port. */
  constructor(model, api, choose) {
    this.model = model;
    this.api = api;
    this.askedMs = -Infinity;
    this.total = -1;
    this.parts = new Parts(byId("drops-list"), (group) => makeReason(group, choose));
  }

  /** Ask for the words if there are drops that are not told yet. */
  update() {
    let [total, recent] = [0, 0];
    for (const port of this.model.ports.values()) {
      total += port.drops;
      recent += port.recentDrops;
    }
    const isNew = total !== this.total || (recent === 0) !== this.isCalm;
    if (isNew && performance.now() - this.askedMs > ASK_EVERY_MS) {
      [this.total, this.isCalm] = [total, recent === 0];
      this.ask();
    }
  }

  async ask() {
    this.askedMs = performance.now();
    try {
      const { items } = await this.api.get("drops", { limit: MAX_DROPS });
      this.show(grouped(items));
    } catch (error) {
      this.total = -1;
      setText(byId("drops-hint"), error.message);
    }
  }

  show(groups) {
    this.parts.show(groups, (group) => group.reason, updateReason);
    const recent = groups.filter((group) => group.recent > 0).length;
    const calm = groups.length ? "None just now" : "No frame has been dropped";
    setText(byId("drops-hint"), recent ? `${format.counted(recent, "reason")} just now` : calm);
  }
}

function grouped(views) {
  const byReason = Map.groupBy(views, (view) => view.reason);
  const groups = Array.from(byReason, ([reason, items]) => groupOf(reason, items));
  return groups.sort((a, b) => b.recent - a.recent || b.frames - a.frames);
}

function groupOf(reason, items) {
  const worst = items.sort((a, b) => b.recent_frames - a.recent_frames || b.frames - a.frames);
  const total = (key) => items.reduce((sum, view) => sum + view[key], 0);
  const { why, remedy } = worst[0];
  return { reason, items: worst, recent: total("recent_frames"), frames: total("frames"), why, remedy };
}

function makeReason(group, choose) {
  const why = make("p", { class: "why" });
  const remedy = make("p", { class: "remedy" });
  const figures = make("span", { class: "figures" });
  const ports = make("p", { class: "where" });
  const head = make("h3", {}, make("code", {}, group.reason), figures);
  const element = make("li", {}, head, why, remedy, ports);
  const links = new Parts(ports, (view) => makeLink(view, choose));
  return { element, why, remedy, figures, links };
}

function makeLink(view, choose) {
  const element = make("button", { type: "button", class: "link" });
  element.addEventListener("click", () => choose(view.port));
  return { element };
}

function updateReason(part, group) {
  const recent = group.recent > 0 ? `${format.count(group.recent)} just now, ` : "";
  setText(part.figures, `${recent}${format.count(group.frames)} in all`);
  part.element.className = group.recent > 0 ? "dropping" : "";
  setText(part.why, group.why);
  setText(part.remedy, group.remedy);
  part.links.show(group.items.slice(0, MAX_PORTS_NAMED), (view) => view.port, (link, view) => {
    const name = view.who.user || view.who.addr;
    setText(link.element, name ? `${view.port} ${name}` : view.port);
  });
}
