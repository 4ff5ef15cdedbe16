#include "policy/network/glob.h"

#include <vector>

#include "policy/resource/merged_directories.h"

namespace sluice::policy {
namespace {

bool MatchesAsItStands(std::string_view pattern, std::string_view path) {
  // reached[i]: the part of the pattern read so far matches the first i bytes of the path.
  std::vector<bool> reached(path.size() + 1);
  reached[0] = true;
  while (!pattern.empty()) {
    const bool run = pattern.front() == '*';
    const bool crosses = pattern.starts_with("**");
    std::vector<bool> next(reached.size());
    if (run) next[0] = reached[0];
    for (std::size_t i = 0; i < path.size(); i++) {
      if (run) {
        next[i + 1] = reached[i + 1] || (next[i] && (crosses || path[i] != '/'));
      } else {
        next[i + 1] = reached[i] && (pattern.front() == '?' ? path[i] != '/' : path[i] == pattern.front());
      }
    }
    reached = std::move(next);
    pattern.remove_prefix(crosses ? 2 : 1);
  }
  return reached.back();
}

}  // namespace

bool GlobMatches(std::string_view pattern, std::string_view path) {
  if (MatchesAsItStands(pattern, path)) return true;
  const auto before_merge = BeforeMerge(pattern, path);
  return before_merge && MatchesAsItStands(pattern, *before_merge);
}

}  // namespace sluice::policy
