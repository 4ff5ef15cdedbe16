// The agent's map -> what is shown: filtered, and grouped so that it stays readable. Pure.
import { programName } from "./format";
import type { MapEdge, MapNode, ServiceMap, Verdict } from "./types";

export type Level = "auto" | "workload" | "owner" | "namespace";

export interface Filter {
  namespace: string; // empty: all
  program: string; // a part of a path, at either end
  verdict: "" | Verdict;
  text: string; // a part of a name, an address or a port
  level: Level;
}

export const NO_FILTER: Filter = { namespace: "", program: "", verdict: "", text: "", level: "auto" };

// A box of the map: one workload, or several that are shown as one.
export interface ViewNode {
  id: string;
  title: string;
  box: string; // the namespace, or OUTSIDE
  members: MapNode[];
  quarantined: boolean;
  programs: string[]; // at its connections, by name
  denied: number; // flows
  outgoing: number; // lines
  incoming: number;
}

export interface ViewEdge {
  id: string;
  from: string; // ViewNode.id
  to: string;
  verdict: Verdict;
  edges: MapEdge[];
  flows: number;
  bytes: number;
}

export interface View {
  level: Exclude<Level, "auto">;
  nodes: ViewNode[];
  edges: ViewEdge[];
  hidden: number; // workloads that are not shown, because of the filter
}

export const OUTSIDE = "outside";
const MOST_WORKLOADS = 60; // that are readable one by one
const MOST_OWNERS = 120;
const MOST_OUTSIDE = 12; // addresses that are shown one by one

export const isOutside = (node: MapNode): boolean => !node.namespace;

export function verdictOf(edge: MapEdge): Verdict {
  return edge.verdict ?? "FORWARDED";
}

function contains(value: string | undefined, part: string): boolean {
  return (value ?? "").toLowerCase().includes(part);
}

function matchesEdge(edge: MapEdge, filter: Filter, nodes: Map<string, MapNode>): boolean {
  if (filter.verdict !== "" && verdictOf(edge) !== filter.verdict) return false;
  if (filter.namespace !== "") {
    const ends = [nodes.get(edge.from), nodes.get(edge.to)];
    if (!ends.some((end) => end?.namespace === filter.namespace)) return false;
  }
  const program = filter.program.trim().toLowerCase();
  if (program !== "" && !contains(edge.fromProgram, program) && !contains(edge.toProgram, program)) return false;
  const text = filter.text.trim().toLowerCase();
  if (text === "") return true;
  return [edge.from, edge.to, edge.fromAddress, edge.toAddress, edge.service?.name, String(edge.port ?? "")].some(
    (value) => contains(value, text),
  );
}

function matchesNode(node: MapNode, filter: Filter): boolean {
  if (filter.program !== "" || filter.verdict !== "") return false; // only with an edge that matches
  if (filter.namespace !== "" && node.namespace !== filter.namespace) return false;
  const text = filter.text.trim().toLowerCase();
  return text === "" || contains(node.id, text) || contains(node.owner?.name, text);
}

function ownerId(node: MapNode): string {
  if (isOutside(node) || !node.owner?.name) return node.id;
  return `${node.namespace}/${(node.owner.kind ?? "").toLowerCase()}/${node.owner.name}`;
}

function groupId(node: MapNode, level: View["level"], merge_outside: boolean): string {
  if (isOutside(node)) return merge_outside && node.entity !== "node" ? "world" : node.id;
  if (level === "workload") return node.id;
  return level === "owner" ? ownerId(node) : `${node.namespace}/`;
}

function titleOf(id: string, members: MapNode[], level: View["level"]): string {
  const first = members[0];
  if (isOutside(first)) return members.length > 1 ? `world (${members.length} addresses)` : id;
  if (level === "namespace") return members.length === 1 ? (first.name ?? id) : `${members.length} workloads`;
  if (members.length === 1) return first.name ?? first.id;
  return `${first.owner?.name ?? id} × ${members.length}`;
}

