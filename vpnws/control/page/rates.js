// Makes rates of counters, and keeps those of the last two minutes.

export const HISTORY_S = 120;
/** How many samples a history keeps: one each second, and some to reach past the plot's edge. */
const MAX_SAMPLES = HISTORY_S + 8;

/** Rates of one port or network, at most MAX_SAMPLES of them: the oldest make room. */
export class History {
  constructor() {
    this.timeS = new Float64Array(MAX_SAMPLES);
    this.inward = new Float64Array(MAX_SAMPLES);
    this.outward = new Float64Array(MAX_SAMPLES);
    this.length = 0;
    this.next = 0;
  }

  /** Add the rates, in bytes per second, at a time. */
  push(timeS, inward, outward) {
    this.timeS[this.next] = timeS;
    this.inward[this.next] = inward;
    this.outward[this.next] = outward;
    this.next = (this.next + 1) % MAX_SAMPLES;
    this.length = Math.min(this.length + 1, MAX_SAMPLES);
  }

  /** Call visit(timeS, inward, outward) for each sample since a time, oldest first. */
  since(timeS, visit) {
    for (let index = 0; index < this.length; index += 1) {
      const at = (this.next - this.length + index + MAX_SAMPLES) % MAX_SAMPLES;
      if (this.timeS[at] >= timeS) {
        visit(this.timeS[at], this.inward[at], this.outward[at]);
      }
    }
  }

  /** Return the highest rate since a time, in bytes per second. */
  peak(timeS) {
    let highest = 0;
    this.since(timeS, (_, inward, outward) => {
      highest = Math.max(highest, inward, outward);
    });
    return highest;
  }
}

/** Turns a growing `Traffic` into rates; a counter that went back starts anew. */
export class Meter {
  constructor() {
    this.history = new History();
    this.inward = 0;
    this.outward = 0;
    this.before = null;
    this.beforeS = 0;
  }

  /** Take the counters of a time. */
  take(traffic, nowS) {
    const before = this.before;
    const passedS = nowS - this.beforeS;
    if (before !== null && passedS <= 0) {
      return;
    }
    this.before = traffic;
    this.beforeS = nowS;
    if (before === null) {
      return;
    }
    const inward = traffic.rx_bytes - before.rx_bytes;
    const outward = traffic.tx_bytes - before.tx_bytes;
    if (inward >= 0 && outward >= 0) {
      this.inward = inward / passedS;
      this.outward = outward / passedS;
      this.history.push(nowS, this.inward, this.outward);
    }
  }
}
