#include "ctrl/resources/offline_snapshot.h"

#include <fmt/format.h>

namespace sluice::resources {
namespace {

constexpr std::uint32_t kFirst = (198U << 24U | 18U << 16U) + 1;

policy::Address Nth(std::size_t index) {
  const auto host = kFirst + static_cast<std::uint32_t>(index);
  return *policy::Address::Parse(
      fmt::format("{}.{}.{}.{}", host >> 24U, host >> 16U & 0xffU, host >> 8U & 0xffU, host & 0xffU));
}

template <typename T>
std::shared_ptr<const T> With(const T& without, const policy::Address& address) {
  auto copy = std::make_shared<T>(without);
  copy->ips.push_back(address);
  return copy;
}

}  // namespace

StatusOr<std::shared_ptr<const policy::Snapshot>> SnapshotOf(const policy::ResourceMap& resources) {
  std::vector<policy::Address> node;
  for (const auto& [id, resource] : resources) {
    if (resource.pod == nullptr || !resource.pod->host_network || resource.pod->finished) continue;
    node.insert(node.end(), resource.pod->ips.begin(), resource.pod->ips.end());
  }
  return policy::Snapshot::Build(resources, {}, std::move(node));
}

std::vector<AssumedAddress> AssumeAddresses(policy::ResourceMap& resources) {
  std::vector<policy::Resource> changed;
  std::vector<AssumedAddress> assumed;
  for (const auto& [id, resource] : resources) {
    const policy::Address address = Nth(assumed.size());
    policy::Resource copy = resource;
    if (resource.pod != nullptr && resource.pod->ips.empty() && !resource.pod->host_network &&
        !resource.pod->finished) {
      copy.pod = With(*resource.pod, address);
    } else if (resource.workload != nullptr && resource.workload->ips.empty()) {
      copy.workload = With(*resource.workload, address);
    } else {
      continue;
    }
    assumed.push_back({id.name, address});
    changed.push_back(std::move(copy));
  }
  for (policy::Resource& resource : changed) resources.insert_or_assign(resource.id, std::move(resource));
  return assumed;
}

}  // namespace sluice::resources
