// The real agent, as a child: how long it takes to start with much to know, and what it costs when nothing happens.
#pragma once

#include "perf/rows.h"

namespace sluice::perf {

// Rows identities:N/start, /restart (with all pins there) and /resident.
Status MeasureAgentStart(std::uint32_t identities, int runs, Rows* rows);

struct IdleRun {
  int workloads;
  double seconds;  // of each sample
  int runs;
  bool without_sensors;  // too
};

// Rows idle/workloads:N/resident, /resident/bpf-maps (that are mapped, part of it), /cpu, and with /sensors-off.
Status MeasureIdleAgent(const IdleRun& run, Rows* rows);

}  // namespace sluice::perf
