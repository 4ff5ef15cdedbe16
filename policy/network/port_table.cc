#include "policy/network/port_table.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <span>
#include <tuple>

#include "policy/network/stable_id.h"

namespace sluice::policy {
namespace {

using Entries = std::span<const sl_port_entry>;

// Equal bytes: equal tables.
std::string_view BytesOf(Entries entries) {
  static_assert(std::has_unique_object_representations_v<sl_port_entry>);
  return {reinterpret_cast<const char*>(entries.data()), entries.size() * sizeof(sl_port_entry)};
}

// The free slots of an array, as bits. A nearly full array has many free spans that are too small, and a scan over bits
// skips dozens of slots at once.
class FreeSpace {
 public:
  explicit FreeSpace(std::uint32_t size) : size_(size), taken_(size / kBits + 1) {}

  // Takes the first free span of `count` at or after `wish`, wrapping around once.
  std::optional<std::uint32_t> Take(std::uint32_t wish, std::uint32_t count) {
    std::optional<std::uint32_t> place = Search(wish, count);
    if (!place && wish > 0) place = Search(0, count);
    if (!place) return place;
    for (std::uint32_t at = *place; at < *place + count; at++) taken_[at / kBits] |= 1ULL << at % kBits;
    return place;
  }

 private:
  static constexpr std::uint32_t kBits = 64;

  std::optional<std::uint32_t> Search(std::uint32_t at, std::uint32_t count) const {
    while (true) {
      at = Next(at, false);
      if (count > size_ || at > size_ - count) return std::nullopt;
      const std::uint32_t end = Next(at, true);
      if (end - at >= count) return at;
      at = end;
    }
  }

  // The first slot at or after `at` whose state is `taken`; `size_` when there is none.
  std::uint32_t Next(std::uint32_t at, bool taken) const {
    if (at >= size_) return size_;
    const std::uint64_t flip = taken ? 0 : ~0ULL;
    std::uint32_t word = at / kBits;
    std::uint64_t bits = (taken_[word] ^ flip) >> at % kBits << at % kBits;
    while (bits == 0 && ++word < taken_.size()) bits = taken_[word] ^ flip;
    return bits == 0 ? size_ : std::min(size_, word * kBits + static_cast<std::uint32_t>(std::countr_zero(bits)));
  }

