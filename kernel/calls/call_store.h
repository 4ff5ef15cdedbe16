// The sensors of system calls (bpf/calls): loads them with the first need, tells the kernel what rules ask for, and
// reads the records.
//
//   auto store = CallStore::Create({.processes_fd = processes});  // nothing is loaded yet
//   (*store)->Require({ruleset});                                 // then every event that it can match is recorded
//   while (...) { (*store)->Wait(20ms); (*store)->Drain(consume); }
//   (*store)->Require({});                                        // nothing is attached, calls cost nothing
//
// Change of rules without a blind moment: Require({before, after}), change the rules, Require({after}). Thread-safe;
// Require may wait for a grace period of the kernel. Wait and Drain: one thread. Nothing is pinned: the sensors end
// with this object.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "bpf/abi/call.h"
#include "kernel/bpf/call_programs.h"
#include "policy/rules/prefilter.h"
#include "policy/rules/ruleset.h"

namespace sluice::calls {

struct CallStoreOptions {
  int processes_fd = -1;                // the process sensors' map; -1: one of its own, which stays empty
  std::uint32_t ring_bytes = 8U << 20;  // a power of two, at least a page; mapped twice, so RSS counts it double
};

// A record that could not be sent, as the ring was full or its share used up; or that its CPU had no room for.
struct CallLoss {
  std::optional<policy::rules::EventType> type;  // absent: not known any more
  std::uint32_t share = 0;                       // that SetPlace gave; 0: the host, or not known
  std::uint64_t count = 0;                       // since the last call of TakeLosses
};

class CallStore {
 public:
  // Receives a struct sl_call_event with its texts, in the order in which the calls returned on each CPU.
  using Consume = std::function<void(const void* record, std::size_t size)>;

  static StatusOr<std::unique_ptr<CallStore>> Create(const CallStoreOptions& options);
  ~CallStore();
  CallStore(const CallStore&) = delete;
  CallStore& operator=(const CallStore&) = delete;

  // What any of these rulesets can be true for is recorded from now on, and what only the ones before could is not. The
  // first call with a rule for a known type loads the programs; one without any detaches them. After an error nothing
  // is changed: FailedPrecondition with the verifier's last lines, or the program that cannot be attached;
  // PermissionDenied.
  Status Require(const std::vector<std::shared_ptr<const policy::rules::Ruleset>>& rulesets);
  // Types that there are sensors for. Rules for others never hit.
  static const policy::rules::EventSet& SupportedTypes();

  // What is known of the container in which records with this cgroup and these namespaces were. Its events count for
  // `share`, below SL_CALL_SHARES. To call when a record has SL_CALL_PLACE_UNKNOWN, once the container's facts are all
  // known. Null container: not known, so that all its events are wanted, but count for the share. Cheap for a container
  // that was there before.
  void SetPlace(const sl_call_place_key& place, const std::shared_ptr<const policy::rules::Container>& container,
                std::uint32_t share);
  // Forgets all places: to call when what is known of a container has changed.
  void ForgetPlaces();
  // How many shares divide the ring, at least 1.
  void SetShares(std::uint32_t count);

  // Passes on all pending records; returns how many. 0 if nothing is loaded.
  int Drain(const Consume& consume);
  // Returns when the ring fills up, Wake is called, or the time is over.
  void Wait(std::chrono::milliseconds timeout) const;
  void Wake() const;

  std::vector<CallLoss> TakeLosses();
  bool attached() const;        // some type is looked at
  std::uint64_t bytes() const;  // kernel memory of all maps; 0 if nothing is loaded
  // What this kernel has no sensor for, as a text for logs and status; empty: all is there.
  std::string missing() const;

 private:
  struct Wanted;  // what the kernel is told

  explicit CallStore(const CallStoreOptions& options) : options_(options) {}
  Status Apply(const Wanted& wanted);
  std::uint64_t KindsIn(const std::shared_ptr<const policy::rules::Container>& container);
  std::shared_ptr<bpf::CallPrograms> loaded_now() const;

  const CallStoreOptions options_;
  mutable std::mutex mutex_;                     // guards all below but the ring
  std::shared_ptr<bpf::CallPrograms> programs_;  // null: there was no need yet
  std::shared_ptr<const policy::rules::Prefilter> prefilter_;
  std::uint64_t kinds_ = 0;  // that are looked at, a bit each
  std::uint32_t shares_ = 1;
  std::map<std::shared_ptr<const policy::rules::Container>, std::uint64_t> container_kinds_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t> known_losses_;  // by share and kind
  mutable bool woken_ = false;                                                     // for Wait while nothing is loaded
  mutable std::condition_variable wake_;
};

}  // namespace sluice::calls
