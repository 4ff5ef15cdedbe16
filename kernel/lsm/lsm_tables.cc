#include "kernel/lsm/lsm_tables.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "kernel/bpf/system.h"

namespace sluice::lsm {
namespace {

constexpr std::size_t kAlignment = 8;

std::size_t RoundUp(std::size_t bytes, std::size_t unit) { return (bytes + unit - 1) / unit * unit; }

std::uint32_t HalfOf(std::uint64_t generation) { return generation % SL_LSM_HALVES; }

}  // namespace

StatusOr<MappedArray> MappedArray::Map(int fd, const char* name, std::size_t entries, std::size_t value_bytes) {
  MappedArray array;
  array.stride_ = RoundUp(value_bytes, kAlignment);
  array.bytes_ = RoundUp(entries * array.stride_, bpf::PageSize());
  void* const memory = mmap(nullptr, array.bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return ErrnoError(errno, "map {} into memory", name);
  array.memory_ = static_cast<char*>(memory);
  return array;
}

MappedArray::MappedArray(MappedArray&& other) noexcept { *this = std::move(other); }

MappedArray& MappedArray::operator=(MappedArray&& other) noexcept {
  std::swap(memory_, other.memory_);
  std::swap(bytes_, other.bytes_);
  std::swap(stride_, other.stride_);
  return *this;
}

MappedArray::~MappedArray() {
  if (memory_ != nullptr) munmap(memory_, bytes_);
}

StatusOr<LsmTables> LsmTables::Bind(const std::function<int(const char* name)>& map_fd) {
  LsmTables tables;
  const auto bind = [&](const char* name, std::size_t capacity, std::size_t bytes, MappedArray* array) -> Status {
    SL_ASSIGN_OR_RETURN(*array, MappedArray::Map(map_fd(name), name, capacity, bytes));
    return OkStatus();
  };
  constexpr std::size_t kHalves = SL_LSM_HALVES;
  SL_RETURN_IF_ERROR(bind("lsm_profiles", kHalves * SL_LSM_PROFILES, sizeof(sl_lsm_profile), &tables.profiles_));
  SL_RETURN_IF_ERROR(bind("lsm_rules", kHalves * SL_LSM_RULES, sizeof(sl_lsm_rule), &tables.rules_));
  SL_RETURN_IF_ERROR(bind("lsm_targets", kHalves * SL_LSM_TARGETS, sizeof(sl_lsm_target), &tables.targets_));
  SL_RETURN_IF_ERROR(bind("lsm_cells", kHalves * SL_LSM_CELLS, sizeof(sl_lsm_cell), &tables.cells_));
  SL_RETURN_IF_ERROR(bind("lsm_automata", kHalves * SL_LSM_AUTOMATA, sizeof(sl_lsm_automaton), &tables.automata_));
  SL_RETURN_IF_ERROR(bind("lsm_numbers", kHalves * SL_LSM_NUMBERS, sizeof(__u32), &tables.numbers_));
  SL_RETURN_IF_ERROR(bind("lsm_words", kHalves * SL_LSM_WORDS, sizeof(__u64), &tables.words_));
  SL_RETURN_IF_ERROR(bind("lsm_counts", kHalves * SL_LSM_RULES, sizeof(sl_lsm_counts), &tables.counts_));
  SL_RETURN_IF_ERROR(bind("lsm_root", 1, sizeof(__u64), &tables.root_));
  SL_ASSIGN_OR_RETURN(tables.subjects_, decltype(subjects_)::Bind(map_fd("lsm_subjects"), "lsm_subjects"));
  return tables;
}

template <typename Value>
void LsmTables::Copy(const std::vector<Value>& values, std::size_t capacity, std::uint32_t half,
                     const MappedArray& to) {
  for (std::size_t i = 0; i < values.size(); ++i) std::memcpy(to.at(half * capacity + i), &values[i], sizeof(Value));
}

// Places in compiled tables count from 0; those in the kernel's from the beginning of the half.
Status LsmTables::Write(const policy::lsm::Compiled& compiled, const std::map<std::uint32_t, std::uint32_t>& profiles) {
  const std::uint32_t half = HalfOf(generation_ + 1);
  policy::lsm::Tables tables = compiled.tables;
  const std::uint32_t rules = half * SL_LSM_RULES, numbers = half * SL_LSM_NUMBERS, words = half * SL_LSM_WORDS;
  const std::uint32_t targets = half * SL_LSM_TARGETS;
  for (sl_lsm_profile& profile : tables.profiles) {
    profile.cells += half * SL_LSM_CELLS;
    for (sl_lsm_preset_rules& preset : profile.presets) {
      if (preset.block != 0) preset.block += rules;
      if (preset.audit != 0) preset.audit += rules;
    }
    for (sl_lsm_rules_of& of : profile.sections) {
      of.automata += half * SL_LSM_AUTOMATA;
      of.closes += numbers;
      of.blocks += numbers;
    }
  }
  for (sl_lsm_rule& rule : tables.rules) rule.calls += words;
  for (sl_lsm_target& target : tables.targets) {
    target.text += words;
    target.decides += numbers;
    target.audits += numbers;
    if (target.section == SL_LSM_NO_SECTION) continue;  // groups and argument sets, which are the profile's
    for (const auto& [first, count] :
         {std::pair{target.decides, target.decides_count}, std::pair{target.audits, target.audits_count}}) {
      for (std::uint32_t i = 0; i < count; ++i) tables.numbers[first - numbers + i] += rules;
    }
  }
  for (const sl_lsm_profile& profile : tables.profiles) {
    for (const sl_lsm_rules_of& of : profile.sections) {
      for (std::uint32_t i = 0; i < of.closes_count; ++i) tables.numbers[of.closes - numbers + i] += rules;
      for (std::uint32_t i = 0; i < of.blocks_count; ++i) tables.numbers[of.blocks - numbers + i] += rules;
    }
  }
  for (sl_lsm_cell& cell : tables.cells) {
    if (cell.target != 0) cell.target += targets;
  }
  for (sl_lsm_automaton& automaton : tables.automata) {
    automaton.classes += words;
    automaton.transitions += words;
    automaton.matches += words;
    automaton.targets += targets;
  }
  Copy(tables.profiles, SL_LSM_PROFILES, half, profiles_);
  Copy(tables.rules, SL_LSM_RULES, half, rules_);
  Copy(tables.targets, SL_LSM_TARGETS, half, targets_);
  Copy(tables.cells, SL_LSM_CELLS, half, cells_);
  Copy(tables.automata, SL_LSM_AUTOMATA, half, automata_);
  Copy(tables.numbers, SL_LSM_NUMBERS, half, numbers_);
  Copy(tables.words, SL_LSM_WORDS, half, words_);
  Copy(std::vector<sl_lsm_counts>(tables.rules.size()), SL_LSM_RULES, half, counts_);

  std::map<std::uint32_t, sl_lsm_subject> wanted = known_;
  for (auto& [subject, entry] : wanted) entry.profiles[half] = 0;
  for (const auto& [subject, profile] : profiles) wanted[subject].profiles[half] = half * SL_LSM_PROFILES + profile + 1;
  for (const auto& [subject, entry] : wanted) {
    SL_RETURN_IF_ERROR(subjects_.Put(subject, entry));
    known_[subject] = entry;
  }
  return OkStatus();
}

void LsmTables::PutInForce() {
  ++generation_;
  __atomic_store_n(reinterpret_cast<std::uint64_t*>(root_.at(0)), generation_, __ATOMIC_RELEASE);
}

Status LsmTables::SetSubject(std::uint32_t subject, const std::uint32_t* profile, bool of_runtime) {
  const std::uint32_t half = HalfOf(generation_);
  sl_lsm_subject entry = known_[subject];
  entry.profiles[half] = profile == nullptr ? 0 : half * SL_LSM_PROFILES + *profile + 1;
  entry.flags = of_runtime ? SL_LSM_SUBJECT_OF_RUNTIME : 0;
  SL_RETURN_IF_ERROR(subjects_.Put(subject, entry));
  known_[subject] = entry;
  return OkStatus();
}

Status LsmTables::RemoveSubject(std::uint32_t subject) {
  known_.erase(subject);
  return subjects_.Put(subject, {});
}

sl_lsm_counts LsmTables::Counts(std::uint64_t generation, std::uint32_t rule) const {
  const auto* const from =
      reinterpret_cast<const std::uint64_t*>(counts_.at(HalfOf(generation) * std::size_t{SL_LSM_RULES} + rule));
  sl_lsm_counts counts{};
  for (std::size_t i = 0; i < SL_LSM_COUNT_COUNT; ++i) counts.counts[i] = __atomic_load_n(from + i, __ATOMIC_RELAXED);
  return counts;
}

}  // namespace sluice::lsm