  std::uint32_t size_;
  std::vector<std::uint64_t> taken_;
};

sl_port_entry ByDecision(std::uint32_t start, const Decision& decision, DecisionNumber number) {
  sl_port_entry entry = {};
  entry.start = start;
  entry.decision = Raw(number);
  entry.verdict = decision.allowed ? SL_VERDICT_ALLOW : SL_VERDICT_DENY;
  entry.flags = decision.audit_denied ? SL_PORT_AUDIT : 0;
  return entry;
}

sl_port_entry ByProcess(std::uint32_t start, SlotIndex process_verdict) {
  sl_port_entry entry = {};
  entry.start = start;
  entry.decision = Raw(process_verdict);
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

std::shared_ptr<const KeyedDecision> MakeKeyed(Decision decision) {
  std::string key = DecisionKey(decision);
  const std::uint64_t hash = StableHash(key);
  return std::make_shared<const KeyedDecision>(KeyedDecision{std::move(decision), std::move(key), hash});
}

DecisionNumbers NumberDecisions(const Decisions& decisions) {
  const auto& all = decisions.all();
  std::vector<PoolIndex> order;
  for (std::uint32_t i = 0; i < all.size(); i++) order.push_back(PoolIndex{i});
  std::sort(order.begin(), order.end(), [&all](PoolIndex a, PoolIndex b) {
    return std::tie(all[a]->hash, all[a]->key) < std::tie(all[b]->hash, all[b]->key);
  });
  std::vector<std::uint64_t> hashes;
  for (const PoolIndex index : order) hashes.push_back(all[index]->hash);
  const std::vector<std::uint32_t> numbers = AssignStableIds(hashes, {});
  DecisionNumbers by_index(numbers.size());
  for (std::size_t i = 0; i < numbers.size(); i++) by_index[order[i]] = DecisionNumber{numbers[i]};
  return by_index;
}

FlatMap<std::uint32_t, std::shared_ptr<const Decision>> ByNumber(const Decisions& decisions,
                                                                 const DecisionNumbers& numbers) {
  std::vector<std::pair<std::uint32_t, std::shared_ptr<const Decision>>> by_number;
  for (std::uint32_t i = 0; i < numbers.size(); i++) {
    const auto& keyed = decisions.all()[PoolIndex{i}];
    by_number.emplace_back(Raw(numbers[PoolIndex{i}]), std::shared_ptr<const Decision>(keyed, &keyed->decision));
  }
  return FlatMap<std::uint32_t, std::shared_ptr<const Decision>>(std::move(by_number));
}

StatusOr<PortLayout> LayOut(const PortTablePool<PoolIndex>& tables, const Decisions& decisions,
                            const DecisionNumbers& numbers, const IndexedBy<PoolIndex, SlotIndex>& process_verdicts,
                            std::size_t limit) {
  struct Item {
    std::uint64_t hash = 0;
    PoolIndex table{};
    Entries entries;
  };
  std::size_t total = 0;
  for (const auto& table : tables.all()) total += table.size();
  if (total > limit) {
    return MakeError(absl::StatusCode::kResourceExhausted,
                     "the policies need {} entries of the table \"ports\", which holds {}: use fewer distinct sets of "
                     "ports in rules, or let fewer rules with processes match one peer",
                     total, limit);
  }
  std::vector<sl_port_entry> all;  // one array for all tables, not 100,000 small ones
  all.reserve(total);
  std::vector<Item> items;
  items.reserve(tables.all().size());
  for (std::uint32_t i = 0; i < tables.all().size(); i++) {
    const std::size_t first = all.size();
    for (const auto& step : tables.all()[PoolIndex{i}]) {
      all.push_back(step.by_process
                        ? ByProcess(step.start, process_verdicts[step.answer])
                        : ByDecision(step.start, decisions.all()[step.answer]->decision, numbers[step.answer]));
    }
    const Entries entries(all.data() + first, all.size() - first);
    items.push_back({StableHash(BytesOf(entries)), PoolIndex{i}, entries});
  }
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
    return a.hash != b.hash ? a.hash < b.hash : BytesOf(a.entries) < BytesOf(b.entries);
  });

  const auto place_all = [&](bool by_hash) {
    IndexedBy<PoolIndex, sl_peer_value> places(tables.all().size());
    FreeSpace space(static_cast<std::uint32_t>(limit));
    std::uint32_t next = 0;
    for (const Item& item : items) {
      const auto count = static_cast<std::uint32_t>(item.entries.size());
      const auto wish = by_hash ? static_cast<std::uint32_t>(item.hash % limit) : next;
      const std::optional<std::uint32_t> place = space.Take(wish, count);
      if (!place) return IndexedBy<PoolIndex, sl_peer_value>();
      next = *place + count;
      places[item.table] = {*place, count};
    }
    return places;
  };
  PortLayout layout{.entries = {}, .places = place_all(true)};
  if (layout.places.empty()) layout.places = place_all(false);
  std::sort(items.begin(), items.end(),
            [&](const Item& a, const Item& b) { return layout.places[a.table].first < layout.places[b.table].first; });
  std::vector<std::pair<std::uint32_t, sl_port_entry>> entries;
  entries.reserve(total);
  for (const Item& item : items) {
    std::uint32_t place = layout.places[item.table].first;
    for (const sl_port_entry& entry : item.entries) entries.emplace_back(place++, entry);
  }
  layout.entries = FlatMap<std::uint32_t, sl_port_entry>(std::move(entries));
  return layout;
}

}  // namespace sluice::policy
