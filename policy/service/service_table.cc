#include "policy/service/service_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

namespace sluice::policy {

void ServiceTableBuilder::SetNode(ServiceNode node) {
  node_ = std::move(node);
  for (const auto& [name, known] : services_) changed_.insert(name);
}

void ServiceTableBuilder::SetService(std::shared_ptr<const Service> service) {
  changed_.insert(service->name);
  services_[service->name].service = std::move(service);
}

void ServiceTableBuilder::RemoveService(const ObjectName& name) {
  const auto known = services_.find(name);
  if (known == services_.end()) return;
  known->second.service = nullptr;
  changed_.insert(name);
}

void ServiceTableBuilder::SetSlice(std::shared_ptr<const EndpointSlice> slice) {
  const auto old = service_of_slice_.find(slice->name);
  if (old != service_of_slice_.end() && old->second != slice->service) RemoveSlice(slice->name);
  if (slice->service.empty()) return;
  service_of_slice_[slice->name] = slice->service;
  const ObjectName service{slice->name.ns, slice->service};
  changed_.insert(service);
  services_[service].slices[slice->name.name] = std::move(slice);
}

void ServiceTableBuilder::RemoveSlice(const ObjectName& name) {
  const auto at = service_of_slice_.find(name);
  if (at == service_of_slice_.end()) return;
  const ObjectName service{name.ns, at->second};
  service_of_slice_.erase(at);
  services_[service].slices.erase(name.name);
  changed_.insert(service);
}

void ServiceTableBuilder::Compute(const ObjectName& name) {
  Known& known = services_[name];
  std::vector<ServiceClaim> claims;
  std::string created;
  if (known.service) {
    std::vector<const EndpointSlice*> slices;
    for (const auto& [slice_name, slice] : known.slices) slices.push_back(slice.get());
    claims = ClaimsOf(*known.service, slices, node_);
    created = known.service->created;
  }
  const bool is_same = claims == known.claims && created == known.claimed_created;
  if (!is_same) {
    for (const ServiceClaim& old : known.claims) {
      std::erase_if(claimants_[old.frontend], [&](const Claimant& one) { return one.service == name; });
      unsettled_.insert(old.frontend);
    }
    for (const ServiceClaim& claim : claims) {
      std::vector<Claimant>& claimants = claimants_[claim.frontend];
      Claimant claimant{.source = claim.source, .created = created, .service = name};
      claimants.insert(std::upper_bound(claimants.begin(), claimants.end(), claimant), std::move(claimant));
      unsettled_.insert(claim.frontend);
    }
    known.claims = std::move(claims);
    known.claimed_created = std::move(created);
  }
  if (!known.service && known.slices.empty()) services_.erase(name);
}

void ServiceTableBuilder::Settle(const Frontend& frontend, ServiceTable& table) const {
  const auto claimants = claimants_.find(frontend);
  if (claimants == claimants_.end()) {
    table.erase(frontend);
    return;
  }
  const std::vector<ServiceClaim>& claims = services_.at(claimants->second.front().service).claims;
  const auto claim =
      std::lower_bound(claims.begin(), claims.end(), frontend,
                       [](const ServiceClaim& one, const Frontend& wanted) { return one.frontend < wanted; });
  table.insert_or_assign(frontend, claim->entry);
}

ServiceTableBuilder::Built ServiceTableBuilder::Build() {
  for (const ObjectName& name : std::exchange(changed_, {})) Compute(name);
  if (!unsettled_.empty()) {
    auto table = std::make_shared<ServiceTable>(*table_);
    for (const Frontend& frontend : std::exchange(unsettled_, {})) {
      const auto claimants = claimants_.find(frontend);
      if (claimants->second.empty()) claimants_.erase(claimants);
      const bool is_contested = claimants_.contains(frontend) && claimants_.at(frontend).size() > 1;
      if (is_contested) {
        contested_.insert(frontend);
      } else {
        contested_.erase(frontend);
      }
      Settle(frontend, *table);
    }
    table_ = std::move(table);
  }
  return {.table = table_, .conflicts = Conflicts()};
}

std::vector<std::string> ServiceTableBuilder::Conflicts() const {
  std::vector<std::string> conflicts;
  for (const Frontend& frontend : contested_) {
    const std::vector<Claimant>& claimants = claimants_.at(frontend);
    for (std::size_t i = 1; i < claimants.size(); ++i) {
      conflicts.push_back(fmt::format("Service {} claims {}, which Service {} has: give it another address or port",
                                      claimants[i].service.ToString(), frontend.ToString(),
                                      claimants.front().service.ToString()));
    }
  }
  return conflicts;
}

ServiceTable MakeServiceTable(const std::vector<Service>& services, const std::vector<EndpointSlice>& slices,
                              const ServiceNode& node) {
  ServiceTableBuilder builder;
  builder.SetNode(node);
  for (const Service& service : services) builder.SetService(std::make_shared<Service>(service));
  for (const EndpointSlice& slice : slices) builder.SetSlice(std::make_shared<EndpointSlice>(slice));
  return *builder.Build().table;
}

}  // namespace sluice::policy
