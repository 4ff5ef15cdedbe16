#include "ctrl/sluice/traffic_rates.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/printable.h"
#include "ctrl/sluice/terminal.h"

namespace sluice::client {
namespace {

using Row = TrafficRates::Row;

// After this many lower answers the sum has begun again: the agent has restarted.
constexpr int kBeganAgain = 3;

double ValueOf(TrafficSort by, const Row& row) {
  switch (by) {
    case TrafficSort::kPackets:
      return row.packets;
    case TrafficSort::kBytes:
      return row.bytes;
    case TrafficSort::kDrops:
      return row.drops;
    case TrafficSort::kFlows:
      return static_cast<double>(row.flows);
  }
  return 0;
}

bool IsSum(const Row& row) { return row.binary.empty() && row.peer.empty(); }

std::string PartText(const Row& row) {
  return IsSum(row) ? "(all)" : PrintableWord(row.binary.empty() ? row.peer : row.binary);
}

std::vector<std::string> NumberCells(const Row& row) {
  return {fmt::format("{:.1f}", row.packets), fmt::format("{:.0f}", row.bytes), fmt::format("{:.1f}", row.drops),
          std::to_string(row.flows)};
}

// The largest widths of the two names in lines of a given width.
struct NameWidths {
  std::size_t workload = std::string::npos;
  std::size_t part = std::string::npos;
};

NameWidths Fit(const std::vector<Row>& rows, bool parts, std::size_t width) {
  constexpr std::size_t kGap = 2, kLeast = 8;
  std::vector<std::size_t> numbers = {9, 7, 7, 5};  // of the titles
  std::size_t workload = 8, part = parts ? 7 : 0;
  for (const Row& row : rows) {
    const auto cells = NumberCells(row);
    for (std::size_t i = 0; i < cells.size(); ++i) numbers[i] = std::max(numbers[i], cells[i].size());
    workload = std::max(workload, Printable(row.workload).size());
    if (parts) part = std::max(part, Printable(PartText(row)).size());
  }
  std::size_t taken = parts ? kGap : 0;
  for (const std::size_t number : numbers) taken += number + kGap;
  const std::size_t left = width > taken ? width - taken : 0;
  if (workload + part <= left) return {};
  // The workload's name gets the width that it needs, up to half.
  const std::size_t first = parts ? std::min(workload, std::max(left / 2, kLeast)) : std::max(left, kLeast);
  return {first, std::max(left > first ? left - first : 0, kLeast)};
}

}  // namespace

std::vector<Row> TrafficRates::Update(const v1::TopReply& reply, Clock::time_point now) {
  const double seconds = std::max(std::chrono::duration<double>(now - last_).count(), 1e-3);
  std::map<Key, Amount> highest;
  std::vector<Row> rows;
  for (const v1::TopReply::Row& sum : reply.rows()) {
    Row row{.workload = sum.namespace_() + "/" + sum.workload(), .binary = sum.binary(), .peer = sum.peer()};
    row.flows = sum.flows();
    Amount& high = highest[{row.workload, row.binary, row.peer}];
    if (const auto before = highest_.find({row.workload, row.binary, row.peer}); before != highest_.end())
      high = before->second;
    const Amount amount{.packets = sum.sent().packets() + sum.received().packets(),
                        .bytes = sum.sent().bytes() + sum.received().bytes(),
                        .drops = sum.dropped_packets()};
    // A flow that is about to be counted as ended may be missing from one answer.
    const bool lower = amount.packets < high.packets || amount.bytes < high.bytes || amount.drops < high.drops;
    const auto rate = [seconds](std::uint64_t value, std::uint64_t before) {
      return value <= before ? 0 : static_cast<double>(value - before) / seconds;
    };
    row.packets = rate(amount.packets, high.packets);
    row.bytes = rate(amount.bytes, high.bytes);
    row.drops = rate(amount.drops, high.drops);
    if (lower && ++high.lower < kBeganAgain) {
      high.packets = std::max(high.packets, amount.packets);
      high.bytes = std::max(high.bytes, amount.bytes);
      high.drops = std::max(high.drops, amount.drops);
    } else {
      high = amount;
    }
    rows.push_back(std::move(row));
  }
  highest_ = std::move(highest);
  last_ = now;
  if (!std::exchange(begun_, true)) return {};
  return rows;
}

void SortRows(TrafficSort by, std::vector<Row>* rows) {
  std::map<std::string, double> busy;  // by workload
  for (const Row& row : *rows)
    if (IsSum(row)) busy[row.workload] = ValueOf(by, row);
  std::stable_sort(rows->begin(), rows->end(), [&](const Row& a, const Row& b) {
    if (a.workload != b.workload)
      return std::pair(busy[b.workload], a.workload) < std::pair(busy[a.workload], b.workload);
    if (IsSum(a) != IsSum(b)) return IsSum(a);
    return std::pair(ValueOf(by, b), PartText(a)) < std::pair(ValueOf(by, a), PartText(b));
  });
}

Table MakeTrafficTable(const std::vector<Row>& rows, v1::TopRequest::By by, std::size_t width) {
  std::vector<Column> columns = {{"WORKLOAD"},
                                 {"PACKETS/S", Align::kRight},
                                 {"BYTES/S", Align::kRight},
                                 {"DROPS/S", Align::kRight},
                                 {"FLOWS", Align::kRight}};
  const bool parts = by == v1::TopRequest::PROGRAM || by == v1::TopRequest::PEER;
  if (parts) columns.push_back({by == v1::TopRequest::PEER ? "PEER" : "PROGRAM"});
  Table table(std::move(columns));
  const NameWidths widths = width == 0 ? NameWidths() : Fit(rows, parts, width);
  for (const Row& row : rows) {
    std::vector<std::string> cells = {CutFront(Printable(row.workload), widths.workload)};
    for (std::string& number : NumberCells(row)) cells.push_back(std::move(number));
    if (parts) cells.push_back(CutFront(Printable(PartText(row)), widths.part));
    table.Add(std::move(cells));
  }
  return table;
}

std::string TrafficJson(const Row& row) {
  nlohmann::ordered_json json{{"workload", row.workload}};
  if (!row.binary.empty()) json["binary"] = row.binary;
  if (!row.peer.empty()) json["peer"] = row.peer;
  json["packetsPerSecond"] = row.packets;
  json["bytesPerSecond"] = row.bytes;
  json["dropsPerSecond"] = row.drops;
  json["flows"] = row.flows;
  return PrintableJson(json.dump());
}

}  // namespace sluice::client
