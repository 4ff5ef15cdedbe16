// Where boxes and lines are drawn. Pure, and the same for the same view: nothing moves while traffic changes, only when
// workloads or pairs come and go.
import { OUTSIDE, type View, type ViewNode } from "./model";

export interface Place {
  x: number;
  y: number;
}

export interface Box {
  name: string;
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Layout {
  width: number;
  height: number;
  boxes: Box[];
  places: Map<string, Place>; // of the upper left corner of each node
}

export const NODE_WIDTH = 172;
export const NODE_HEIGHT = 46;
const GAP_X = 92; // room for lines and their labels
const GAP_Y = 20;
const PADDING = 16;
const HEADER = 26;
const BOX_GAP = 56;
const LEAST_WIDTH = 1360; // is used before a second row of boxes begins
const MOST_ROWS = 12; // of a column, before it is split

// The longest way from a node that nobody calls: callers are left of what they call. Where calls go in a circle, the
// order of names decides.
export function ranks(view: View): Map<string, number> {
  const next = new Map<string, Set<string>>();
  for (const edge of view.edges) {
    if (edge.from === edge.to) continue;
    const set = next.get(edge.from);
    if (set === undefined) next.set(edge.from, new Set([edge.to]));
    else set.add(edge.to);
  }
  const rank = new Map<string, number>();
  const state = new Map<string, 1 | 2>(); // 1: being visited, 2: done
  // Depth first without recursion: chains may be long.
  const order: string[] = [];
  for (const root of view.nodes) {
    if (state.has(root.id)) continue;
    const stack: [string, Iterator<string>][] = [[root.id, (next.get(root.id) ?? new Set<string>()).values()]];
    state.set(root.id, 1);
    while (stack.length > 0) {
      const [id, rest] = stack[stack.length - 1];
      const step = rest.next();
      if (step.done === true) {
        state.set(id, 2);
        order.push(id);
        stack.pop();
      } else if (!state.has(step.value)) {
        state.set(step.value, 1);
        stack.push([step.value, (next.get(step.value) ?? new Set<string>()).values()]);
      } else if (state.get(step.value) === 1) {
        next.get(id)!.delete(step.value); // it closes a circle
      }
    }
  }
  for (const id of order.reverse()) {
    const own = rank.get(id) ?? 0;
    rank.set(id, own);
    for (const to of next.get(id) ?? []) rank.set(to, Math.max(rank.get(to) ?? 0, own + 1));
  }
  return rank;
}

// The nodes of one box in columns.
function columnsOf(nodes: ViewNode[], rank: Map<string, number>): ViewNode[][] {
  const byRank = new Map<number, ViewNode[]>();
  for (const node of nodes) {
    const own = rank.get(node.id) ?? 0;
    const column = byRank.get(own);
    if (column === undefined) byRank.set(own, [node]);
    else column.push(node);
  }
  const rows = Math.max(MOST_ROWS, Math.ceil(Math.sqrt(nodes.length)));
  const columns: ViewNode[][] = [];
  for (const own of [...byRank.keys()].sort((a, b) => a - b)) {
    const column = byRank.get(own)!;
    for (let i = 0; i < column.length; i += rows) columns.push(column.slice(i, i + rows));
  }
  return columns;
}

export function layOut(view: View): Layout {
  const rank = ranks(view);
  const byBox = new Map<string, ViewNode[]>();
  for (const node of view.nodes) {
    const box = byBox.get(node.box);
    if (box === undefined) byBox.set(node.box, [node]);
    else box.push(node);
  }
  const mean = (nodes: ViewNode[]): number => nodes.reduce((sum, n) => sum + (rank.get(n.id) ?? 0), 0) / nodes.length;
  // Callers first; what is outside last; then by name.
  const names = [...byBox.keys()].sort((a, b) => {
    if ((a === OUTSIDE) !== (b === OUTSIDE)) return a === OUTSIDE ? 1 : -1;
    return mean(byBox.get(a)!) - mean(byBox.get(b)!) || (a < b ? -1 : 1);
  });
  const sized = names.map((name) => {
    const columns = columnsOf(byBox.get(name)!, rank);
    const rows = Math.max(...columns.map((column) => column.length));
    return {
      name,
      columns,
      width: 2 * PADDING + columns.length * NODE_WIDTH + (columns.length - 1) * GAP_X,
      height: HEADER + 2 * PADDING + rows * NODE_HEIGHT + (rows - 1) * GAP_Y,
    };
  });
  const area = sized.reduce((sum, box) => sum + (box.width + BOX_GAP) * (box.height + BOX_GAP), 0);
  const target = Math.max(Math.sqrt(area * 1.9), ...sized.map((box) => box.width + 2 * BOX_GAP), LEAST_WIDTH);
  const rows: (typeof sized)[] = [];
  let used = target;
  for (const box of sized) {
    if (used + box.width > target) {
      rows.push([]);
      used = BOX_GAP / 2;
    }
    rows[rows.length - 1].push(box);
    used += box.width + BOX_GAP;
  }
  const layout: Layout = { width: 0, height: BOX_GAP, boxes: [], places: new Map() };
  for (const row of rows) placeRow(row, layout);
  return layout;
}

interface SizedBox {
  name: string;
  columns: ViewNode[][];
  width: number;
  height: number;
}

// Adds boxes side by side below what is there, each in the middle of their height.
function placeRow(row: SizedBox[], layout: Layout): void {
  const top = layout.height;
  const height = Math.max(...row.map((box) => box.height));
  let x = BOX_GAP / 2;
  for (const box of row) {
    const y = top + (height - box.height) / 2;
    layout.boxes.push({ name: box.name, x, y, width: box.width, height: box.height });
    box.columns.forEach((column, i) => {
      // Short columns stand in the middle of their box.
      const free = box.height - HEADER - 2 * PADDING - column.length * NODE_HEIGHT - (column.length - 1) * GAP_Y;
      column.forEach((node, j) => {
        layout.places.set(node.id, {
          x: x + PADDING + i * (NODE_WIDTH + GAP_X),
          y: y + HEADER + PADDING + free / 2 + j * (NODE_HEIGHT + GAP_Y),
        });
      });
    });
    layout.width = Math.max(layout.width, x + box.width + BOX_GAP / 2);
    x += box.width + BOX_GAP;
  }
  layout.height = top + height + BOX_GAP;
}

export interface Line {
  path: string;
  middle: Place; // where the label is
}

const round = (value: number): number => Math.round(value * 10) / 10;

// `shift`: apart from the other lines of the same pair, in pixels.
export function lineBetween(from: Place, to: Place, shift: number): Line {
  const y1 = from.y + NODE_HEIGHT / 2 + shift;
  const y2 = to.y + NODE_HEIGHT / 2 + shift;
  let x1 = from.x + NODE_WIDTH;
  let x2 = to.x;
  let c1: number;
  let c2: number;
  // A line over other columns leaves the row, so that it is seen beside what stands there: denials below, others above.
  const far = Math.abs(to.x - from.x) > 1.5 * (NODE_WIDTH + GAP_X);
  const bow = far ? Math.sign(shift || -1) * Math.min(64, Math.abs(to.x - from.x) / 9) : 0;
  if (from.x + NODE_WIDTH <= to.x) {
    const bend = Math.min(120, (x2 - x1) / 2 + 10);
    c1 = x1 + bend;
    c2 = x2 - bend;
  } else if (to.x + NODE_WIDTH <= from.x) {
    x1 = from.x;
    x2 = to.x + NODE_WIDTH;
    const bend = Math.min(120, (x1 - x2) / 2 + 10);
    c1 = x1 - bend;
    c2 = x2 + bend;
  } else {
    // In one column, or a node with itself: around the right side.
    x2 = to.x + NODE_WIDTH;
    const bend = from === to ? 44 : 56;
    c1 = x1 + bend;
    c2 = x2 + bend;
    if (from === to) {
      const middle = { x: x1 + 34, y: y1 };
      return {
        path: `M${round(x1)} ${round(y1 - 12)}C${round(c1)} ${round(y1 - 18)} ${round(c2)} ${round(y2 + 18)} ${round(x2)} ${round(y2 + 12)}`,
        middle,
      };
    }
  }
  return {
    path: `M${round(x1)} ${round(y1)}C${round(c1)} ${round(y1 + bow)} ${round(c2)} ${round(y2 + bow)} ${round(x2)} ${round(y2)}`,
    middle: { x: round((x1 + 3 * c1 + 3 * c2 + x2) / 8), y: round((y1 + y2) / 2 + 0.75 * bow) },
  };
}

// The nearest node in a direction, for the arrow keys. Absent: there is none.
export function neighbour(layout: Layout, id: string, key: string): string | undefined {
  const own = layout.places.get(id);
  if (own === undefined) return undefined;
  let best: string | undefined;
  let least = Infinity;
  for (const [other, place] of layout.places) {
    if (other === id) continue;
    const dx = place.x - own.x;
    const dy = place.y - own.y;
    const along = { ArrowRight: dx, ArrowLeft: -dx, ArrowDown: dy, ArrowUp: -dy }[key];
    if (along === undefined || along <= 0) continue;
    const across = key === "ArrowLeft" || key === "ArrowRight" ? Math.abs(dy) : Math.abs(dx);
    const distance = along + 2 * across;
    if (distance < least) {
      least = distance;
      best = other;
    }
  }
  return best;
}
