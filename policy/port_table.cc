#include "policy/port_table.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "policy/stable_id.h"

namespace sluice::policy {
namespace {

using Entries = std::vector<sl_port_entry>;

std::string ContentKey(const Entries& entries) {
  CanonicalKey key;
  for (const sl_port_entry& entry : entries) key.Add(entry.start).Add(entry.decision).Add(entry.flags);
  return key.bytes();
}

// The free parts of an array.
class FreeSpace {
 public:
  explicit FreeSpace(std::uint32_t size) : size_(size) {}

  // The first free span of `count` at or after `wish`, going round once. Takes it.
  std::optional<std::uint32_t> Take(std::uint32_t wish, std::uint32_t count) {
    std::optional<std::uint32_t> place = Search(wish, count);
    if (!place && wish > 0) place = Search(0, count);
    if (place) taken_.emplace(*place, *place + count);
    return place;
  }

 private:
  std::optional<std::uint32_t> Search(std::uint32_t at, std::uint32_t count) const {
    auto next = taken_.upper_bound(at);
    if (next != taken_.begin()) at = std::max(at, std::prev(next)->second);
    for (; next != taken_.end() && next->first - at < count; ++next) at = next->second;
    if (count > size_ || at > size_ - count) return std::nullopt;
    return at;
  }

  std::uint32_t size_;
  std::map<std::uint32_t, std::uint32_t> taken_;  // begin -> end
};

sl_port_entry ByDecision(std::uint32_t start, const Decision& decision, std::uint32_t number) {
  sl_port_entry entry = {};
  entry.start = start;
  entry.decision = number;
  entry.verdict = decision.allowed ? SL_VERDICT_ALLOW : SL_VERDICT_DENY;
  entry.flags = decision.audit_denied ? SL_PORT_AUDIT : 0;
  return entry;
}

sl_port_entry ByProcess(std::uint32_t start, std::uint32_t choice) {
  sl_port_entry entry = {};
  entry.start = start;
  entry.decision = choice;
  entry.verdict = SL_VERDICT_DENY;
  entry.flags = SL_PORT_BY_PROCESS;
  return entry;
}

}  // namespace

RangeSet Services(const Rule& rule, const std::vector<NamedPort>& named) {
  if (rule.ports.empty()) return {{0, kServiceEnd}};
  std::vector<Range> ranges;
  const auto add = [&](std::uint8_t protocol, std::uint16_t first, std::uint16_t last) {
    ranges.push_back({ServiceNumber(protocol, first), ServiceNumber(protocol, last) + 1});
  };
  for (const PortRule& wanted : rule.ports) {
    if (!wanted.port_name.empty()) {
      for (const NamedPort& port : named) {
        if (port.name == wanted.port_name && port.protocol == wanted.protocol) add(port.protocol, port.port, port.port);
      }
    } else if (wanted.port) {
      add(wanted.protocol, *wanted.port, wanted.end_port.value_or(*wanted.port));
    } else {
      add(wanted.protocol, 0, UINT16_MAX);
    }
  }
  return Normalised(std::move(ranges));
}

bool UsesPortNames(const Rule& rule) {
  return std::any_of(rule.ports.begin(), rule.ports.end(), [](const PortRule& p) { return !p.port_name.empty(); });
}

std::uint32_t DecisionPool::Intern(Decision decision) {
  const auto fresh = static_cast<std::uint32_t>(decisions_.size());
  const auto [at, added] = by_key_.try_emplace(DecisionKey(decision), fresh);
  if (added) decisions_.push_back(std::move(decision));
  return at->second;
}

std::vector<std::uint32_t> DecisionPool::Numbers() const {
  std::vector<std::string> keys;
  for (const auto& [key, index] : by_key_) keys.push_back(key);
  const std::vector<std::uint32_t> numbers = AssignStableIds(keys, {});
  std::vector<std::uint32_t> by_index(numbers.size());
  std::size_t next = 0;
  for (const auto& [key, index] : by_key_) by_index[index] = numbers[next++];
  return by_index;
}

std::map<std::uint32_t, Decision> DecisionPool::ByNumber() const {
  const std::vector<std::uint32_t> numbers = Numbers();
  std::map<std::uint32_t, Decision> decisions;
  for (std::size_t i = 0; i < numbers.size(); i++) decisions.emplace(numbers[i], decisions_[i]);
  return decisions;
}

std::uint32_t PortTablePool::Intern(PortTable table) {
  const auto fresh = static_cast<std::uint32_t>(tables_.size());
  const auto [at, added] = by_content_.try_emplace(std::move(table), fresh);
  if (added) tables_.push_back(at->first);
  return at->second;
}

StatusOr<PortTablePool::Layout> PortTablePool::LayOut(const DecisionPool& decisions,
                                                      const std::vector<std::uint32_t>& choices,
                                                      std::size_t limit) const {
  const std::vector<std::uint32_t> numbers = decisions.Numbers();
  struct Item {
    std::string key;
    std::uint32_t table;
    Entries entries;
  };
  std::vector<Item> items;
  std::size_t total = 0;
  for (std::uint32_t i = 0; i < tables_.size(); i++) {
    Item item{"", i, {}};
    for (const PortStep& step : tables_[i]) {
      item.entries.push_back(step.by_process
                                 ? ByProcess(step.start, choices[step.decision])
                                 : ByDecision(step.start, decisions.at(step.decision), numbers[step.decision]));
    }
    item.key = ContentKey(item.entries);
    total += item.entries.size();
    items.push_back(std::move(item));
  }
  if (total > limit) {
    return MakeError(absl::StatusCode::kResourceExhausted,
                     "the policies need {} entries of the table \"ports\", which holds {}: use fewer distinct sets of "
                     "ports in rules, or let fewer rules that name processes meet",
                     total, limit);
  }
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) { return a.key < b.key; });

  const auto place_all = [&](bool by_hash) -> std::optional<Layout> {
    Layout layout;
    layout.places.resize(tables_.size());
    FreeSpace space(static_cast<std::uint32_t>(limit));
    std::uint32_t next = 0;
    for (const Item& item : items) {
      const auto count = static_cast<std::uint32_t>(item.entries.size());
      const auto wish = by_hash ? static_cast<std::uint32_t>(StableHash(item.key) % limit) : next;
      const std::optional<std::uint32_t> place = space.Take(wish, count);
      if (!place) return std::nullopt;
      next = *place + count;
      layout.places[item.table] = {*place, count};
      for (std::uint32_t i = 0; i < count; i++) layout.entries.emplace(*place + i, item.entries[i]);
    }
    return layout;
  };
  if (std::optional<Layout> layout = place_all(true)) return std::move(*layout);
  return *place_all(false);
}

}  // namespace sluice::policy
