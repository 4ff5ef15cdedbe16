// Tables of names: each row has a member `name`, as policies write it. Pure.
#pragma once

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "base/nearest.h"
#include "policy/resource/resource_field.h"
#include "policy/resource/resource_scalar.h"

namespace sluice::policy {

// The row called `name`; null: there is none. Upper and lower case differ, as in the kinds' schemas.
template <typename Table>
auto FindName(const Table& table, std::string_view name) -> decltype(std::data(table)) {
  const auto found =
      std::find_if(std::begin(table), std::end(table), [&](const auto& row) { return row.name == name; });
  return found == std::end(table) ? nullptr : &*found;
}

// What to write instead of `name`, as the end of an error: ": did you mean Prefix?", all names if there are few, or the
// page that has them.
template <typename Table>
std::string InsteadOf(const Table& table, std::string_view name, std::string_view page) {
  constexpr std::size_t kFew = 16;
  std::vector<std::string> names;
  for (const auto& row : table) names.emplace_back(row.name);
  if (const std::string near = Nearest(names, name); !near.empty()) return fmt::format(": did you mean {}?", near);
  if (names.size() > kFew) return fmt::format(": {} has all of them", page);
  std::string all;
  for (const std::string& one : names) all += (all.empty() ? "" : ", ") + one;
  return ": known are " + all;
}

// The row that a string field names. `what` for the error: "operator".
template <typename Table>
auto ParseName(const Field& field, const Table& table, std::string_view what, std::string_view page)
    -> StatusOr<decltype(std::data(table))> {
  SL_ASSIGN_OR_RETURN(const std::string text, field.String());
  const auto row = FindName(table, text);
  if (row == nullptr)
    return field.Error(fmt::format("unknown {} {}{}", what, Quoted(text), InsteadOf(table, text, page)));
  return row;
}

}  // namespace sluice::policy
