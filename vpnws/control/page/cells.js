// The ports on the drawing: tiles with names while they are few, lamps when they are many.

import { makeSvg, setAttribute, setText } from "./dom.js";
import * as format from "./format.js";

/** Rates from 1 kbit/s to 1 Gbit/s go from dim to bright, by their logarithm. */
const DIM_BYTES_PER_S = 125;
const BRIGHT_BYTES_PER_S = 125_000_000;
const MIN_BRIGHTNESS = 0.22;

/** What ports have in common on the drawing. */
class Cell {
  constructor(id) {
    this.id = id;
    this.element = makeSvg("svg", { "data-port": id });
  }

  move(x, y, width, height) {
    const { element } = this;
    for (const [name, value] of Object.entries({ x, y, width, height })) {
      setAttribute(element, name, value);
    }
    this.width = width;
    this.height = height;
    this.arrange();
  }

  update(model) {
    const port = model.ports.get(this.id);
    if (!port) {
      return;
    }
    const states = [
      this.kind, port.view.kind, model.colourOf(port.view.network),
      port.recentDrops > 0 && "dropping", port.view.is_blocked && "blocked",
      port.isMissing && "missing", model.selected === this.id && "selected",
      model.network !== null && model.network !== port.view.network && "apart",
    ];
    setAttribute(this.element, "class", states.filter(Boolean).join(" "));
    this.show(port, brightness(port.meter.inward + port.meter.outward));
  }
}

/** A port with its station's name and rates. */
export class Tile extends Cell {
  constructor(id) {
    super(id);
    this.kind = "tile";
    this.box = makeSvg("rect", { x: 0.5, y: 0.5, rx: 5, class: "tile-box" });
    this.stripe = makeSvg("rect", { x: 1, y: 1, width: 4, rx: 2, class: "colour" });
    this.name = makeSvg("text", { x: 12, y: 16, class: "tile-name" });
    this.figures = makeSvg("text", { x: 12, y: 31, class: "tile-figures" });
    this.port = makeSvg("text", { y: 16, class: "tile-port", "text-anchor": "end" });
    this.bar = makeSvg("rect", { x: 5, height: 2, class: "colour" });
    this.element.append(this.box, this.stripe, this.name, this.figures, this.port, this.bar);
  }

  arrange() {
    setAttribute(this.box, "width", this.width - 1);
    setAttribute(this.box, "height", this.height - 1);
    setAttribute(this.stripe, "height", this.height - 2);
    setAttribute(this.port, "x", this.width - 8);
    setAttribute(this.bar, "y", this.height - 3);
  }

  show(port, bright) {
    const room = Math.floor((this.width - 28 - port.id.length * 6.5) / 7.6);
    setText(this.name, short(port.name, room));
    setText(this.port, port.id);
    setText(this.figures, tileWords(port));
    setAttribute(this.bar, "width", Math.round((this.width - 10) * bright));
  }
}

/** A port as a lamp, brighter the more passes. */
export class Lamp extends Cell {
  constructor(id) {
    super(id);
    this.kind = "lamp";
    this.box = makeSvg("rect", { x: 1, y: 1, rx: 3, class: "colour" });
    this.cross = makeSvg("path", { class: "cross" });
    this.element.append(this.box, this.cross);
  }

  arrange() {
    const side = this.width - 2;
    setAttribute(this.box, "width", side);
    setAttribute(this.box, "height", side);
    setAttribute(this.cross, "d", `M3.5 3.5L${side - 1.5} ${side - 1.5}M${side - 1.5} 3.5L3.5 ${side - 1.5}`);
  }

  show(_, bright) {
    const opacity = MIN_BRIGHTNESS + (1 - MIN_BRIGHTNESS) * bright;
    setAttribute(this.box, "fill-opacity", opacity.toFixed(2));
  }
}

/** Return from 0 to 1 how busy a port with this rate is. */
export function brightness(bytesPerS) {
  if (bytesPerS <= DIM_BYTES_PER_S) {
    return 0;
  }
  const span = Math.log(BRIGHT_BYTES_PER_S / DIM_BYTES_PER_S);
  return Math.min(1, Math.log(bytesPerS / DIM_BYTES_PER_S) / span);
}

/** Return a text, cut to a length where it is longer. */
export function short(text, length) {
  return text.length > length ? `${text.slice(0, Math.max(1, length - 1))}…` : text;
}

function tileWords(port) {
  if (port.isMissing) {
    return "no news";
  }
  if (port.view.is_blocked) {
    return "blocked";
  }
  const rates = `in ${format.shortRate(port.meter.inward)}  out ${format.shortRate(port.meter.outward)}`;
  return port.recentDrops > 0 ? `${rates}  drops` : rates;
}
