import assert from "node:assert/strict";
import test from "node:test";
import { gather } from "../src/denials";
import { bytesText, countText, eventText, policyText, portText, programName } from "../src/format";
import { layOut, lineBetween, neighbour, NODE_HEIGHT, NODE_WIDTH, ranks } from "../src/layout";
import { type Tree, treesOf } from "../src/lists";
import { chooseLevel, edgeLabel, makeView, NO_FILTER, OUTSIDE, toNs } from "../src/model";
import type { MapEdge, MapNode, ServiceMap } from "../src/types";

const node = (id: string, more: Partial<MapNode> = {}): MapNode => {
  const [namespace, name] = id.split("/");
  return { id, namespace, name, local: true, ...more };
};
const outside = (id: string): MapNode => ({ id, name: id, entity: id === "node" ? "node" : "world" });
const edge = (from: string, to: string, more: Partial<MapEdge> = {}): MapEdge => ({
  from, to, protocol: "TCP", port: 80, verdict: "FORWARDED", flows: "1", bytes: "100", ...more,
});
const shop: ServiceMap = {
  nodes: [node("shop/web-0"), node("shop/web-1"), node("shop/db-0"), node("bank/vault"), outside("192.0.2.1"), outside("node")],
  edges: [
    edge("shop/web-0", "shop/db-0", { port: 5432, fromProgram: "/usr/bin/psql", toProgram: "/usr/bin/postgres" }),
    edge("shop/web-1", "shop/db-0", { port: 5432 }),
    edge("shop/web-0", "bank/vault", { verdict: "DROPPED", dropReason: "POLICY_DENIED", flows: "3" }),
    edge("shop/db-0", "192.0.2.1", { port: 443 }),
  ],
};
const ids = (map: ServiceMap, filter: Partial<typeof NO_FILTER>): string[] =>
  makeView(map, { ...NO_FILTER, ...filter }).nodes.map((one) => one.id);

test("every local workload is shown, and outside ends only with a connection", () => {
  assert.deepEqual(ids(shop, {}), ["192.0.2.1", "bank/vault", "shop/db-0", "shop/web-0", "shop/web-1"]);
  const view = makeView(shop, NO_FILTER);
  assert.equal(view.edges.length, 4);
  assert.equal(view.nodes.find((one) => one.id === "192.0.2.1")?.box, OUTSIDE);
  assert.equal(view.nodes.find((one) => one.id === "bank/vault")?.denied, 3);
});

test("filters keep the matching connections and their ends", () => {
  assert.deepEqual(ids(shop, { verdict: "DROPPED" }), ["bank/vault", "shop/web-0"]);
  assert.deepEqual(ids(shop, { program: "psql" }), ["shop/db-0", "shop/web-0"]);
  assert.deepEqual(ids(shop, { namespace: "bank" }), ["bank/vault", "shop/web-0"]);
  assert.deepEqual(ids(shop, { text: "5432" }), ["shop/db-0", "shop/web-0", "shop/web-1"]);
  assert.deepEqual(ids(shop, { text: "VAULT" }), ["bank/vault", "shop/web-0"]);
  assert.deepEqual(ids(shop, { text: "nobody" }), []);
  assert.equal(makeView(shop, { ...NO_FILTER, text: "nobody" }).hidden, 4);
});

test("allowed and denied connections of one pair are two lines", () => {
  const both = { nodes: shop.nodes, edges: [edge("shop/web-0", "shop/db-0"), edge("shop/web-0", "shop/db-0", { port: 81 }), edge("shop/web-0", "shop/db-0", { verdict: "DROPPED", port: 82 })] };
  const view = makeView(both, NO_FILTER);
  assert.deepEqual(view.edges.map((one) => [one.verdict, one.flows, edgeLabel(one)]), [["DROPPED", 1, "82"], ["FORWARDED", 2, "80, 81"]]);
});

test("many workloads are grouped: by owner, then by namespace", () => {
  const many = (count: number, perOwner: number): MapNode[] =>
    Array.from({ length: count }, (_, i) => node(`ns-${i % 7}/pod-${i}`, { owner: { kind: "Deployment", name: `d-${Math.floor(i / perOwner)}` } }));
  assert.equal(chooseLevel(many(20, 1), "auto"), "workload");
  assert.equal(chooseLevel(many(500, 50), "auto"), "owner");
  assert.equal(chooseLevel(many(500, 1), "auto"), "namespace");
  assert.equal(chooseLevel(many(500, 1), "workload"), "workload");
  const nodes = many(500, 50);
  const view = makeView({ nodes, edges: [edge(nodes[0].id, nodes[499].id), edge(nodes[7].id, nodes[499].id)] }, NO_FILTER);
  assert.equal(view.nodes.reduce((sum, one) => sum + one.members.length, 0), 500);
  assert.equal(view.edges.length, 1, "two connections of one group are one line");
  assert.equal(view.edges[0].flows, 2);
});

test("many addresses outside are one node", () => {
  const nodes = [node("shop/web-0"), ...Array.from({ length: 30 }, (_, i) => outside(`192.0.2.${i}`))];
  const view = makeView({ nodes, edges: nodes.slice(1).map((to) => edge("shop/web-0", to.id)) }, NO_FILTER);
  assert.deepEqual(view.nodes.map((one) => one.title), ["web-0", "world (30 addresses)"]);
});

