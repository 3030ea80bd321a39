// Writes numbers, times and names as people read them.

const STEPS = ["", "k", "M", "G", "T"];
const MINUTE_S = 60;
const HOUR_S = 3600;
const DAY_S = 86400;
const number = new Intl.NumberFormat("en");
const clockFormat = new Intl.DateTimeFormat("en", { timeStyle: "medium", hourCycle: "h23" });
const momentFormat = new Intl.DateTimeFormat("en", {
  dateStyle: "medium",
  timeStyle: "medium",
  hourCycle: "h23",
});

function scaled(value) {
  let step = 0;
  while (value >= 999.5 && step < STEPS.length - 1) {
    value /= 1000;
    step += 1;
  }
  const digits = value >= 99.5 || step === 0 ? 0 : 1;
  return [value.toFixed(digits), STEPS[step]];
}

/** Return a whole number with separators: 1,204. */
export function count(value) {
  return number.format(value);
}

/** Return a count with its noun: 1 port, 2 ports. */
export function counted(value, noun, plural = `${noun}s`) {
  return `${count(value)} ${value === 1 ? noun : plural}`;
}

/** Return bytes per second as bits per second: 12.4 Mbit/s. */
export function rate(bytesPerS) {
  const [figure, step] = scaled(bytesPerS * 8);
  return `${figure} ${step}bit/s`;
}

/** Return the same for narrow places: 12.4M. */
export function shortRate(bytesPerS) {
  return scaled(bytesPerS * 8).join("");
}

/** Return bytes: 1.2 MB. */
export function bytes(value) {
  const [figure, step] = scaled(value);
  return `${figure} ${step}B`;
}

/** Return a time span in its two greatest units: 3 d 4 h. */
export function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < MINUTE_S) {
    return `${s} s`;
  }
  if (s < HOUR_S) {
    return pair(s, MINUTE_S, "min", 1, "s");
  }
  return s < DAY_S ? pair(s, HOUR_S, "h", MINUTE_S, "min") : pair(s, DAY_S, "d", HOUR_S, "h");
}

function pair(s, large, largeName, small, smallName) {
  const rest = Math.floor((s % large) / small);
  const first = `${Math.floor(s / large)} ${largeName}`;
  return rest ? `${first} ${rest} ${smallName}` : first;
}

/** Return a time span in its greatest unit: 3 d. */
export function shortSpan(seconds) {
  return span(seconds).split(" ").slice(0, 2).join(" ");
}

/** Return a time span of less than a second: 12 ms. */
export function milliseconds(seconds) {
  return `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
}

/** Return the time of day of a Unix time. */
export function clock(timeS) {
  return clockFormat.format(timeS * 1000);
}

/** Return date and time of a Unix time. */
export function moment(timeS) {
  return momentFormat.format(timeS * 1000);
}

/** Return what a person calls a port: its user, DN, device or MAC, whichever it has first. */
export function portName(view) {
  if (view.kind === "trunk") {
    return view.device ? `trunk to ${view.device}` : `trunk ${view.id}`;
  }
  if (view.kind === "tap") {
    return `TAP ${view.device}`;
  }
  const { user, dn, addr } = view.who;
  return user || commonName(dn) || view.announced_mac || view.macs[0] || addr || "unnamed station";
}

function commonName(dn) {
  const found = /(?:^|[,/])\s*CN\s*=\s*([^,/]+)/i.exec(dn);
  return found ? found[1] : dn;
}

/** Return a network's name; the one without a name is called so. */
export function networkName(name) {
  return name === "" ? "(unnamed)" : name;
}

/** Return items as a list in a sentence, at most `most` of them by name. */
export function listed(items, most = 3) {
  const names = items.slice(0, most);
  const more = items.length - names.length;
  return more > 0 ? `${names.join(", ")} and ${count(more)} more` : names.join(", ");
}
