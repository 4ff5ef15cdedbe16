#include "ctrl/sluice/traffic_rates.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/printable.h"

namespace sluice::client {
namespace {

using Row = TrafficRates::Row;

constexpr int kMissed = 2;  // listings, until a flow is forgotten

std::string WorkloadOf(const v1::Peer& peer) { return peer.namespace_() + "/" + peer.workload(); }

// Whom a flow counts for: each workload once, and each of its programs.
std::set<std::pair<std::string, std::string>> SubjectsOf(const v1::Flow& flow) {
  std::set<std::pair<std::string, std::string>> subjects;
  for (const v1::Peer* peer : {&flow.source(), &flow.destination()}) {
    if (peer->workload().empty()) continue;
    subjects.emplace(WorkloadOf(*peer), "");
    if (!peer->process().binary().empty()) subjects.emplace(WorkloadOf(*peer), peer->process().binary());
  }
  return subjects;
}

std::uint64_t Growth(std::uint64_t now, std::uint64_t before) { return now < before ? now : now - before; }

}  // namespace

std::vector<Row> TrafficRates::Update(const std::vector<v1::Flow>& flows, Clock::time_point now) {
  const double seconds = std::max(std::chrono::duration<double>(now - last_).count(), 1e-3);
  std::map<std::string, Amount> seen;
  std::map<std::pair<std::string, std::string>, Row> rows;
  for (const v1::Flow& flow : flows) {
    const Amount amount{flow.forward().packets() + flow.backward().packets(),
                        flow.forward().bytes() + flow.backward().bytes()};
    const auto before = flows_.find(flow.flow_id());
    const Amount was = before == flows_.end() ? Amount() : before->second;
    seen[flow.flow_id()] = amount;
    for (const auto& subject : SubjectsOf(flow)) {
      Row& row = rows[subject];
      row.workload = subject.first;
      row.binary = subject.second;
      const double packets = static_cast<double>(Growth(amount.packets, was.packets)) / seconds;
      if (flow.verdict() == v1::Flow::DROPPED) {
        row.drops += packets;
        continue;
      }
      row.packets += packets;
      row.bytes += static_cast<double>(Growth(amount.bytes, was.bytes)) / seconds;
    }
  }
  // One that is being moved may be missing from a listing; it has not begun anew when it is in the next.
  for (auto& [id, amount] : flows_)
    if (++amount.missed <= kMissed) seen.try_emplace(id, amount);
  flows_ = std::move(seen);
  last_ = now;
  if (!std::exchange(begun_, true)) return {};

  std::vector<Row> sorted;
  for (const auto& [subject, row] : rows) sorted.push_back(row);
  const auto busy = [&](const Row& row) {  // of the workload, so that its programs stay below it
    const Row& sum = rows.at({row.workload, ""});
    return std::pair(sum.bytes, sum.drops);
  };
  std::stable_sort(sorted.begin(), sorted.end(), [&](const Row& a, const Row& b) {
    if (a.workload != b.workload) return std::pair(busy(b), a.workload) < std::pair(busy(a), b.workload);
    if (a.binary.empty() != b.binary.empty()) return a.binary.empty();
    return std::pair(b.bytes, b.drops) < std::pair(a.bytes, a.drops);
  });
  return sorted;
}

Table MakeTrafficTable(const std::vector<Row>& rows) {
  Table table({{"WORKLOAD"},
               {"PACKETS/S", Align::kRight},
               {"BYTES/S", Align::kRight},
               {"DROPS/S", Align::kRight},
               {"PROGRAM"}});
  for (const Row& row : rows) {
    table.Add({row.workload, fmt::format("{:.1f}", row.packets), fmt::format("{:.0f}", row.bytes),
               fmt::format("{:.1f}", row.drops), row.binary.empty() ? "(all)" : PrintableWord(row.binary)});
  }
  return table;
}

std::string TrafficJson(const Row& row) {
  nlohmann::ordered_json json{{"workload", row.workload}};
  if (!row.binary.empty()) json["binary"] = row.binary;
  json["packetsPerSecond"] = row.packets;
  json["bytesPerSecond"] = row.bytes;
  json["dropsPerSecond"] = row.drops;
  return PrintableJson(json.dump());
}

}  // namespace sluice::client
