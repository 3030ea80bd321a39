// Draws the switch: its processes, the trunk between them, and their ports with stations.

import { brightness, Lamp, short, Tile } from "./cells.js";
import { byId, make, makeSvg, setAttribute, setChildren, setText } from "./dom.js";
import * as format from "./format.js";
import { layOut } from "./layout.js";

const MAX_TRUNK_WIDTH = 8;
const LEGEND = [
  ["idle", "idle"], ["busy", "busy"], ["dropping", "drops frames"], ["blocked", "blocked"],
  ["missing", "no news"],
];

export class Drawing {
  /** `choose(id)` selects a port. */
  constructor(model, choose) {
    this.model = model;
    this.cells = new Map();
    this.svg = makeSvg("svg", { role: "img" });
    this.trunk = makeSvg("g");
    this.bands = makeSvg("g");
    this.ports = makeSvg("g");
    this.svg.append(this.trunk, this.bands, this.ports);
    this.box = byId("drawing");
    this.box.append(this.svg);
    this.caption = byId("drawing-caption");
    this.shown = "";
    this.pointed = null;
    this.svg.addEventListener("click", (event) => {
      const id = idAt(event);
      if (id !== null) {
        choose(id);
      }
    });
    this.svg.addEventListener("pointerover", (event) => this.point(idAt(event)));
    this.svg.addEventListener("pointerleave", () => this.point(null));
    new ResizeObserver(() => this.model.status && this.update()).observe(this.box);
    const items = LEGEND.map(([state, text]) => {
      return make("li", {}, make("span", { class: `lamp-key ${state}`, "aria-hidden": "true" }), text);
    });
    byId("legend").append(...items);
  }

  /** Show the newest state; only what is new moves. */
  update() {
    const width = Math.floor(this.box.clientWidth);
    const processes = processesOf(this.model);
    const shape = shapeOf(processes, width);
    if (shape !== this.shown && width > 0) {
      this.shown = shape;
      this.build(layOut(processes, width), width);
    }
    this.bandParts?.forEach((part) => part.update(this.model));
    for (const cell of this.cells.values()) {
      cell.update(this.model);
    }
    this.updateWords();
  }

  build(plan, width) {
    setAttribute(this.svg, "viewBox", `0 0 ${width} ${plan.height}`);
    setAttribute(this.svg, "width", width);
    setAttribute(this.svg, "height", plan.height);
    this.bandParts = plan.bands.map((band, index) => new Band(band, plan.bus[index]));
    setChildren(this.trunk, [busLine(plan), ...this.bandParts.map((part) => part.stub)]);
    setChildren(this.bands, this.bandParts.map((part) => part.element));
    const kept = new Map();
    for (const band of plan.bands) {
      for (const place of band.groups.flatMap((group) => group.cells)) {
        kept.set(place.port.id, this.place(place, band, plan.hasTiles));
      }
    }
    this.cells = kept;
    setChildren(this.ports, Array.from(kept.values(), (cell) => cell.element));
    setAttribute(byId("legend"), "class", plan.hasTiles ? "legend tiles" : "legend");
  }

  place(place, band, isTile) {
    const known = this.cells.get(place.port.id);
    const Kind = isTile ? Tile : Lamp;
    const cell = known instanceof Kind ? known : new Kind(place.port.id);
    cell.move(band.x + place.x, band.y + place.y, place.width, place.height);
    return cell;
  }

  point(id) {
    if (id !== this.pointed) {
      this.pointed = id;
      this.updateWords();
    }
  }

  updateWords() {
    const port = this.model.ports.get(this.pointed);
    setText(this.caption, port ? wordsOf(port) : summaryOf(this.model));
    setAttribute(this.svg, "aria-label", `Drawing of the switch: ${summaryOf(this.model)}. The table of ports tells the same.`);
  }
}

/** A process: its box, its title, and its stub to the trunk. */
class Band {
  constructor(band, stub) {
    this.name = band.name;
    this.title = makeSvg("text", { x: band.x + 10, y: band.y + 17, class: "band-title" });
    this.figures = makeSvg("text", { x: band.x + 10, y: band.y + 32, class: "band-figures" });
    const box = makeSvg("rect", {
      x: band.x + 0.5, y: band.y + 0.5, width: band.width - 1, height: band.height - 1, rx: 8,
      class: "band",
    });
    const clip = makeSvg("svg", { x: 0, y: 0, width: band.x + band.width - 6, height: band.y + band.height });
    clip.append(this.title, this.figures, ...band.groups.map((group) => groupTitle(group, band)));
    this.groups = Array.from(clip.querySelectorAll(".group-title"));
    this.element = makeSvg("g", {}, box, clip);
    this.stub = makeSvg("line", {
      x1: stub.x, y1: stub.y, x2: stub.endX, y2: stub.endY, class: "trunk",
    });
  }

