#include "base/table.h"

#include <algorithm>

#include "base/printable.h"

namespace sluice {
namespace {

constexpr std::size_t kGap = 2;

}  // namespace

void Table::Add(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  for (std::string& cell : cells) cell = Printable(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::ToString() const {
  std::vector<std::size_t> widths;
  std::vector<std::string> titles;
  for (std::size_t i = 0; i < columns_.size(); i++) {
    titles.push_back(columns_[i].title);
    widths.push_back(titles[i].size());
    for (const auto& row : rows_) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  const auto append = [&](const std::vector<std::string>& row) {
    for (std::size_t i = 0; i < row.size(); i++) {
      const std::string padding(widths[i] - row[i].size(), ' ');
      if (i > 0) out.append(kGap, ' ');
      out += columns_[i].align == Align::kRight ? padding + row[i] : row[i] + padding;
    }
    out.erase(out.find_last_not_of(' ') + 1);
    out += '\n';
  };
  append(titles);
  for (const auto& row : rows_) append(row);
  return out;
}

}  // namespace sluice
