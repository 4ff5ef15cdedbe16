// The cases of the suite `rate`: topology, load and rules of each row.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "perf/rate/topology.h"
#include "perf/suite.h"

namespace sluice::perf {

// Measure also with a reader of the events.
enum class Events { kNone, kAggregated, kEveryPacket };

struct RateCase {
  std::string name;
  std::vector<std::string> against;
  bool floor = false;
  Topology::Options topology;
  Load load;
  bool passes = false;     // true: every packet arrives; false: none
  bool new_flows = false;  // each packet is of a new flow; the load goes in turn
  bool answered = false;   // flows are opened and answered before each sample
  bool two_cores = false;  // the node receives on another CPU than the generator
  GeneratorKind generator = GeneratorKind::kLiveFrames;
  bool dpdk_sink = false;  // DPDK takes all packets at the node, on the other CPU; the rate is what it received
  // Packets of denied flows to another workload. The load is then sent in bursts, alone and with one burst of these
  // before each: two rows. `packets` 0: none.
  Load flood;
  // A few packets that must get the opposite verdict from the same rules; `packets` 0: the case has no rules.
  Load opposite;
  std::function<Status(Topology*)> setup;
  std::string tool;  // must be installed

  // Sluice's rows.
  std::function<std::string(const Topology&)> resources;  // YAML; none: not a row of Sluice
  bool redirects = true;                                  // else allowed packets go through the node's stack
  Events events = Events::kNone;
  bool captures = false;  // measure also while headers of one pod, of both, and of another workload are captured
};

inline constexpr char kBareDrop[] = "xdp/drop/bare", kBareRedirect[] = "xdp/redirect/bare";
// Also the part of row names from which other rows are derived.
inline constexpr char kSluiceRedirect[] = "sluice/uplink/redirect/flows:",
                      kSluiceDrop[] = "sluice/uplink/as-drop/flows:";

bool NeedsDpdk(const RateCase& what);

// Two with a flood. More than one with events: unwatched, watched, and for an event for each packet also the rate of
// events read, and those lost. More than one with captures: without, with one of the two pods captured, with both, and
// with only another workload.
std::vector<Row> RowsOf(const RateCase& what);

std::vector<RateCase> AllRateCases(bool brief);

}  // namespace sluice::perf
