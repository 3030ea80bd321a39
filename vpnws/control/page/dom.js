// Makes and changes elements. Text is only ever set as text, so that no station's name is markup.

const SVG = "http://www.w3.org/2000/svg";

/** Return an element with attributes; children are elements, or text that stays text. */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Return an SVG element with attributes; children as for `make`. */
export function makeSvg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    setAttribute(element, name, value);
  }
  element.append(...children);
  return element;
}

/** Return the element of the page with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/** Set an element's text, and touch nothing if it has that text already. */
export function setText(element, text) {
  const only = element.firstChild;
  if (only === null) {
    if (text !== "") {
      element.textContent = text;
    }
  } else if (only.nodeType !== Node.TEXT_NODE || only.nextSibling) {
    element.textContent = text;
  } else if (only.data !== text) {
    only.data = text;
  }
}

/** Set an attribute, or remove it for null and false; touch nothing if it is so already. */
export function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) {
    if (element.hasAttribute(name)) {
      element.removeAttribute(name);
    }
    return;
  }
  const text = value === true ? "" : String(value);
  if (element.getAttribute(name) !== text) {
    element.setAttribute(name, text);
  }
}

/** Put children into this order with as few moves as a walk finds; others are removed. */
export function setChildren(parent, wanted) {
  let at = parent.firstChild;
  for (const child of wanted) {
    if (child === at) {
      at = at.nextSibling;
    } else {
      parent.insertBefore(child, at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

/**
 * Keep one part for each key: made once, updated in place, removed with its key.
 *
 * A part is an object with `element`, which `setChildren` orders below `parent`.
 */
export class Parts {
  constructor(parent, create) {
    this.parent = parent;
    this.create = create;
    this.byKey = new Map();
  }

  /** Show these items in this order; `keyOf(item)` names one, `update(part, item)` changes it. */
  show(items, keyOf, update) {
    const kept = new Map();
    for (const item of items) {
      const key = keyOf(item);
      const part = this.byKey.get(key) ?? this.create(item);
      kept.set(key, part);
      update(part, item);
    }
    this.byKey = kept;
    setChildren(this.parent, Array.from(kept.values(), (part) => part.element));
  }
}
