// DPDK's classifier (rte_acl): which of many rules a packet meets, by its IPv4 five-tuple.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "perf/dpdk/eal.h"
#include "policy/resource/address.h"

struct rte_acl_ctx;

namespace sluice::perf {

// TCP from any port of one IPv4 address to a range of ports of another.
struct AclRule {
  policy::Address source;
  policy::Address destination;
  std::uint16_t first_port = 0;
  std::uint16_t last_port = 0;
};

class Acl {
 public:
  // Of rules that meet the same packet the first one counts. `name` tells it from others of the process.
  static StatusOr<std::unique_ptr<Acl>> Build(const Eal& eal, const std::string& name, std::span<const AclRule> rules);
  ~Acl();
  Acl(const Acl&) = delete;
  Acl& operator=(const Acl&) = delete;

  // `packets` begin with their IPv4 header, which has no options. A result is the rule's place in the list plus 1, or
  // 0.
  void Classify(std::span<const std::uint8_t*> packets, std::uint32_t* results) const;

 private:
  explicit Acl(rte_acl_ctx* context) : context_(context) {}
  rte_acl_ctx* const context_;
};

}  // namespace sluice::perf
