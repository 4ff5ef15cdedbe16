// The maps of quarantine (bpf/abi/quarantine.h), and their expected contents. Kernel programs may cut off any endpoint;
// an endpoint that the agent cut off stays so until the agent releases it. Thread-safe.
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
  // `object` owns the maps and must outlive this.
  Status Bind(const bpf::DatapathObject& object);
  // A map of an older layout, which its programs still read: Set writes there too, until ReleaseOlder.
  Status BindOlder(Fd quarantine);
  void ReleaseOlder();

  Status Set(std::uint32_t endpoint, bool on);
  Status SetAllow(const std::vector<policy::Prefix>& peers);
  StatusOr<QuarantineState> Read() const;
  std::uint64_t allow_capacity() const { return allow_.capacity(); }

  // Restores the maps. Returns how many entries were wrong.
  StatusOr<int> Repair();

 private:
  Status Put(std::uint32_t endpoint, __u32 word) const;
  StatusOr<int> MakeAllow(const std::vector<policy::Prefix>& peers);

  std::mutex mutex_;
  bpf::Map<__u32, __u32> quarantine_;
  std::vector<std::pair<Fd, bpf::Map<__u32, __u32>>> older_;
  bpf::Map<sl_quarantine_peer, __u32> allow_;
  std::set<std::uint32_t> quarantined_;  // by the agent
  std::vector<policy::Prefix> allowed_;  // by the agent
  bool allow_set_ = false;
};

}  // namespace sluice::datapath
