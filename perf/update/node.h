// An agent's control plane in this process, over the real packet path: controller, pinned maps, state on disk, programs
// on real interfaces. Built like ctrl/sluiced/agent.cc, without API and telemetry.
#pragma once

#include <chrono>

#include "ctrl/reconcile/controller.h"
#include "kernel/datapath/bpf_datapath.h"
#include "perf/scratch.h"

namespace sluice::perf {

// Durations of the phases of one change, milliseconds.
struct ChangePhases {
  double parse = 0;
  double plan = 0;     // reading the node, snapshot, compilation
  double enforce = 0;  // attachments, edits of the idle epoch, the switch, the wait for running programs
  double save = 0;     // SQLite
};

// For one thread, whose network namespace has its interfaces.
class Node {
 public:
  static StatusOr<std::unique_ptr<Node>> Create();

  // YAML, as sent to the API.
  Status Apply(const std::string& yaml);
  Status Delete(const policy::ResourceId& id);
  const ChangePhases& phases() const { return phases_; }  // of the last Apply

  reconcile::Controller& controller() { return *controller_; }
  datapath::BpfDatapath& datapath() { return *datapath_; }
  std::shared_ptr<const reconcile::View> view() const { return controller_->view(); }

 private:
  explicit Node(Scratch scratch) : scratch_(std::move(scratch)) {}

  Scratch scratch_;  // destroyed last
  std::unique_ptr<reconcile::StateStore> store_;
  std::unique_ptr<datapath::BpfDatapath> datapath_;
  std::unique_ptr<reconcile::Controller> controller_;
  std::chrono::steady_clock::time_point plan_start_;
  ChangePhases phases_;
};

}  // namespace sluice::perf
