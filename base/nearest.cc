#include "base/nearest.h"

#include <algorithm>
#include <cctype>
#include <numeric>

namespace sluice {
namespace {

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower;
}

std::size_t EditDistance(std::string_view from, std::string_view to) {
  std::vector<std::size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 0; i < from.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t k = 0; k < to.size(); ++k) {
      const std::size_t replaced = diagonal + (from[i] == to[k] ? 0 : 1);
      diagonal = row[k + 1];
      row[k + 1] = std::min({replaced, row[k] + 1, row[k + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string Nearest(const std::vector<std::string>& words, std::string_view typed, std::size_t farthest) {
  const std::string lower = Lower(typed);
  std::string nearest;
  std::size_t least = farthest + 1;
  for (const std::string& word : words) {
    const std::size_t distance = Lower(word).starts_with(lower) ? 0 : EditDistance(lower, Lower(word));
    if (distance >= least) continue;
    least = distance;
    nearest = word;
  }
  return nearest;
}

}  // namespace sluice
