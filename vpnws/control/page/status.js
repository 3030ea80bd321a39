// The status line, the banners about what is old or missing, and the table of processes.

import { byId, make, Parts, setAttribute, setText } from "./dom.js";
import * as format from "./format.js";

/** From this delay on a process's loop is called late. */
const LATE_S = 0.1;
const PROCESS_COLUMNS = ["Process", "Up", "Ports", "Late", "Queued", "Joins", "Refused"];
const WORDS = { live: "Live", connecting: "Connecting", old: "Not live", refused: "Not live" };

export class StatusLine {
  constructor(model) {
    this.model = model;
    this.health = byId("health");
    this.figures = new Parts(byId("figures"), ([title]) => {
      const value = make("dd");
      return { element: make("div", {}, make("dt", {}, title), value), value };
    });
    this.banners = new Parts(byId("banners"), (item) => {
      const text = make("span");
      const since = make("span", { "aria-hidden": "true" });
      const element = make("p", { class: `banner ${item.level}`, role: "status" }, text, since);
      return { element, text, since };
    });
    this.stream = { state: "connecting", ageS: null, reason: "" };
    byId("processes-table").append(this.makeHead());
    this.processes = new Parts(byId("processes-table").appendChild(make("tbody")), makeProcess);
  }

  makeHead() {
    const heads = PROCESS_COLUMNS.map((title, index) => {
      return make("th", { scope: "col", class: index ? "number" : null }, title);
    });
    return make("thead", {}, make("tr", {}, ...heads));
  }

  /** Show how the stream is. */
  showHealth(stream) {
    this.stream = stream;
    setAttribute(this.health, "data-state", stream.state);
    setText(this.health, WORDS[stream.state]);
    setAttribute(document.body, "class", stream.state === "live" ? null : "old");
    this.showBanners();
  }

  /** Show the newest state. */
  update() {
    const { status } = this.model;
    this.figures.show(figuresOf(this.model), ([title]) => title, (part, [, text, level]) => {
      setText(part.value, text);
      setAttribute(part.element, "class", level ?? null);
    });
    this.processes.show(status.processes, (process) => process.name, (part, process) => {
      updateProcess(part, process, status.now_s);
    });
    document.title = titleOf(this.model);
    this.showBanners();
  }

  showBanners() {
    const items = [...streamBanners(this.stream), ...(this.model.status ? stateBanners(this.model) : [])];
    this.banners.show(items, (item) => item.key, (part, item) => {
      setText(part.text, item.text);
      setText(part.since, item.since ?? "");
    });
  }
}

function streamBanners({ state, ageS, reason }) {
  if (state !== "old" && state !== "refused") {
    return [];
  }
  const text = reason
    ? `The server sends no news: ${reason} The page goes on trying.`
    : "The server sends no news: what you see is old. The page goes on trying.";
  const since = ageS === null ? "" : ` Last news ${format.span(ageS)} ago.`;
  return [{ key: `stream ${state}`, level: "error", text, since }];
}

function stateBanners(model) {
  const { status } = model;
  const banners = [];
  if (status.missing.length > 0) {
    const names = format.listed(status.missing, 5);
    banners.push({
      key: `missing ${names}`,
      level: "error",
      text: `${names} did not answer: what is shown of it is old or missing. If this lasts, the log of uWSGI says why.`,
    });
  }
  if (model.isTruncated) {
    banners.push({
      key: "truncated",
      level: "warning",
      text: `The page shows ${format.count(model.ports.size)} of ${format.count(status.ports)} ports. vpnws-ctl ports lists all of them.`,
    });
  }
  return banners;
}

function figuresOf(model) {
  const { status } = model;
  const networks = Array.from(model.networks.values());
  const total = (read) => networks.reduce((sum, network) => sum + read(network), 0);
  const trunks = Array.from(model.ports.values()).filter((port) => port.view.kind === "trunk");
  const onTrunks = trunks.reduce((sum, port) => sum + port.recentDrops, 0);
  const drops = total((network) => network.recentDrops) + onTrunks;
  return [
    ["Ports", format.count(status.ports)],
    ["Networks", format.count(status.networks)],
    ["MACs", format.count(status.macs)],
    ["In", format.rate(total((network) => network.meter.inward))],
    ["Out", format.rate(total((network) => network.meter.outward))],
    ["Drops", format.count(drops), drops > 0 ? "warning" : null],
    ["Mode", status.mode],
    ["Up", format.span(status.now_s - status.since_s)],
    ["Version", status.version],
  ];
}

function titleOf(model) {
  const { status } = model;
  const warning = status.missing.length > 0 ? "(!) " : "";
  return `${warning}vpnws: ${format.counted(status.ports, "port")}`;
}

function makeProcess() {
  const cells = PROCESS_COLUMNS.slice(1).map(() => make("td", { class: "number" }));
  const head = make("th", { scope: "row" });
  return { element: make("tr", {}, head, ...cells), head, cells };
}

function updateProcess(part, process, nowS) {
  const refusals = Object.values(process.refusals).reduce((sum, each) => sum + each, 0);
  const texts = [
    format.shortSpan(nowS - process.since_s),
    format.count(process.ports),
    format.milliseconds(process.loop_lag_s),
    format.bytes(process.egress_bytes + process.trunk_bytes),
    format.count(process.joins),
    format.count(refusals),
  ];
  setText(part.head, process.name);
  setAttribute(part.head, "title", `pid ${process.pid}`);
  texts.forEach((text, index) => setText(part.cells[index], text));
  setAttribute(part.cells[2], "class", process.loop_lag_s > LATE_S ? "number late" : "number");
  const causes = Object.entries(process.refusals).map(([cause, times]) => `${cause}: ${times}`);
  setAttribute(part.cells[5], "title", causes.join(", ") || null);
}
