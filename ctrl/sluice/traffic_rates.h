// How fast workloads, and programs where flows name them, send and are sent: from the growth of flows between two
// listings. A value; not thread-safe.
//   TrafficRates rates;
//   rates.Update(flows, now);           // the first listing only says where the flows stand
//   rates.Update(flows_later, later);   // rates between the two, busiest first
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "api/sluice.pb.h"
#include "base/table.h"

namespace sluice::client {

class TrafficRates {
 public:
  struct Row {
    std::string workload;  // namespace/name
    std::string binary;    // empty: the sum of the workload
    double packets = 0;    // a second, both ways, as are:
    double bytes = 0;
    double drops = 0;  // packets of denied flows
  };
  using Clock = std::chrono::steady_clock;

  // A flow between two workloads counts for both.
  std::vector<Row> Update(const std::vector<v1::Flow>& flows, Clock::time_point now);

 private:
  struct Amount {
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
    int missed = 0;  // listings that it was not in since
  };

  bool begun_ = false;
  Clock::time_point last_;
  std::map<std::string, Amount> flows_;  // by flow id
};

Table MakeTrafficTable(const std::vector<TrafficRates::Row>& rows);
// {"workload":"shop/web-0","packetsPerSecond":12,...}, without its end; "binary" only where it has one.
std::string TrafficJson(const TrafficRates::Row& row);

}  // namespace sluice::client
