#include "kernel/datapath/process_classes.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <unordered_map>

#include "base/log.h"
#include "kernel/bpf/system.h"
#include "kernel/datapath/bind_map.h"
#include "policy/network/glob.h"

namespace sluice::datapath {
namespace {

// A class without processes stays this long, so that the next process of the kind finds it.
constexpr std::uint64_t kIdleNs = 60'000'000'000;

bool Same(const sl_program_pattern& a, const sl_program_pattern& b) { return std::memcmp(&a, &b, sizeof(a)) == 0; }

bool Same(const ProgramPatterns& a, const ProgramPatterns& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto& x, const auto& y) { return x.first == y.first && Same(x.second, y.second); });
}

std::uint64_t MatchesOf(std::string_view path, const ProgramPatterns& patterns) {
  std::uint64_t matches = 0;
  for (const auto& [bit, pattern] : patterns) {
    if (policy::GlobMatches({pattern.text, pattern.length}, path)) matches |= 1ULL << bit;
  }
  return matches;
}

std::string_view Text(const sl_program_path& path) { return {path.text, strnlen(path.text, sizeof(path.text))}; }

template <typename K, typename V>
StatusOr<std::vector<std::pair<K, V>>> Read(const bpf::Map<K, V>& map) {
  std::vector<std::pair<K, V>> entries;
  SL_RETURN_IF_ERROR(map.ForEachBatch([&](const K& key, const V& value) { entries.emplace_back(key, value); }));
  return entries;
}

}  // namespace

Status ProcessClasses::Bind(const bpf::DatapathObject& object) {
  SL_RETURN_IF_ERROR(BindMap(object, "program_patterns", &patterns_));
  SL_RETURN_IF_ERROR(BindMap(object, "programs", &programs_));
  SL_RETURN_IF_ERROR(BindMap(object, "process_classes", &classes_));
  SL_RETURN_IF_ERROR(BindMap(object, "process_class_numbers", &numbers_));
  SL_RETURN_IF_ERROR(BindMap(object, "processes", &processes_));
  SL_RETURN_IF_ERROR(BindMap(object, "process_share_of", &share_of_));
  SL_RETURN_IF_ERROR(BindMap(object, "process_shares", &shares_));
  SL_RETURN_IF_ERROR(BindMap(object, "process_shares_freed", &freed_));
  SL_ASSIGN_OR_RETURN(const auto total, shares_.Get(SL_SHARE_TOTAL));
  if (total) std::copy(std::begin(total->refused), std::end(total->refused), warned_of_);
  SL_RETURN_IF_ERROR(FindLastShare());
  for (std::uint32_t epoch = 0; epoch < SL_EPOCHS; ++epoch) {
    ProgramPatterns::Entries known;
    for (std::uint32_t bit = 0; bit < SL_MAX_PROGRAM_PATTERNS; ++bit) {
      SL_ASSIGN_OR_RETURN(const auto pattern, patterns_.Get(epoch * SL_MAX_PROGRAM_PATTERNS + bit));
      if (pattern && pattern->length != 0) known.emplace_back(bit, *pattern);
    }
    known_[epoch] = ProgramPatterns(std::move(known));
  }
  return OkStatus();
}

// After all shares of an earlier agent that still have entries.
Status ProcessClasses::FindLastShare() {
  const auto note = [this](std::uint32_t share) { last_share_ = std::max(last_share_, share); };
  SL_ASSIGN_OR_RETURN(const auto given, Read(share_of_));
  for (const auto& [inode, share] : given) note(share);
  SL_ASSIGN_OR_RETURN(const auto shares, Read(shares_));
  SL_ASSIGN_OR_RETURN(const auto freed, Read(freed_));
  for (std::size_t i = 0; i < std::min(shares.size(), freed.size()); ++i) {
    if (!std::equal(std::begin(shares[i].second.added), std::end(shares[i].second.added),
                    std::begin(freed[i].second.freed)))
      note(shares[i].first);
  }
  return OkStatus();
}

