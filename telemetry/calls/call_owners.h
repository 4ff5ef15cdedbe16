// Whose calls are, and the shares of the ring that workloads have. Not thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>

#include "kernel/calls/call_store.h"
#include "telemetry/calls/call_source.h"

namespace sluice::telemetry {

class CallOwners {
 public:
  using CgroupPath = std::function<std::optional<std::string>(std::uint32_t pid, std::uint64_t cgroup)>;

  // `find` empty: by the cgroup's path alone. `store` null: nothing is told.
  CallOwners(std::function<CallOwner(const ProcessInstance&)> find, CgroupPath cgroup_path, calls::CallStore* store)
      : find_(std::move(find)), cgroup_path_(std::move(cgroup_path)), store_(store) {}

  // Moves what is known of the process to the place of its call: a program may enter a pod or a container before its
  // exec, as container runtimes do.
  void Follow(const sl_call_event& event, ProcessInstance* instance);
  // `instance` null: the process is not known. Else it has followed.
  CallOwner Find(const sl_call_event& event, const ProcessInstance* instance);
  // The workload of a share; empty: the host, or not known.
  policy::ObjectName WorkloadOf(std::uint32_t share) const;
  // To call from time to time: places are told again that the kernel has forgotten since.
  void Tick() { told_.clear(); }

 private:
  using PlaceKey = std::tuple<std::uint64_t, std::uint64_t, std::uint32_t>;
  struct Place {
    sl_process_id process = 0;
    CallOwner owner;
  };

  CallOwner FindNew(const ProcessInstance& instance);
  std::uint32_t ShareOf(const CallOwner& owner);
  void Tell(const sl_call_event& event, const CallOwner& owner);

  const std::function<CallOwner(const ProcessInstance&)> find_;
  const CgroupPath cgroup_path_;
  calls::CallStore* const store_;
  std::map<PlaceKey, CallOwner> final_;                                                // the kernel knows them, too
  std::set<PlaceKey> told_;                                                            // since the last Tick
  std::map<std::string, std::shared_ptr<const policy::rules::Container>> containers_;  // by id, of the default
  std::map<std::string, std::uint32_t> shares_;                                        // by workload or container
  std::map<std::uint32_t, policy::ObjectName> workloads_;                              // by share
};

}  // namespace sluice::telemetry
