// Packets of an established flow without a pause on one CPU, while generations change on another.
#pragma once

#include <functional>

#include "kernel/datapath/bpf_datapath.h"
#include "perf/rows.h"
#include "perf/update/probe.h"

namespace sluice::perf {

struct TrafficRun {
  const char* name;
  int updates;  // a second; 0: none, negative: as fast as they go
  int clients;  // that make them at the same time, each one after the other
  std::chrono::milliseconds duration;
};

// Rows traffic/NAME: nanoseconds a packet; for runs with updates also NAME/achieved and NAME/lost. Each update puts one
// or the other of `tables` in force; `packet` must be allowed by both.
// One client's change; returns when it is enforced.
using ClientUpdate = std::function<Status(int client, int number)>;

Status MeasureTraffic(datapath::BpfDatapath* datapath, const ClientUpdate& update, const ProbePacket& packet,
                      const TrafficRun& run, Rows* rows);

}  // namespace sluice::perf