Status ProcessClasses::SetPatterns(std::uint32_t epoch, const ProgramPatterns& patterns) {
  const std::lock_guard lock(mutex_);
  if (matched_[epoch] && Same(known_[epoch], patterns)) return OkStatus();
  matched_[epoch] = false;
  for (std::uint32_t bit = 0; bit < SL_MAX_PROGRAM_PATTERNS; ++bit) {
    const auto pattern = patterns.find(bit);
    SL_RETURN_IF_ERROR(patterns_.Put(epoch * SL_MAX_PROGRAM_PATTERNS + bit,
                                     pattern == patterns.end() ? sl_program_pattern{} : pattern->second));
  }
  known_[epoch] = patterns;
  SL_RETURN_IF_ERROR(bpf::WaitForRunningPrograms());  // from here on the sensors use these patterns
  SL_RETURN_IF_ERROR(MatchPrograms(epoch));
  SL_RETURN_IF_ERROR(MatchClasses(epoch));
  matched_[epoch] = true;
  return OkStatus();
}

StatusOr<bool> ProcessClasses::HoldsPatterns(std::uint32_t epoch) const {
  const std::lock_guard lock(mutex_);
  for (std::uint32_t bit = 0; bit < SL_MAX_PROGRAM_PATTERNS; ++bit) {
    SL_ASSIGN_OR_RETURN(const auto pattern, patterns_.Get(epoch * SL_MAX_PROGRAM_PATTERNS + bit));
    const auto expected = known_[epoch].find(bit);
    const sl_program_pattern none{};
    if (pattern && !Same(*pattern, expected == known_[epoch].end() ? none : expected->second)) return false;
  }
  return true;
}

void ProcessClasses::Distrust(std::uint32_t epoch) {
  const std::lock_guard lock(mutex_);
  matched_[epoch] = false;
}

Status ProcessClasses::MatchPrograms(std::uint32_t epoch) {
  SL_ASSIGN_OR_RETURN(auto programs, Read(programs_));
  for (auto& [path, program] : programs) {
    const std::uint64_t matches = MatchesOf(Text(path), known_[epoch]);
    if (program.matches[epoch] == matches) continue;
    program.matches[epoch] = matches;
    SL_RETURN_IF_ERROR(programs_.Put(path, program));
  }
  return OkStatus();
}

// A class that is created meanwhile may be derived from one that was not matched yet. Once a pass finds nothing to do,
// all classes were correct when it began, and so are classes derived from them.
Status ProcessClasses::MatchClasses(std::uint32_t epoch) {
  for (;;) {
    SL_RETURN_IF_ERROR(bpf::WaitForRunningPrograms());
    SL_ASSIGN_OR_RETURN(Classes classes, Read(classes_));
    SL_ASSIGN_OR_RETURN(const Programs programs, Read(programs_));  // after the classes, as MatchClassesOnce asks
    bool changed = false;
    SL_RETURN_IF_ERROR(MatchClassesOnce(epoch, programs, &classes, &changed));
    if (!changed) return OkStatus();
  }
}

// `programs` must have been read after `classes`: an exec adds its program before its class. A program that is missing
// is then one that was removed.
Status ProcessClasses::MatchClassesOnce(std::uint32_t epoch, const Programs& programs, Classes* classes,
                                        bool* changed) {
  std::unordered_map<std::uint32_t, std::uint64_t> matches;  // by program
  for (const auto& [path, program] : programs) matches.emplace(program.number, program.matches[epoch]);
  for (auto& [number, one] : *classes) {
    sl_process_class now = one;
    now.binaries[epoch] = now.scripts[epoch] = now.ancestors[epoch] = 0;
    const auto add = [&](std::uint32_t program, __u64& to) {
      const auto found = matches.find(program);
      if (found != matches.end()) to |= found->second;
      return found != matches.end();
    };
    // A program without a path cannot be matched any more: it is unknown.
    if (now.facts.program != SL_PROGRAM_UNKNOWN && !add(now.facts.program, now.binaries[epoch])) {
      now.facts.program = SL_PROGRAM_UNKNOWN;
    }
    if (now.facts.script != 0) add(now.facts.script, now.scripts[epoch]);
    now.binaries[epoch] |= now.scripts[epoch];
    for (const std::uint32_t ancestor : now.facts.ancestors) {
      if (ancestor != 0 && !add(ancestor, now.ancestors[epoch])) now.facts.flags |= SL_CLASS_MORE_ANCESTORS;
    }
    if (std::memcmp(&now, &one, sizeof(now)) == 0) continue;
    *changed = true;
    one = now;
    SL_RETURN_IF_ERROR(classes_.Put(number, now));
  }
  return OkStatus();
}

