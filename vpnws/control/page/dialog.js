// The one dialog of the page: asks before something is done, and shows errors where the person looks.

import { byId, make, setText } from "./dom.js";

/** The longest text that the API takes for a reason. */
const MAX_TEXT = 100;

/** A field of a dialog, with its label and perhaps a hint; `value()` is what the person has given. */
export function textField(name, label, { hint = "" } = {}) {
  const input = make("input", {
    type: "text", id: `ask-${name}`, name, maxlength: MAX_TEXT, autocomplete: "off",
  });
  return field(name, label, input, () => input.value.trim(), hint);
}

/** A number between two bounds. */
export function numberField(name, label, { value, min, max }) {
  const input = make("input", {
    type: "number", id: `ask-${name}`, name, value, min, max, step: 1, required: true,
  });
  return field(name, label, input, () => input.valueAsNumber, "");
}

/** One choice of several: `choices` is a list of [value, text]. */
export function choiceField(name, label, choices) {
  const options = choices.map(([value, text], index) => make("option", { value: String(index) }, text));
  const input = make("select", { id: `ask-${name}`, name }, ...options);
  return field(name, label, input, () => choices[Number(input.value)][0], "");
}

/** Yes or no. */
export function checkField(name, label) {
  const input = make("input", { type: "checkbox", id: `ask-${name}`, name });
  const element = make("p", { class: "check" }, input, make("label", { for: input.id }, label));
  return { name, element, value: () => input.checked };
}

function field(name, label, input, value, hint) {
  const element = make("p", { class: "field" }, make("label", { for: input.id }, label), input);
  if (hint) {
    const id = `${input.id}-hint`;
    input.setAttribute("aria-describedby", id);
    element.append(make("span", { id, class: "hint" }, hint));
  }
  return { name, element, value };
}

export class Dialog {
  constructor() {
    this.dialog = byId("ask");
    this.dialog.addEventListener("close", () => this.closed());
  }

  /**
   * Ask. `run(values, dialog)` does it and resolves to a sentence to show, or to "" to close.
   *
   * Its error is shown in the dialog, which stays open, so that the person can try again.
   */
  ask({ title, says, fields, verb, isGrave = false, run }) {
    this.run = run;
    this.fields = fields;
    this.error = make("p", { class: "error", role: "alert" });
    this.progress = make("p", { class: "progress", role: "status" });
    this.submit = make("button", { type: "submit", class: isGrave ? "grave" : "main" }, verb);
    this.cancel = make("button", { type: "button" }, "Cancel");
    this.cancel.addEventListener("click", () => this.dialog.close());
    const form = make(
      "form", {}, make("h2", { id: "ask-title" }, title), make("p", { id: "ask-says" }, says),
      ...fields.map((each) => each.element), this.error, this.progress,
      make("div", { class: "actions" }, this.cancel, this.submit),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.start();
    });
    this.dialog.replaceChildren(form);
    this.dialog.showModal();
    form.querySelector("input, select")?.focus();
  }

  async start() {
    if (this.stop) {
      this.stop();
      return;
    }
    const values = Object.fromEntries(this.fields.map((each) => [each.name, each.value()]));
    const run = this.run;
    setText(this.error, "");
    this.submit.disabled = true;
    try {
      const done = await run(values, this);
      if (run === this.run) {
        this.finish(done);
      }
    } catch (error) {
      if (run === this.run) {
        setText(this.progress, "");
        setText(this.error, error.message);
        this.error.scrollIntoView({ block: "nearest" });
      }
    } finally {
      if (run === this.run) {
        this.submit.disabled = false;
      }
    }
  }

  finish(done) {
    if (!done) {
      this.dialog.close();
      return;
    }
    setText(this.progress, done);
    setText(this.cancel, "Close");
    this.submit.hidden = true;
    this.cancel.focus();
  }

  /** Have the verb's button call this until it is given null; used by what takes its time. */
  setStop(stop, verb) {
    this.stop = stop;
    setText(this.submit, verb);
    this.submit.disabled = false;
  }

  /** Say how far it is. */
  say(text) {
    setText(this.progress, text);
  }

  /** Call this if the person closes the dialog before it is done. */
  onClose(abandon) {
    this.abandon = abandon;
  }

  closed() {
    this.run = null;
    this.stop = null;
    this.abandon?.();
    this.abandon = null;
  }
}
