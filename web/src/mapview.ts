// Draws a view as SVG. Elements are kept from one drawing to the next, and only what differs is written.
import { setAttribute, setText, svg } from "./dom";
import { bytesText, countText } from "./format";
import { type Layout, lineBetween, layOut, neighbour, NODE_HEIGHT, NODE_WIDTH } from "./layout";
import { edgeLabel, edgeText, OUTSIDE, type View, type ViewEdge, type ViewNode } from "./model";

const MOST_LABELS = 160; // on lines; more would cover the map
const DENSE = 200; // lines; from there on those that are allowed are faint, but for the ones of one node
const MOST_TITLE = 22; // characters in a node

interface NodeElements {
  group: SVGGElement;
  title: SVGTextElement;
  detail: SVGTextElement;
  badge: SVGTextElement;
}

interface EdgeElements {
  path: SVGPathElement;
  label: SVGGElement | null;
  text: SVGTextElement | null;
}

export interface MapEvents {
  onNode: (node: ViewNode) => void;
  onEdge: (edge: ViewEdge) => void;
}

const shorten = (text: string): string => (text.length <= MOST_TITLE ? text : text.slice(0, MOST_TITLE - 1) + "…");

// Lines of much traffic are thicker, by powers of ten.
const widthOf = (edge: ViewEdge): string => (1.5 + Math.min(4, Math.log10(1 + edge.bytes) / 2)).toFixed(1);

export class MapView {
  readonly element = svg("svg", { class: "map", role: "group", "aria-label": "Service map" });
  private readonly boxes = svg("g", { "aria-hidden": "true" });
  private readonly lines = svg("g", {});
  private readonly denials = svg("g", {}); // above the other lines
  private readonly labels = svg("g", {});
  private readonly points = svg("g", {});
  private readonly nodes = new Map<string, NodeElements>();
  private readonly edges = new Map<string, EdgeElements>();
  private view: View = { level: "workload", nodes: [], edges: [], hidden: 0 };
  private layout: Layout = { width: 0, height: 0, boxes: [], places: new Map() };
  private shape = "";
  private selected = "";
  private focused = ""; // the one node that Tab reaches
  private near = ""; // the node under the pointer, or with the focus

  constructor(private readonly events: MapEvents) {
    const marker = (id: string): SVGMarkerElement =>
      svg(
        "marker",
        { id, class: id, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, orient: "auto", markerUnits: "userSpaceOnUse" },
        svg("path", { d: "M0 0L8 4L0 8Z" }),
      );
    this.element.append(
      svg("defs", {}, marker("arrow-FORWARDED"), marker("arrow-DROPPED"), marker("arrow-AUDIT")),
      this.boxes,
      this.lines,
      this.denials,
      this.points,
      this.labels,
    );
    this.element.addEventListener("keydown", (event) => this.onKey(event));
  }

  // `selected`: the id of a node or a line; empty: none.
  draw(view: View, selected: string): void {
    this.view = view;
    this.selected = selected;
    const shape = JSON.stringify([view.nodes.map((node) => [node.id, node.box]), view.edges.map((edge) => edge.id)]);
    const moved = shape !== this.shape;
    if (moved) {
      this.shape = shape;
      this.layout = layOut(view);
      setAttribute(this.element, "viewBox", `0 0 ${this.layout.width} ${this.layout.height}`);
      setAttribute(this.element, "width", String(this.layout.width));
      setAttribute(this.element, "height", String(this.layout.height));
      this.drawBoxes();
    }
    this.drawNodes(moved);
    this.drawEdges(moved);
  }

  private drawBoxes(): void {
    this.boxes.replaceChildren(
      ...this.layout.boxes.map((box) =>
        svg(
          "g",
          {},
          svg("rect", {
            class: box.name === OUTSIDE ? "box outside" : "box",
            x: box.x, y: box.y, width: box.width, height: box.height, rx: 10,
          }),
          svg("text", { class: "box-name", x: box.x + 14, y: box.y + 21 }, box.name),
        ),
      ),
    );
  }

