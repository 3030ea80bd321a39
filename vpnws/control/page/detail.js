// The selected port: who is there, its rates, its drops, and what can be done.

import { byId, make, Parts, setAttribute, setText } from "./dom.js";
import * as format from "./format.js";
import { Plot } from "./plot.js";

export class Detail {
  /** `actions` has kick, block, unblock, ban and capture, each called with a port; `close()` ends. */
  constructor(model, actions, close) {
    this.model = model;
    this.section = byId("detail");
    this.title = make("h2", { id: "detail-title", tabindex: "-1" });
    this.hint = make("p", { class: "hint" });
    this.plot = new Plot("Port");
    this.facts = new Parts(make("dl", { class: "facts" }), ([name]) => {
      const value = make("dd");
      return { element: make("div", {}, make("dt", {}, name), value), value };
    });
    this.drops = new Parts(make("ul", { class: "counts" }), ([reason]) => {
      const figures = make("span");
      return { element: make("li", {}, make("code", {}, reason), figures), figures };
    });
    this.dropsTitle = make("h3", {}, "Drops");
    this.makeButtons(actions);
    const closing = make("button", { type: "button", class: "quiet", "aria-label": "Close the port" }, "Close");
    closing.addEventListener("click", close);
    const head = make("div", { class: "panel-head" }, this.title, this.hint, make("div", { class: "tools" }, closing));
    this.section.append(
      head, this.buttonRow, this.plot.element, this.facts.parent, this.dropsTitle, this.drops.parent,
    );
    this.section.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        close();
      }
    });
  }

  makeButtons(actions) {
    const button = (text, action) => {
      const made = make("button", { type: "button" }, text);
      made.addEventListener("click", () => action(this.model.selectedPort()));
      return made;
    };
    this.kick = button("Kick…", actions.kick);
    this.block = button("Block…", actions.block);
    this.unblock = button("Unblock…", actions.unblock);
    this.ban = button("Ban…", actions.ban);
    this.capture = button("Capture…", (port) => actions.capture({ port: port.id }));
    this.buttonRow = make(
      "div", { class: "actions", role: "group", "aria-label": "Actions on this port" },
      this.kick, this.block, this.unblock, this.ban, this.capture,
    );
  }

  /** Move the focus here, after a person has chosen a port. */
  focus() {
    this.title.focus({ preventScroll: true });
    this.section.scrollIntoView({ block: "nearest" });
  }

  /** Show the newest state of the selected port. */
  update() {
    const port = this.model.selectedPort();
    this.section.hidden = this.model.selected === null;
    if (this.section.hidden) {
      return;
    }
    for (const button of this.buttonRow.children) {
      button.disabled = port === null;
    }
    if (port === null) {
      setText(this.hint, "This port is gone.");
      return;
    }
    this.updatePort(port);
  }

  updatePort(port) {
    const { view } = port;
    setText(this.title, port.name);
    setText(this.hint, [`port ${view.id}`, view.process, placeOf(view)].filter(Boolean).join(" · "));
    this.plot.label = `Port ${view.id}, ${port.name}`;
    this.plot.update(port.meter, this.model.nowS);
    this.facts.show(factsOf(port, this.model.nowS), ([name]) => name, (part, [, text]) => {
      setText(part.value, text);
    });
    const drops = dropsOf(view);
    this.dropsTitle.hidden = drops.length === 0;
    this.drops.show(drops, ([reason]) => reason, (part, [, recent, all]) => {
      setText(part.figures, ` ${format.count(recent)} just now, ${format.count(all)} in all`);
      setAttribute(part.element, "class", recent > 0 ? "dropping" : null);
    });
    const isStation = view.kind === "station";
    this.kick.hidden = !isStation;
    this.ban.hidden = !isStation;
    this.block.hidden = !isStation || view.is_blocked;
    this.unblock.hidden = !view.is_blocked;
  }
}

function placeOf(view) {
  return view.kind === "trunk" ? "" : `network ${format.networkName(view.network)}`;
}

function dropsOf(view) {
  const all = Object.entries(view.drops);
  const rows = all.map(([reason, frames]) => [reason, view.recent_drops[reason] ?? 0, frames]);
  return rows.filter(([, , frames]) => frames > 0).sort((a, b) => b[1] - a[1] || b[2] - a[2]);
}

/** The facts that there are about a port: [name, text] in the order of reading. */
function factsOf(port, nowS) {
  const { view } = port;
  const facts = [
    ["State", stateOf(port)],
    ["User", view.who.user],
    ["Certificate", view.who.dn],
    ["Comes from", view.who.addr],
    ["IP", port.addresses.map((each) => `${each.ip} (${each.source.toUpperCase()}, ${format.shortSpan(nowS - each.heard_s)} ago)`).join(", ")],
    ["MAC", macsOf(view)],
    ["Role", view.role],
    ["May send to", view.allow === null ? "" : view.allow.join(", ") || "nobody"],
    ["Offload", offloadOf(view)],
    ["Here for", view.since_s ? `${format.span(nowS - view.since_s)}, since ${format.moment(view.since_s)}` : ""],
    ["Last heard", view.heard_s ? `${format.shortSpan(nowS - view.heard_s)} ago` : ""],
    ["Came in", trafficOf(view.traffic.rx_bytes, view.traffic.rx_frames)],
    ["Went out", trafficOf(view.traffic.tx_bytes, view.traffic.tx_frames)],
    ["Queue", queueOf(view)],
    ["Marked", view.marks ? `${format.counted(view.marks, "packet")} (ECN)` : ""],
    ["Limits", limitsOf(view.limits)],
  ];
  return facts.filter(([, text]) => text);
}

function stateOf(port) {
  if (port.isMissing) {
    return `no news: ${port.view.process} did not answer`;
  }
  if (!port.view.is_blocked) {
    return "";
  }
  return port.view.block_reason ? `blocked: ${port.view.block_reason}` : "blocked";
}

function macsOf(view) {
  const known = view.macs.length ? view.macs : [view.announced_mac].filter(Boolean);
  return format.listed(known, 8) + (view.mac_count > known.length ? ` (${view.mac_count} in all)` : "");
}

function offloadOf(view) {
  if (view.kind !== "station") {
    return "";
  }
  return view.subprotocol ? `on (${view.subprotocol})` : "off";
}

function trafficOf(bytes, frames) {
  return `${format.bytes(bytes)} in ${format.counted(frames, "frame")}`;
}

function queueOf(view) {
  const limit = view.limits.egress_bytes;
  const queued = format.bytes(view.queued_bytes);
  return limit === null ? queued : `${queued} of ${format.bytes(limit)}`;
}

function limitsOf(limits) {
  const parts = [];
  if (limits.storm_packets_per_s !== null) {
    parts.push(`floods ${format.counted(limits.storm_packets_per_s, "packet")}/s`);
  }
  if (limits.stations !== null) {
    parts.push(format.counted(limits.stations, "MAC"));
  }
  return parts.join(", ");
}
