// Traffic rates of workloads, and of their programs or peers: from the growth of the agent's sums between two of its
// answers. A value; not thread-safe.
//   TrafficRates rates;
//   rates.Update(reply, now);                      // the first answer only sets the start
//   auto rows = rates.Update(later_reply, later);  // rates between the two
//   SortRows(TrafficSort::kBytes, &rows);
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "api/sluice.pb.h"
#include "base/table.h"

namespace sluice::client {

class TrafficRates {
 public:
  struct Row {
    std::string workload;  // namespace/name
    std::string binary;    // binary and peer empty: the sum of the workload
    std::string peer;
    double packets = 0;       // a second, both directions
    double bytes = 0;         // a second, both directions
    double drops = 0;         // packets of denied flows, a second
    std::uint64_t flows = 0;  // live now
  };
  using Clock = std::chrono::steady_clock;

  // In no order.
  std::vector<Row> Update(const v1::TopReply& reply, Clock::time_point now);

 private:
  struct Amount {
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
    std::uint64_t drops = 0;
    int lower = 0;  // answers in a row that were lower
  };
  using Key = std::tuple<std::string, std::string, std::string>;

  bool begun_ = false;
  Clock::time_point last_;
  std::map<Key, Amount> highest_;  // by row
};

enum class TrafficSort { kPackets, kBytes, kDrops, kFlows };

// The busiest workload first; below each its parts, again the busiest first.
void SortRows(TrafficSort by, std::vector<TrafficRates::Row>* rows);

// In lines of at most `width` characters, as far as shorter names can do that; 0: no limit.
Table MakeTrafficTable(const std::vector<TrafficRates::Row>& rows, v1::TopRequest::By by, std::size_t width = 0);
// {"workload":"shop/web-0","packetsPerSecond":12,...}, without a newline; "binary" and "peer" only if not empty.
std::string TrafficJson(const TrafficRates::Row& row);

}  // namespace sluice::client
