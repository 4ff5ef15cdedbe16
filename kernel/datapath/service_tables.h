// The tables of Services in the kernel (bpf/abi/service.h), for the programs at sockets and at veths.
//
// The tables are pinned: what an agent wrote stays in force when it ends, and the next one takes it over with the
// numbers. Each Service changes as a whole; Services do not wait for each other. Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"
#include "policy/service/service.h"

namespace sluice::datapath {

// What sl_service.number of a flow stands for.
struct ServiceName {
  policy::ObjectName service;
  std::string port_name;
  policy::Frontend address;
};

// For telemetry and the API. Thread-safe.
class ServiceNames {
 public:
  virtual ~ServiceNames() = default;
  virtual std::shared_ptr<const ServiceName> Find(std::uint32_t number) const = 0;  // null: unknown
};

}  // namespace sluice::datapath
