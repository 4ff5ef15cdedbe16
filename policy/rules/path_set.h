// Paths of which one must be the beginning of another path, by whole components: "/var/run" is the beginning of
// "/var/run/docker", and not of "/var/running". A component may be a pattern ("?", "*", "[a-z]"), which does not match
// "/". Empty components do not count. Immutable; thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sluice::policy::rules {

class PathSet {
 public:
  explicit PathSet(const std::vector<std::string>& paths);

  bool HasBeginningOf(std::string_view path) const;

 private:
  struct Component {
    std::string text;
    bool is_pattern = false;
  };
  std::vector<std::vector<Component>> paths_;
};

}  // namespace sluice::policy::rules
