// Dense numbers of local workloads, 1..SL_MAX_ENDPOINTS-1: the index of their counters in the kernel. A workload keeps
// its number for as long as it exists, over restarts of the agent too (StateStore keeps them).
//   EndpointIds ids;  auto id = ids.Assign({"shop", "web-0"});
// A plain value; not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <set>

#include "base/status.h"
#include "policy/resource/model.h"

namespace sluice::node {

class EndpointIds {
 public:
  // The workload's number, or the lowest free one from now on. ResourceExhausted when all are taken.
  StatusOr<std::uint32_t> Assign(const policy::ObjectName& name);
  // Takes a number from an earlier agent. InvalidArgument: out of range, or another workload's.
  Status Restore(const policy::ObjectName& name, std::uint32_t id);
  void Release(const policy::ObjectName& name);
  // A number that the kernel still uses for an unknown workload: Assign skips it.
  void Reserve(std::uint32_t id) { taken_.insert(id); }
  // Gives a reserved number to its workload, once that is known. InvalidArgument: it is another workload's.
  Status Adopt(const policy::ObjectName& name, std::uint32_t id);

  std::uint32_t Find(const policy::ObjectName& name) const;  // 0: it has none
  policy::ObjectName NameOf(std::uint32_t id) const;         // empty: not assigned
  const std::map<policy::ObjectName, std::uint32_t>& all() const { return ids_; }

  bool operator==(const EndpointIds& other) const { return ids_ == other.ids_; }

 private:
  std::map<policy::ObjectName, std::uint32_t> ids_;
  std::set<std::uint32_t> taken_;
};

}  // namespace sluice::node
