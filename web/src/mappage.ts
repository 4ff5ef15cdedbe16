// The first tab: the live map, its filters, the slider over what the agent remembers, and what was chosen in it.
import { api } from "./api";
import { field, h, replace, select, setOptions, setText } from "./dom";
import { showExplanation } from "./explain";
import { agoText, bytesText, countText, policyText, portText, programName, timeText } from "./format";
import { MapView } from "./mapview";
import { type Filter, isOutside, type Level, makeView, NO_FILTER, toNs, type View, type ViewEdge, type ViewNode, verdictOf } from "./model";
import type { Page, Shell } from "./shell";
import type { MapEdge, ServiceMap, Verdict } from "./types";

const LIVE_MS = 2000; // between two requests
const MOST_ROWS = 300; // of the table
const SPANS: [string, string][] = [["60", "1 minute"], ["300", "5 minutes"], ["900", "15 minutes"], ["3600", "1 hour"], ["86400", "1 day"]];

export class MapPage implements Page {
  readonly element: HTMLElement;
  private map: ServiceMap = {};
  private view: View = makeView({}, NO_FILTER);
  private filter: Filter = { ...NO_FILTER };
  private seconds = 60;
  private untilMs: number | null = null; // null: now
  private selected = "";
  private asTable = false;
  private asking = 0; // numbers requests: only the newest one's answer is shown
  private timer = 0;

  private readonly mapView = new MapView({
    onNode: (node) => this.chooseNode(node),
    onEdge: (edge) => this.chooseEdge(edge),
  });
  private readonly canvas = h("div", { class: "canvas" }, this.mapView.element);
  private readonly table = h("div", { class: "canvas", hidden: true });
  private readonly summary = h("p", { class: "summary", role: "status" });
  private readonly panel = h("aside", { class: "panel", "aria-label": "Details", hidden: true });
  private readonly slider = h("input", { type: "range", min: 0, max: 1000, value: 1000, "aria-label": "Time" });
  private readonly when = h("output", { class: "when" });
  private readonly live = h("button", { type: "button", "aria-pressed": "true" }, "Live");
  private readonly namespaces: HTMLSelectElement;
  private readonly form = h("button", { type: "button", "aria-pressed": "false" }, "Table");

  constructor(private readonly shell: Shell) {
    const filtered = (change: Partial<Filter>): void => {
      this.filter = { ...this.filter, ...change };
      this.draw();
    };
    const text = (label: string, name: "text" | "program", hint: string): HTMLElement => {
      const input = h("input", { type: "search", placeholder: hint, oninput: () => filtered({ [name]: input.value }) });
      return field(label, input);
    };
    const [namespaceField, namespaces] = select("Namespace", [["", "All"]], (value) => filtered({ namespace: value }));
    this.namespaces = namespaces;
    const [verdictField] = select(
      "Verdict",
      [["", "All"], ["FORWARDED", "Allowed"], ["DROPPED", "Denied"], ["AUDIT", "Audit would deny"]],
      (value) => filtered({ verdict: value as "" | Verdict }),
    );
    const [levelField] = select(
      "Group by",
      [["auto", "Automatic"], ["workload", "Workload"], ["owner", "Owner"], ["namespace", "Namespace"]],
      (value) => filtered({ level: value as Level }),
    );
    const [spanField] = select("Span", SPANS, (value) => {
      this.seconds = Number(value);
      void this.ask();
    });
    this.form.addEventListener("click", () => {
      this.asTable = !this.asTable;
      this.form.setAttribute("aria-pressed", String(this.asTable));
      this.draw();
    });
    this.live.addEventListener("click", () => this.goLive());
    this.slider.addEventListener("input", () => this.slide());
    this.element = h(
      "div",
      { class: "map-page" },
      h(
        "div",
        { class: "filters", role: "search", "aria-label": "Filters of the map" },
        text("Search", "text", "name, address, port"),
        namespaceField,
        text("Program", "program", "psql"),
        verdictField,
        levelField,
        this.form,
      ),
      h("div", { class: "main" }, h("div", { class: "stage" }, this.canvas, this.table), this.panel),
      h("div", { class: "time" }, this.live, this.slider, this.when, spanField),
      this.summary,
    );
  }

  show(): void {
    void this.ask();
    this.timer = window.setInterval(() => {
      if (this.untilMs === null && document.visibilityState === "visible") void this.ask();
    }, LIVE_MS);
  }

  hide(): void {
    window.clearInterval(this.timer);
  }

  private goLive(): void {
    this.untilMs = null;
    this.slider.value = "1000";
    this.live.setAttribute("aria-pressed", "true");
    void this.ask();
  }

