// Places processes and their ports on the drawing: pure arithmetic, no elements.

/** Up to so many ports have a tile with a name; more are lamps, as on the front of a switch. */
export const MAX_TILES = 36;
const MIN_BAND_WIDTH = 204;
const BUS = 26;
const GAP = 12;
const PAD = 10;
const TITLE = 40;
const GROUP_TITLE = 18;
const MIN_GROUP_WIDTH = 64;
export const TILE = { width: 148, height: 40, gap: 8 };
const WIDE_LAMP = { width: 14, height: 14, gap: 4 };
const SMALL_LAMP = { width: 10, height: 10, gap: 3 };
/** From so many ports on, or on a screen narrower than this, lamps are small. */
const MANY_PORTS = 600;
const NARROW = 480;

/**
 * Return where everything goes.
 *
 * `processes` is a list of {name, trunks, groups: [{network, ports}]}. The bands of the processes
 * stand side by side below the trunk if there is room, else one under the other beside it.
 */
export function layOut(processes, width) {
  const total = processes.reduce((sum, each) => sum + portsOf(each), 0);
  const cell = cellFor(total, width);
  const isWide = processes.length * (MIN_BAND_WIDTH + GAP) - GAP <= width;
  const widths = isWide ? sharedWidths(processes, width) : processes.map(() => width - BUS);
  const bands = [];
  let [x, y] = isWide ? [0, BUS] : [BUS, 0];
  processes.forEach((process, index) => {
    const band = layOutBand(process, { x, y, width: widths[index] }, cell);
    bands.push(band);
    if (isWide) {
      x += band.width + GAP;
    } else {
      y += band.height + GAP;
    }
  });
  if (isWide) {
    const height = Math.max(0, ...bands.map((band) => band.height));
    bands.forEach((band) => Object.assign(band, { height }));
  }
  const bottom = Math.max(0, ...bands.map((band) => band.y + band.height));
  return { bands, isWide, hasTiles: cell === TILE, height: bottom + 2, bus: busOf(bands, isWide) };
}

function portsOf(process) {
  return process.groups.reduce((sum, group) => sum + group.ports.length, 0);
}

function cellFor(total, width) {
  if (total <= MAX_TILES) {
    return TILE;
  }
  return total > MANY_PORTS || width < NARROW ? SMALL_LAMP : WIDE_LAMP;
}

/** The more ports a process has, the wider its band. */
function sharedWidths(processes, width) {
  const spare = width - processes.length * (MIN_BAND_WIDTH + GAP) + GAP;
  const total = processes.reduce((sum, each) => sum + portsOf(each), 0);
  return processes.map((each) => {
    const share = total ? portsOf(each) / total : 1 / processes.length;
    return Math.floor(MIN_BAND_WIDTH + spare * share);
  });
}

function layOutBand(process, { x, y, width }, cell) {
  const shelf = { x: PAD, y: TITLE, height: 0 };
  const inner = width - 2 * PAD;
  const groups = process.groups.map((group) => placeGroup(group, shelf, inner, cell));
  const height = process.groups.length ? shelf.y + shelf.height + PAD : TITLE + GROUP_TITLE;
  return { name: process.name, trunks: process.trunks, x, y, width, height, groups };
}

/** Place a network's ports where the shelf has room, else on a new shelf below. */
function placeGroup(group, shelf, inner, cell) {
  const pitch = cell.width + cell.gap;
  const most = Math.max(1, Math.floor((inner + cell.gap) / pitch));
  const columns = Math.min(group.ports.length, most);
  const width = Math.max(columns * pitch - cell.gap, Math.min(MIN_GROUP_WIDTH, inner));
  if (shelf.x > PAD && shelf.x + width > PAD + inner) {
    Object.assign(shelf, { x: PAD, y: shelf.y + shelf.height + GAP, height: 0 });
  }
  const rows = Math.ceil(group.ports.length / columns);
  const height = GROUP_TITLE + rows * (cell.height + cell.gap) - cell.gap;
  const stretched = cell === TILE ? stretch(columns, most, inner) : cell.width;
  const cells = group.ports.map((port, index) => ({
    port,
    x: shelf.x + (index % columns) * (stretched + cell.gap),
    y: shelf.y + GROUP_TITLE + Math.floor(index / columns) * (cell.height + cell.gap),
    width: stretched,
    height: cell.height,
  }));
  const placed = { network: group.network, x: shelf.x, y: shelf.y, width, cells };
  shelf.x += width + 2 * cell.gap + GAP / 2;
  shelf.height = Math.max(shelf.height, height);
  return placed;
}

/** Tiles that fill their row share what is left of it. */
function stretch(columns, most, inner) {
  const fitting = Math.floor((inner - (most - 1) * TILE.gap) / most);
  return columns === most ? fitting : Math.min(fitting, TILE.width);
}

function busOf(bands, isWide) {
  return bands.map((band) => {
    return isWide
      ? { x: band.x + Math.min(40, band.width / 2), y: 8, endX: band.x + Math.min(40, band.width / 2), endY: band.y }
      : { x: 8, y: band.y + TITLE / 2, endX: band.x, endY: band.y + TITLE / 2 };
  });
}
