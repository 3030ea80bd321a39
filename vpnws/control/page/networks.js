// The networks, each with its figures and a plot of its rates.

import { byId, make, Parts, setAttribute, setText } from "./dom.js";
import * as format from "./format.js";
import { Plot } from "./plot.js";

/** More networks than this have no plot: the busiest are shown. */
const MAX_PLOTS = 12;
/** From this share of its limit on, the number of a network's MACs is shown with the limit. */
const NEAR_LIMIT = 0.8;

export class NetworkList {
  /** `setNetwork(name or null)` filters; `capture(what)` asks for a capture. */
  constructor(model, setNetwork, capture) {
    this.model = model;
    this.parts = new Parts(byId("networks"), (network) => {
      return makeNetwork(network, () => this.toggle(network.name, setNetwork), capture);
    });
    this.order = [];
  }

  toggle(name, setNetwork) {
    setNetwork(this.model.network === name ? null : name);
  }

  /** Show the newest state. */
  update() {
    const networks = Array.from(this.model.networks.values());
    const shown = networks.length > MAX_PLOTS ? busiest(networks) : networks;
    shown.sort((a, b) => a.name.localeCompare(b.name));
    this.parts.show(shown, (network) => network.name, (part, network) => {
      updateNetwork(part, network, this.model);
    });
    const hidden = networks.length - shown.length;
    const more = `The ${MAX_PLOTS} busiest of ${format.count(networks.length)}, the last two minutes`;
    setText(byId("networks-hint"), hidden > 0 ? more : "The last two minutes");
  }
}

function busiest(networks) {
  const busy = (network) => network.meter.history.peak(0);
  const keyed = networks.map((network) => [busy(network), network]);
  keyed.sort((a, b) => b[0] - a[0]);
  return keyed.slice(0, MAX_PLOTS).map(([, network]) => network);
}

function makeNetwork(network, toggle, capture) {
  const name = format.networkName(network.name);
  const chip = make("span", { class: `chip net-${network.colour}`, "aria-hidden": "true" });
  const button = make("button", { type: "button", class: "name" }, chip, name);
  button.addEventListener("click", toggle);
  const record = make("button", { type: "button", class: "quiet", "aria-label": `Capture network ${name}` }, "Capture…");
  record.addEventListener("click", () => capture({ network: network.name }));
  const figures = make("p", { class: "hint" });
  const plot = new Plot(`Network ${name}`);
  const head = make("div", { class: "network-head" }, button, figures, record);
  return { element: make("li", {}, head, plot.element), button, figures, plot };
}

function updateNetwork(part, network, model) {
  const { view } = network;
  const figures = [format.counted(view.stations, "station"), macsOf(view)];
  if (view.taps.length > 0) {
    figures.push(`TAP ${format.listed(view.taps, 2)}`);
  }
  setText(part.figures, figures.join(" · "));
  const isFull = view.macs_limit > 0 && view.macs >= view.macs_limit;
  setAttribute(part.figures, "class", isFull ? "hint late" : "hint");
  setAttribute(part.button, "aria-pressed", model.network === network.name ? "true" : "false");
  setAttribute(part.button, "title", "Show the ports of this network only");
  part.plot.update(network.meter, model.nowS);
}

/** The limit is told when it comes near. */
function macsOf(view) {
  const isNear = view.macs_limit > 0 && view.macs >= NEAR_LIMIT * view.macs_limit;
  return isNear
    ? `${format.count(view.macs)} of ${format.count(view.macs_limit)} MACs`
    : format.counted(view.macs, "MAC");
}