test("callers are left of what they call, also in a circle", () => {
  const view = makeView(shop, NO_FILTER);
  const rank = ranks(view);
  assert.ok(rank.get("shop/web-0")! < rank.get("shop/db-0")!);
  assert.ok(rank.get("shop/db-0")! < rank.get("192.0.2.1")!);
  const circle = { nodes: [node("a/x"), node("a/y"), node("a/z")], edges: [edge("a/x", "a/y"), edge("a/y", "a/z"), edge("a/z", "a/x")] };
  assert.deepEqual([...ranks(makeView(circle, NO_FILTER)).values()].sort(), [0, 1, 2]);
});

test("no two nodes overlap, each is in its box, and a drawing is repeatable", () => {
  let seed = 1;
  const random = (below: number): number => (seed = (seed * 48271) % 2147483647) % below;
  for (const count of [1, 20, 500]) {
    const nodes = Array.from({ length: count }, (_, i) => node(`ns-${i % 9}/pod-${i}`));
    const edges = Array.from({ length: count * 4 }, () => edge(nodes[random(count)].id, nodes[random(count)].id));
    const view = makeView({ nodes, edges }, { ...NO_FILTER, level: "workload" });
    const layout = layOut(view);
    assert.deepEqual(layOut(view), layout);
    assert.equal(layout.places.size, count);
    const places = [...layout.places.values()];
    for (let i = 0; i < places.length; i++) {
      for (let j = 0; j < i; j++) {
        const apart = Math.abs(places[i].x - places[j].x) >= NODE_WIDTH || Math.abs(places[i].y - places[j].y) >= NODE_HEIGHT;
        assert.ok(apart, `nodes ${i} and ${j} of ${count}`);
      }
    }
    for (const one of view.nodes) {
      const box = layout.boxes.find((b) => b.name === one.box)!;
      const at = layout.places.get(one.id)!;
      assert.ok(at.x >= box.x && at.y >= box.y && at.x + NODE_WIDTH <= box.x + box.width && at.y + NODE_HEIGHT <= box.y + box.height);
    }
    for (const box of layout.boxes) assert.ok(box.x + box.width <= layout.width && box.y + box.height <= layout.height);
  }
});

test("a line begins and ends at its nodes", () => {
  const a = { x: 0, y: 0 };
  for (const b of [{ x: 400, y: 90 }, { x: -400, y: 0 }, { x: 0, y: 200 }]) {
    assert.match(lineBetween(a, b, 0).path, /^M-?[\d.]+ -?[\d.]+C[-\d. ]+$/);
  }
  assert.match(lineBetween(a, a, 0).path, /^M172 11C/);
});

test("arrow keys go to the nearest node of that side", () => {
  const layout = layOut(makeView(shop, NO_FILTER));
  assert.equal(neighbour(layout, "shop/web-0", "ArrowDown"), "shop/web-1");
  assert.equal(neighbour(layout, "shop/web-0", "ArrowRight"), "shop/db-0");
  assert.equal(neighbour(layout, "shop/web-0", "Escape"), undefined);
  assert.equal(neighbour(layout, "nobody", "ArrowDown"), undefined);
});

test("repeated denials are one, the newest first", () => {
  const denial = (port: number, time: string) => ({ time, type: "flow", source: { namespace: "a", workload: "x" }, destination: { namespace: "a", workload: "y" }, l4: { protocol: "TCP", destinationPort: port } });
  const gathered = gather([denial(1, "2026-01-01T00:00:01Z"), denial(2, "2026-01-01T00:00:02Z"), denial(1, "2026-01-01T00:00:03Z")]);
  assert.deepEqual(gathered.map((one) => [one.event.l4?.destinationPort, one.times, one.event.time]), [[1, 2, "2026-01-01T00:00:03Z"], [2, 1, "2026-01-01T00:00:02Z"]]);
});

test("processes are under their parents", () => {
  const process = (pid: number, parentPid?: number) => ({ process: { pid, binary: `/bin/${pid}` }, parentPid });
  const trees = treesOf([process(5, 1), process(1), process(6, 5), process(9, 777)]);
  const shape = (list: Tree[]): unknown => list.map((tree) => [tree.process.process?.pid, shape(tree.children)]);
  assert.deepEqual(shape(trees), [[1, [[5, [[6, []]]]]], [9, []]]);
});

test("texts", () => {
  assert.deepEqual([0, 999, 1000, 123456, 1e9].map(bytesText), ["0 B", "999 B", "1.0 kB", "123 kB", "1.0 GB"]);
  assert.equal(countText(1, "flow"), "1 flow");
  assert.equal(countText(1200, "process", "processes"), "1,200 processes");
  assert.equal(programName("/usr/bin/psql"), "psql");
  assert.equal(programName(undefined), "");
  assert.equal(portText("TCP", 80), "80/TCP");
  assert.equal(portText("ICMP", 0), "ICMP");
  assert.equal(policyText({ kind: "NetworkPolicy", namespace: "shop", name: "db", rule: "ingress[0]", effect: "DEFAULT_DENY" }), "NetworkPolicy shop/db ingress[0] (default deny)");
  assert.equal(toNs(1764590000123.4), "1764590000123000000");
  assert.equal(eventText({ type: "change", action: "apply", caller: "uid 0", changes: [{ resource: { kind: "Pod", name: "a" } }] }), "apply Pod a by uid 0");
  assert.equal(eventText({ type: "exit", namespace: "a", workload: "b", process: { binary: "/x" }, signal: "SIGKILL" }), "a/b: /x ended by SIGKILL");
});