  private range(): [oldest: number, now: number] {
    const now = Date.now();
    const oldest = this.map.oldest === undefined ? now - 60000 : new Date(this.map.oldest).getTime();
    return [Math.min(oldest, now - 1000), now];
  }

  private slide(): void {
    const part = Number(this.slider.value) / 1000;
    if (part >= 1) return this.goLive();
    const [oldest, now] = this.range();
    this.untilMs = oldest + part * (now - oldest);
    this.live.setAttribute("aria-pressed", "false");
    void this.ask();
  }

  private async ask(): Promise<void> {
    const number = ++this.asking;
    try {
      const map = await api.map(this.seconds, this.untilMs === null ? undefined : toNs(this.untilMs));
      if (number !== this.asking) return;
      this.map = map;
      this.shell.answered();
      this.draw();
    } catch (error) {
      if (number === this.asking) this.shell.failed(error as Error);
    }
  }

  private draw(): void {
    const names = [...new Set((this.map.nodes ?? []).map((node) => node.namespace ?? ""))].filter(Boolean).sort();
    setOptions(this.namespaces, [["", "All"], ...names.map((name): [string, string] => [name, name])]);
    this.view = makeView(this.map, this.filter);
    this.canvas.hidden = this.asTable;
    this.table.hidden = !this.asTable;
    if (this.asTable) this.drawTable();
    else this.mapView.draw(this.view, this.selected);
    const denied = this.view.edges.filter((edge) => edge.verdict === "DROPPED").reduce((sum, edge) => sum + edge.flows, 0);
    const parts = [
      countText(this.view.nodes.length, "node"),
      countText(this.view.edges.length, "connection"),
      `${denied} denied`,
      this.view.hidden > 0 ? `${this.view.hidden} workloads do not match` : "",
      Number(this.map.leftOut ?? 0) > 0 ? `${this.map.leftOut} flows are left out` : "",
    ];
    setText(this.summary, parts.filter(Boolean).join(" · "));
    const [oldest] = this.range();
    const at = this.untilMs === null ? "now" : timeText(new Date(this.untilMs).toISOString());
    setText(this.when, `${at} (history since ${agoText((Date.now() - oldest) / 1000)})`);
    this.slider.setAttribute("aria-valuetext", at);
  }

  private drawTable(): void {
    const rows = this.view.edges.flatMap((line) => line.edges);
    const head = ["From", "Program", "To", "Program", "Port", "Verdict", "Flows", "Bytes", ""];
    replace(
      this.table,
      h(
        "table",
        {},
        h("caption", {}, `Connections${rows.length > MOST_ROWS ? `: the first ${MOST_ROWS} of ${rows.length}` : ""}`),
        h("thead", {}, h("tr", {}, ...head.map((name) => (name ? h("th", { scope: "col" }, name) : h("td", {}))))),
        h("tbody", {}, ...rows.slice(0, MOST_ROWS).map((edge) => this.tableRow(edge))),
      ),
    );
  }

  private tableRow(edge: MapEdge): HTMLElement {
    const verdict = verdictOf(edge);
    return h(
      "tr",
      { class: verdict },
      h("td", {}, edge.from),
      h("td", {}, programName(edge.fromProgram)),
      h("td", {}, edge.to),
      h("td", {}, programName(edge.toProgram)),
      h("td", {}, portText(edge.protocol, edge.port)),
      h("td", {}, edge.dropReason ? `${verdict} ${edge.dropReason}` : verdict),
      h("td", { class: "number" }, edge.flows ?? "0"),
      h("td", { class: "number" }, bytesText(Number(edge.bytes ?? 0))),
      h("td", {}, h("button", { type: "button", onclick: () => this.openPanel(`${edge.from} to ${edge.to}`, [this.edgePart(edge)]) }, "Details")),
    );
  }

  private openPanel(title: string, parts: (Node | null)[]): void {
    const close = h("button", { type: "button", class: "close", "aria-label": "Close details" }, "×");
    close.addEventListener("click", () => {
      this.panel.hidden = true;
      this.selected = "";
      this.draw();
    });
    const heading = h("h2", { tabindex: -1 }, title);
    replace(this.panel, close, heading, ...parts);
    this.panel.hidden = false;
    heading.focus();
    this.draw();
  }

