// Elements without HTML text: what the agent says is only ever text, so it cannot become markup.

type Child = Node | string | number | null | undefined | false;
type Attributes = Record<string, string | number | boolean | undefined | ((event: Event) => void)>;

const SVG = "http://www.w3.org/2000/svg";

function fill(element: Element, attributes: Attributes, children: Child[]): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.replace(/^on/, ""), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
}

function append(element: Element, children: Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

export function h<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(name);
  fill(element, attributes, children);
  return element;
}

export function svg<K extends keyof SVGElementTagNameMap>(
  name: K,
  attributes: Attributes = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS(SVG, name) as SVGElementTagNameMap[K];
  fill(element, attributes, children);
  return element;
}

export function replace(element: Element, ...children: Child[]): void {
  element.replaceChildren();
  append(element, children);
}

// Writes only what differs, so that a screen reader and the renderer see no change where there is none.
export function setAttribute(element: Element, name: string, value: string): void {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

let ids = 0;
export const uniqueId = (): string => `id-${++ids}`;

// A control under its label. The label does not contain it: a choice's name would else have all its options.
export function field(label: string, control: HTMLElement, kind = ""): HTMLElement {
  if (control.id === "") control.id = uniqueId();
  return h("div", { class: `field ${kind}`.trim() }, h("label", { for: control.id }, label), control);
}

export function select(
  label: string,
  options: [value: string, text: string][],
  onChange: (value: string) => void,
): [HTMLElement, HTMLSelectElement] {
  const element = h(
    "select",
    { onchange: () => onChange(element.value) },
    ...options.map(([value, text]) => h("option", { value }, text)),
  );
  return [field(label, element), element];
}

// Keeps the choice if it is still there.
export function setOptions(element: HTMLSelectElement, options: [value: string, text: string][]): void {
  const same =
    element.options.length === options.length && options.every(([value], i) => element.options[i].value === value);
  if (same) return;
  const chosen = element.value;
  replace(element, ...options.map(([value, text]) => h("option", { value }, text)));
  if (options.some(([value]) => value === chosen)) element.value = chosen;
}
