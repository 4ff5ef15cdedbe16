#include "kernel/datapath/pod_interfaces.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <optional>

#include "base/log.h"
#include "kernel/bpf/hook.h"
#include "kernel/datapath/bind_map.h"

namespace sluice::datapath {

Status PodInterfaces::Bind(const bpf::DatapathObject* object) {
  object_ = object;
  SL_RETURN_IF_ERROR(BindMap(*object, "interfaces", &interfaces_));
  SL_RETURN_IF_ERROR(BindMap(*object, "endpoint_macs", &endpoint_macs_));
  return BindMap(*object, "pod_devices", &pod_devices_);
}

Status PodInterfaces::Put(const PodInterface& given) {
  PodInterface pod = WithOthers(given);
  const std::lock_guard lock(mutex_);
  mac_owners_[pod.facts.endpoint] = pod.ifindex;
  SL_RETURN_IF_ERROR(Describe(pod));
  pods_[pod.ifindex] = pod;
  given_pods_[pod.ifindex] = given;
  return OkStatus();
}

Status PodInterfaces::Remove(std::uint32_t ifindex) {
  {
    const std::lock_guard lock(mutex_);
    pods_.erase(ifindex);
    given_pods_.erase(ifindex);
    std::erase_if(mac_owners_, [ifindex](const auto& one) { return one.second == ifindex; });
  }
  SL_RETURN_IF_ERROR(pod_devices_.Delete(ifindex));
  return interfaces_.Delete(ifindex);
}

// `facts` with the addresses that the interface already has: from its last description, or after a start from the
// kernel. Later changes in the kernel are not trusted.
StatusOr<sl_interface> PodInterfaces::KeepAddresses(std::uint32_t ifindex, sl_interface facts) const {
  std::optional<sl_interface> before;
  if (const auto described = pods_.find(ifindex); described != pods_.end()) {
    before = described->second.facts;
  } else {
    SL_ASSIGN_OR_RETURN(before, interfaces_.Get(ifindex));
  }
  const auto is_known = [](const __u8(&mac)[6]) {
    return std::any_of(std::begin(mac), std::end(mac), [](__u8 byte) { return byte != 0; });
  };
  if (!before || !is_known(before->pod_mac)) return facts;
  if (is_known(facts.pod_mac) && std::memcmp(before->pod_mac, facts.pod_mac, sizeof(facts.pod_mac)) != 0) {
    LogWarn(
        "interface {}: the MAC address behind it has changed: its frames are dropped; to accept it, delete the "
        "Workload and apply it again",
        ifindex);
  }
  std::copy(std::begin(before->pod_mac), std::end(before->pod_mac), facts.pod_mac);
  facts.link_local = before->link_local;
  facts.link_local4 = before->link_local4;
  return facts;
}

// A workload that returns on another interface has two for a moment: the MAC is that of the last attached one.
bool PodInterfaces::OwnsMac(std::uint32_t ifindex, std::uint32_t endpoint) const {
  const auto owner = mac_owners_.find(endpoint);
  return endpoint != 0 && (owner == mac_owners_.end() || owner->second == ifindex);
}

StatusOr<bool> PodInterfaces::HasFacts(std::uint32_t ifindex, const sl_interface& facts) const {
  SL_ASSIGN_OR_RETURN(const auto found, interfaces_.Get(ifindex));
  if (!found || std::memcmp(&*found, &facts, sizeof(facts)) != 0) return false;
  if (!OwnsMac(ifindex, facts.endpoint)) return true;
  SL_ASSIGN_OR_RETURN(const auto mac, endpoint_macs_.Get(facts.endpoint));
  return mac && std::memcmp(mac->mac, facts.pod_mac, sizeof(mac->mac)) == 0;
}

Status PodInterfaces::PutFacts(std::uint32_t ifindex, const sl_interface& facts) {
  sl_endpoint_mac mac{};
  std::copy(std::begin(facts.pod_mac), std::end(facts.pod_mac), mac.mac);
  if (OwnsMac(ifindex, facts.endpoint)) SL_RETURN_IF_ERROR(endpoint_macs_.Put(facts.endpoint, mac));
  return interfaces_.Put(ifindex, facts);
}

Status PodInterfaces::PutFactsOnly(std::uint32_t ifindex, const sl_interface& facts) {
  SL_ASSIGN_OR_RETURN(const sl_interface kept, KeepAddresses(ifindex, facts));
  return PutFacts(ifindex, kept);
}

// Adds the foreign TCX programs that are at the interface now. If that cannot be read, the host path is used, which is
// safe.
PodInterface PodInterfaces::WithOthers(PodInterface pod) const {
  const auto has_others = [&](const char* program, bpf::Hook hook) {
    const auto ours = bpf::ProgramId(object_->program_fd(program));
    const auto there = bpf::ProgramsAt(pod.ifindex, hook);
    if (!ours.ok() || !there.ok()) return true;
    return std::any_of(there->begin(), there->end(), [&](std::uint32_t id) { return id != *ours; });
  };
  if (has_others("tc_from_pod", bpf::Hook::kTcIngress)) pod.facts.others |= SL_OTHERS_SENT;
  if (has_others("tc_to_pod", bpf::Hook::kTcEgress)) pod.facts.others |= SL_OTHERS_RECEIVED;
  if ((pod.facts.others & SL_OTHERS_RECEIVED) != 0) pod.takes_frames = false;
  return pod;
}

// Puts only if needed: a put reuses the old element for a later put, while a program may still read it.
Status PodInterfaces::Describe(PodInterface& pod) {
  if (!pod.takes_frames) {
    SL_RETURN_IF_ERROR(pod_devices_.Delete(pod.ifindex));
  } else if (const Status status = pod_devices_.Put(pod.ifindex, pod.ifindex); !status.ok()) {
    // Enforcement does not depend on the redirect.
    LogWarn("{}: no redirect from XDP: {}", pod.name, Message(status));
  }
  SL_ASSIGN_OR_RETURN(pod.facts, KeepAddresses(pod.ifindex, pod.facts));
  SL_ASSIGN_OR_RETURN(const bool has_facts, HasFacts(pod.ifindex, pod.facts));
  return has_facts ? OkStatus() : PutFacts(pod.ifindex, pod.facts);
}

Status PodInterfaces::LookForOthers() {
  const std::lock_guard lock(mutex_);
  Status looked = OkStatus();
  for (const auto& [ifindex, given] : given_pods_) {
    PodInterface pod = WithOthers(given);
    PodInterface& held = pods_[ifindex];
    if (held.takes_frames == pod.takes_frames && held.facts.others == pod.facts.others) continue;
    looked.Update(Describe(pod));
    held = pod;
  }
  return looked;
}

StatusOr<int> PodInterfaces::Repair() {
  const std::lock_guard lock(mutex_);
  int repaired = 0;
  for (const auto& [ifindex, pod] : pods_) {
    SL_ASSIGN_OR_RETURN(const bool has_facts, HasFacts(ifindex, pod.facts));
    if (!has_facts) {
      SL_RETURN_IF_ERROR(PutFacts(ifindex, pod.facts));
      ++repaired;
    }
    SL_ASSIGN_OR_RETURN(const auto device, pod_devices_.Get(ifindex));
    if (device.has_value() == pod.takes_frames || (device && *device == 0 && !pod.takes_frames)) continue;
    const Status status = pod.takes_frames ? pod_devices_.Put(ifindex, ifindex) : pod_devices_.Delete(ifindex);
    if (status.ok()) ++repaired;  // else ignored, as in Describe
  }
  if (repaired != 0) LogError("{} entries of interfaces were changed by others: restored", repaired);
  return repaired;
}

StatusOr<MapUsage> PodInterfaces::ReadInterfaceUsage() const {
  MapUsage usage{interfaces_.name(), 0, interfaces_.capacity()};
  SL_RETURN_IF_ERROR(interfaces_.ForEachBatch([&usage](const auto&, const auto&) { ++usage.entries; }));
  return usage;
}

StatusOr<MapUsage> PodInterfaces::ReadDeviceUsage() const {
  MapUsage usage{pod_devices_.name(), 0, pod_devices_.capacity()};  // this map type has no batches
  SL_RETURN_IF_ERROR(pod_devices_.ForEach([&usage](const auto&, const auto&) { ++usage.entries; }));
  return usage;
}

}  // namespace sluice::datapath
