// The page in Chromium, by real clicks, against a real agent that tests/e2e_web has started: browser CASE.
//   SLUICE_URL, SLUICE_READ_TOKEN, SLUICE_QUARANTINE_TOKEN: of the agent; SLUICE_SHOTS: directory for screenshots;
//   CHROMIUM: path of the browser
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";
import type { MapEdge, MapNode, ServiceMap } from "../src/types";

const need = (name: string): string => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
};
const URL = need("SLUICE_URL");
const READ = need("SLUICE_READ_TOKEN");
const QUARANTINE = need("SLUICE_QUARANTINE_TOKEN");
const SHOTS = need("SLUICE_SHOTS");
const axeSource = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

// What must not happen: requests to others, and errors in the console (which a violation of the content policy is).
const strange: string[] = [];

async function open(browser: Browser, token: string, more: { dark?: boolean } = {}): Promise<Page> {
  const context = await browser.newContext({
    viewport: { width: 1400, height: 900 },
    colorScheme: more.dark === true ? "dark" : "light",
    reducedMotion: "reduce",
    bypassCSP: false,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20000);
  page.on("request", (request) => {
    if (!request.url().startsWith(URL) && !request.url().startsWith("data:")) strange.push(`request ${request.url()}`);
  });
  page.on("console", (message) => {
    const expected = /status of 40\d/.test(message.text());
    if (message.type() === "error" && !expected) strange.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => strange.push(`error: ${error.message}`));
  await page.goto(token === "" ? URL : `${URL}#token=${token}`);
  return page;
}

// No serious finding. The content policy forbids foreign scripts, so axe comes through the debugger.
async function checkAccess(page: Page, what: string): Promise<void> {
  const session = await page.context().newCDPSession(page);
  await session.send("Runtime.evaluate", { expression: axeSource });
  const answer = await session.send("Runtime.evaluate", {
    expression: "axe.run(document, {resultTypes: ['violations']}).then((r) => JSON.stringify(r.violations))",
    awaitPromise: true,
    returnByValue: true,
  });
  const violations = JSON.parse(String(answer.result.value)) as {
    id: string; impact: string; help: string; nodes: { html: string }[];
  }[];
  const serious = violations.filter((one) => one.impact === "serious" || one.impact === "critical");
  const text = serious.map((one) => `${one.id}: ${one.help}\n  ${one.nodes.map((node) => node.html.slice(0, 200)).join("\n  ")}`);
  assert.equal(serious.length, 0, `axe, ${what}:\n${text.join("\n")}`);
  await session.detach();
}

const shot = (page: Page, name: string): Promise<Buffer> => page.screenshot({ path: `${SHOTS}/${name}.png` });
const tab = (page: Page, name: string): Promise<void> => page.getByRole("link", { name, exact: true }).click();
const nodeOf = (page: Page, name: string) => page.getByRole("button", { name: new RegExp(`^${name}[, ]`) });
const deniedLabel = (page: Page) => page.getByRole("button", { name: /^debug to db, 5432, denied/ });

async function signIn(browser: Browser): Promise<void> {
  const page = await open(browser, "");
  const token = page.getByLabel("Token of this agent");
  await checkAccess(page, "sign-in");
  await token.fill("x".repeat(32));
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("This token is not one of the agent's.").waitFor();
  await page.getByLabel("Token of this agent").fill(READ);
  await page.getByRole("button", { name: "Sign in" }).click();
  await nodeOf(page, "shop web").waitFor();
  assert.ok(!page.url().includes(READ), "the token is not in the address");
  await page.reload();
  await nodeOf(page, "shop web").waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Token of this agent").waitFor();
  await page.reload();
  await page.getByLabel("Token of this agent").waitFor();
}

async function theMap(browser: Browser): Promise<void> {
  const page = await open(browser, READ);
  for (const name of ["shop front", "shop web", "shop api", "data db", "data cache", "ops debug"]) await nodeOf(page, name).waitFor();
  await deniedLabel(page).waitFor();
  await page.getByRole("button", { name: /^api to db, 5432, allowed/ }).waitFor();
  await page.locator("svg.map").screenshot({ path: `${SHOTS}/map.png` });
  await checkAccess(page, "map");

  await deniedLabel(page).click();
  const panel = page.getByRole("complementary", { name: "Details" });
  await panel.getByText("DROPPED (POLICY_DENIED)").waitFor();
  await panel.getByText(/ops\/debug by .*curl/).waitFor();
  await panel.getByText("NetworkPolicy data/db (default deny)").waitFor();
  await panel.getByRole("button", { name: "Why, and what would allow it?" }).click();
  await panel.getByText("name: allow-tcp-5432-db-from-debug").waitFor();
  await panel.getByText(/Nearest rules/).waitFor();
  await checkAccess(page, "a denial's details");
  await shot(page, "denial-details");
  await panel.getByRole("button", { name: "Close details" }).click();

  // A line itself, not its label.
  const path = page.locator("path.line.FORWARDED").first();
  const point = await path.evaluate((element) => {
    const line = element as SVGPathElement;
    const at = line.getPointAtLength(line.getTotalLength() * 0.3).matrixTransform(line.getScreenCTM()!);
    return { x: at.x, y: at.y };
  });
  await page.mouse.click(point.x, point.y);
  await panel.getByRole("button", { name: "Explain" }).first().click();
  await panel.getByText(/allowed/i).first().waitFor();
  await panel.getByRole("button", { name: "Close details" }).click();

  // Filters.
  const summary = page.locator(".map-page > .summary");
  await page.getByLabel("Verdict").selectOption("Denied");
  await nodeOf(page, "shop front").waitFor({ state: "detached" });
  await deniedLabel(page).waitFor();
  await page.getByLabel("Verdict").selectOption("All");
  await page.getByLabel("Namespace", { exact: true }).selectOption("ops");
  await nodeOf(page, "shop front").waitFor({ state: "detached" });
  await page.getByLabel("Namespace", { exact: true }).selectOption("All");
  await page.getByLabel("Program", { exact: true }).fill("no such program");
  await page.getByText("0 nodes").waitFor();
  await page.getByLabel("Program", { exact: true }).fill("");
  await page.getByLabel("Search", { exact: true }).fill("cache");
  await nodeOf(page, "data cache").waitFor();
  await nodeOf(page, "shop front").waitFor({ state: "detached" });
  await page.getByLabel("Search", { exact: true }).fill("");
  await page.getByLabel("Group by").selectOption("Namespace");
  await page.getByRole("button", { name: /^shop 3 workloads/ }).click();
  await panel.getByRole("button", { name: "Show each workload" }).click();
  await nodeOf(page, "shop api").waitFor();
  await page.getByLabel("Namespace", { exact: true }).selectOption("All");
  await page.getByLabel("Group by").selectOption("Automatic");
  assert.match((await summary.textContent()) ?? "", /denied/);
}

async function keyboard(browser: Browser): Promise<void> {
  const page = await open(browser, READ, { dark: true });
  await deniedLabel(page).waitFor();
  const focused = (): Promise<string> => page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? "");
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "Skip to the content");
  for (let i = 0; i < 40 && !/^(data|ops|shop) .*calls/.test(await focused()); i++) await page.keyboard.press("Tab");
  const first = await focused();
  assert.match(first, /calls \d+, is called by \d+/, "Tab reaches the map");
  const seen = new Set([first]);
  for (const key of ["ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp", "ArrowRight", "ArrowRight", "ArrowDown", "ArrowDown"]) {
    await page.keyboard.press(key);
    seen.add(await focused());
  }
  assert.ok(seen.size >= 3, `arrow keys move: ${[...seen].join("; ")}`);
  await page.keyboard.press("Enter");
  const panel = page.getByRole("complementary", { name: "Details" });
  await panel.getByRole("heading", { name: "Connections" }).waitFor();
  await panel.getByRole("button", { name: /flow/ }).first().press("Enter");
  await panel.getByText("Last packet").first().waitFor();
  await page.getByRole("button", { name: "Table" }).press("Enter");
  await page.getByRole("row", { name: /ops\/debug curl data\/db/ }).getByRole("button", { name: "Details" }).press("Enter");
  await panel.getByText("DROPPED (POLICY_DENIED)").waitFor();
  await checkAccess(page, "table, dark");
  await shot(page, "table-dark");
  await page.getByRole("button", { name: "Light / dark" }).press("Enter");
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "light");
}