  private chooseNode(node: ViewNode): void {
    this.selected = node.id;
    const lines = this.view.edges.filter((edge) => edge.from === node.id || edge.to === node.id);
    const titles = new Map(this.view.nodes.map((one) => [one.id, one.title]));
    const button = (edge: ViewEdge): HTMLElement => {
      const outward = edge.from === node.id;
      const other = titles.get(outward ? edge.to : edge.from) ?? "";
      const verdict = { FORWARDED: "", DROPPED: " ✕ denied", AUDIT: " ? audit" }[edge.verdict];
      return h(
        "li",
        {},
        h(
          "button",
          { type: "button", class: `wide ${edge.verdict}`, onclick: () => this.chooseEdge(edge) },
          `${outward ? "→" : "←"} ${other}: ${countText(edge.flows, "flow")}, ${bytesText(edge.bytes)}${verdict}`,
        ),
      );
    };
    const single = node.members.length === 1 ? node.members[0] : null;
    this.openPanel(single?.id ?? node.title, [
      single?.owner?.name ? h("p", {}, `${single.owner.kind ?? ""} ${single.owner.name}`) : null,
      single !== null && single.local === true ? this.quarantinePart(single.namespace ?? "", single.name ?? "", single.quarantined === true) : null,
      node.members.length > 1
        ? h("details", {}, h("summary", {}, `${node.members.length} members`), h("ul", {}, ...node.members.slice(0, 200).map((one) => h("li", {}, one.id))))
        : null,
      node.members.length > 1 && !isOutside(node.members[0])
        ? h("button", { type: "button", onclick: () => this.lookInto(node) }, "Show each workload")
        : null,
      h("h3", {}, "Connections"),
      lines.length > 0 ? h("ul", { class: "plain" }, ...lines.map(button)) : h("p", { class: "quiet" }, "none in this span"),
    ]);
  }

  // One namespace, workload by workload.
  private lookInto(node: ViewNode): void {
    this.filter = { ...this.filter, namespace: node.box, level: "workload" };
    this.namespaces.value = node.box;
    this.selected = "";
    this.panel.hidden = true;
    this.draw();
  }

  private quarantinePart(namespace: string, name: string, quarantined: boolean): HTMLElement {
    const button = h("button", { type: "button", class: "danger" }, quarantined ? "End the quarantine…" : "Quarantine…");
    button.addEventListener("click", () =>
      this.shell.confirmQuarantine(namespace, name, quarantined, () => {
        this.panel.hidden = true;
        this.selected = "";
        void this.ask();
      }),
    );
    if (!this.shell.mayQuarantine()) {
      button.disabled = true;
      return h("p", {}, button, h("span", { class: "quiet" }, " your token may only read"));
    }
    return h("p", {}, button);
  }

  private chooseEdge(edge: ViewEdge): void {
    this.selected = edge.id;
    const titles = new Map(this.view.nodes.map((one) => [one.id, one.title]));
    const shown = edge.edges.slice(0, 50);
    this.openPanel(`${titles.get(edge.from) ?? edge.from} to ${titles.get(edge.to) ?? edge.to}`, [
      ...shown.map((one) => this.edgePart(one)),
      edge.edges.length > shown.length ? h("p", { class: "quiet" }, `and ${edge.edges.length - shown.length} more`) : null,
    ]);
  }

  private edgePart(edge: MapEdge): HTMLElement {
    const answer = h("div", { class: "explanation", "aria-live": "polite" });
    const nodes = new Map((this.map.nodes ?? []).map((node) => [node.id, node]));
    const end = (id: string, address: string | undefined): string => {
      const node = nodes.get(id);
      return node !== undefined && !isOutside(node) ? id : (address ?? id);
    };
    const verdict = verdictOf(edge);
    const facts: [string, string][] = [
      ["From", `${edge.from}${edge.fromProgram ? ` by ${edge.fromProgram}` : ""}`],
      ["To", `${edge.to}${edge.toProgram ? ` by ${edge.toProgram}` : ""}`],
      ["Port", portText(edge.protocol, edge.port)],
      ["Service", edge.service?.name ? `${edge.service.namespace ?? ""}/${edge.service.name}` : ""],
      ["Verdict", edge.dropReason ? `${verdict} (${edge.dropReason})` : verdict],
      ["Traffic", `${countText(Number(edge.flows ?? 0), "flow")}, ${bytesText(Number(edge.bytes ?? 0))}`],
      ["Last packet", timeText(edge.last)],
    ];
    const policies = edge.policies ?? [];
    return h(
      "section",
      { class: `edge ${verdict}` },
      h("dl", {}, ...facts.filter(([, value]) => value !== "").flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
      policies.length > 0 && h("h3", {}, "Decided by"),
      policies.length > 0 && h("ul", {}, ...policies.map((policy) => h("li", {}, policyText(policy)))),
      h(
        "button",
        {
          type: "button",
          onclick: () =>
            void showExplanation(
              { from: end(edge.from, edge.fromAddress), to: end(edge.to, edge.toAddress), protocol: edge.protocol ?? "TCP", port: edge.port ?? 0 },
              answer,
            ),
        },
        verdict === "DROPPED" ? "Why, and what would allow it?" : "Explain",
      ),
      answer,
    );
  }
}
