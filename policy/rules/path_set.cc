#include "policy/rules/path_set.h"

#include <algorithm>

#include "policy/rules/text_match.h"

namespace sluice::policy::rules {
namespace {

std::vector<std::string_view> ComponentsOf(std::string_view path) {
  std::vector<std::string_view> components;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    if (end > 0) components.push_back(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return components;
}

}  // namespace

PathSet::PathSet(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    std::vector<Component>& components = paths_.emplace_back();
    for (const std::string_view text : ComponentsOf(path)) {
      components.push_back({.text = std::string(text), .is_pattern = text.find_first_of("?*[") != text.npos});
    }
  }
}

bool PathSet::HasBeginningOf(std::string_view path) const {
  const std::vector<std::string_view> components = ComponentsOf(path);
  return std::any_of(paths_.begin(), paths_.end(), [&](const std::vector<Component>& beginning) {
    if (beginning.size() > components.size()) return false;
    for (std::size_t i = 0; i < beginning.size(); ++i) {
      const Component& one = beginning[i];
      if (one.is_pattern ? !MatchesGlob(one.text, components[i]) : one.text != components[i]) return false;
    }
    return true;
  });
}

}  // namespace sluice::policy::rules