  private drawNodes(moved: boolean): void {
    const present = new Set(this.view.nodes.map((node) => node.id));
    for (const [id, elements] of this.nodes) {
      if (present.has(id)) continue;
      elements.group.remove();
      this.nodes.delete(id);
    }
    if (!present.has(this.focused)) this.focused = this.view.nodes[0]?.id ?? "";
    let before: Element | null = null;
    for (const node of this.view.nodes) {
      let elements = this.nodes.get(node.id);
      if (elements === undefined) {
        elements = this.makeNode(node.id);
        this.nodes.set(node.id, elements);
      }
      // In the order of names, as a screen reader goes.
      if (moved) {
        const place: ChildNode | null = before === null ? this.points.firstChild : before.nextSibling;
        if (place !== elements.group) this.points.insertBefore(elements.group, place);
        before = elements.group;
        const at = this.layout.places.get(node.id)!;
        setAttribute(elements.group, "transform", `translate(${at.x} ${at.y})`);
      }
      this.writeNode(node, elements);
    }
  }

  private makeNode(id: string): NodeElements {
    const title = svg("text", { class: "title", x: 12, y: 19 });
    const detail = svg("text", { class: "detail", x: 12, y: 36 });
    const badge = svg("text", { class: "badge", x: NODE_WIDTH - 10, y: 36, "text-anchor": "end" });
    const group = svg(
      "g",
      { role: "button", "data-id": id },
      svg("rect", { width: NODE_WIDTH, height: NODE_HEIGHT, rx: 7 }),
      title,
      detail,
      badge,
    );
    group.addEventListener("click", () => this.choose(id));
    group.addEventListener("focus", () => {
      this.focused = id;
      this.writeTabs();
      this.comeNear(id);
    });
    group.addEventListener("blur", () => this.comeNear(""));
    group.addEventListener("pointerenter", () => this.comeNear(id));
    group.addEventListener("pointerleave", () => this.comeNear(""));
    return { group, title, detail, badge };
  }

  private writeNode(node: ViewNode, elements: NodeElements): void {
    const detail = node.box === OUTSIDE ? (node.members[0].entity === "node" ? "this node" : "outside") : detailOf(node);
    setText(elements.title, shorten(node.title));
    setText(elements.detail, shorten(detail));
    setText(elements.badge, node.denied > 0 ? `✕ ${node.denied}` : "");
    const classes = ["node"];
    if (node.denied > 0) classes.push("denies");
    if (node.quarantined) classes.push("quarantined");
    if (node.id === this.selected) classes.push("selected");
    setAttribute(elements.group, "class", classes.join(" "));
    setAttribute(elements.group, "tabindex", node.id === this.focused ? "0" : "-1");
    setAttribute(elements.group, "aria-pressed", String(node.id === this.selected));
    const parts = [node.box === OUTSIDE ? node.title : `${node.box} ${node.title}`];
    if (node.quarantined) parts.push("in quarantine");
    parts.push(`calls ${node.outgoing}, is called by ${node.incoming}`);
    if (node.programs.length > 0) parts.push(`programs ${node.programs.join(", ")}`);
    if (node.denied > 0) parts.push(countText(node.denied, "denied flow"));
    setAttribute(elements.group, "aria-label", parts.join(", "));
  }

  private writeTabs(): void {
    for (const [id, elements] of this.nodes) {
      setAttribute(elements.group, "tabindex", id === this.focused ? "0" : "-1");
    }
  }

  private comeNear(id: string): void {
    this.near = id;
    for (const edge of this.view.edges) {
      const elements = this.edges.get(edge.id);
      if (elements !== undefined) setAttribute(elements.path, "class", this.classOf(edge));
    }
  }

  private classOf(edge: ViewEdge): string {
    const touches = (id: string): boolean => id !== "" && (edge.from === id || edge.to === id);
    const near = touches(this.near) || touches(this.selected) ? " near" : "";
    return `line ${edge.verdict}${near}${edge.id === this.selected ? " selected" : ""}`;
  }

  private drawEdges(moved: boolean): void {
    this.element.classList.toggle("dense", this.view.edges.length > DENSE);
    const present = new Set(this.view.edges.map((edge) => edge.id));
    for (const [id, elements] of this.edges) {
      if (present.has(id)) continue;
      elements.path.remove();
      elements.label?.remove();
      this.edges.delete(id);
    }
    const few = this.view.edges.length <= MOST_LABELS;
    let denials = 0;
    const titles = new Map(this.view.nodes.map((node) => [node.id, node.title]));
    for (const edge of this.view.edges) {
      const labelled = few || (edge.verdict === "DROPPED" && ++denials <= MOST_LABELS);
      let elements = this.edges.get(edge.id);
      if (elements === undefined) {
        elements = this.makeEdge(edge);
        this.edges.set(edge.id, elements);
      }
      if (labelled && elements.label === null) this.addLabel(edge.id, elements);
      if (!labelled && elements.label !== null) {
        elements.label.remove();
        elements.label = elements.text = null;
      }
      if (moved || elements.path.getAttribute("d") === null || (labelled && !elements.label!.hasAttribute("transform"))) {
        this.placeEdge(edge, elements);
      }
      this.writeEdge(edge, elements, titles);
    }
  }

