// Values as text for people. Pure.
import type { AgentEvent, Peer, PolicyRef } from "./types";

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

export function countText(count: number, one: string, many = one + "s"): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

export function timeText(time: string | undefined): string {
  if (time === undefined) return "";
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? "" : date.toLocaleTimeString("en-GB") + dayText(date);
}

function dayText(date: Date): string {
  return date.toDateString() === new Date().toDateString() ? "" : " " + date.toLocaleDateString("en-CA");
}

export function agoText(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  return `${(seconds / 3600).toFixed(1)} h ago`;
}

// "/usr/bin/psql" -> "psql".
export const programName = (path: string | undefined): string => (path ?? "").replace(/^.*\//, "");

export function peerText(peer: Peer | undefined, address: string | undefined): string {
  if (peer?.workload) return `${peer.namespace ?? ""}/${peer.workload}`;
  if (peer?.entity === "node") return "node";
  return address ?? peer?.entity ?? "?";
}

// An end as `explain` takes it.
export function endOf(peer: Peer | undefined, address: string | undefined): string {
  return peer?.workload ? `${peer.namespace ?? ""}/${peer.workload}` : (address ?? "");
}

export function portText(protocol: string | undefined, port: number | undefined): string {
  return port ? `${port}/${protocol ?? ""}` : (protocol ?? "");
}

export function policyText(policy: PolicyRef): string {
  const name = policy.namespace ? `${policy.namespace}/${policy.name ?? ""}` : (policy.name ?? "");
  const effect = (policy.effect ?? "").toLowerCase().replace("_", " ");
  return [`${policy.kind ?? ""} ${name}`, policy.rule, effect && `(${effect})`].filter(Boolean).join(" ");
}

// One line for an event that is not a flow's.
export function eventText(event: AgentEvent): string {
  const who = event.workload ? `${event.namespace ?? ""}/${event.workload}` : "node";
  const command = [event.process?.binary, ...(event.process?.arguments ?? [])].filter(Boolean).join(" ");
  switch (event.type) {
    case "flow": {
      const from = peerText(event.source, event.ip?.source);
      const to = peerText(event.destination, event.ip?.destination);
      const why = event.dropReason ? `, ${event.dropReason}` : "";
      return `${from} → ${to} ${portText(event.l4?.protocol, event.l4?.destinationPort)} ${event.verdict ?? ""}${why}`;
    }
    case "exec":
    case "fork":
      return `${who}: ${command}`;
    case "exit":
      return `${who}: ${command} ended${event.signal ? ` by ${event.signal}` : ` with ${event.exitCode ?? "?"}`}`;
    case "change": {
      const what = (event.changes ?? []).map((c) => [c.resource?.kind, c.resource?.name].join(" ")).join(", ");
      return `${event.action ?? ""} ${what} by ${event.caller ?? "the agent"}${event.problem ? `: ${event.problem}` : ""}`;
    }
    case "lost":
      return `${event.count ?? 0} events were lost: ${event.cause ?? ""}`;
    default:
      return `${who}: ${command}`;
  }
}
