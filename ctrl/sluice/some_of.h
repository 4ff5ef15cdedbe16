// Lists in one line for people: the first few, and the number of the others. Pure.
//   SomeOf(ruleset.policies(), ", ");  // "shop/a, shop/b and 12 more"
#pragma once

#include <fmt/format.h>

#include <string>

namespace sluice::client {

template <typename List>
std::string SomeOf(const List& list, const char* separator, int most = 8) {
  std::string text;
  int shown = 0;
  for (const auto& one : list) {
    // A single last element takes no more room than "and 1 more".
    if (shown == most && static_cast<int>(list.size()) > most + 1)
      return fmt::format("{} and {} more", text, static_cast<int>(list.size()) - shown);
    text += fmt::format("{}{}", shown++ == 0 ? "" : separator, one);
  }
  return text;
}

}  // namespace sluice::client