export function chooseLevel(nodes: MapNode[], asked: Level): View["level"] {
  if (asked !== "auto") return asked;
  const inside = nodes.filter((node) => !isOutside(node));
  if (inside.length <= MOST_WORKLOADS) return "workload";
  return new Set(inside.map(ownerId)).size <= MOST_OWNERS ? "owner" : "namespace";
}

function addProgram(node: ViewNode, path: string | undefined): void {
  const name = programName(path);
  if (name !== "" && !node.programs.includes(name)) node.programs.push(name);
}

export function makeView(map: ServiceMap, filter: Filter): View {
  const all = map.nodes ?? [];
  const byId = new Map(all.map((node) => [node.id, node]));
  const edges = (map.edges ?? []).filter((edge) => matchesEdge(edge, filter, byId));
  const shown = new Set<string>();
  for (const edge of edges) shown.add(edge.from).add(edge.to);
  for (const node of all) if (!isOutside(node) && matchesNode(node, filter)) shown.add(node.id);
  const visible = all.filter((node) => shown.has(node.id));
  const level = chooseLevel(visible, filter.level);
  const mergeOutside = visible.filter((node) => isOutside(node) && node.entity !== "node").length > MOST_OUTSIDE;

  const members = new Map<string, MapNode[]>();
  const groupOf = new Map<string, string>();
  for (const node of visible) {
    const id = groupId(node, level, mergeOutside);
    groupOf.set(node.id, id);
    const group = members.get(id);
    if (group === undefined) members.set(id, [node]);
    else group.push(node);
  }
  const nodes = new Map<string, ViewNode>();
  for (const [id, group] of members) {
    nodes.set(id, {
      id,
      title: titleOf(id, group, level),
      box: isOutside(group[0]) ? OUTSIDE : (group[0].namespace ?? ""),
      members: group,
      quarantined: group.some((node) => node.quarantined === true),
      programs: [],
      denied: 0,
      outgoing: 0,
      incoming: 0,
    });
  }
  const lines = new Map<string, ViewEdge>();
  for (const edge of edges) {
    const from = groupOf.get(edge.from);
    const to = groupOf.get(edge.to);
    if (from === undefined || to === undefined) continue;
    const verdict = verdictOf(edge);
    const id = `${from}>${to}>${verdict}`;
    let line = lines.get(id);
    if (line === undefined) {
      line = { id, from, to, verdict, edges: [], flows: 0, bytes: 0 };
      lines.set(id, line);
      nodes.get(from)!.outgoing += 1;
      nodes.get(to)!.incoming += 1;
    }
    line.edges.push(edge);
    addProgram(nodes.get(from)!, edge.fromProgram);
    addProgram(nodes.get(to)!, edge.toProgram);
    line.flows += Number(edge.flows ?? 0);
    line.bytes += Number(edge.bytes ?? 0);
    if (verdict === "DROPPED") {
      nodes.get(from)!.denied += Number(edge.flows ?? 0);
      if (from !== to) nodes.get(to)!.denied += Number(edge.flows ?? 0);
    }
  }
  const compare = (a: { id: string }, b: { id: string }): number => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
  return {
    level,
    nodes: [...nodes.values()].sort(compare),
    edges: [...lines.values()].sort(compare),
    hidden: all.filter((node) => !isOutside(node) && !shown.has(node.id)).length,
  };
}

// "5432", "53, 5432", "8 ports": what is written on a line.
export function edgeLabel(edge: ViewEdge): string {
  const ports = [...new Set(edge.edges.map((one) => (one.port ? String(one.port) : (one.protocol ?? ""))))];
  if (ports.length > 2) return `${ports.length} ports`;
  return ports.sort().join(", ");
}

export function edgeText(edge: ViewEdge, titles: Map<string, string>): string {
  const verdict = { FORWARDED: "allowed", DROPPED: "denied", AUDIT: "allowed, audit would deny" }[edge.verdict];
  return `${titles.get(edge.from) ?? edge.from} to ${titles.get(edge.to) ?? edge.to}, ${edgeLabel(edge)}, ${verdict}`;
}

// Nanoseconds since 1970, as text: a number of JavaScript has too few digits for them.
export function toNs(milliseconds: number): string {
  return `${Math.round(milliseconds)}000000`;
}
