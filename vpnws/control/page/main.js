// Puts the page together: the stream feeds the model, and every view shows it.

import { Actions } from "./actions.js";
import { Api } from "./api.js";
import { BanList } from "./bans.js";
import { Capture } from "./capture.js";
import { Detail } from "./detail.js";
import { Dialog } from "./dialog.js";
import { byId } from "./dom.js";
import { Drawing } from "./drawing.js";
import { DropList } from "./drops.js";
import { EventList } from "./events.js";
import { Model } from "./model.js";
import { NetworkList } from "./networks.js";
import { readColours } from "./plot.js";
import { StatusLine } from "./status.js";
import { Stream } from "./stream.js";
import { PortTable } from "./table.js";

/** Lists that the stream does not carry are asked for this often. */
const LISTS_EVERY_MS = 30_000;
/** Who has which IP address: so many are asked for, the API's own limit. */
const MAX_ADDRESSES = 1_000;
/** How many of the events before the page was opened it shows. */
const EVENTS_BEFORE = 100;
/** After a change, and after these events, the lists are asked for again: a moment later, and once. */
const AFTER_CHANGE_MS = 500;
const EVENTS_OF_LISTS = new Set(["address", "ban", "unban"]);

class Page {
  constructor() {
    this.model = new Model();
    this.api = new Api();
    const choose = (id) => this.choose(id);
    const setNetwork = (name) => this.setNetwork(name);
    const dialog = new Dialog();
    const actions = new Actions(this.api, dialog, () => this.loadSoon());
    const capture = new Capture(this.api, dialog, this.model);
    const startCapture = (what) => capture.ask(what);
    this.status = new StatusLine(this.model);
    this.table = new PortTable(this.model, choose, setNetwork);
    this.events = new EventList(this.model, choose);
    this.bans = new BanList(this.model, this.api, actions);
    this.detail = new Detail(this.model, actionsOn(actions, startCapture), () => this.close());
    this.views = [
      this.status, new Drawing(this.model, choose), this.table, this.detail,
      new NetworkList(this.model, setNetwork, startCapture),
      new DropList(this.model, this.api, choose),
    ];
    this.stream = new Stream(this.api, {
      state: (state) => this.takeState(state),
      event: (event) => this.takeEvent(event),
      health: (health) => this.status.showHealth(health),
    });
    addEventListener("keydown", (event) => this.key(event));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.restyle());
  }

  start() {
    readColours();
    this.stream.open();
    this.load();
    setInterval(() => this.load(), LISTS_EVERY_MS);
  }

  takeState(state) {
    const isFirst = this.model.status === null;
    this.model.take(state);
    this.show();
    if (isFirst) {
      this.load();
    }
  }

  takeEvent(event) {
    this.events.take(event);
    if (EVENTS_OF_LISTS.has(event.name)) {
      this.loadSoon();
    }
  }

  show() {
    for (const view of this.views) {
      view.update();
    }
  }

  restyle() {
    readColours();
    if (this.model.status) {
      this.show();
    }
  }

  /** Ask for what the stream does not carry. What cannot be had now is asked for again later. */
  async load() {
    if (document.hidden) {
      return;
    }
    await Promise.allSettled([this.loadAddresses(), this.bans.load(), this.loadEvents()]);
  }

  loadSoon() {
    this.loading ??= setTimeout(() => {
      this.loading = null;
      this.load();
    }, AFTER_CHANGE_MS);
  }

  async loadAddresses() {
    const { items } = await this.api.get("addresses", { limit: MAX_ADDRESSES });
    this.model.takeAddresses(items);
    if (this.model.status) {
      this.show();
    }
  }

  /** Events from before the stream began, or while it was away; those shown already are ignored. */
  async loadEvents() {
    const { items } = await this.api.get("events", { limit: EVENTS_BEFORE, last: true });
    items.forEach((event) => this.events.take(event));
  }

  choose(id) {
    if (!this.model.ports.has(id)) {
      return;
    }
    this.model.selected = id;
    this.show();
    this.detail.focus();
  }

  close() {
    const { selected } = this.model;
    this.model.selected = null;
    this.show();
    this.table.focus(selected);
  }

  setNetwork(name) {
    this.model.network = name;
    this.show();
  }

  key(event) {
    const isTyping = event.target.closest("input, select, textarea, dialog");
    if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      byId("ports-search").focus();
    }
  }
}

function actionsOn(actions, capture) {
  return {
    kick: (port) => actions.kick(port),
    block: (port) => actions.block(port),
    unblock: (port) => actions.unblock(port),
    ban: (port) => actions.ban(port),
    capture,
  };
}

new Page().start();
