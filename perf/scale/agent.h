// Measures the real agent as a child: its start with many resources, and its cost when idle.
#pragma once

#include "perf/rows.h"

namespace sluice::perf {

// Rows identities:N/start, /restart (all pins exist) and /resident.
Status MeasureAgentStart(std::uint32_t identities, int runs, Rows* rows);

struct IdleRun {
  int workloads;
  double seconds;  // of each sample
  int runs;
  bool without_sensors;  // also measure without sensors
};

// Rows idle/workloads:N/resident, /resident/bpf-maps (the part that is mapped BPF maps), /cpu, each also with
// /sensors-off.
Status MeasureIdleAgent(const IdleRun& run, Rows* rows);

}  // namespace sluice::perf
