// The names by which rules know an address (fd.sip.name): those that the cluster's DNS gives the Services behind it.
// Rules cause no look-up: the names come from the Services themselves. Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "policy/service/service.h"

namespace sluice::detect {

class ServiceNames {
 public:
  // All Services. An address has the names of those that are reached at it, or whose backend it is: a socket that is
  // translated when it connects has the backend's address.
  void Set(const policy::ServiceTable& services);

  // "kubernetes.default.svc.cluster.local", and the shorter forms of it; empty: no Service has the address.
  std::vector<std::string> Find(const policy::Address& address) const;

 private:
  static constexpr std::size_t kMaxServices = 8;  // of one address

  mutable std::mutex mutex_;
  std::map<policy::Address, std::vector<policy::ObjectName>> services_;
};

}  // namespace sluice::detect
