#include "policy/lsm/compile_tables.h"

#include <bit>
#include <cstring>

#include "bpf/lib/lsm_key.h"

namespace sluice::policy::lsm {
namespace {

constexpr std::size_t kWord = sizeof(std::uint64_t);
constexpr std::size_t kMostCellsOfTarget = 64;  // tables are made larger until no key is far from its own cell

// Packs values of a smaller type into words.
template <typename Value>
std::uint32_t AddPacked(const Value* values, std::size_t count, Tables* tables) {
  const auto first = static_cast<std::uint32_t>(tables->words.size());
  const std::size_t bytes = count * sizeof(Value);
  tables->words.resize(first + (bytes + kWord - 1) / kWord);
  if (bytes > 0) std::memcpy(&tables->words[first], values, bytes);
  return first;
}

std::uint64_t KeyOf(const TargetKey& key, std::uint64_t seed) {
  std::uint64_t hash = seed;
  if (key.kind == SL_LSM_KIND_NUMBER) hash ^= key.number;
  for (const char byte : key.text) hash = sl_lsm_hash_byte(hash, static_cast<std::uint8_t>(byte));
  return sl_lsm_key(hash, key.section, key.kind);
}

sl_lsm_target MakeTarget(const TargetKey& key, const TargetNumbers& numbers, Tables* tables) {
  sl_lsm_target target{};
  target.number = key.number;
  if (!key.text.empty()) target.text = AddText(key.text, tables);
  target.text_length = static_cast<__u16>(key.text.size());
  target.kind = static_cast<__u8>(key.kind);
  target.section = static_cast<__u8>(key.section);
  const NumberRange decides = AddNumbers({numbers.decides.begin(), numbers.decides.end()}, tables);
  const NumberRange audits = AddNumbers({numbers.audits.begin(), numbers.audits.end()}, tables);
  target.decides = decides.first;
  target.decides_count = decides.count;
  target.audits = audits.first;
  target.audits_count = audits.count;
  return target;
}

// False: a key is too far from its own cell.
bool FillCells(const std::vector<sl_lsm_cell>& entries, std::vector<sl_lsm_cell>* cells) {
  const std::size_t mask = cells->size() - 1;
  for (const sl_lsm_cell& entry : entries) {
    std::size_t probe = 0;
    while (probe < SL_LSM_PROBES && (*cells)[(entry.key + probe) & mask].target != 0) ++probe;
    if (probe == SL_LSM_PROBES) return false;
    (*cells)[(entry.key + probe) & mask] = entry;
  }
  return true;
}

}  // namespace

std::uint32_t AddText(std::string_view text, Tables* tables) { return AddPacked(text.data(), text.size(), tables); }

NumberRange AddNumbers(const std::vector<std::uint32_t>& numbers, Tables* tables) {
  if (numbers.empty()) return {};
  const NumberRange range{static_cast<std::uint32_t>(tables->numbers.size()),
                          static_cast<std::uint32_t>(numbers.size())};
  tables->numbers.insert(tables->numbers.end(), numbers.begin(), numbers.end());
  return range;
}

Status AddTargets(const std::map<TargetKey, TargetNumbers>& targets, sl_lsm_profile* profile, Tables* tables) {
  std::vector<sl_lsm_cell> entries;
  for (const auto& [key, numbers] : targets) {
    tables->targets.push_back(MakeTarget(key, numbers, tables));
    entries.push_back(
        {.key = KeyOf(key, profile->seed), .target = static_cast<__u32>(tables->targets.size()), .pad = 0});
  }
  for (std::size_t size = std::bit_ceil(2 * targets.size() + 1); size <= kMostCellsOfTarget * (targets.size() + 1);
       size *= 2) {
    std::vector<sl_lsm_cell> cells(size);
    if (!FillCells(entries, &cells)) continue;
    profile->cells = static_cast<__u32>(tables->cells.size());
    profile->cell_mask = static_cast<__u32>(size - 1);
    tables->cells.insert(tables->cells.end(), cells.begin(), cells.end());
    return OkStatus();
  }
  return MakeError(absl::StatusCode::kResourceExhausted, "the keys of {} paths collide: another seed is needed",
                   targets.size());
}

void AddAutomaton(const Automaton& automaton, sl_lsm_section section, const std::map<std::uint32_t, bool>& audits,
                  Tables* tables) {
  sl_lsm_automaton added{};
  added.classes = AddPacked(automaton.classes.data(), automaton.classes.size(), tables);
  added.transitions = AddPacked(automaton.transitions.data(), automaton.transitions.size(), tables);
  added.class_count = automaton.class_count;
  added.state_count = static_cast<__u32>(automaton.matches.size());
  added.targets = static_cast<__u32>(tables->targets.size());
  std::map<std::set<std::uint32_t>, std::uint32_t> known;
  std::vector<std::uint32_t> matches;
  for (const std::set<std::uint32_t>& rules : automaton.matches) {
    if (rules.empty()) {
      matches.push_back(0);
      continue;
    }
    const auto [place, is_new] = known.emplace(rules, static_cast<std::uint32_t>(known.size() + 1));
    matches.push_back((*place).second);
    if (!is_new) continue;
    TargetNumbers numbers;
    for (const std::uint32_t rule : rules) (audits.at(rule) ? numbers.audits : numbers.decides).insert(rule);
    tables->targets.push_back(MakeTarget({.section = section, .kind = SL_LSM_KIND_PATH}, numbers, tables));
  }
  added.matches = AddPacked(matches.data(), matches.size(), tables);
  tables->automata.push_back(added);
}

}  // namespace sluice::policy::lsm
