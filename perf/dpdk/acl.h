// DPDK's classifier (rte_acl): finds the rule that matches a packet's IPv4 five-tuple.
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
  // When several rules match a packet, the first one counts. `name` must be unique in the process.
  static StatusOr<std::unique_ptr<Acl>> Build(const Eal& eal, const std::string& name, std::span<const AclRule> rules);
  ~Acl();
  Acl(const Acl&) = delete;
  Acl& operator=(const Acl&) = delete;

  // `packets` begin at their IPv4 header, without options. A result is the rule's position in the list plus 1; 0: no
  // match.
  void Classify(std::span<const std::uint8_t*> packets, std::uint32_t* results) const;

 private:
  explicit Acl(rte_acl_ctx* context) : context_(context) {}
  rte_acl_ctx* const context_;
};

}  // namespace sluice::perf