// Idle classes are also removed if programs are scarce, as their programs count as used.
Status ProcessClasses::Tend(std::uint64_t now_ns, const AddFlows& add_flows) {
  const std::lock_guard lock(mutex_);
  SL_ASSIGN_OR_RETURN(Shares shares, Read(shares_));
  SL_ASSIGN_OR_RETURN(Classes classes, Read(classes_));
  SL_ASSIGN_OR_RETURN(Programs programs, Read(programs_));
  bool changed = false;
  for (std::uint32_t epoch = 0; epoch < SL_EPOCHS; ++epoch)
    if (matched_[epoch]) SL_RETURN_IF_ERROR(MatchClassesOnce(epoch, programs, &classes, &changed));
  const bool few_programs = programs.size() > programs_.capacity() / 8 * 3;
  if (few_programs || classes.size() > classes_.capacity() / 8 * 3) {
    SL_RETURN_IF_ERROR(ForgetClasses(now_ns, add_flows));
    if (few_programs) SL_RETURN_IF_ERROR(ForgetPrograms());
    SL_ASSIGN_OR_RETURN(shares, Read(shares_));
    SL_ASSIGN_OR_RETURN(programs, Read(programs_));
    SL_ASSIGN_OR_RETURN(classes, Read(classes_));
  }
  WarnOfRefused(shares);
  return CountShares(shares, programs, classes);
}

Status ProcessClasses::SetShares(const std::set<std::uint32_t>& netns) {
  const std::lock_guard lock(mutex_);
  SL_ASSIGN_OR_RETURN(const auto known, Read(share_of_));
  Numbers used;
  std::set<std::uint32_t> there;
  for (const auto& [inode, share] : known) {
    if (!netns.contains(inode)) {
      SL_RETURN_IF_ERROR(share_of_.Delete(inode));
      continue;
    }
    there.insert(inode);
    used.insert(share);
  }
  for (const std::uint32_t inode : netns) {
    if (there.contains(inode)) continue;
    // The next number, not the lowest free one: entries of its last owner may remain.
    std::uint32_t tries = 0;
    do {
      last_share_ = last_share_ + 1 < SL_SHARES ? last_share_ + 1 : SL_SHARE_FIRST;
    } while (used.contains(last_share_) && ++tries < SL_SHARES);
    if (tries == SL_SHARES) break;  // the rest use SL_SHARE_OTHERS
    used.insert(last_share_);
    SL_RETURN_IF_ERROR(share_of_.Put(inode, last_share_));
  }
  SL_ASSIGN_OR_RETURN(const auto total, freed_.Get(SL_SHARE_TOTAL));
  sl_process_share_freed now = total.value_or(sl_process_share_freed{});
  now.parts = static_cast<std::uint32_t>(used.size()) + 1;
  return freed_.Put(SL_SHARE_TOTAL, now);
}

// Until the next call, entries that were added since `before` count twice, and a process that ended since is subtracted
// twice: a share may then be below 0.
Status ProcessClasses::CountShares(const Shares& before, const Programs& programs, const Classes& classes) {
  std::unordered_map<std::uint32_t, std::array<std::uint32_t, SL_SHARED_TABLE_COUNT>> counts;
  const auto count = [&counts](std::uint32_t table, std::uint32_t share) {
    counts[share != SL_SHARE_TOTAL && share < SL_SHARES ? share : SL_SHARE_OTHERS][table]++;
    counts[SL_SHARE_TOTAL][table]++;
  };
  for (const auto& [path, one] : programs) count(SL_SHARED_PROGRAMS, one.share);
  for (const auto& [number, one] : classes) count(SL_SHARED_CLASSES, one.share);
  SL_RETURN_IF_ERROR(
      processes_.ForEachBatch([&](const auto&, const sl_process& one) { count(SL_SHARED_PROCESSES, one.share); }));
  SL_ASSIGN_OR_RETURN(const auto freed, Read(freed_));
  for (const auto& [share, was] : freed) {
    sl_process_share_freed now = was;
    const auto& has = counts[share];
    for (std::uint32_t table = 0; table < SL_SHARED_TABLE_COUNT; ++table)
      now.freed[table] = before[share].second.added[table] - has[table];
    if (std::memcmp(&now, &was, sizeof(now)) != 0) SL_RETURN_IF_ERROR(freed_.Put(share, now));
  }
  return OkStatus();
}

