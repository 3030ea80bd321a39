// What the page knows: the newest state, with rates and history, and what the person looks at.

import { portName } from "./format.js";
import { Meter } from "./rates.js";

/** How many colours there are for networks; the next network gets the first one again. */
export const NETWORK_COLOURS = 8;
/** How many ports and networks are kept at most: the stream's own bound, and some that are missing. */
const MAX_PORTS = 1_000;
const MAX_NETWORKS = 1_000;

/** A port, as the page keeps it from state to state. */
class Port {
  constructor(view) {
    this.id = view.id;
    this.meter = new Meter();
    this.addresses = [];
    this.take(view, null);
  }

  take(view, nowS) {
    this.view = view;
    this.isMissing = false;
    this.name = portName(view);
    this.recentDrops = sum(view.recent_drops);
    this.drops = sum(view.drops);
    this.haystack = null;
    if (nowS !== null) {
      this.meter.take(view.traffic, nowS);
    }
  }

  /** What a search looks through, in small letters. */
  text() {
    this.haystack ??= haystackOf(this);
    return this.haystack;
  }
}

class Network {
  constructor(name, colour) {
    this.name = name;
    this.colour = colour;
    this.meter = new Meter();
  }

  take(view, nowS) {
    this.view = view;
    this.recentDrops = sum(view.recent_drops);
    this.meter.take(view.traffic, nowS);
  }
}

export class Model {
  constructor() {
    this.status = null;
    this.ports = new Map();
    this.networks = new Map();
    this.isTruncated = false;
    this.selected = null;
    this.network = null;
    this.coloursGiven = 0;
  }

  /** The server's time of the newest state. */
  get nowS() {
    return this.status.now_s;
  }

  /** Take a `state` of the stream. */
  take(state) {
    this.status = state.status;
    this.isTruncated = state.truncated;
    this.takeNetworks(state.networks);
    this.takePorts(state.ports);
    if (this.network !== null && !this.networks.has(this.network)) {
      this.network = null;
    }
  }

  takeNetworks(views) {
    const kept = new Map();
    for (const view of views.slice(0, MAX_NETWORKS)) {
      const network = this.networks.get(view.name) ?? new Network(view.name, this.nextColour());
      network.take(view, this.nowS);
      kept.set(view.name, network);
    }
    this.networks = kept;
  }

  nextColour() {
    const colour = this.coloursGiven % NETWORK_COLOURS;
    this.coloursGiven += 1;
    return colour;
  }

  takePorts(views) {
    const kept = new Map();
    for (const view of views) {
      const port = this.ports.get(view.id) ?? new Port(view);
      port.take(view, this.nowS);
      kept.set(view.id, port);
    }
    this.keepMissing(kept);
    this.ports = kept;
  }

  /** Ports of a process that does not answer are still there, as far as anybody knows. */
  keepMissing(kept) {
    const missing = new Set(this.status.missing);
    for (const port of this.ports.values()) {
      if (!kept.has(port.id) && missing.has(port.view.process) && kept.size < MAX_PORTS) {
        port.isMissing = true;
        kept.set(port.id, port);
      }
    }
  }

  /** Take who uses which IP address: a list of AddressView. */
  takeAddresses(views) {
    const byPort = Map.groupBy(views, (view) => view.port);
    for (const port of this.ports.values()) {
      port.addresses = byPort.get(port.id) ?? [];
      port.haystack = null;
    }
  }

  /** The selected port, if it is there. */
  selectedPort() {
    return this.ports.get(this.selected) ?? null;
  }

  /** The colour class of a network. */
  colourOf(name) {
    const network = this.networks.get(name);
    return network ? `net-${network.colour}` : "net-none";
  }

  /** Return whether a port is in the network that is chosen, and has all words of a search. */
  matches(port, words) {
    if (this.network !== null && port.view.network !== this.network) {
      return false;
    }
    const text = port.text();
    return words.every((word) => text.includes(word));
  }
}

/** Return the words of a search; a MAC may be written with any separators. */
export function wordsOf(query) {
  return query.toLowerCase().split(/\s+/).filter(Boolean).map(asMac);
}

function asMac(word) {
  const digits = word.replaceAll(/[-.:]/g, "");
  const isMac = /^[0-9a-f]{12}$/.test(digits) || /^([0-9a-f]{2}-)+[0-9a-f]{1,2}$/.test(word);
  return isMac ? digits.match(/../g).join(":") : word;
}

function haystackOf(port) {
  const { view } = port;
  const { user, dn, addr } = view.who;
  const states = [view.is_blocked && "blocked", port.recentDrops > 0 && "dropping"];
  return [
    view.id, port.name, user, dn, addr, view.network, view.kind, view.process, view.device,
    view.role, view.announced_mac, ...view.macs, ...port.addresses.map((each) => each.ip), ...states,
  ].filter(Boolean).join("\n").toLowerCase();
}

function sum(counts) {
  let total = 0;
  for (const each of Object.values(counts)) {
    total += each;
  }
  return total;
}
