// "Why?": the agent's explanation of a flow, with the policies that would allow it.
import { api, type ExplainQuestion } from "./api";
import { h, replace } from "./dom";
import { policyText } from "./format";
import type { ExplainDirection, Suggestions } from "./types";

function directionPart(title: string, direction: ExplainDirection | undefined): HTMLElement | null {
  if (direction?.verdict === undefined) return null;
  const policies = direction.policies ?? [];
  const misses = direction.nearMisses ?? [];
  return h(
    "div",
    {},
    h("h4", {}, `${title}: ${direction.verdict.toLowerCase()}`),
    policies.length > 0
      ? h("ul", {}, ...policies.map((policy) => h("li", {}, policyText(policy))))
      : h("p", { class: "quiet" }, direction.isolated === true ? "" : "no policy isolates this end"),
    misses.length > 0 && h("p", {}, "Nearest rules:"),
    misses.length > 0 &&
      h(
        "ul",
        {},
        ...misses.map((miss) => h("li", {}, `${policyText(miss.policy ?? {})}: ${(miss.differences ?? []).join("; ")}`)),
      ),
  );
}

async function copy(text: string, button: HTMLButtonElement): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select it and copy it";
  }
  setTimeout(() => (button.textContent = "Copy"), 2000);
}

function suggestionPart(answer: Suggestions): HTMLElement | null {
  const suggestions = answer.policies ?? [];
  const notes = answer.notes ?? [];
  if (suggestions.length === 0 && notes.length === 0) return null;
  const yaml = suggestions.map((one) => one.yaml ?? "").join("---\n");
  const button = h("button", { type: "button", onclick: () => void copy(yaml, button) }, "Copy");
  return h(
    "div",
    { class: "suggestion" },
    h("h4", {}, suggestions.length > 0 ? "A policy that allows exactly this flow" : "No policy allows exactly this flow"),
    ...notes.map((note) => h("p", { class: "note" }, `Note: ${note}.`)),
    suggestions.length > 0 && h("pre", { class: "yaml", tabindex: 0, "aria-label": "Suggested policy" }, yaml),
    suggestions.length > 0 && button,
  );
}

// Fills `into` with the answer.
export async function showExplanation(question: ExplainQuestion, into: HTMLElement): Promise<void> {
  replace(into, h("p", { class: "quiet" }, "Asking…"));
  try {
    const answer = await api.explain(question);
    const explanation = answer.explanation ?? {};
    replace(
      into,
      h("p", { class: explanation.allowed === true ? "verdict allowed" : "verdict denied" }, explanation.reason ?? ""),
      directionPart("Egress of the source", explanation.egress),
      directionPart("Ingress of the destination", explanation.ingress),
      suggestionPart(answer),
    );
  } catch (error) {
    replace(into, h("p", { class: "problem", role: "alert" }, (error as Error).message));
  }
}
