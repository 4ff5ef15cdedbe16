#include "perf/dpdk/acl.h"

#include <netinet/in.h>
#include <rte_acl.h>
#include <rte_errno.h>

#include <algorithm>
#include <vector>

namespace sluice::perf {
namespace {

enum Field { kProtocol, kSource, kDestination, kSourcePort, kDestinationPort, kFields };

RTE_ACL_RULE_DEF(FiveTuple, kFields);

// Field, size and offset in the packet. The library reads one byte first, then four at a time, so both ports at once.
constexpr rte_acl_field_def kDefinitions[kFields] = {
    {RTE_ACL_FIELD_TYPE_BITMASK, 1, kProtocol, 0, 9},       {RTE_ACL_FIELD_TYPE_MASK, 4, kSource, 1, 12},
    {RTE_ACL_FIELD_TYPE_MASK, 4, kDestination, 2, 16},      {RTE_ACL_FIELD_TYPE_RANGE, 2, kSourcePort, 3, 20},
    {RTE_ACL_FIELD_TYPE_RANGE, 2, kDestinationPort, 3, 22},
};

std::uint32_t HostOrder(const policy::Address& address) {
  const auto& bytes = address.bytes();
  return static_cast<std::uint32_t>(bytes[12]) << 24 | bytes[13] << 16 | bytes[14] << 8 | bytes[15];
}

FiveTuple RuleOf(const AclRule& rule, std::uint32_t place, std::size_t rules) {
  FiveTuple one{};
  one.data = {.category_mask = 1, .priority = static_cast<std::int32_t>(rules - place), .userdata = place + 1};
  one.field[kProtocol].value.u8 = IPPROTO_TCP;
  one.field[kProtocol].mask_range.u8 = 0xff;
  one.field[kSource].value.u32 = HostOrder(rule.source);
  one.field[kSource].mask_range.u32 = 32;
  one.field[kDestination].value.u32 = HostOrder(rule.destination);
  one.field[kDestination].mask_range.u32 = 32;
  one.field[kSourcePort].mask_range.u16 = 65535;
  one.field[kDestinationPort].value.u16 = rule.first_port;
  one.field[kDestinationPort].mask_range.u16 = rule.last_port;
  return one;
}

}  // namespace

StatusOr<std::unique_ptr<Acl>> Acl::Build(const Eal& eal, const std::string& name, std::span<const AclRule> rules) {
  const rte_acl_param parameters{.name = name.c_str(),
                                 .socket_id = SOCKET_ID_ANY,
                                 .rule_size = sizeof(FiveTuple),
                                 .max_rule_num = static_cast<std::uint32_t>(rules.size())};
  rte_acl_ctx* const context = rte_acl_create(&parameters);
  const auto failed = [&](int error) {
    return MakeError(absl::StatusCode::kInternal, "build a classifier of {} rules: {}: {}", rules.size(),
                     rte_strerror(error), eal.Log());
  };
  if (context == nullptr) return failed(rte_errno);
  std::unique_ptr<Acl> acl(new Acl(context));
  std::vector<FiveTuple> all;
  all.reserve(rules.size());
  for (const AclRule& rule : rules) all.push_back(RuleOf(rule, static_cast<std::uint32_t>(all.size()), rules.size()));
  if (const int error = rte_acl_add_rules(context, reinterpret_cast<const rte_acl_rule*>(all.data()),
                                          static_cast<std::uint32_t>(all.size()));
      error != 0)
    return failed(-error);
  rte_acl_config config{.num_categories = 1, .num_fields = kFields};
  std::copy(std::begin(kDefinitions), std::end(kDefinitions), config.defs);
  if (const int error = rte_acl_build(context, &config); error != 0) return failed(-error);
  return acl;
}

Acl::~Acl() { rte_acl_free(context_); }

void Acl::Classify(std::span<const std::uint8_t*> packets, std::uint32_t* results) const {
  // Fails only without a context or with an impossible number of categories.
  (void)rte_acl_classify(context_, packets.data(), results, static_cast<std::uint32_t>(packets.size()), 1);
}

}  // namespace sluice::perf
