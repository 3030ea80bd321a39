// The bans that hold, each with a button that lifts it.

import { banName } from "./actions.js";
import { byId, make, Parts, setText } from "./dom.js";
import * as format from "./format.js";

export class BanList {
  constructor(model, api, actions) {
    this.model = model;
    this.api = api;
    this.parts = new Parts(byId("bans-list"), (ban) => makeBan(ban, actions));
  }

  /** Ask for the bans and show them; if they cannot be had, the list stays as it is. */
  async load() {
    const { items } = await this.api.get("bans");
    byId("bans").hidden = items.length === 0;
    this.parts.show(items, (ban) => ban.id, (part, ban) => {
      setText(part.text, wordsOf(ban, this.model.status?.now_s ?? Date.now() / 1000));
    });
  }
}

function makeBan(ban, actions) {
  const text = make("span");
  const lift = make("button", { type: "button", class: "quiet", "aria-label": `Lift the ban on ${banName(ban)}` }, "Lift…");
  lift.addEventListener("click", () => actions.unban(ban));
  const name = make("strong", {}, banName(ban));
  return { element: make("li", {}, name, text, lift), text };
}

function wordsOf(ban, nowS) {
  const where = ban.network ? ` in ${ban.network}` : "";
  const reason = ban.reason ? `: ${ban.reason}` : "";
  return `${where}, ${format.shortSpan(ban.until_s - nowS)} more${reason}`;
}
