// The page around the tabs: sign-in, tabs, the state of the connection, colours, and the question before a quarantine.
import { api, ApiError, hasToken, setToken, takeToken } from "./api";
import { DenialsPage } from "./denials";
import { field, h, replace, setText, uniqueId } from "./dom";
import { EventsPage, NodePage, ProcessesPage } from "./lists";
import { MapPage } from "./mappage";
import { PreviewPage } from "./preview";
import type { Page, Shell } from "./shell";
import type { Session } from "./types";

const THEME_KEY = "sluice.theme";
const SIGN_IN = 401;

class App implements Shell {
  private session: Session = {};
  private current: Page | null = null;
  private readonly state = h("span", { class: "state", role: "status" });
  private readonly nodeName = h("span", { class: "node-name" });
  private readonly content = h("main", { id: "content", tabindex: -1 });
  private readonly tabs = h("nav", { "aria-label": "Views" });
  private readonly pages: [name: string, title: string, make: () => Page][] = [
    ["map", "Map", () => new MapPage(this)],
    ["denials", "Denials", () => new DenialsPage(this)],
    ["preview", "Preview", () => new PreviewPage(this)],
    ["processes", "Processes", () => new ProcessesPage(this)],
    ["events", "Events", () => new EventsPage(this)],
    ["node", "Node", () => new NodePage(this)],
  ];
  private readonly made = new Map<string, Page>();

  constructor() {
    applyTheme(localStorage.getItem(THEME_KEY) ?? "auto");
    const theme = h("button", { type: "button", onclick: () => nextTheme() }, "Light / dark");
    const leave = h("button", { type: "button", onclick: () => this.signOut() }, "Sign out");
    document.body.append(
      h("a", { class: "skip", href: "#content", onclick: (event) => this.skip(event) }, "Skip to the content"),
      h("header", {}, h("h1", {}, "Sluice"), this.nodeName, this.tabs, h("div", { class: "tools" }, this.state, theme, leave)),
      this.content,
    );
    window.addEventListener("hashchange", () => this.route());
  }

  async start(): Promise<void> {
    try {
      this.session = await api.session();
    } catch (error) {
      this.signIn(error instanceof ApiError && error.status === SIGN_IN ? (hasToken() ? "This token is not one of the agent's." : "") : (error as Error).message);
      return;
    }
    setText(this.nodeName, this.session.node ?? "");
    document.title = `Sluice ${this.session.node ?? ""}`;
    replace(this.tabs, ...this.pages.map(([name, title]) => h("a", { href: `#/${name}`, "data-name": name }, title)));
    this.made.clear();
    this.route();
  }

  answered(): void {
    setText(this.state, "connected");
    this.state.classList.remove("bad");
  }

  failed(error: Error): void {
    if (error instanceof ApiError && error.status === SIGN_IN) return this.signIn("The token is no longer valid.");
    setText(this.state, error.message);
    this.state.classList.add("bad");
  }

  mayQuarantine(): boolean {
    return this.session.mayQuarantine === true;
  }

  confirmQuarantine(namespace: string, name: string, release: boolean, done: () => void): void {
    const id = uniqueId();
    const problem = h("p", { class: "problem", role: "alert" });
    const typed = h("input", { type: "text", autocomplete: "off", oninput: () => (yes.disabled = typed.value !== name) });
    const yes = h("button", { type: "button", class: "danger", disabled: true }, release ? "End the quarantine" : "Quarantine");
    const dialog = h(
      "dialog",
      { "aria-labelledby": id },
      h("h2", { id }, `${release ? "End the quarantine of" : "Quarantine"} ${namespace}/${name}?`),
      h("p", {}, release ? "It may talk again as far as policies allow." : "From its next packet on it talks with nobody, also in connections that are open. It lasts until somebody ends it."),
      field(`Type ${name} to confirm`, typed),
      problem,
      h("p", {}, yes, " ", h("button", { type: "button", onclick: () => dialog.close() }, "Cancel")),
    );
    yes.addEventListener("click", () => {
      api.quarantine(namespace, name, release).then(
        () => {
          dialog.close();
          done();
        },
        (error: Error) => setText(problem, error.message),
      );
    });
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
    typed.focus();
  }

  private route(): void {
    const wanted = location.hash.replace(/^#\//, "");
    const entry = this.pages.find(([name]) => name === wanted) ?? this.pages[0];
    this.current?.hide();
    let page = this.made.get(entry[0]);
    if (page === undefined) {
      page = entry[2]();
      this.made.set(entry[0], page);
    }
    this.current = page;
    for (const link of this.tabs.children) {
      if (link.getAttribute("data-name") === entry[0]) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    replace(this.content, page.element);
    page.show();
  }

  private skip(event: Event): void {
    event.preventDefault();
    this.content.focus();
  }

  private signOut(): void {
    setToken("");
    this.signIn("");
  }

  private signIn(problem: string): void {
    this.current?.hide();
    this.current = null;
    replace(this.tabs);
    const input = h("input", { type: "password", autocomplete: "off", required: true });
    const form = h(
      "form",
      { class: "sign-in" },
      h("h2", {}, "Sign in"),
      field("Token of this agent", input, "big"),
      h("button", { type: "submit", class: "primary" }, "Sign in"),
      h("p", { class: "problem", role: "alert" }, problem),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      setToken(input.value);
      void this.start();
    });
    replace(this.content, form);
    input.focus();
  }
}

function applyTheme(theme: string): void {
  if (theme === "light" || theme === "dark") document.documentElement.setAttribute("data-theme", theme);
  else document.documentElement.removeAttribute("data-theme");
}

function nextTheme(): void {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const current = document.documentElement.getAttribute("data-theme") ?? (dark ? "dark" : "light");
  const next = current === "dark" ? "light" : "dark";
  localStorage.setItem(THEME_KEY, next);
  applyTheme(next);
}

takeToken();
void new App().start();
