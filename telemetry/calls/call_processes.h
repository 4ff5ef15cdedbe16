// Processes as rules ask for them, made of the process tree and kept from call to call. Bounded: the least recently
// used ones are made anew. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "policy/rules/event.h"
#include "telemetry/calls/call_record.h"
#include "telemetry/calls/user_names.h"
#include "telemetry/event/clock.h"
#include "telemetry/process/process_tree.h"

namespace sluice::telemetry {

class CallProcesses {
 public:
  struct Known {
    policy::rules::Process process;
    std::optional<ProcessInstance> instance;  // absent: it is not in the tree
    std::shared_ptr<Known> parent;            // `process.parent` is in it

    // What the last call said, to see what has changed.
    std::uint32_t uid = 0, gid = 0, login_uid = 0;
    bool described = false;  // a call has said the rest
    bool in_container = false;
    std::chrono::steady_clock::time_point leaders_found;
    std::int64_t leaders_session = -1, leaders_group = -1;
  };

  // `tree` and `clock` must outlive it.
  CallProcesses(const ProcessTree* tree, WallClock* clock, std::size_t max_processes)
      : tree_(*tree), clock_(*clock), max_(max_processes) {}

  // Whether the process of the record is known, or in the tree.
  bool IsThere(const sl_call_event& event) const;
  // The process as it is at the call. `in_container`: its users are not the host's.
  std::shared_ptr<Known> Find(const CallRecord& record);
  void Update(const CallRecord& record, bool in_container, Known* known);
  std::string HostUserName(std::uint32_t uid) { return users_.UserName(uid); }

 private:
  struct Place {
    std::shared_ptr<Known> known;
    std::list<sl_process_id>::iterator order;
  };

  std::shared_ptr<Known> Keep(sl_process_id id, std::shared_ptr<Known> known);
  std::shared_ptr<Known> FindById(sl_process_id id, int depth);
  std::shared_ptr<Known> Make(ProcessInstance instance, int depth);
  std::optional<ProcessInstance> FindInstance(const sl_call_event& event) const;
  std::uint64_t WallNs(std::uint64_t boot_ns);
  void UpdateUsers(const sl_call_event& event, bool in_container, Known* known);
  void UpdateLeaders(const sl_call_event& event, Known* known) const;

  const ProcessTree& tree_;
  WallClock& clock_;
  const std::size_t max_;
  UserNames users_{HostRoot()};
  std::list<sl_process_id> order_;  // least recently used first
  std::unordered_map<sl_process_id, Place> known_;

  static std::string HostRoot();
};

}  // namespace sluice::telemetry
