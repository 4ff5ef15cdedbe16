// What the packet path knows of pods' interfaces: whose each is, its addresses, the programs of others there, and
// whether XDP may redirect to it. What was put there stays, whatever somebody else writes into the maps.
//
// The MAC and link-local addresses that an interface was first described with stay until Remove: whoever is behind it
// must not take another's by changing its own. Thread-safe.
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
  // `object` has the maps and outlives this.
  Status Bind(const bpf::DatapathObject* object);

  Status Put(const PodInterface& pod);
  Status Remove(std::uint32_t ifindex);
  // The facts alone, which are not kept up: test runs need no more.
  Status PutFactsOnly(std::uint32_t ifindex, const sl_interface& facts);

  // Now and then: programs of others that came to the interfaces by TCX, or went, of which nothing tells.
  Status LookForOthers();
  // Makes the maps what they should be again. Returns how many entries were not.
  StatusOr<int> Repair();

  StatusOr<MapUsage> ReadInterfaceUsage() const;
  StatusOr<MapUsage> ReadDeviceUsage() const;

 private:
  StatusOr<sl_interface> KeepAddresses(std::uint32_t ifindex, sl_interface facts) const;
  bool OwnsMac(std::uint32_t ifindex, std::uint32_t endpoint) const;
  StatusOr<bool> HasFacts(std::uint32_t ifindex, const sl_interface& facts) const;
  Status PutFacts(std::uint32_t ifindex, const sl_interface& facts);
  PodInterface WithOthers(PodInterface pod) const;
  Status Describe(PodInterface& pod);  // with the addresses that the kernel has been told of

  const bpf::DatapathObject* object_ = nullptr;
  bpf::Map<__u32, sl_interface> interfaces_;
  bpf::Map<__u32, sl_endpoint_mac> endpoint_macs_;
  bpf::Map<__u32, __u32> pod_devices_;
  std::mutex mutex_;
  // By mutex_, by ifindex: what the maps should hold, and the same as it was given to Put.
  std::map<std::uint32_t, PodInterface> pods_;
  std::map<std::uint32_t, PodInterface> given_pods_;
  std::map<std::uint32_t, std::uint32_t> mac_owners_;  // likewise: ifindex by endpoint, the one put last
};

}  // namespace sluice::datapath
