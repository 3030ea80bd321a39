// The table of ports: sorted, searched, and changed in place.

import { byId, make, setAttribute, setChildren, setText } from "./dom.js";
import * as format from "./format.js";
import { wordsOf } from "./model.js";

/** While nobody points at the table or is in it, its order follows the figures this often. */
const SORT_EVERY_MS = 3_000;

/** The columns: what a cell shows, what it sorts by, and whether it is a number. */
const COLUMNS = [
  { key: "port", title: "Port", text: (port) => port.id, value: numbersOf },
  { key: "station", title: "Station", text: (port) => port.name },
  { key: "network", title: "Network", text: (port) => networkOf(port) },
  { key: "ip", title: "IP", text: addressesOf },
  { key: "mac", title: "MAC", text: macsOf },
  {
    key: "in", title: "In", says: "What comes in from there",
    text: (port) => format.rate(port.meter.inward), value: (port) => port.meter.inward,
  },
  {
    key: "out", title: "Out", says: "What goes out to there",
    text: (port) => format.rate(port.meter.outward), value: (port) => port.meter.outward,
  },
  {
    key: "drops", title: "Drops", says: "Frames dropped just now, and in brackets since it came",
    text: dropsOf, value: (port) => port.recentDrops * 1e9 + port.drops,
  },
  {
    key: "queue", title: "Queue", says: "What waits to be sent there",
    text: (port) => format.bytes(port.view.queued_bytes), value: (port) => port.view.queued_bytes,
  },
  {
    key: "since", title: "Here for",
    text: (port, nowS) => (port.view.since_s ? format.shortSpan(nowS - port.view.since_s) : ""),
    value: (port) => -port.view.since_s,
  },
];

export class PortTable {
  /** `choose(id)` selects a port; `setNetwork(name or null)` filters by network. */
  constructor(model, choose, setNetwork) {
    this.model = model;
    this.choose = choose;
    this.rows = new Map();
    this.sortKey = "port";
    this.isDescending = false;
    this.words = [];
    this.sortedMs = 0;
    this.table = byId("ports-table");
    this.search = byId("ports-search");
    this.network = byId("ports-network");
    this.build();
    this.search.addEventListener("input", () => this.searched());
    this.network.addEventListener("change", () => {
      setNetwork(this.network.value === "*" ? null : this.network.value.slice(1));
    });
    this.body.addEventListener("keydown", (event) => this.moveByKey(event));
  }

  build() {
    this.heads = COLUMNS.map((column) => this.makeHead(column));
    const cols = COLUMNS.map((column) => make("col", { class: `col-${column.key}` }));
    this.body = make("tbody");
    this.empty = make("td", { colspan: COLUMNS.length, class: "empty" });
    this.emptyRow = make("tr", { hidden: true }, this.empty);
    this.table.append(
      make("colgroup", {}, ...cols),
      make("thead", {}, make("tr", {}, ...this.heads)),
      this.body,
      make("tbody", {}, this.emptyRow),
    );
    this.showSorting();
  }

  makeHead(column) {
    const button = make("button", { type: "button", title: column.says }, column.title);
    button.addEventListener("click", () => this.sortBy(column.key));
    const kind = column.value && column.key !== "port" ? " number" : "";
    return make("th", { scope: "col", class: `col-${column.key}${kind}` }, button);
  }

  sortBy(key) {
    const column = COLUMNS.find((each) => each.key === key);
    const isNumber = Boolean(column.value) && key !== "port";
    this.isDescending = key === this.sortKey ? !this.isDescending : isNumber;
    this.sortKey = key;
    this.showSorting();
    this.order();
  }

  showSorting() {
    COLUMNS.forEach((column, index) => {
      const order = this.isDescending ? "descending" : "ascending";
      setAttribute(this.heads[index], "aria-sort", column.key === this.sortKey ? order : null);
    });
  }

  searched() {
    this.words = wordsOf(this.search.value);
    this.filter();
  }

  /** Show the newest state. */
  update() {
    const { ports } = this.model;
    let hasNew = false;
    for (const [id, row] of this.rows) {
      if (!ports.has(id)) {
        row.element.remove();
        this.rows.delete(id);
      }
    }
    for (const port of ports.values()) {
      let row = this.rows.get(port.id);
      if (!row) {
        row = new Row(port, this.choose);
        this.rows.set(port.id, row);
        hasNew = true;
      }
      row.update(port, this.model);
    }
    if (hasNew || this.isTimeToSort()) {
      this.order();
    }
    this.updateNetworks();
    this.filter();
  }

  isTimeToSort() {
    const isInUse = this.body.matches(":hover") || this.body.contains(document.activeElement);
    return !isInUse && performance.now() - this.sortedMs > SORT_EVERY_MS;
  }

  order() {
    const column = COLUMNS.find((each) => each.key === this.sortKey);
    const sign = this.isDescending ? -1 : 1;
    const rows = Array.from(this.rows.values());
    const keys = new Map(rows.map((row) => [row, keyOf(column, row.port)]));
    rows.sort((a, b) => sign * compare(keys.get(a), keys.get(b)) || compareIds(a.port, b.port));
    setChildren(this.body, rows.map((row) => row.element));
    this.sortedMs = performance.now();
  }

