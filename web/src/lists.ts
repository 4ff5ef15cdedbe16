// The tabs of processes, events and the node.
import { api } from "./api";
import { field, h, replace, select, setOptions } from "./dom";
import { countText, eventText, timeText } from "./format";
import type { Page, Shell } from "./shell";
import type { AgentEvent, AgentStatus, RunningProcess } from "./types";

const AGAIN_MS = 3000;

// A page that asks the agent again and again while it is shown.
abstract class Asking implements Page {
  abstract readonly element: HTMLElement;
  private timer = 0;

  constructor(protected readonly shell: Shell) {}

  show(): void {
    void this.ask();
    this.timer = window.setInterval(() => {
      if (document.visibilityState === "visible") void this.ask();
    }, AGAIN_MS);
  }

  hide(): void {
    window.clearInterval(this.timer);
  }

  protected async ask(): Promise<void> {
    try {
      await this.read();
      this.shell.answered();
    } catch (error) {
      this.shell.failed(error as Error);
    }
  }

  protected abstract read(): Promise<void>;
}

export interface Tree {
  process: RunningProcess;
  children: Tree[];
}

// Processes under their nearest living ancestor. Pure.
export function treesOf(processes: RunningProcess[]): Tree[] {
  const byPid = new Map<number, Tree>();
  for (const process of processes) byPid.set(process.process?.pid ?? 0, { process, children: [] });
  const roots: Tree[] = [];
  for (const tree of byPid.values()) {
    const parent = byPid.get(tree.process.parentPid ?? 0);
    if (parent !== undefined && parent !== tree) parent.children.push(tree);
    else roots.push(tree);
  }
  return roots;
}

export class ProcessesPage extends Asking {
  readonly element: HTMLElement;
  private readonly choice: HTMLSelectElement;
  private readonly list = h("div", {});
  private readonly note = h("p", { role: "status", class: "summary" });

  constructor(shell: Shell) {
    super(shell);
    const [workloads, choice] = select("Workload", [["", "All"]], () => void this.ask());
    this.choice = choice;
    this.element = h("div", { class: "page", role: "region", tabindex: 0, "aria-label": "Processes" }, h("h2", {}, "Processes"), workloads, this.note, this.list);
  }

  protected async read(): Promise<void> {
    const { processes, more } = await api.processes("", "");
    const nameOf = (one: RunningProcess): string => (one.workload ? `${one.namespace ?? ""}/${one.workload}` : "node");
    const byWorkload = new Map<string, RunningProcess[]>();
    for (const one of processes) {
      const list = byWorkload.get(nameOf(one));
      if (list === undefined) byWorkload.set(nameOf(one), [one]);
      else list.push(one);
    }
    const names = [...byWorkload.keys()].sort();
    setOptions(this.choice, [["", "All workloads"], ...names.map((name): [string, string] => [name, name])]);
    // The node's own processes are many, so they are shown only when they are asked for.
    const shown = this.choice.value === "" ? names.filter((name) => name !== "node") : [this.choice.value];
    replace(
      this.list,
      ...shown.map((name) => h("section", {}, h("h3", {}, name), treeList(treesOf(byWorkload.get(name) ?? [])))),
    );
    this.note.textContent = countText(processes.length, "process", "processes") + (more ? ", and there are more" : "");
  }
}

function treeList(trees: Tree[]): HTMLElement {
  return h(
    "ul",
    { class: "tree" },
    ...trees.map(({ process, children }) =>
      h(
        "li",
        {},
        h("code", {}, [process.process?.binary, ...(process.process?.arguments ?? [])].filter(Boolean).join(" ")),
        h("span", { class: "quiet" }, ` pid ${process.process?.pid ?? "?"}, uid ${process.process?.uid ?? "?"}, since ${timeText(process.process?.startTime)}`),
        children.length > 0 && treeList(children),
      ),
    ),
  );
}

export class EventsPage extends Asking {
  readonly element: HTMLElement;
  private readonly type: HTMLSelectElement;
  private readonly search = h("input", { type: "search", oninput: () => void this.ask() });
  private readonly rows = h("tbody", {});
  private shown = "";

  constructor(shell: Shell) {
    super(shell);
    const types: [string, string][] = [["", "All"], ["flow", "Flows"], ["exec", "Execs"], ["exit", "Exits"], ["hook", "Hooks"], ["alert", "Alerts"], ["change", "Changes"]];
    const [typeField, type] = select("Type", types, () => void this.ask());
    this.type = type;
    this.element = h(
      "div",
      { class: "page", role: "region", tabindex: 0, "aria-label": "Events" },
      h("h2", {}, "Events"),
      h("div", { class: "filters" }, typeField, field("Search", this.search)),
      h(
        "table",
        { class: "events" },
        h("caption", {}, "The newest first"),
        h("thead", {}, h("tr", {}, ...["Time", "Type", "What"].map((name) => h("th", { scope: "col" }, name)))),
        this.rows,
      ),
    );
  }