  private makeEdge(edge: ViewEdge): EdgeElements {
    const path = svg("path", { "data-id": edge.id, "marker-end": `url(#arrow-${edge.verdict})` }, svg("title"));
    path.addEventListener("click", () => this.chooseEdge(edge.id));
    (edge.verdict === "DROPPED" ? this.denials : this.lines).append(path);
    return { path, label: null, text: null };
  }

  private addLabel(id: string, elements: EdgeElements): void {
    const text = svg("text", { "text-anchor": "middle", y: 4 });
    const label = svg("g", { role: "button", tabindex: "-1", "data-id": id }, svg("rect", { y: -9, height: 18, rx: 9 }), text);
    label.addEventListener("click", () => this.chooseEdge(id));
    this.labels.append(label);
    elements.label = label;
    elements.text = text;
  }

  private placeEdge(edge: ViewEdge, elements: EdgeElements): void {
    const from = this.layout.places.get(edge.from)!;
    const to = this.layout.places.get(edge.to)!;
    // Denials below what is allowed, and answers apart from questions.
    const shift = (edge.verdict === "DROPPED" ? 9 : edge.verdict === "AUDIT" ? 0 : -6) + (edge.from > edge.to ? 3 : -3);
    const line = lineBetween(from, to, shift);
    setAttribute(elements.path, "d", line.path);
    if (elements.label !== null) setAttribute(elements.label, "transform", `translate(${line.middle.x} ${line.middle.y})`);
  }

  private writeEdge(edge: ViewEdge, elements: EdgeElements, titles: Map<string, string>): void {
    const state = edge.id === this.selected ? " selected" : "";
    setAttribute(elements.path, "class", this.classOf(edge));
    setAttribute(elements.path, "stroke-width", widthOf(edge));
    const text = edgeText(edge, titles);
    setText(elements.path.firstElementChild!, `${text}, ${countText(edge.flows, "flow")}, ${bytesText(edge.bytes)}`);
    if (elements.label === null || elements.text === null) return;
    const label = (edge.verdict === "DROPPED" ? "✕ " : edge.verdict === "AUDIT" ? "? " : "") + edgeLabel(edge);
    if (elements.text.textContent !== label) {
      setText(elements.text, label);
      const width = 14 + 7 * label.length;
      setAttribute(elements.label.firstElementChild!, "width", String(width));
      setAttribute(elements.label.firstElementChild!, "x", String(-width / 2));
    }
    setAttribute(elements.label, "class", `label ${edge.verdict}${state}`);
    setAttribute(elements.label, "aria-label", text);
    setAttribute(elements.label, "aria-pressed", String(edge.id === this.selected));
  }

  private choose(id: string): void {
    const node = this.view.nodes.find((one) => one.id === id);
    if (node !== undefined) this.events.onNode(node);
  }

  private chooseEdge(id: string): void {
    const edge = this.view.edges.find((one) => one.id === id);
    if (edge !== undefined) this.events.onEdge(edge);
  }

  private onKey(event: KeyboardEvent): void {
    const target = (event.target as Element).closest("[data-id]");
    if (target === null) return;
    const id = target.getAttribute("data-id") ?? "";
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      if (this.nodes.has(id)) this.choose(id);
      else this.chooseEdge(id);
      return;
    }
    const next = neighbour(this.layout, id, event.key);
    if (next === undefined) return;
    event.preventDefault();
    this.nodes.get(next)?.group.focus();
  }
}

function detailOf(node: ViewNode): string {
  if (node.quarantined) return "quarantine";
  const first = node.members[0];
  if (node.members.length > 1) return `${node.members.length} workloads`;
  if (node.programs.length > 0) return node.programs.join(", ");
  if (first.owner?.kind !== undefined) return `${first.owner.kind} ${first.owner.name ?? ""}`;
  return first.local === true ? "workload" : "on another node";
}
