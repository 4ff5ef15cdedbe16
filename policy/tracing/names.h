// Tables of names in TracingPolicies, see policy/resource/name_table.h. Pure.
#pragma once

#include "policy/resource/name_table.h"

namespace sluice::policy::tracing {

inline constexpr std::string_view kPage = "docs/tracing-policy.md";

template <typename Table>
std::string InsteadOf(const Table& table, std::string_view name) {
  return policy::InsteadOf(table, name, kPage);
}

template <typename Table>
auto ParseName(const Field& field, const Table& table, std::string_view what) {
  return policy::ParseName(field, table, what, kPage);
}

}  // namespace sluice::policy::tracing
