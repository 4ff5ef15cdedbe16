// The agent's messages, as far as the page reads them: the JSON form of api/web.proto and api/sluice.proto. Protobuf
// writes 64-bit numbers as strings, and leaves out what is empty.

export interface Session {
  node?: string;
  version?: string;
  caller?: string;
  mayQuarantine?: boolean;
  time?: string;
}

export interface Owner {
  kind?: string;
  name?: string;
}

export interface PolicyRef {
  kind?: string;
  namespace?: string;
  name?: string;
  rule?: string;
  effect?: string;
  would?: string;
  direction?: string;
}

export type Verdict = "FORWARDED" | "DROPPED" | "AUDIT";

export interface MapNode {
  id: string;
  namespace?: string;
  name?: string;
  owner?: Owner;
  entity?: string;
  local?: boolean;
  quarantined?: boolean;
}

export interface MapEdge {
  from: string;
  to: string;
  fromProgram?: string;
  toProgram?: string;
  protocol?: string;
  port?: number;
  verdict?: Verdict;
  dropReason?: string;
  policies?: PolicyRef[];
  service?: { namespace?: string; name?: string; address?: string; port?: number };
  fromAddress?: string;
  toAddress?: string;
  flows?: string;
  packets?: string;
  bytes?: string;
  last?: string;
}

export interface ServiceMap {
  from?: string;
  until?: string;
  oldest?: string;
  nodes?: MapNode[];
  edges?: MapEdge[];
  flows?: string;
  leftOut?: string;
}

export interface Process {
  pid?: number;
  binary?: string;
  arguments?: string[];
  uid?: number;
  startTime?: string;
  execId?: string;
  ancestors?: string[];
  containerName?: string;
}

export interface Peer {
  namespace?: string;
  workload?: string;
  entity?: string;
  owner?: Owner;
  process?: Process;
}

export interface AgentEvent {
  time?: string;
  type?: string;
  event?: string;
  verdict?: Verdict;
  dropReason?: string;
  ip?: { source?: string; destination?: string };
  l4?: { protocol?: string; sourcePort?: number; destinationPort?: number };
  source?: Peer;
  destination?: Peer;
  policies?: PolicyRef[];
  flowId?: string;
  forward?: { packets?: number; bytes?: number };
  // Of a process.
  namespace?: string;
  workload?: string;
  process?: Process;
  exitCode?: number;
  signal?: string;
  // Of a change.
  action?: string;
  caller?: string;
  problem?: string;
  changes?: { resource?: { kind?: string; namespace?: string; name?: string }; change?: string }[];
  // Of a loss.
  cause?: string;
  count?: number;
}

export interface ExplainDirection {
  verdict?: string;
  isolated?: boolean;
  policies?: PolicyRef[];
  byProcess?: boolean;
  nearMisses?: { policy?: PolicyRef; differences?: string[] }[];
}

export interface Explanation {
  allowed?: boolean;
  auditDenied?: boolean;
  quarantined?: boolean;
  exempt?: string;
  reason?: string;
  egress?: ExplainDirection;
  ingress?: ExplainDirection;
}

export interface Suggestions {
  explanation?: Explanation;
  policies?: { direction?: string; workload?: string; yaml?: string }[];
  notes?: string[];
}

export interface PreviewChange {
  source?: Peer;
  destination?: Peer;
  sourceAddress?: string;
  destinationAddress?: string;
  protocol?: string;
  port?: number;
  flows?: string;
  last?: string;
  policies?: PolicyRef[];
}

export interface Preview {
  denied?: PreviewChange[];
  allowed?: PreviewChange[];
  flows?: string;
  notEvaluated?: string;
  leftOut?: string;
  oldest?: string;
  notices?: string[];
  documents?: string[];
}

export interface RunningProcess {
  namespace?: string;
  workload?: string;
  process?: Process;
  parentPid?: number;
}

export interface AgentStatus {
  ready?: boolean;
  version?: string;
  node?: string;
  startTime?: string;
  revision?: string;
  generation?: string;
  workloads?: string;
  holding?: string;
  integrityProblem?: string;
  processSensors?: string;
  unbound?: { namespace?: string; name?: string; problem?: string; open?: boolean }[];
  closed?: { interface?: string; problem?: string }[];
  maps?: { name?: string; entries?: string; capacity?: string; refused?: string }[];
  lost?: { cause?: string; count?: string }[];
  features?: { name?: string; present?: boolean; cost?: string }[];
  programs?: { program?: string; interface?: string; mode?: string }[];
  quarantine?: { workloads?: string[]; allow?: string[] };
  hookPolicies?: { ref?: { name?: string; namespace?: string }; facts?: { state?: string; problem?: string } }[];
}
