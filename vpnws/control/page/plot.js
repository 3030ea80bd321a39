// A moving plot of the rates of the last two minutes, on a canvas.

import { make, setAttribute, setText } from "./dom.js";
import * as format from "./format.js";
import { HISTORY_S } from "./rates.js";

/** Samples further apart than this are not joined: nobody knows what was between. */
const MAX_GAP_S = 4;
const MIN_TOP_BYTES_PER_S = 125;
const GRID_LINES = 2;
const TICK_S = 30;

let colours = null;

/** Read the colours of plots anew, for example after a change between light and dark. */
export function readColours() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  colours = {
    inward: read("--in"), area: read("--in-area"), outward: read("--out"),
    grid: read("--grid"), text: read("--muted"), font: `11px ${read("--sans")}`,
  };
}

export class Plot {
  constructor(label) {
    this.label = label;
    this.canvas = make("canvas", { role: "img", class: "plot" });
    this.inward = make("span", { class: "figure" });
    this.outward = make("span", { class: "figure" });
    this.at = make("span", { class: "at" });
    this.element = make("figure", { class: "plot-box" }, this.canvas, this.makeCaption());
    this.pointerX = null;
    this.canvas.addEventListener("pointermove", (event) => this.point(event.offsetX));
    this.canvas.addEventListener("pointerleave", () => this.point(null));
  }

  makeCaption() {
    return make(
      "figcaption", {},
      make("span", { class: "key key-in" }, "In "), this.inward,
      make("span", { class: "key key-out" }, "Out "), this.outward, this.at,
    );
  }

  point(x) {
    this.pointerX = x;
    if (this.meter) {
      this.draw();
    }
  }

  /** Show a meter's rates up to a time. */
  update(meter, nowS) {
    this.meter = meter;
    this.nowS = nowS;
    this.draw();
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (width === 0) {
      return;
    }
    const peak = this.meter.history.peak(this.nowS - HISTORY_S);
    this.top = topOf(peak);
    this.area = { width, height: height - 1 };
    const context = this.clear(width, height);
    this.drawGrid(context);
    this.drawLine(context, colours.inward, (_, inward) => inward, colours.area);
    this.drawLine(context, colours.outward, (_, __, outward) => outward);
    this.showFigures(context, peak);
  }

  clear(width, height) {
    const ratio = devicePixelRatio;
    if (this.canvas.width !== Math.round(width * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    return context;
  }

  xOf(timeS) {
    return this.area.width * (1 - (this.nowS - timeS) / HISTORY_S);
  }

  yOf(bytesPerS) {
    return this.area.height * (1 - bytesPerS / this.top);
  }

  drawGrid(context) {
    const { width, height } = this.area;
    context.strokeStyle = colours.grid;
    context.lineWidth = 1;
    context.beginPath();
    for (let line = 0; line <= GRID_LINES; line += 1) {
      const y = Math.round((height * line) / GRID_LINES) + 0.5;
      context.moveTo(0, y);
      context.lineTo(width, y);
    }
    for (let s = TICK_S; s < HISTORY_S; s += TICK_S) {
      const x = Math.round(width * (1 - s / HISTORY_S)) + 0.5;
      context.moveTo(x, 0);
      context.lineTo(x, height);
    }
    context.stroke();
    context.font = colours.font;
    context.fillStyle = colours.text;
    context.textBaseline = "top";
    context.fillText(format.rate(this.top), 4, 4);
  }

  drawLine(context, colour, valueOf, area = null) {
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.lineJoin = "round";
    for (const run of this.runs(valueOf)) {
      const path = new Path2D();
      run.forEach(([x, y]) => path.lineTo(x, y));
      context.stroke(path);
      if (area) {
        path.lineTo(run.at(-1)[0], this.area.height);
        path.lineTo(run[0][0], this.area.height);
        context.fillStyle = area;
        context.fill(path);
      }
    }
  }

  /** The points of a line, in runs without a gap. */
  runs(valueOf) {
    const runs = [];
    let beforeS = -Infinity;
    this.meter.history.since(this.nowS - HISTORY_S - MAX_GAP_S, (timeS, inward, outward) => {
      if (timeS - beforeS > MAX_GAP_S) {
        runs.push([]);
      }
      runs.at(-1).push([this.xOf(timeS), this.yOf(valueOf(timeS, inward, outward))]);
      beforeS = timeS;
    });
    return runs;
  }

  showFigures(context, peak) {
    const sample = this.pointerX === null ? null : this.sampleAt(this.pointerX);
    const { inward, outward } = sample ?? this.meter;
    setText(this.inward, format.rate(inward));
    setText(this.outward, format.rate(outward));
    const ago = sample ? `${Math.round(this.nowS - sample.timeS)} s ago` : "";
    setText(this.at, ago || (peak > 0 ? `peak ${format.rate(peak)}` : ""));
    setAttribute(this.canvas, "aria-label", `${this.label}: rates of the last two minutes`);
    if (sample) {
      const x = Math.round(this.xOf(sample.timeS)) + 0.5;
      context.strokeStyle = colours.text;
      context.beginPath();
      context.moveTo(x, 0);
      context.lineTo(x, this.area.height);
      context.stroke();
    }
  }

  sampleAt(x) {
    let nearest = null;
    this.meter.history.since(this.nowS - HISTORY_S, (timeS, inward, outward) => {
      const distance = Math.abs(this.xOf(timeS) - x);
      if (nearest === null || distance < nearest.distance) {
        nearest = { distance, timeS, inward, outward };
      }
    });
    return nearest;
  }
}

/** The plot's upper edge: 1, 2 or 5 times a power of ten, in bits per second. */
function topOf(peakBytesPerS) {
  const bits = Math.max(peakBytesPerS, MIN_TOP_BYTES_PER_S) * 8;
  const power = 10 ** Math.floor(Math.log10(bits));
  const factor = [1, 2, 5, 10].find((each) => each * power >= bits);
  return (factor * power) / 8;
}