  protected async read(): Promise<void> {
    const events = await api.events({ type: this.type.value, q: this.search.value.trim(), last: 200 });
    const lines = events.reverse().map((event: AgentEvent) => [timeText(event.time), event.type ?? "", eventText(event), event.verdict ?? ""]);
    const text = JSON.stringify(lines);
    if (text === this.shown) return;
    this.shown = text;
    replace(
      this.rows,
      ...lines.map(([time, type, what, verdict]) => h("tr", { class: verdict }, h("td", {}, time), h("td", {}, type), h("td", {}, what))),
    );
  }
}

export class NodePage extends Asking {
  readonly element = h("div", { class: "page", role: "region", tabindex: 0, "aria-label": "Node" }, h("h2", {}, "Node"));
  private readonly facts = h("div", {});

  constructor(shell: Shell) {
    super(shell);
    this.element.append(this.facts);
  }

  protected async read(): Promise<void> {
    const status = await api.status();
    replace(this.facts, factsPart(status), problemsPart(status), mapsPart(status), this.quarantinePart(status));
  }

  private quarantinePart(status: AgentStatus): HTMLElement {
    const names = status.quarantine?.workloads ?? [];
    const row = (name: string): HTMLElement => {
      const [namespace, workload] = name.split("/");
      const button = h("button", { type: "button", disabled: !this.shell.mayQuarantine() }, "End…");
      button.addEventListener("click", () => this.shell.confirmQuarantine(namespace, workload, true, () => void this.ask()));
      return h("li", {}, name, " ", button);
    };
    return h("section", {}, h("h3", {}, "Quarantine"), names.length === 0 ? h("p", { class: "quiet" }, "nobody") : h("ul", {}, ...names.map(row)));
  }
}

function factsPart(status: AgentStatus): HTMLElement {
  const facts: [string, string][] = [
    ["State", status.holding ? "holding" : status.ready === true ? "enforcing" : "not ready"],
    ["Node", status.node ?? ""],
    ["Version", status.version ?? ""],
    ["Started", timeText(status.startTime)],
    ["Revision", `${status.revision ?? "0"}, generation ${status.generation ?? "0"}`],
    ["Workloads", status.workloads ?? "0"],
    ["Process sensors", status.processSensors ?? "none"],
  ];
  return h("dl", { class: "facts" }, ...facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function problemsPart(status: AgentStatus): HTMLElement {
  const lines = [
    status.holding ? `Holding: ${status.holding}` : "",
    status.integrityProblem ?? "",
    ...(status.unbound ?? []).map((one) => `${one.namespace ?? ""}/${one.name ?? ""} is not enforced on: ${one.problem ?? ""}${one.open === true ? " (open)" : ""}`),
    ...(status.closed ?? []).map((one) => `${one.interface ?? ""} is closed: ${one.problem ?? ""}`),
    ...(status.lost ?? []).filter((one) => Number(one.count ?? 0) > 0).map((one) => `${one.count} events lost: ${one.cause ?? ""}`),
    ...(status.features ?? []).filter((one) => one.present !== true).map((one) => `Missing: ${one.name ?? ""}: ${one.cost ?? ""}`),
    ...(status.hookPolicies ?? []).filter((one) => one.facts?.problem).map((one) => `${one.ref?.name ?? ""}: ${one.facts?.problem ?? ""}`),
  ].filter(Boolean);
  return h("section", {}, h("h3", {}, "Problems"), lines.length === 0 ? h("p", { class: "quiet" }, "none") : h("ul", {}, ...lines.map((line) => h("li", {}, line))));
}

function mapsPart(status: AgentStatus): HTMLElement {
  const row = (map: { name?: string; entries?: string; capacity?: string; refused?: string }): HTMLElement => {
    const entries = Number(map.entries ?? 0);
    const capacity = Number(map.capacity ?? 0);
    return h(
      "tr",
      {},
      h("td", {}, map.name ?? ""),
      h("td", { class: "number" }, entries.toLocaleString("en")),
      h("td", { class: "number" }, capacity.toLocaleString("en")),
      h("td", {}, h("meter", { min: 0, max: Math.max(1, capacity), high: capacity * 0.8, value: entries, "aria-label": `${map.name ?? ""}: ${entries} of ${capacity}` })),
      h("td", { class: "number" }, map.refused ?? "0"),
    );
  };
  return h(
    "section",
    {},
    h("h3", {}, "Maps"),
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, ...["Map", "Entries", "Capacity", "Fill", "Refused"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, ...(status.maps ?? []).map(row)),
    ),
  );
}
