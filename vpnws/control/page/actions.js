// What a person can do about a port: kick, block, unblock, ban; and lifting a ban.

import { choiceField, textField } from "./dialog.js";
import * as format from "./format.js";

const BAN_TIMES = [
  [600, "10 minutes"], [3600, "1 hour"], [86_400, "1 day"], [604_800, "1 week"],
];

export class Actions {
  constructor(api, dialog, onChange) {
    this.api = api;
    this.dialog = dialog;
    this.onChange = onChange;
  }

  kick(port) {
    this.dialog.ask({
      title: `Kick ${port.name}?`,
      says: `This ends the connection of port ${port.id}. Its client may connect again: to keep it out, ban it.`,
      fields: [reasonField("The station and the log are told this.")],
      verb: "Kick",
      isGrave: true,
      run: ({ reason }) => this.change("POST", portPath(port, "kick"), { reason }),
    });
  }

  block(port) {
    this.dialog.ask({
      title: `Block ${port.name}?`,
      says: `Port ${port.id} stays connected, but no frame passes it until you unblock it.`,
      fields: [reasonField("The log is told this.")],
      verb: "Block",
      isGrave: true,
      run: ({ reason }) => this.change("POST", portPath(port, "block"), { reason }),
    });
  }

  unblock(port) {
    const because = port.view.block_reason ? ` It was blocked because of this: ${port.view.block_reason}` : "";
    this.dialog.ask({
      title: `Unblock ${port.name}?`,
      says: `Frames pass port ${port.id} again.${because}`,
      fields: [],
      verb: "Unblock",
      run: () => this.change("POST", portPath(port, "unblock"), {}),
    });
  }

  ban(port) {
    const { view } = port;
    const identities = identitiesOf(view.who);
    if (identities.length === 0) {
      this.refuse("Ban", "The web server says nothing of who this station is, so there is nobody to ban. Kick or block its port.");
      return;
    }
    const networks = [[view.network, `network ${format.networkName(view.network)}`], ["", "all networks"]];
    this.dialog.ask({
      title: `Ban ${port.name}?`,
      says: "Whoever is banned is put out and may not join again until the time is over, or you lift the ban.",
      fields: [
        choiceField("whom", "Ban the", identities),
        choiceField("network", "In", view.network === "" ? [["", "all networks"]] : networks),
        choiceField("for_s", "For", BAN_TIMES),
        reasonField("The station and the log are told this."),
      ],
      verb: "Ban",
      isGrave: true,
      run: ({ whom, ...rest }) => this.change("POST", "bans", { ...whom, ...rest }),
    });
  }

  unban(ban) {
    this.dialog.ask({
      title: `Lift the ban on ${banName(ban)}?`,
      says: "It may join again at once.",
      fields: [],
      verb: "Lift the ban",
      run: () => this.change("DELETE", `bans/${encodeURIComponent(ban.id)}`),
    });
  }

  refuse(title, says) {
    this.dialog.ask({ title, says, fields: [], verb: "OK", run: async () => "" });
  }

  async change(method, path, body) {
    await this.api.change(method, path, body);
    this.onChange();
    return "";
  }
}

/** Return whom a ban is about. */
export function banName(ban) {
  return ban.user || ban.dn || ban.addr;
}

/** The field for a reason. */
function reasonField(hint) {
  return textField("reason", "Reason", { hint });
}

function identitiesOf(who) {
  const known = [
    who.user && [{ user: who.user }, `user ${who.user}`],
    who.dn && [{ dn: who.dn }, `certificate ${who.dn}`],
    who.addr && [{ addr: who.addr }, `address ${who.addr}`],
  ];
  return known.filter(Boolean);
}

function portPath(port, action) {
  return `ports/${encodeURIComponent(port.id)}/${action}`;
}
