// The table of all Services for one node, kept up to date: only what changed is computed again.
//   ServiceTableBuilder builder;
//   builder.SetService(service), builder.SetSlice(slice);
//   const ServiceTableBuilder::Built built = builder.Build();
// An address that several Services claim belongs to one of them: by AddressSource, then to the older Service, then by
// name. For one thread.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "policy/service/service.h"
#include "policy/service/service_claims.h"

namespace sluice::policy {

class ServiceTableBuilder {
 public:
  void SetNode(ServiceNode node);
  void SetService(std::shared_ptr<const Service> service);
  void RemoveService(const ObjectName& name);
  void SetSlice(std::shared_ptr<const EndpointSlice> slice);
  void RemoveSlice(const ObjectName& name);

  struct Built {
    std::shared_ptr<const ServiceTable> table;  // the same one while nothing changes
    std::vector<std::string> conflicts;         // an address that several Services claim each: who has it, who not
  };
  Built Build();

 private:
  struct Known {
    std::shared_ptr<const Service> service;  // null: only slices are known
    std::map<std::string, std::shared_ptr<const EndpointSlice>> slices;
    bool is_changed = false;           // it is in changed_
    std::vector<ServiceClaim> claims;  // as of the last Build
    std::string created;               // likewise, of the Service
  };
  using Entry = std::map<ObjectName, Known>::value_type;
  struct Claimant {
    AddressSource source = AddressSource::kCluster;
    const Entry* entry = nullptr;
    // In the order in which they get the address.
    bool operator<(const Claimant& other) const;
  };

  void MarkChanged(Entry& entry);
  void Compute(Entry& entry);
  // Gives the address to the first of its claimants.
  void Settle(const Frontend& frontend, ServiceTable& table);
  std::vector<std::string> Conflicts() const;

  ServiceNode node_;
  std::map<ObjectName, Known> services_;
  std::map<ObjectName, std::string> service_of_slice_;
  std::vector<Entry*> changed_;  // of services_
  // Sorted vectors, as nearly all have one claimant.
  std::map<Frontend, std::vector<Claimant>> claimants_;
  std::set<Frontend> contested_;     // with several claimants
  std::vector<Frontend> unsettled_;  // whose claims changed
  std::shared_ptr<const ServiceTable> table_ = std::make_shared<ServiceTable>();
};

// All at once.
ServiceTable MakeServiceTable(const std::vector<Service>& services, const std::vector<EndpointSlice>& slices,
                              const ServiceNode& node);

}  // namespace sluice::policy