void ProcessClasses::WarnOfRefused(const Shares& shares) {
  static constexpr const char* kTables[] = {"programs", "process_classes", "processes"};
  for (std::uint32_t table = 0; table < SL_SHARED_TABLE_COUNT; ++table) {
    const std::uint32_t refused = shares[SL_SHARE_TOTAL].second.refused[table];
    if (refused == warned_of_[table]) continue;
    LogWarn("the table {} had no room for {} entries: rules by process treat the processes concerned as unknown",
            kTables[table], refused - warned_of_[table]);
    warned_of_[table] = refused;
  }
}

// First removes the keys, so that no process gets the class any more; then checks for processes that got it last. A
// class's facts can be downgraded later, so its key may meanwhile map to another class.
Status ProcessClasses::ForgetClasses(std::uint64_t now_ns, const AddFlows& add_flows) {
  const auto is_idle = [now_ns](const sl_process_class& one) { return one.used_ns + kIdleNs < now_ns; };
  const auto of_processes = [this]() -> StatusOr<Numbers> {
    Numbers numbers;
    SL_RETURN_IF_ERROR(
        processes_.ForEachBatch([&](const __u32&, const sl_process& p) { numbers.insert(p.process_class); }));
    return numbers;
  };
  SL_ASSIGN_OR_RETURN(const auto keys, Read(numbers_));  // before the classes: each class is created before its key
  SL_ASSIGN_OR_RETURN(const Classes classes, Read(classes_));
  SL_ASSIGN_OR_RETURN(Numbers in_use, of_processes());
  SL_RETURN_IF_ERROR(add_flows(in_use));
  Numbers leaving, staying;
  for (const auto& [number, one] : classes)
    (is_idle(one) && !in_use.contains(number) ? leaving : staying).insert(number);
  std::vector<sl_process_facts> keys_leaving;
  for (const auto& [facts, number] : keys)
    if (!staying.contains(number)) keys_leaving.push_back(facts);
  SL_RETURN_IF_ERROR(numbers_.DeleteAll(keys_leaving));
  SL_RETURN_IF_ERROR(bpf::WaitForRunningPrograms());
  SL_ASSIGN_OR_RETURN(const Numbers after, of_processes());
  SL_ASSIGN_OR_RETURN(const Classes classes_after, Read(classes_));
  std::vector<sl_process_class_number> gone;  // the others are in use again
  for (const auto& [number, one] : classes_after)
    if (leaving.contains(number) && !after.contains(number) && is_idle(one)) gone.push_back(number);
  return classes_.DeleteAll(gone);
}

// Removes programs that no class used in the last check either: an exec may be about to create a class.
Status ProcessClasses::ForgetPrograms() {
  SL_ASSIGN_OR_RETURN(const Programs programs, Read(programs_));
  SL_ASSIGN_OR_RETURN(const Classes classes, Read(classes_));
  Numbers used;
  for (const auto& [number, one] : classes) {
    used.insert(one.facts.program);
    used.insert(one.facts.script);
    used.insert(std::begin(one.facts.ancestors), std::end(one.facts.ancestors));
  }
  Numbers unused;
  for (const auto& [path, program] : programs) {
    if (used.contains(program.number)) continue;
    unused.insert(program.number);
    if (unused_programs_.contains(program.number)) SL_RETURN_IF_ERROR(programs_.Delete(path));
  }
  unused_programs_ = std::move(unused);
  return OkStatus();
}

StatusOr<std::vector<ProcessClasses::Fill>> ProcessClasses::ReadFill() const {
  SL_ASSIGN_OR_RETURN(const auto total, shares_.Get(SL_SHARE_TOTAL));
  const sl_process_share all = total.value_or(sl_process_share{});
  Fill programs{"programs", 0, programs_.capacity(), all.refused[SL_SHARED_PROGRAMS]};
  Fill classes{"process_classes", 0, classes_.capacity(), all.refused[SL_SHARED_CLASSES]};
  SL_RETURN_IF_ERROR(programs_.ForEachBatch([&](const auto&, const auto&) { ++programs.entries; }));
  SL_RETURN_IF_ERROR(classes_.ForEachBatch([&](const auto&, const auto&) { ++classes.entries; }));
  return std::vector<Fill>{programs, classes};
}

}  // namespace sluice::datapath