  filter() {
    let shown = 0;
    for (const row of this.rows.values()) {
      const isShown = this.model.matches(row.port, this.words);
      row.element.hidden = !isShown;
      shown += isShown ? 1 : 0;
    }
    this.emptyRow.hidden = shown > 0;
    const isFiltered = this.words.length > 0 || this.model.network !== null;
    setText(this.empty, isFiltered ? "No port matches the search." : "No port is open yet.");
    const all = format.counted(this.rows.size, "port");
    const text = isFiltered ? `${format.count(shown)} of ${all}` : all;
    setText(byId("ports-count"), text);
  }

  updateNetworks() {
    const names = Array.from(this.model.networks.keys()).sort();
    const wanted = names.join("\n");
    if (wanted !== this.networksShown || this.network.options.length === 0) {
      this.networksShown = wanted;
      const options = names.map((name) => {
        return make("option", { value: `=${name}` }, format.networkName(name));
      });
      this.network.replaceChildren(make("option", { value: "*" }, "all"), ...options);
    }
    this.network.value = this.model.network === null ? "*" : `=${this.model.network}`;
  }

  /** Move the focus to a port's row, if it is shown. */
  focus(id) {
    const row = this.rows.get(id);
    if (row && !row.element.hidden) {
      row.button.focus();
      row.element.scrollIntoView({ block: "nearest" });
    } else {
      this.search.focus();
    }
  }

  moveByKey(event) {
    const buttons = Array.from(this.body.querySelectorAll("tr:not([hidden]) button"));
    const at = buttons.indexOf(document.activeElement);
    const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (at >= 0 && to !== undefined) {
      event.preventDefault();
      buttons[Math.max(0, Math.min(to, buttons.length - 1))].focus();
    }
  }
}

/** One port's row. */
class Row {
  constructor(port, choose) {
    this.port = port;
    this.button = make("button", { type: "button" }, port.id);
    this.chip = make("span", { class: "chip", "aria-hidden": "true" });
    this.cells = COLUMNS.slice(1).map((column) => {
      const kind = column.value ? " number" : "";
      return make("td", { class: `col-${column.key}${kind}` });
    });
    this.label = make("span", { class: "cell-text" });
    this.cells[1].append(this.chip, this.label);
    this.mark = make("span", { class: "mark" });
    this.name = make("span", { class: "cell-text" });
    this.cells[0].append(this.name, this.mark);
    const head = make("th", { scope: "row", class: "col-port" }, this.button);
    this.element = make("tr", {}, head, ...this.cells);
    this.element.addEventListener("click", () => choose(port.id));
  }

  update(port, model) {
    this.port = port;
    COLUMNS.slice(1).forEach((column, index) => {
      const text = column.text(port, model.nowS);
      const target = [this.name, this.label][index] ?? this.cells[index];
      setText(target, text);
      if (!column.value) {
        setAttribute(this.cells[index], "title", text || null);
      }
    });
    setAttribute(this.chip, "class", `chip ${model.colourOf(port.view.network)}`);
    setText(this.mark, markOf(port));
    setAttribute(this.element, "class", classOf(port));
    setAttribute(this.button, "aria-pressed", model.selected === port.id ? "true" : "false");
    setAttribute(this.button, "aria-label", `Port ${port.id}, ${port.name}`);
  }
}

function classOf(port) {
  const classes = [
    port.isMissing && "missing",
    port.view.is_blocked && "blocked",
    port.recentDrops > 0 && "dropping",
  ];
  return classes.filter(Boolean).join(" ") || null;
}

function markOf(port) {
  if (port.isMissing) {
    return "no news";
  }
  return port.view.is_blocked ? "blocked" : "";
}

function networkOf(port) {
  return port.view.kind === "trunk" ? "all" : format.networkName(port.view.network);
}

function addressesOf(port) {
  const [first] = port.addresses;
  return first ? withMore(first.ip, port.addresses.length) : "";
}

function macsOf(port) {
  const { macs, mac_count: known, announced_mac: announced } = port.view;
  return withMore(macs[0] ?? announced, Math.max(known, macs.length));
}

function withMore(first, all) {
  return all > 1 ? `${first} +${all - 1}` : first;
}

function dropsOf(port) {
  if (port.drops === 0) {
    return "0";
  }
  return `${format.count(port.recentDrops)} (${format.count(port.drops)})`;
}

function keyOf(column, port) {
  return (column.value ?? column.text)(port);
}

function compare(a, b) {
  if (typeof a === "string") {
    // What is empty has nothing to say and goes last.
    return (a === "") - (b === "") || a.localeCompare(b, "en", { numeric: true });
  }
  if (Array.isArray(a)) {
    return a[0] - b[0] || a[1] - b[1];
  }
  return a - b;
}

function compareIds(a, b) {
  return compare(numbersOf(a), numbersOf(b));
}

function numbersOf(port) {
  const [process, own] = port.id.split(".").map(Number);
  return [process || 0, own || 0];
}
