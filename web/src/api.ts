// Requests to the agent that served the page, and the token that they need.
import type { AgentEvent, AgentStatus, Preview, RunningProcess, ServiceMap, Session, Suggestions } from "./types";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const TOKEN_KEY = "sluice.token";
const TIMEOUT_MS = 20000;

let token = "";

// A link may bring the token behind `#token=`: a fragment never goes to a server. It is removed from the address at once,
// and kept for this tab only.
export function takeToken(): void {
  const match = /^#token=([^&]+)/.exec(location.hash);
  if (match !== null) {
    setToken(decodeURIComponent(match[1]));
    history.replaceState(null, "", location.pathname + location.search);
    return;
  }
  token = sessionStorage.getItem(TOKEN_KEY) ?? "";
}

export function setToken(value: string): void {
  token = value.trim();
  if (token === "") sessionStorage.removeItem(TOKEN_KEY);
  else sessionStorage.setItem(TOKEN_KEY, token);
}

export const hasToken = (): boolean => token !== "";

async function request<T>(path: string, body?: unknown): Promise<T> {
  // Other sites' pages may not set this header, so the agent knows our own requests by it.
  const headers: Record<string, string> = { "Sluice-Page": "1" };
  if (token !== "") headers["Authorization"] = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(path, {
      method: body === undefined ? "GET" : "POST",
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "same-origin",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw new ApiError(0, "the agent does not answer");
  }
  const text = await response.text();
  if (response.ok) return JSON.parse(text) as T;
  let problem = `the agent answers ${response.status}`;
  try {
    problem = (JSON.parse(text) as { error?: string }).error ?? problem;
  } catch {
    // Not from the agent: a proxy's page.
  }
  throw new ApiError(response.status, problem);
}

function query(parameters: Record<string, string | number | undefined>): string {
  const pairs = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== "");
  if (pairs.length === 0) return "";
  return "?" + pairs.map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`).join("&");
}

export interface ExplainQuestion {
  from: string;
  to: string;
  protocol: string;
  port: number;
  process?: string;
  listener?: string;
}

export const api = {
  session: () => request<Session>("api/session"),
  map: (seconds: number, untilNs?: string) => request<ServiceMap>("api/map" + query({ seconds, until: untilNs })),
  events: (parameters: Record<string, string | number | undefined>) =>
    request<{ events: AgentEvent[] }>("api/events" + query(parameters)).then((answer) => answer.events),
  processes: (namespace: string, workload: string) =>
    request<{ processes: RunningProcess[]; more: boolean }>("api/processes" + query({ namespace, workload })),
  status: () => request<AgentStatus>("api/status"),
  explain: (question: ExplainQuestion) => request<Suggestions>("api/explain", question),
  preview: (yaml: string, remove: boolean) => request<Preview>("api/preview", { yaml, remove }),
  quarantine: (namespace: string, name: string, release: boolean) =>
    request<{ unsaved?: string }>("api/quarantine", { namespace, name, release }),
};