  update(model) {
    const process = model.status.processes.find((each) => each.name === this.name);
    const trunks = portsOf(model, this.name).filter((port) => port.view.kind === "trunk");
    const rate = trunks.reduce((sum, port) => sum + port.meter.inward + port.meter.outward, 0);
    setText(this.title, this.name);
    setText(this.figures, process ? figuresOf(process, rate) : "no news from this process");
    setAttribute(this.element, "class", process ? null : "missing");
    const width = 2 + (MAX_TRUNK_WIDTH - 2) * brightness(rate);
    setAttribute(this.stub, "stroke-width", width.toFixed(1));
    const isDropping = trunks.some((port) => port.recentDrops > 0);
    setAttribute(this.stub, "class", isDropping ? "trunk dropping" : "trunk");
    for (const group of this.groups) {
      setAttribute(group, "class", `group-title ${model.colourOf(group.networkName)}`);
    }
  }
}

function groupTitle(group, band) {
  const title = makeSvg("text", {
    x: band.x + group.x, y: band.y + group.y + 10, class: "group-title",
  });
  title.networkName = group.network;
  const text = `${format.networkName(group.network)} ${group.cells.length}`;
  setText(title, short(text, Math.max(8, Math.floor(group.width / 6.4))));
  return title;
}

function idAt(event) {
  return event.target.closest("[data-port]")?.getAttribute("data-port") ?? null;
}

function busLine(plan) {
  const [first, last] = [plan.bus[0], plan.bus.at(-1)];
  const ends = first ? { x1: first.x, y1: first.y, x2: last.x, y2: last.y } : {};
  return makeSvg("line", { ...ends, class: "trunk bus" });
}

function portsOf(model, process) {
  return Array.from(model.ports.values()).filter((port) => port.view.process === process);
}

function processesOf(model) {
  // A process without a port, such as the one of the hooks, has no switch to draw.
  const workers = model.status.processes.map((process) => process.name).filter(isWorker);
  const names = new Set(workers);
  for (const port of model.ports.values()) {
    names.add(port.view.process);
  }
  const sorted = Array.from(names).sort((a, b) => {
    return isWorker(b) - isWorker(a) || a.localeCompare(b, "en", { numeric: true });
  });
  return sorted.map((name) => processOf(model, name));
}

function isWorker(name) {
  return name.startsWith("worker");
}

function processOf(model, name) {
  const ports = portsOf(model, name);
  const others = ports.filter((port) => port.view.kind !== "trunk");
  const byNetwork = Map.groupBy(others, (port) => port.view.network);
  const networks = Array.from(byNetwork.keys()).sort();
  return {
    name,
    trunks: ports.filter((port) => port.view.kind === "trunk"),
    groups: networks.map((network) => ({ network, ports: byNetwork.get(network) })),
  };
}

function shapeOf(processes, width) {
  const parts = processes.map((process) => {
    const groups = process.groups.map((group) => {
      return [group.network, ...group.ports.map((port) => port.id)].join("\t");
    });
    return [process.name, ...groups].join("\n");
  });
  return [width, ...parts].join("\n\n");
}

function figuresOf(process, trunkRate) {
  const parts = [format.counted(process.ports, "port")];
  parts.push(`trunk ${format.rate(trunkRate)}`);
  if (process.egress_bytes > 0) {
    parts.push(`${format.bytes(process.egress_bytes)} queued`);
  }
  return parts.join(" · ");
}

function wordsOf(port) {
  const { view, meter } = port;
  const parts = [
    `${view.id} ${port.name}`, format.networkName(view.network),
    `in ${format.rate(meter.inward)}`, `out ${format.rate(meter.outward)}`,
  ];
  if (port.recentDrops > 0) {
    parts.push(`drops ${format.count(port.recentDrops)}`);
  }
  return parts.join(" · ");
}

function summaryOf(model) {
  const { status } = model;
  const parts = [
    format.counted(status.processes.length, "process", "processes"),
    format.counted(model.networks.size, "network"),
    format.counted(status.ports, "port"),
  ];
  return parts.join(", ");
}
