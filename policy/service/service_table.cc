#include "policy/service/service_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

namespace sluice::policy {

bool ServiceTableBuilder::Claimant::operator<(const Claimant& other) const {
  return std::tie(source, entry->second.created, entry->first) <
         std::tie(other.source, other.entry->second.created, other.entry->first);
}

void ServiceTableBuilder::MarkChanged(Entry& entry) {
  if (!std::exchange(entry.second.is_changed, true)) changed_.push_back(&entry);
}

void ServiceTableBuilder::SetNode(ServiceNode node) {
  if (node == node_) return;  // as with most heartbeats
  node_ = std::move(node);
  for (Entry& entry : services_) MarkChanged(entry);
}

void ServiceTableBuilder::SetService(std::shared_ptr<const Service> service) {
  Entry& entry = *services_.try_emplace(service->name).first;
  entry.second.service = std::move(service);
  MarkChanged(entry);
}

void ServiceTableBuilder::RemoveService(const ObjectName& name) {
  const auto known = services_.find(name);
  if (known == services_.end()) return;
  known->second.service = nullptr;
  MarkChanged(*known);
}

void ServiceTableBuilder::SetSlice(std::shared_ptr<const EndpointSlice> slice) {
  const auto old = service_of_slice_.find(slice->name);
  if (old != service_of_slice_.end() && old->second != slice->service) RemoveSlice(slice->name);
  if (slice->service.empty()) return;
  service_of_slice_[slice->name] = slice->service;
  Entry& entry = *services_.try_emplace({slice->name.ns, slice->service}).first;
  entry.second.slices[slice->name.name] = std::move(slice);
  MarkChanged(entry);
}

void ServiceTableBuilder::RemoveSlice(const ObjectName& name) {
  const auto at = service_of_slice_.find(name);
  if (at == service_of_slice_.end()) return;
  const auto known = services_.find({name.ns, at->second});
  service_of_slice_.erase(at);
  known->second.slices.erase(name.name);
  MarkChanged(*known);
}

void ServiceTableBuilder::Compute(Entry& entry) {
  Known& known = entry.second;
  known.is_changed = false;
  std::vector<ServiceClaim> claims;
  std::string created;
  if (known.service) {
    std::vector<const EndpointSlice*> slices;
    for (const auto& [name, slice] : known.slices) slices.push_back(slice.get());
    claims = ClaimsOf(*known.service, slices, node_);
    created = known.service->created;
  }
  if (claims != known.claims || created != known.created) {
    for (const ServiceClaim& old : known.claims) {
      std::erase_if(claimants_[old.frontend], [&](const Claimant& one) { return one.entry == &entry; });
      unsettled_.push_back(old.frontend);
    }
    known.claims = std::move(claims);
    known.created = std::move(created);
    for (const ServiceClaim& claim : known.claims) {
      std::vector<Claimant>& claimants = claimants_[claim.frontend];
      const Claimant claimant{.source = claim.source, .entry = &entry};
      claimants.insert(std::upper_bound(claimants.begin(), claimants.end(), claimant), claimant);
      unsettled_.push_back(claim.frontend);
    }
  }
  if (!known.service && known.slices.empty()) services_.erase(ObjectName(entry.first));
}

void ServiceTableBuilder::Settle(const Frontend& frontend, ServiceTable& table) {
  const auto found = claimants_.find(frontend);
  const std::vector<Claimant>& claimants = found->second;
  if (claimants.size() > 1) {
    contested_.insert(frontend);
  } else {
    contested_.erase(frontend);
  }
  if (claimants.empty()) {
    claimants_.erase(found);
    table.erase(frontend);
    return;
  }
  const std::vector<ServiceClaim>& claims = claimants.front().entry->second.claims;
  const auto claim =
      std::lower_bound(claims.begin(), claims.end(), frontend,
                       [](const ServiceClaim& one, const Frontend& wanted) { return one.frontend < wanted; });
  table.insert_or_assign(frontend, claim->entry);
}

ServiceTableBuilder::Built ServiceTableBuilder::Build() {
  for (Entry* entry : std::exchange(changed_, {})) Compute(*entry);
  if (!unsettled_.empty()) {
    std::vector<Frontend> unsettled = std::exchange(unsettled_, {});
    std::sort(unsettled.begin(), unsettled.end());
    unsettled.erase(std::unique(unsettled.begin(), unsettled.end()), unsettled.end());
    auto table = std::make_shared<ServiceTable>(*table_);
    for (const Frontend& frontend : unsettled) Settle(frontend, *table);
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
                                      claimants[i].entry->first.ToString(), frontend.ToString(),
                                      claimants.front().entry->first.ToString()));
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