async function history(browser: Browser): Promise<void> {
  const page = await open(browser, READ);
  await nodeOf(page, "shop web").waitFor();
  await page.getByLabel("Span").selectOption("1 hour");
  const slider = page.getByRole("slider", { name: "Time" });
  const asked = page.waitForRequest((request) => /api\/map\?.*until=\d{19}/.test(request.url()));
  await slider.press("Home");
  await asked;
  assert.equal(await page.getByRole("button", { name: "Live" }).getAttribute("aria-pressed"), "false");
  await page.getByRole("button", { name: /^web to api, 9000/ }).waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Live" }).click();
  await page.getByRole("button", { name: /^web to api, 9000/ }).waitFor();
}

async function denials(browser: Browser): Promise<void> {
  const page = await open(browser, READ);
  await tab(page, "Denials");
  const search = page.getByLabel("Search denials");
  await search.fill("ops/debug");
  const denial = page.getByRole("article").filter({ hasText: "ops/debug → data/db 5432/TCP" });
  await denial.getByText(/by curl · POLICY_DENIED/).waitFor();
  await denial.getByRole("button", { name: "Why, and what would allow it?" }).click();
  const yaml = denial.locator("pre");
  await yaml.waitFor();
  await checkAccess(page, "denials");
  await shot(page, "denials");
  console.log(`--- suggestion\n${await yaml.textContent()}--- end`);
  assert.equal(await denial.getByRole("button", { name: "Only for curl" }).count(), 0, "db denies it, which does not see curl");
  const egress = page.getByRole("article").filter({ hasText: "ops/debug → data/cache 6379/TCP" });
  await egress.getByRole("button", { name: "Only for curl" }).click();
  await egress.getByText(/binaries: \[".*curl"\]/).waitFor();
  await search.fill("nothing like this");
  await page.getByText("No denials match.").waitFor();
}

