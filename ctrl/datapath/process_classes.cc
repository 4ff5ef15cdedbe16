#include "ctrl/datapath/process_classes.h"

#include <chrono>
#include <cstring>
#include <unordered_map>

#include "ctrl/bpf/system.h"
#include "policy/glob.h"

namespace sluice::datapath {
namespace {

// A class that no process has any more stays so long: the next process of the kind is then no new one.
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

// CLOCK_MONOTONIC, as the kernel side has it.
std::uint64_t Now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

template <typename K, typename V>
StatusOr<std::vector<std::pair<K, V>>> Read(const bpf::Map<K, V>& map) {
  std::vector<std::pair<K, V>> entries;
  SL_RETURN_IF_ERROR(map.ForEachBatch([&](const K& key, const V& value) { entries.emplace_back(key, value); }));
  return entries;
}

}  // namespace

Status ProcessClasses::Bind(const bpf::DatapathObject& object) {
  const auto bind = [&object](auto& map, const char* name) -> Status {
    using M = std::remove_reference_t<decltype(map)>;
    SL_ASSIGN_OR_RETURN(map, M::Bind(object.map_fd(name), name));
    return OkStatus();
  };
  SL_RETURN_IF_ERROR(bind(patterns_, "program_patterns"));
  SL_RETURN_IF_ERROR(bind(programs_, "programs"));
  SL_RETURN_IF_ERROR(bind(classes_, "process_classes"));
  SL_RETURN_IF_ERROR(bind(numbers_, "process_class_numbers"));
  SL_RETURN_IF_ERROR(bind(processes_, "processes"));
  for (std::uint32_t slot = 0; slot < SL_SLOTS; ++slot) {
    ProgramPatterns::Entries known;
    for (std::uint32_t bit = 0; bit < SL_MAX_PROGRAM_PATTERNS; ++bit) {
      SL_ASSIGN_OR_RETURN(const auto pattern, patterns_.Get(slot * SL_MAX_PROGRAM_PATTERNS + bit));
      if (pattern && pattern->length != 0) known.emplace_back(bit, *pattern);
    }
    known_[slot] = ProgramPatterns(std::move(known));
  }
  return OkStatus();
}

Status ProcessClasses::SetPatterns(std::uint32_t slot, const ProgramPatterns& patterns) {
  const std::lock_guard lock(mutex_);
  if (matched_[slot] && Same(known_[slot], patterns)) return OkStatus();
  matched_[slot] = false;
  for (std::uint32_t bit = 0; bit < SL_MAX_PROGRAM_PATTERNS; ++bit) {
    const auto pattern = patterns.find(bit);
    SL_RETURN_IF_ERROR(patterns_.Put(slot * SL_MAX_PROGRAM_PATTERNS + bit,
                                     pattern == patterns.end() ? sl_program_pattern{} : pattern->second));
  }
  known_[slot] = patterns;
  SL_RETURN_IF_ERROR(bpf::WaitForRunningPrograms());  // from here on the sensors match by these
  SL_RETURN_IF_ERROR(MatchPrograms(slot));
  SL_RETURN_IF_ERROR(MatchClasses(slot));
  matched_[slot] = true;
  return OkStatus();
}

Status ProcessClasses::MatchPrograms(std::uint32_t slot) {
  SL_ASSIGN_OR_RETURN(auto programs, Read(programs_));
  for (auto& [path, program] : programs) {
    const std::uint64_t matches = MatchesOf(Text(path), known_[slot]);
    if (program.matches[slot] == matches) continue;
    program.matches[slot] = matches;
    SL_RETURN_IF_ERROR(programs_.Put(path, program));
  }
  return OkStatus();
}

// A class that comes up meanwhile may have been derived from one that was not matched yet. Once a pass finds nothing to
// do, all were right when it began, and what is derived from those is right too.
Status ProcessClasses::MatchClasses(std::uint32_t slot) {
  for (;;) {
    SL_RETURN_IF_ERROR(bpf::WaitForRunningPrograms());
    SL_ASSIGN_OR_RETURN(const bool changed, MatchClassesOnce(slot));
    if (!changed) return OkStatus();
  }
}

StatusOr<bool> ProcessClasses::MatchClassesOnce(std::uint32_t slot) {
  std::unordered_map<std::uint32_t, std::uint64_t> matches;  // by program
  SL_ASSIGN_OR_RETURN(const auto programs, Read(programs_));
  for (const auto& [path, program] : programs) matches.emplace(program.number, program.matches[slot]);
  SL_ASSIGN_OR_RETURN(const auto classes, Read(classes_));
  bool changed = false;
  for (const auto& [number, before] : classes) {
    sl_process_class now = before;
    now.binaries[slot] = now.ancestors[slot] = 0;
    const auto add = [&](std::uint32_t program, __u64& to) {
      const auto found = matches.find(program);
      if (found != matches.end()) to |= found->second;
      return found != matches.end();
    };
    // What has no path any more matches nothing for sure: it is not known.
    if (now.facts.program != SL_PROGRAM_UNKNOWN && !add(now.facts.program, now.binaries[slot])) {
      now.facts.program = SL_PROGRAM_UNKNOWN;
    }
    if (now.facts.script != 0) add(now.facts.script, now.binaries[slot]);
    for (const std::uint32_t ancestor : now.facts.ancestors) {
      if (ancestor != 0 && !add(ancestor, now.ancestors[slot])) now.facts.flags |= SL_CLASS_MORE_ANCESTORS;
    }
    if (std::memcmp(&now, &before, sizeof(now)) == 0) continue;
    changed = true;
    SL_RETURN_IF_ERROR(classes_.Put(number, now));
  }
  return changed;
}

Status ProcessClasses::Tend(const std::function<Status(Numbers& in_use)>& add_flows) {
  const std::lock_guard lock(mutex_);
  for (std::uint32_t slot = 0; slot < SL_SLOTS; ++slot)
    if (matched_[slot]) SL_RETURN_IF_ERROR(MatchClassesOnce(slot).status());
  SL_ASSIGN_OR_RETURN(const auto classes, Read(classes_));
  if (classes.size() > classes_.capacity() / 2) {
    Numbers in_use;
    SL_RETURN_IF_ERROR(add_flows(in_use));
    SL_RETURN_IF_ERROR(ForgetClasses(in_use));
  }
  std::uint64_t programs = 0;
  SL_RETURN_IF_ERROR(programs_.ForEachBatch([&](const auto&, const auto&) { ++programs; }));
  return programs > programs_.capacity() / 2 ? ForgetPrograms() : OkStatus();
}

// First nobody can be given the class any more; then who was given it last is seen.
Status ProcessClasses::ForgetClasses(const Numbers& in_use) {
  const auto is_idle = [now = Now()](const sl_process_class& c) { return c.used_ns + kIdleNs < now; };
  const auto of_processes = [this]() -> StatusOr<Numbers> {
    Numbers numbers;
    SL_RETURN_IF_ERROR(
        processes_.ForEachBatch([&](const __u32&, const sl_process& p) { numbers.insert(p.process_class); }));
    return numbers;
  };
  SL_ASSIGN_OR_RETURN(const auto classes, Read(classes_));
  SL_ASSIGN_OR_RETURN(const Numbers before, of_processes());
  std::vector<std::pair<std::uint32_t, sl_process_facts>> leaving;
  for (const auto& [number, one] : classes) {
    if (is_idle(one) && !before.contains(number) && !in_use.contains(number)) leaving.emplace_back(number, one.facts);
  }
  for (const auto& [number, facts] : leaving) SL_RETURN_IF_ERROR(numbers_.Delete(facts));
  SL_RETURN_IF_ERROR(bpf::WaitForRunningPrograms());
  SL_ASSIGN_OR_RETURN(const Numbers after, of_processes());
  for (const auto& [number, facts] : leaving) {
    SL_ASSIGN_OR_RETURN(const auto now, classes_.Get(number));
    if (now && (after.contains(number) || !is_idle(*now))) continue;  // stays for those who have it
    SL_RETURN_IF_ERROR(classes_.Delete(number));
  }
  return OkStatus();
}

// Those that no class had the last time either: an exec may be about to make one.
Status ProcessClasses::ForgetPrograms() {
  Numbers used;
  SL_RETURN_IF_ERROR(classes_.ForEachBatch([&](const auto&, const sl_process_class& one) {
    used.insert(one.facts.program);
    used.insert(one.facts.script);
    used.insert(std::begin(one.facts.ancestors), std::end(one.facts.ancestors));
  }));
  Numbers unused;
  SL_ASSIGN_OR_RETURN(const auto programs, Read(programs_));
  for (const auto& [path, program] : programs) {
    if (used.contains(program.number)) continue;
    unused.insert(program.number);
    if (unused_programs_.contains(program.number)) SL_RETURN_IF_ERROR(programs_.Delete(path));
  }
  unused_programs_ = std::move(unused);
  return OkStatus();
}

StatusOr<std::vector<ProcessClasses::Fill>> ProcessClasses::ReadFill() const {
  Fill programs{"programs", 0, programs_.capacity()}, classes{"process_classes", 0, classes_.capacity()};
  SL_RETURN_IF_ERROR(programs_.ForEachBatch([&](const auto&, const auto&) { ++programs.entries; }));
  SL_RETURN_IF_ERROR(classes_.ForEachBatch([&](const auto&, const auto&) { ++classes.entries; }));
  return std::vector<Fill>{programs, classes};
}

}  // namespace sluice::datapath
