#include "perf/rows.h"

#include <algorithm>
#include <set>

namespace sluice::perf {

void Rows::Add(const std::string& name, const std::string& unit, double sample, std::vector<std::string> against) {
  auto row = std::find_if(rows_.begin(), rows_.end(), [&](const Row& one) { return one.name == name; });
  if (row == rows_.end()) {
    std::erase(against, name);
    row = rows_.insert(row, {.name = name, .against = std::move(against), .unit = unit});
  }
  row->samples.push_back(sample);
}

std::vector<Row> Rows::Take(const RunOptions& options) && {
  std::set<std::string> wanted;
  for (const Row& row : rows_) {
    if (!IsSelected(options, row.name) && !row.name.starts_with("floor/")) continue;
    wanted.insert(row.name);
    wanted.insert(row.against.begin(), row.against.end());
  }
  std::erase_if(rows_, [&](const Row& row) { return !wanted.contains(row.name); });
  return std::move(rows_);
}

}  // namespace sluice::perf
