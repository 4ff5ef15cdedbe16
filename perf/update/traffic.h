// Packets of an established flow without a pause on one CPU, while generations change on another.
#pragma once

#include <functional>

#include "ctrl/datapath/bpf_datapath.h"
#include "perf/rows.h"
#include "perf/update/probe.h"

namespace sluice::perf {

struct TrafficRun {
  const char* name;
  int updates;  // a second; 0: none, negative: as fast as they go
  std::chrono::milliseconds duration;
};

// Rows traffic/NAME: nanoseconds a packet; for runs with updates also NAME/achieved and NAME/lost. Each update puts one
// or the other of `tables` in force; `packet` must be allowed by both.
Status MeasureTraffic(datapath::BpfDatapath* datapath, const policy::Tables (&tables)[2], const ProbePacket& packet,
                      const TrafficRun& run, Rows* rows);

}  // namespace sluice::perf
