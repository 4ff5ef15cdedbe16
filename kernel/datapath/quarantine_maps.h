// The maps of quarantine (bpf/abi/quarantine.h), and what they should hold. Kernel programs may cut off whom they like;
// who was cut off by the agent stays so until the agent ends it. Thread-safe.
#pragma once

#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "bpf/abi/quarantine.h"
#include "kernel/bpf/map.h"
#include "kernel/bpf/object.h"
#include "kernel/datapath/enforcer.h"

namespace sluice::datapath {

class QuarantineMaps {
 public:
  // `object` has the maps and outlives this.
  Status Bind(const bpf::DatapathObject& object);
  // The maps of an older layout, by whose words its programs still evaluate: Set writes there too, until they are
  // released.
  Status BindOlder(Fd quarantine);
  void ReleaseOlder();

  Status Set(std::uint32_t endpoint, bool on);
  Status SetAllow(const std::vector<policy::Prefix>& peers);
  StatusOr<QuarantineState> Read() const;
  std::uint64_t allow_capacity() const { return allow_.capacity(); }

  // Makes it what it should be again. Returns how many entries were not.
  StatusOr<int> Repair();

 private:
  Status Put(std::uint32_t endpoint, __u32 word) const;
  StatusOr<int> MakeAllow(const std::vector<policy::Prefix>& peers);

  std::mutex mutex_;
  bpf::Map<__u32, __u32> quarantine_;
  std::vector<std::pair<Fd, bpf::Map<__u32, __u32>>> older_;
  bpf::Map<sl_quarantine_peer, __u32> allow_;
  std::set<std::uint32_t> quarantined_;  // by the agent
  std::vector<policy::Prefix> allowed_;  // likewise
  bool allow_set_ = false;
};

}  // namespace sluice::datapath
