// Services at the sockets of pods: their programs, and the table of Services in the kernel.
//   services->Set(table);   // for Kubernetes
// What was attached stays when the agent ends.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "ctrl/rights/helper.h"
#include "kernel/bpf/features.h"
#include "kernel/bpf/service_programs.h"
#include "kernel/datapath/bpf_datapath.h"

namespace sluice {

class Services {
 public:
  // With `translates`, the programs take the place of an earlier agent's; without, those end. A failure is logged: the
  // node translates then, and pods are enforced on all the same.
  // `datapath` and `helper` outlive this.
  static std::unique_ptr<Services> Start(bool translates, const std::string& bpf_root, datapath::BpfDatapath* datapath,
                                         const rights::Helper* helper);

  // Puts the table in force, and ends the UDP sockets of pods that are connected to a backend that is gone. The packet
  // path translates by it also without the programs. From one thread at a time.
  Status Set(std::shared_ptr<const policy::ServiceTable> table);

  // For the keeper.
  StatusOr<int> Repair();
  std::vector<bpf::Feature> features() const;

 private:
  Services(bool translates, datapath::BpfDatapath* datapath, const rights::Helper* helper)
      : translates_(translates), datapath_(datapath), helper_(helper) {}
  Status ForgetFlowsTo(const std::set<policy::Frontend>& fresh);
  Status EndStaleSockets();
  Status EndStaleSocketsIn(const std::string& path);

  const bool translates_;
  datapath::BpfDatapath* const datapath_;
  const rights::Helper* const helper_;
  std::unique_ptr<bpf::ServicePrograms> programs_;     // null: none are attached
  std::string problem_;                                // why
  std::shared_ptr<const policy::ServiceTable> table_;  // of the last Set; null before the first
  std::set<policy::Frontend> unforgotten_;             // new addresses whose earlier flows could not be forgotten yet
  bool can_end_sockets_ = true;
  bool may_have_stale_sockets_ = false;  // since the last time that all were ended
  std::string end_problem_;              // logged already
};

}  // namespace sluice