async function preview(browser: Browser): Promise<void> {
  const page = await open(browser, READ);
  await tab(page, "Preview");
  await page.getByLabel("Policies (YAML)").fill("kind: [");
  await page.getByRole("button", { name: "Preview" }).click();
  await page.getByRole("alert").filter({ hasText: "policy:1" }).waitFor();
  const policy = (spec: string): string =>
    `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: db, namespace: data}\nspec: ${spec}\n`;
  await page.getByLabel("Policies (YAML)").fill(policy("{podSelector: {matchLabels: {app: db}}}"));
  await page.getByRole("button", { name: "Preview" }).click();
  await page.getByRole("heading", { name: "Would be denied: 1 connection" }).waitFor();
  await page.getByRole("row", { name: /shop\/api curl data\/db 5432\/TCP/ }).waitFor();
  await page.getByRole("heading", { name: "Would be allowed: nothing" }).waitFor();
  await checkAccess(page, "preview");
  await shot(page, "preview");
  await page.getByLabel("From a file").setInputFiles({ name: "db.yaml", mimeType: "text/yaml", buffer: Buffer.from(policy("{podSelector: {matchLabels: {app: db}}, ingress: [{}]}")) });
  await page.getByRole("heading", { name: /Would be allowed: \d connection/ }).waitFor();
  await page.getByRole("row", { name: /ops\/debug curl data\/db 5432\/TCP/ }).waitFor();
}

async function quarantine(browser: Browser): Promise<void> {
  const reader = await open(browser, READ);
  await nodeOf(reader, "shop api").click();
  const button = reader.getByRole("button", { name: "Quarantine…" });
  await button.waitFor();
  assert.ok(await button.isDisabled(), "the read token may not");
  const page = await open(browser, QUARANTINE);
  await nodeOf(page, "shop api").click();
  await page.getByRole("button", { name: "Quarantine…" }).click();
  const dialog = page.getByRole("dialog");
  await checkAccess(page, "confirmation");
  assert.ok(await dialog.getByRole("button", { name: "Quarantine" }).isDisabled(), "not before the name is typed");
  await dialog.getByLabel("Type api to confirm").fill("ap");
  assert.ok(await dialog.getByRole("button", { name: "Quarantine" }).isDisabled());
  await dialog.getByLabel("Type api to confirm").fill("api");
  await dialog.getByRole("button", { name: "Quarantine" }).click();
  await dialog.waitFor({ state: "detached" });
  await page.getByRole("button", { name: /^shop api, in quarantine/ }).waitFor();
  await checkAccess(page, "map with a quarantine");
  await shot(page, "quarantine");
}

