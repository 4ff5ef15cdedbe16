// Process instances as messages of sluice.v1.
#pragma once

#include <functional>
#include <memory>

#include "api/sluice.pb.h"
#include "policy/resource/model.h"
#include "telemetry/event/clock.h"
#include "telemetry/process/container_names.h"
#include "telemetry/process/process_tree.h"

namespace sluice::telemetry {

// The name of an sl_process_loss_cause: "PROCESS_RING_FULL".
const char* ProcessLossName(std::uint32_t cause);

// Finds a process's workload by its network namespace or its cgroup; nothing: no workload. From any thread.
using WorkloadResolver = std::function<std::optional<policy::ObjectName>(const ProcessInstance&)>;
// Finds the owner of a workload; null: none. From any thread.
using OwnerResolver = std::function<std::shared_ptr<const policy::PodOwner>(const policy::ObjectName& workload)>;

// Where records get names from; each may be empty.
struct ProcessNames {
  WorkloadResolver workload;
  OwnerResolver owner;
  const ContainerNames* containers = nullptr;  // outlives its users
};

// Thread-safe.
class ProcessEvents {
 public:
  // `tree` must outlive this; `clock` reads CLOCK_BOOTTIME.
  ProcessEvents(std::string node, const ProcessTree* tree, ProcessNames names, Clock clock)
      : node_(std::move(node)),
        tree_(tree),
        names_(std::move(names)),
        clock_(std::make_unique<WallClock>(std::move(clock))) {}

  // CLOCK_BOOTTIME. Call several times a second, so that times are right after the wall clock is set.
  std::uint64_t Now() const { return clock_->Now(); }
  v1::Event MakeExec(const ProcessInstance& instance) const;
  v1::Event MakeFork(const ProcessInstance& instance) const;
  v1::Event MakeExit(const ProcessInstance& instance) const;
  // The caller fills the rest of the hook.
  v1::Event MakeHook(const ProcessInstance& instance, std::uint64_t time_ns) const;
  v1::Event MakeAlert(const ProcessInstance& instance, std::uint64_t time_ns) const;
  // Without a time.
  v1::Event MakeDetection(const ProcessInstance& instance) const;
  // Adds the parent of `instance`, if it is known: the program that the process itself ran before, or else the instance
  // that forked it. Without ancestors.
  void AddParent(const ProcessInstance& instance, v1::Event* event) const;
  // A loss of `count` events that the sensors could not send.
  v1::Event MakeLost(const sl_process_loss_key& key, std::uint64_t count) const;

  // The workload, or else the pod whose container the process is in: one on the host's network is no workload.
  std::optional<policy::ObjectName> WorkloadOf(const ProcessInstance& instance) const;
  void ToProto(const ProcessInstance& instance, v1::Process* out) const;
  // For an end of a flow: only the first few KiB of arguments, because each of the process's flows repeats them. False:
  // the id is unknown or forgotten, and `out` is unchanged.
  bool ToPeer(sl_process_id id, v1::Process* out) const;

 private:
  void ToProto(const ProcessInstance& instance, std::size_t max_arguments, v1::Process* out) const;
  // All but ids and binaries of ancestors.
  void AddOwnFacts(const ProcessInstance& instance, std::size_t max_arguments, v1::Process* out) const;
  template <typename Message>
  void Begin(const ProcessInstance& instance, std::uint64_t time_ns, const char* type, std::size_t max_arguments,
             Message* out) const;

  template <typename Message>
  void AddWorkload(const ProcessInstance& instance, Message* out) const;
  std::shared_ptr<const Container> ContainerOf(const ProcessInstance& instance) const;  // null: not known
  std::optional<policy::ObjectName> WorkloadOfCgroup(std::uint64_t cgroup) const;

  const std::string node_;
  const ProcessTree* const tree_;
  const ProcessNames names_;
  const std::unique_ptr<WallClock> clock_;
};

}  // namespace sluice::telemetry
