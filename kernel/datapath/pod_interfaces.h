// The packet path's data about pods' interfaces: the workload, its addresses, foreign programs, and whether XDP may
// redirect there. Repair restores entries that others change.
//
// The first MAC and link-local addresses of an interface stay until Remove: a pod must not take another pod's address
// by changing its own. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>

#include "kernel/bpf/map.h"
#include "kernel/bpf/object.h"
#include "kernel/datapath/enforcer.h"
#include "kernel/datapath/path_reader.h"

namespace sluice::datapath {

class PodInterfaces {
 public:
  // `object` owns the maps and must outlive this.
  Status Bind(const bpf::DatapathObject* object);

  Status Put(const PodInterface& pod);
  Status Remove(std::uint32_t ifindex);
  // Only writes the facts, and does not repair them later: enough for test runs.
  Status PutFactsOnly(std::uint32_t ifindex, const sl_interface& facts);

  // To call regularly: looks for foreign TCX programs at the interfaces, as no notification reports them.
  Status LookForOthers();
  // Restores the maps. Returns how many entries were wrong.
  StatusOr<int> Repair();

  StatusOr<MapUsage> ReadInterfaceUsage() const;
  StatusOr<MapUsage> ReadDeviceUsage() const;

 private:
  StatusOr<sl_interface> KeepAddresses(std::uint32_t ifindex, sl_interface facts) const;
  bool OwnsMac(std::uint32_t ifindex, std::uint32_t endpoint) const;
  StatusOr<bool> HasFacts(std::uint32_t ifindex, const sl_interface& facts) const;
  Status PutFacts(std::uint32_t ifindex, const sl_interface& facts);
  PodInterface WithOthers(PodInterface pod) const;
  Status Describe(PodInterface& pod);  // keeps the addresses that the kernel has already

  const bpf::DatapathObject* object_ = nullptr;
  bpf::Map<__u32, sl_interface> interfaces_;
  bpf::Map<__u32, sl_endpoint_mac> endpoint_macs_;
  bpf::Map<__u32, __u32> pod_devices_;
  std::mutex mutex_;
  // Guarded by mutex_, by ifindex: what the maps should hold, and the argument of Put.
  std::map<std::uint32_t, PodInterface> pods_;
  std::map<std::uint32_t, PodInterface> given_pods_;
  std::map<std::uint32_t, std::uint32_t> mac_owners_;  // guarded by mutex_: endpoint to the ifindex of the last Put
};

}  // namespace sluice::datapath
