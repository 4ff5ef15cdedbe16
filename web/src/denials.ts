// "Why was it dropped?": the last denials that match a text, each with its explanation.
import { api } from "./api";
import { field, h, replace, setText } from "./dom";
import { showExplanation } from "./explain";
import { countText, endOf, peerText, policyText, portText, programName, timeText } from "./format";
import type { Page, Shell } from "./shell";
import type { AgentEvent } from "./types";

const SHOWN = 100;
const TYPING_MS = 250;

export interface Denial {
  key: string;
  event: AgentEvent; // the newest one
  times: number;
}

// Repeated attempts are one denial; the newest first. Pure.
export function gather(events: AgentEvent[]): Denial[] {
  const denials = new Map<string, Denial>();
  for (const event of [...events].reverse()) {
    const key = [
      peerText(event.source, event.ip?.source),
      event.source?.process?.binary,
      peerText(event.destination, event.ip?.destination),
      event.l4?.protocol,
      event.l4?.destinationPort,
      event.dropReason,
    ].join(" ");
    const known = denials.get(key);
    if (known === undefined) denials.set(key, { key, event, times: 1 });
    else known.times += 1;
  }
  return [...denials.values()];
}

export class DenialsPage implements Page {
  readonly element: HTMLElement;
  private readonly input = h("input", { type: "search", placeholder: "pod, address or program", autocomplete: "off" });
  private readonly list = h("div", { class: "denials" });
  private readonly count = h("p", { role: "status", class: "summary" });
  // Kept from one answer to the next, so that an open explanation stays.
  private parts = new Map<string, { element: HTMLElement; attempts: HTMLElement }>();
  private timer = 0;
  private asking = 0;

  constructor(private readonly shell: Shell) {
    this.input.addEventListener("input", () => {
      window.clearTimeout(this.timer);
      this.timer = window.setTimeout(() => void this.ask(), TYPING_MS);
    });
    this.element = h(
      "div",
      { class: "page", role: "region", tabindex: 0, "aria-label": "Denials" },
      h("h2", {}, "Why was it dropped?"),
      field("Search denials", this.input, "big"),
      h("button", { type: "button", onclick: () => void this.ask() }, "Refresh"),
      this.count,
      this.list,
    );
  }

  show(): void {
    void this.ask();
  }

  hide(): void {
    window.clearTimeout(this.timer);
  }

  private async ask(): Promise<void> {
    const number = ++this.asking;
    try {
      const events = await api.events({ type: "flow", verdict: "DROPPED", q: this.input.value.trim(), last: 500 });
      if (number !== this.asking) return;
      this.shell.answered();
      const denials = gather(events);
      this.count.textContent = denials.length === 0 ? "No denials match." : countText(denials.length, "denial");
      const before = this.parts;
      this.parts = new Map(denials.slice(0, SHOWN).map((denial) => [denial.key, before.get(denial.key) ?? this.part(denial)]));
      for (const denial of denials) {
        const part = this.parts.get(denial.key);
        if (part !== undefined) setText(part.attempts, attemptsText(denial));
      }
      replace(this.list, ...[...this.parts.values()].map((part) => part.element));
    } catch (error) {
      if (number === this.asking) this.shell.failed(error as Error);
    }
  }

  private part({ event }: Denial): { element: HTMLElement; attempts: HTMLElement } {
    const answer = h("div", { class: "explanation", "aria-live": "polite" });
    const from = peerText(event.source, event.ip?.source);
    const to = peerText(event.destination, event.ip?.destination);
    const program = programName(event.source?.process?.binary);
    const policies = event.policies ?? [];
    const ask = (only_program: boolean): void =>
      void showExplanation(
        {
          from: endOf(event.source, event.ip?.source),
          to: endOf(event.destination, event.ip?.destination),
          protocol: event.l4?.protocol ?? "TCP",
          port: event.l4?.destinationPort ?? 0,
          ...(only_program && event.source?.process?.binary ? { process: event.source.process.binary } : {}),
        },
        answer,
      );
    const attempts = h("p", {});
    const element = h(
      "article",
      { class: "denial" },
      h("h3", {}, `${from} → ${to} ${portText(event.l4?.protocol, event.l4?.destinationPort)}`),
      attempts,
      policies.length > 0 && h("ul", {}, ...policies.map((policy) => h("li", {}, policyText(policy)))),
      h("button", { type: "button", onclick: () => ask(false) }, "Why, and what would allow it?"),
      program !== "" && isAtSource(event) && h("button", { type: "button", onclick: () => ask(true) }, `Only for ${program}`),
      answer,
    );
    return { element, attempts };
  }
}

// Whether the source's end denies it: only a rule there can name the program that sends.
function isAtSource(event: AgentEvent): boolean {
  return (event.policies ?? []).some((policy) => policy.direction === "EGRESS" && /^(DENY|DEFAULT_DENY)$/.test(policy.effect ?? ""));
}

function attemptsText({ event, times }: Denial): string {
  const program = programName(event.source?.process?.binary);
  return [program && `by ${program}`, event.dropReason, countText(times, "attempt"), `last at ${timeText(event.time)}`]
    .filter(Boolean)
    .join(" · ");
}
