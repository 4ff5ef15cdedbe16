#include "ctrl/detect/service_names.h"

#include <algorithm>

namespace sluice::detect {

void ServiceNames::Set(const policy::ServiceTable& services) {
  std::map<policy::Address, std::vector<policy::ObjectName>> all;
  const auto add = [&](const policy::Address& address, const policy::ObjectName& name) {
    std::vector<policy::ObjectName>& names = all[address];
    if (names.size() < kMaxServices && std::find(names.begin(), names.end(), name) == names.end())
      names.push_back(name);
  };
  for (const auto& [frontend, entry] : services) add(frontend.address, entry.service);
  for (const auto& [frontend, entry] : services) {
    for (const policy::Backend& backend : entry.backends) add(backend.address, entry.service);
  }
  const std::lock_guard lock(mutex_);
  services_.swap(all);
}

std::vector<std::string> ServiceNames::Find(const policy::Address& address) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  const auto found = services_.find(address);
  if (found == services_.end()) return names;
  for (const policy::ObjectName& service : found->second) {
    const std::string short_name = service.name + "." + service.ns;
    for (const char* suffix : {".svc.cluster.local", ".svc", ""}) names.push_back(short_name + suffix);
  }
  return names;
}

}  // namespace sluice::detect
