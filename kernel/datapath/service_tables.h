// The tables of Services in the kernel (bpf/abi/service.h), for the programs at sockets and at veths.
//
// The tables are pinned: what an agent wrote stays in force when it ends, and the next one takes it over with the
// numbers. Each Service changes as a whole; Services do not wait for each other. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "bpf/abi/service.h"
#include "kernel/bpf/map.h"
#include "kernel/bpf/object.h"
#include "kernel/datapath/path_reader.h"
#include "kernel/datapath/service_ranges.h"
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

class ServiceTables : public ServiceNames {
 public:
  // Takes over what an earlier agent wrote. `object` owns the maps and must outlive this.
  Status Bind(const bpf::DatapathObject& object);

  // Puts `wanted` in force: writes what differs. ResourceExhausted: a table is full. What fits is in force, the other
  // Services are not translated, and the error names the first of them and their number.
  Status Set(std::shared_ptr<const policy::ServiceTable> wanted);

  // The network namespaces whose sockets are translated: cookie -> inode number.
  Status SetClients(const std::map<std::uint64_t, std::uint64_t>& clients);

  // Also for a while after the Service has gone. A Service that an earlier agent wrote has no name until it is set.
  std::shared_ptr<const ServiceName> Find(std::uint32_t number) const override;

  std::vector<MapUsage> usage() const;

 private:
  struct InForce {
    sl_service value{};
    std::vector<policy::Backend> backends;
  };
  Status Put(const policy::Frontend& address, const policy::ServiceEntry& entry);
  Status Remove(const policy::Frontend& address);
  StatusOr<std::uint32_t> NumberOf(const policy::Frontend& address, const policy::ServiceEntry& entry);
  Status MakeRoomForNumber();
  StatusOr<std::uint32_t> WriteRange(const std::vector<policy::Backend>& backends);
  StatusOr<std::vector<policy::Backend>> ReadRange(std::uint32_t first, std::uint32_t count) const;

  mutable std::mutex mutex_;  // guards all below
  bpf::Map<sl_service_key, sl_service> services_;
  bpf::Map<__u32, sl_service_backend> backends_;
  bpf::Map<__u32, sl_service_key> numbers_;
  bpf::Map<__u64, __u64> clients_;
  ServiceRanges ranges_{0};
  std::map<policy::Frontend, InForce> in_force_;
  std::map<policy::Frontend, std::uint32_t> number_of_;  // the latest of each address
  std::map<std::uint32_t, std::shared_ptr<const ServiceName>> names_;
  std::map<std::uint64_t, std::uint64_t> clients_in_force_;
  std::uint32_t next_number_ = 1;
  std::uint64_t left_out_ = 0;  // Services that did not fit
};

}  // namespace sluice::datapath
