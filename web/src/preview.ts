// A policy before it is applied: which of the flows that the agent remembers it would deny, or allow anew.
import { api } from "./api";
import { field, h, replace } from "./dom";
import { countText, peerText, policyText, portText, programName, timeText } from "./format";
import type { Page, Shell } from "./shell";
import type { Preview, PreviewChange } from "./types";

const MOST_BYTES = 900_000; // of a file; the agent reads 1 MiB

export class PreviewPage implements Page {
  readonly element: HTMLElement;
  private readonly text = h("textarea", { rows: 14, spellcheck: "false", placeholder: "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n…" });
  private readonly remove = h("input", { type: "checkbox" });
  private readonly answer = h("div", { "aria-live": "polite" });

  constructor(private readonly shell: Shell) {
    this.text.addEventListener("dragover", (event) => event.preventDefault());
    this.text.addEventListener("drop", (event) => void this.drop(event));
    const file = h("input", { type: "file", accept: ".yaml,.yml,.json", onchange: () => void this.read(file.files?.[0]) });
    this.element = h(
      "div",
      { class: "page", role: "region", tabindex: 0, "aria-label": "Policy preview" },
      h("h2", {}, "Policy preview"),
      h("p", {}, "Paste or drop policies. Nothing is applied: the agent evaluates the flows that it remembers with them."),
      field("Policies (YAML)", this.text, "big"),
      field("From a file", file),
      h("label", { class: "check" }, this.remove, " as if these policies were deleted"),
      h("button", { type: "button", class: "primary", onclick: () => void this.ask() }, "Preview"),
      this.answer,
    );
  }

  show(): void {}
  hide(): void {}

  private async drop(event: DragEvent): Promise<void> {
    const file = event.dataTransfer?.files[0];
    if (file === undefined) return; // text: the browser inserts it
    event.preventDefault();
    await this.read(file);
  }

  private async read(file: File | undefined): Promise<void> {
    if (file === undefined) return;
    if (file.size > MOST_BYTES) return this.shell.failed(new Error(`${file.name} is too large`));
    this.text.value = await file.text();
    await this.ask();
  }

  private async ask(): Promise<void> {
    replace(this.answer, h("p", { class: "quiet" }, "Asking…"));
    try {
      const preview = await api.preview(this.text.value, this.remove.checked);
      this.shell.answered();
      this.write(preview);
    } catch (error) {
      replace(this.answer, h("p", { class: "problem", role: "alert" }, (error as Error).message));
    }
  }

  private write(preview: Preview): void {
    const flows = Number(preview.flows ?? 0);
    replace(
      this.answer,
      h(
        "p",
        {},
        `${countText(flows, "flow")} since ${timeText(preview.oldest) || "the agent's start"} evaluated` +
          (Number(preview.notEvaluated ?? 0) > 0 ? `; ${preview.notEvaluated} of workloads that are gone are not` : "") + ".",
      ),
      ...(preview.notices ?? []).map((notice) => h("p", { class: "note" }, notice)),
      changesPart("Would be denied", "denied", preview.denied ?? []),
      changesPart("Would be allowed", "allowed", preview.allowed ?? []),
      Number(preview.leftOut ?? 0) > 0 && h("p", { class: "note" }, `${preview.leftOut} more flows would change.`),
    );
  }
}

function changesPart(title: string, kind: string, changes: PreviewChange[]): HTMLElement {
  const row = (change: PreviewChange): HTMLElement =>
    h(
      "tr",
      {},
      h("td", {}, peerText(change.source, change.sourceAddress)),
      h("td", {}, programName(change.source?.process?.binary)),
      h("td", {}, peerText(change.destination, change.destinationAddress)),
      h("td", {}, portText(change.protocol, change.port)),
      h("td", { class: "number" }, change.flows ?? "0"),
      h("td", {}, (change.policies ?? []).map(policyText).join("; ") || "no policy isolates"),
    );
  return h(
    "section",
    { class: `changes ${kind}` },
    h("h3", {}, `${title}: ${changes.length === 0 ? "nothing" : countText(changes.length, "connection")}`),
    changes.length > 0 &&
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, ...["From", "Program", "To", "Port", "Flows", "By"].map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", {}, ...changes.map(row)),
      ),
  );
}
