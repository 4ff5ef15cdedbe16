// What the suite `rate` measures: each row's topology, load and rules.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "perf/rate/topology.h"
#include "perf/suite.h"

namespace sluice::perf {

// What is also measured: the same with somebody who follows the events.
enum class Events { kNone, kAggregated, kEveryPacket };

struct RateCase {
  std::string name;
  std::vector<std::string> against;
  bool floor = false;
  Topology::Options topology;
  Load load;
  bool passes = false;     // every packet arrives; else none does
  bool new_flows = false;  // each packet is of a flow that was not seen before; the load goes in turn
  bool answered = false;   // flows are opened and answered before each sample
  bool two_cores = false;  // the node receives on another CPU than the generator's
  GeneratorKind generator = GeneratorKind::kLiveFrames;
  bool dpdk_sink = false;  // DPDK takes all packets at the node, on the other CPU; the rate is what it took
  // A few packets that must fare the other way, by the same rules; `packets` 0: there are no rules.
  Load opposite;
  std::function<Status(Topology*)> setup;
  std::string tool;  // must be installed

  // Sluice's rows.
  std::function<std::string(const Topology&)> resources;  // YAML; none: not Sluice's
  bool redirects = true;                                  // else what passes goes on through the node's stack
  Events events = Events::kNone;
};

inline constexpr char kBareDrop[] = "xdp/drop/bare", kBareRedirect[] = "xdp/redirect/bare";
// Also the part of the names of rows from which others are derived.
inline constexpr char kSluiceRedirect[] = "sluice/uplink/redirect/flows:",
                      kSluiceDrop[] = "sluice/uplink/as-drop/flows:";

bool NeedsDpdk(const RateCase& what);

// With events more than one: as it is, watched, and for an event each also how many were read, as a rate, and lost.
std::vector<Row> RowsOf(const RateCase& what);

std::vector<RateCase> AllRateCases(bool brief);

}  // namespace sluice::perf
