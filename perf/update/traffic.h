// Continuous packets of an established flow on one CPU, while generations change on another.
#pragma once

#include <functional>

#include "kernel/datapath/bpf_datapath.h"
#include "perf/rows.h"
#include "perf/update/probe.h"

namespace sluice::perf {

struct TrafficRun {
  const char* name;
  int updates;  // a second; 0: none, negative: as fast as possible
  int clients;  // concurrent, each makes one update after another
  std::chrono::milliseconds duration;
};

// Makes one client's change; returns when it is enforced.
using ClientUpdate = std::function<Status(int client, int number)>;

// Rows traffic/NAME: nanoseconds a packet; for runs with updates also NAME/achieved and NAME/lost. Policy must allow
// `packet` before and after each update.
Status MeasureTraffic(datapath::BpfDatapath* datapath, const ClientUpdate& update, const ProbePacket& packet,
                      const TrafficRun& run, Rows* rows);

}  // namespace sluice::perf