async function release(browser: Browser): Promise<void> {
  const page = await open(browser, QUARANTINE);
  await tab(page, "Node");
  await page.getByRole("listitem").filter({ hasText: "shop/api" }).getByRole("button", { name: "End…" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("textbox").fill("api");
  await dialog.getByRole("button", { name: "End the quarantine" }).click();
  await page.getByText("nobody").waitFor();
}

async function lists(browser: Browser): Promise<void> {
  const page = await open(browser, READ);
  await tab(page, "Processes");
  await page.getByRole("heading", { name: "data/db" }).waitFor();
  await page.getByText(/socat.* TCP-LISTEN:5432/).first().waitFor();
  await checkAccess(page, "processes");
  await shot(page, "processes");
  await tab(page, "Events");
  await page.getByLabel("Type").selectOption("Execs");
  await page.getByRole("cell", { name: /curl/ }).first().waitFor();
  await page.getByLabel("Type").selectOption("Flows");
  await page.getByRole("cell", { name: /ops\/debug → data\/db 5432\/TCP DROPPED, POLICY_DENIED/ }).first().waitFor();
  await checkAccess(page, "events");
  await shot(page, "events");
  await tab(page, "Node");
  await page.getByText("enforcing").waitFor();
  await page.getByRole("cell", { name: "flows", exact: true }).waitFor();
  await checkAccess(page, "node");
  await shot(page, "node");
}

// 500 workloads and 2,000 connections, of which all change with each answer. The agent's answers are replaced.
async function scale(browser: Browser): Promise<void> {
  const nodes: MapNode[] = Array.from({ length: 500 }, (_, i) => ({
    id: `ns-${Math.floor(i / 10) % 20}/pod-${i}`, namespace: `ns-${Math.floor(i / 10) % 20}`, name: `pod-${i}`, local: true,
    owner: { kind: "Deployment", name: `deployment-${Math.floor(i / 10)}` },
  }));
  let round = 0;
  const answer = (): ServiceMap => {
    round += 1;
    const edges: MapEdge[] = Array.from({ length: 2000 }, (_, i) => ({
      from: nodes[(i * 7) % 500].id, to: nodes[(i * 13 + Math.floor(i / 500) * 31 + 1) % 500].id, protocol: "TCP", port: 1000 + (i % 50),
      verdict: i % 40 === 0 ? "DROPPED" : "FORWARDED", flows: String(1 + ((i + round) % 9)), bytes: String(100 + i * round * 997), last: new Date().toISOString(),
    }));
    return { nodes, edges, flows: "2000", oldest: new Date(Date.now() - 3600000).toISOString() };
  };
  const page = await open(browser, READ);
  await nodeOf(page, "shop web").waitFor();
  await page.route("**/api/map*", (route) => route.fulfill({ json: answer() }));
  await nodeOf(page, "ns-9 deployment-49 × 10").waitFor();
  await shot(page, "scale-grouped");
  await page.getByLabel("Group by").selectOption("Workload");
  await nodeOf(page, "ns-9 pod-499").waitFor();
  // Frames over several changes.
  const frames = await page.evaluate(
    () =>
      new Promise<number[]>((resolve) => {
        const times: number[] = [];
        let before = performance.now();
        const end = before + 9000;
        const tick = (now: number): void => {
          times.push(now - before);
          before = now;
          if (now < end) requestAnimationFrame(tick);
          else resolve(times);
        };
        requestAnimationFrame(tick);
      }),
  );
  frames.sort((a, b) => a - b);
  const at = (part: number): string => frames[Math.min(frames.length - 1, Math.floor(frames.length * part))].toFixed(1);
  console.log(`frames with 500 workloads and 2000 connections that change: ${frames.length}, median ${at(0.5)} ms, 99 % ${at(0.99)} ms, longest ${at(1)} ms`);
  assert.ok(Number(at(0.5)) <= 33, `the median frame takes ${at(0.5)} ms`);
  await page.getByLabel("Search", { exact: true }).fill("pod-499");
  await nodeOf(page, "ns-9 pod-498").waitFor({ state: "detached" });
  await nodeOf(page, "ns-9 pod-499").waitFor();
  await shot(page, "scale-search");
}

async function firstPaint(browser: Browser): Promise<void> {
  const page = await open(browser, READ);
  await deniedLabel(page).waitFor();
  const [paint, map] = await page.evaluate(() => [
    performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? -1,
    performance.now(),
  ]);
  console.log(`first contentful paint after ${paint.toFixed(0)} ms, the map is there within ${map.toFixed(0)} ms`);
  assert.ok(paint > 0 && paint < 5000);
}

const cases: Record<string, (browser: Browser) => Promise<void>> = {
  signIn, theMap, keyboard, history, denials, preview, quarantine, release, lists, scale, firstPaint,
};

async function main(): Promise<void> {
  const name = process.argv[2] ?? "";
  const run = cases[name];
  if (run === undefined) throw new Error(`there is no case ${name}: ${Object.keys(cases).join(", ")}`);
  const browser = await chromium.launch({
    executablePath: need("CHROMIUM"),
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run"],
  });
  try {
    await run(browser);
    assert.deepEqual(strange, [], "requests to others, or errors in the console");
  } catch (error) {
    for (const context of browser.contexts()) {
      for (const page of context.pages()) await page.screenshot({ path: `${SHOTS}/failed-${name}.png` }).catch(() => undefined);
    }
    throw error;
  } finally {
    await browser.close();
  }
  console.log(`${name}: passed`);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
