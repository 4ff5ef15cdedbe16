// One UDP flow between two pods of a test node, with real packets.
//   SL_ASSIGN_OR_RETURN(auto flow, ProbeFlow::Create(node, "client", "server"));
//   SL_ASSIGN_OR_RETURN(const Clock::time_point arrived, flow.FirstArrival());
#pragma once

#include <string>

#include "base/fd.h"
#include "perf/elapsed.h"
#include "testbed/netns.h"

namespace sluice::perf {

class ProbeFlow {
 public:
  static StatusOr<ProbeFlow> Create(const test::TestNode& node, const std::string& from, const std::string& to);

  // Sends until a datagram arrives. DeadlineExceeded: none does for half a minute.
  StatusOr<Clock::time_point> FirstArrival();
  // Sends until none arrives for a while. DeadlineExceeded: they go on for half a minute.
  Status AwaitSilence();

 private:
  ProbeFlow(Fd client, Fd server) : client_(std::move(client)), server_(std::move(server)) {}
  bool SendAndReceive();

  Fd client_;
  Fd server_;
};

}  // namespace sluice::perf
