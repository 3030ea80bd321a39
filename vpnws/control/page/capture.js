// Captures frames of a port or a network into a file that the browser saves.

import { checkField, numberField } from "./dialog.js";
import { make } from "./dom.js";
import * as format from "./format.js";

/** A capture ends here, because the page holds it until it is saved. vpnws-ctl has no such limit. */
const MAX_CAPTURE_BYTES = 64_000_000;
const MAX_SECONDS = 600;
const DEFAULT_SECONDS = 30;
const PCAPNG = "application/x-pcapng";

export class Capture {
  constructor(api, dialog, model) {
    this.api = api;
    this.dialog = dialog;
    this.model = model;
  }

  /** Ask about and make a capture of {port} or {network}. */
  ask(what) {
    const port = this.model.ports.get(what.port);
    const name = port ? `port ${port.id}, ${port.name}` : `network ${format.networkName(what.network)}`;
    this.dialog.ask({
      title: `Capture ${name}`,
      says: "The frames are copied into a pcapng file, which Wireshark and tcpdump open. They may hold secrets of your users.",
      fields: [
        numberField("seconds", "Seconds", { value: DEFAULT_SECONDS, min: 1, max: MAX_SECONDS }),
        checkField("dropped", "Only frames that are dropped"),
      ],
      verb: "Capture",
      run: (values, dialog) => this.run({ ...what, ...values }, dialog),
    });
  }

  async run(parameters, dialog) {
    const abort = new AbortController();
    dialog.onClose(() => abort.abort());
    const answer = await this.api.open("capture", parameters, abort.signal);
    const { chunks, bytes } = await this.read(answer.body.getReader(), parameters.seconds, dialog);
    const name = fileName(parameters);
    save(new Blob(chunks, { type: PCAPNG }), name);
    return `Saved as ${name}, ${format.bytes(bytes)}.${bytes >= MAX_CAPTURE_BYTES ? " It ended early, at the page's limit." : ""}`;
  }

  /** Read until the end, the page's limit, or the person's Stop. */
  async read(reader, seconds, dialog) {
    const chunks = [];
    const startMs = performance.now();
    let bytes = 0;
    dialog.setStop(() => reader.cancel(), "Stop and save");
    const say = () => {
      const passed = Math.floor((performance.now() - startMs) / 1000);
      dialog.say(`Capturing: ${passed} of ${seconds} s, ${format.bytes(bytes)} so far.`);
    };
    const timer = setInterval(say, 1000);
    say();
    try {
      while (bytes < MAX_CAPTURE_BYTES) {
        const { done, value } = await reader.read();
        if (done) {
          break;
        }
        chunks.push(value);
        bytes += value.length;
      }
      await reader.cancel();
    } finally {
      clearInterval(timer);
      dialog.setStop(null, "Capture");
    }
    return { chunks, bytes };
  }
}

function fileName({ port, network }) {
  const what = (port ? `port-${port}` : `network-${network}`).replaceAll(/[^\w.-]/g, "_");
  const when = new Date().toISOString().slice(0, 19).replaceAll(/[:T]/g, "-");
  return `vpnws-${what}-${when}.pcapng`;
}

function save(blob, name) {
  const url = URL.createObjectURL(blob);
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
