#include "kernel/lsm/lsm_store.h"

#include <set>

#include "base/log.h"
#include "kernel/bpf/lsm_programs.h"
#include "kernel/bpf/system.h"
#include "kernel/hooks/subject_places.h"
#include "kernel/lsm/lsm_tables.h"

namespace sluice::lsm {
namespace {

using policy::lsm::Compiled;
using policy::lsm::CompiledRule;

// Records of a generation that has ended may be in the ring for as long as its reader takes.
constexpr std::chrono::seconds kGenerationsKept{30};
constexpr std::size_t kMostGenerationsKept = 64;
constexpr std::uint32_t kHost = 0;

std::set<bpf::LsmSection> SectionsOf(const policy::lsm::Needs& needs) {
  using bpf::LsmSection;
  std::set<LsmSection> sections;
  if (needs.process) sections.insert(LsmSection::kProcess);
  if (needs.file) sections.insert(LsmSection::kFile);
  if (needs.network) sections.insert(LsmSection::kNetwork);
  if (needs.capabilities) sections.insert(LsmSection::kCapabilities);
  if (needs.system_calls) sections.insert(LsmSection::kSystemCalls);
  if (needs.code_mappings) sections.insert(LsmSection::kCodeMappings);
  return sections;
}

const std::uint32_t* ProfileOf(const Compiled& compiled, const std::string& key) {
  const auto found = compiled.profiles.find(key);
  return found == compiled.profiles.end() ? nullptr : &(*found).second;
}

void Add(const sl_lsm_counts& from, sl_lsm_counts* to) {
  for (std::size_t i = 0; i < SL_LSM_COUNT_COUNT; ++i) to->counts[i] += from.counts[i];
}

}  // namespace

Status CheckKernel() { return bpf::CheckLsm(); }

struct LsmStore::Loaded {
  std::unique_ptr<bpf::LsmPrograms> programs;
  LsmTables tables;
  hooks::SubjectPlaces places;
};

LsmStore::LsmStore(StoreOptions options) : options_(std::move(options)) {}
LsmStore::~LsmStore() = default;

StatusOr<std::unique_ptr<LsmStore>> LsmStore::Create(const StoreOptions& options) {
  return std::unique_ptr<LsmStore>(new LsmStore(options));
}

Status LsmStore::Load() {
  SL_ASSIGN_OR_RETURN(auto programs, bpf::LsmPrograms::Load({.pin_root = options_.pin_root,
                                                             .processes_fd = options_.processes_fd,
                                                             .ring_bytes = options_.ring_bytes}));
  const auto fd = [&](const char* name) { return programs->map_fd(name); };
  SL_ASSIGN_OR_RETURN(LsmTables tables, LsmTables::Bind(fd));
  SL_ASSIGN_OR_RETURN(hooks::SubjectPlaces places, hooks::SubjectPlaces::Create(fd));
  loaded_ = std::make_shared<Loaded>(Loaded{std::move(programs), std::move(tables), std::move(places)});
  generations_[0] = {.compiled = std::make_shared<Compiled>(), .ended = std::nullopt};
  if (const Status put = PutSubjects(subjects_); !put.ok()) LogWarn("KubeArmor policies: {}", Message(put));
  return OkStatus();
}

Status LsmStore::Replace(std::shared_ptr<const Compiled> compiled) {
  const std::lock_guard lock(mutex_);
  if (loaded_ == nullptr) {
    if (compiled->profiles.empty()) return OkStatus();
    SL_RETURN_IF_ERROR(Load());
    wake_.notify_all();
  }
  std::map<std::uint32_t, std::uint32_t> profiles;
  if (const std::uint32_t* host = ProfileOf(*compiled, "")) profiles[kHost] = *host;
  for (const auto& [key, number] : loaded_->places.numbers()) {
    if (const std::uint32_t* profile = ProfileOf(*compiled, key)) profiles[number] = *profile;
  }
  SL_RETURN_IF_ERROR(loaded_->tables.Write(*compiled, profiles));
  const std::set<bpf::LsmSection> sections = SectionsOf(compiled->needs);
  SL_RETURN_IF_ERROR(loaded_->programs->Attach(sections));
  const std::uint64_t before = loaded_->tables.generation();
  generations_[before + 1] = {.compiled = std::move(compiled), .ended = std::nullopt};
  loaded_->tables.PutInForce();
  // The half before is written by the next call, when no program may be at work with it.
  Status waited = bpf::WaitForRunningPrograms();
  EndGeneration(before);
  if (const Status kept = loaded_->programs->Keep(sections); !kept.ok())
    LogWarn("KubeArmor policies: {}", Message(kept));
  return waited;
}

void LsmStore::EndGeneration(std::uint64_t generation) {
  AddCounts(generation, &ended_counts_);
  const auto now = std::chrono::steady_clock::now();
  generations_.at(generation).ended = now;
  while (generations_.size() > 1) {
    const auto& ended = (*generations_.begin()).second.ended;
    const bool is_old = ended && now - *ended > kGenerationsKept;
    if (!is_old && generations_.size() <= kMostGenerationsKept) break;
    generations_.erase(generations_.begin());
  }
}

Status LsmStore::SetSubjects(const std::vector<Subject>& subjects) {
  const std::lock_guard lock(mutex_);
  subjects_ = subjects;
  return loaded_ == nullptr ? OkStatus() : PutSubjects(subjects);
}

Status LsmStore::PutSubjects(const std::vector<Subject>& subjects) {
  Loaded& loaded = *loaded_;
  const Compiled& compiled = *(*generations_.rbegin()).second.compiled;
  const std::function<Status(std::uint32_t, const Subject&)> put = [&](std::uint32_t number, const Subject& subject) {
    return Annotate(loaded.tables.SetSubject(number, ProfileOf(compiled, subject.key), subject.of_runtime),
                    subject.key);
  };
  std::vector<std::uint32_t> gone;
  Status first = loaded.places.Set(subjects, put, &gone);
  for (const std::uint32_t number : gone) first.Update(loaded.tables.RemoveSubject(number));
  first.Update(loaded.programs->SubjectsChanged(static_cast<std::uint32_t>(loaded.places.numbers().size()) + 1));
  if (!gone.empty()) {
    // Programs that run now may have looked them up.
    first.Update(bpf::WaitForRunningPrograms());
    loaded.places.Release(gone);
  }
  return first;
}

Status LsmStore::EndOthers() const {
  const std::lock_guard lock(mutex_);
  return loaded_ == nullptr ? bpf::LsmPrograms::EndEarlier(options_.pin_root) : loaded_->programs->EndOthers();
}

std::shared_ptr<LsmStore::Loaded> LsmStore::loaded_now() const {
  const std::lock_guard lock(mutex_);
  return loaded_;
}

int LsmStore::Drain(const Consume& consume) {
  const auto loaded = loaded_now();
  return loaded == nullptr ? 0 : loaded->programs->Drain(consume);
}

void LsmStore::Wait(std::chrono::milliseconds timeout) const {
  {
    std::unique_lock lock(mutex_);
    if (loaded_ == nullptr) {
      wake_.wait_for(lock, timeout, [&] { return woken_ || loaded_ != nullptr; });
      woken_ = false;
      return;
    }
  }
  loaded_now()->programs->Wait(timeout);
}

void LsmStore::Wake() const {
  {
    const std::lock_guard lock(mutex_);
    if (loaded_ == nullptr) {
      woken_ = true;
      wake_.notify_all();
      return;
    }
  }
  loaded_now()->programs->Wake();
}

std::optional<CompiledRule> LsmStore::Describe(std::uint64_t generation, std::uint32_t rule) const {
  const std::lock_guard lock(mutex_);
  const auto found = generations_.find(generation);
  if (found == generations_.end() || rule >= (*found).second.compiled->rules.size()) return std::nullopt;
  return (*found).second.compiled->rules[rule];
}

std::string LsmStore::KeyOf(std::uint32_t subject) const {
  const std::lock_guard lock(mutex_);
  if (loaded_ == nullptr) return "";
  for (const auto& [key, number] : loaded_->places.numbers()) {
    if (number == subject) return key;
  }
  return "";
}

bool LsmStore::loaded() const { return loaded_now() != nullptr; }

void LsmStore::AddCounts(std::uint64_t generation, std::map<PolicyKey, sl_lsm_counts>* totals) const {
  const Compiled& compiled = *generations_.at(generation).compiled;
  for (std::size_t rule = 0; rule < compiled.rules.size(); ++rule) {
    const policy::lsm::Policy& policy = *compiled.rules[rule].policy;
    Add(loaded_->tables.Counts(generation, static_cast<std::uint32_t>(rule)), &(*totals)[{policy.kind, policy.name}]);
  }
}

std::vector<PolicyCounts> LsmStore::Counts() const {
  const std::lock_guard lock(mutex_);
  if (loaded_ == nullptr) return {};
  std::map<PolicyKey, sl_lsm_counts> totals = ended_counts_;
  AddCounts(loaded_->tables.generation(), &totals);
  std::vector<PolicyCounts> counts;
  for (const auto& [key, sum] : totals) counts.push_back({.kind = key.first, .policy = key.second, .counts = sum});
  return counts;
}

std::vector<TableFill> LsmStore::Fill() const {
  const std::lock_guard lock(mutex_);
  if (loaded_ == nullptr) return {};
  const policy::lsm::Tables& tables = (*generations_.rbegin()).second.compiled->tables;
  return {{"lsm_profiles", tables.profiles.size(), SL_LSM_PROFILES},
          {"lsm_rules", tables.rules.size(), SL_LSM_RULES},
          {"lsm_targets", tables.targets.size(), SL_LSM_TARGETS},
          {"lsm_cells", tables.cells.size(), SL_LSM_CELLS},
          {"lsm_automata", tables.automata.size(), SL_LSM_AUTOMATA},
          {"lsm_numbers", tables.numbers.size(), SL_LSM_NUMBERS},
          {"lsm_words", tables.words.size(), SL_LSM_WORDS},
          {"lsm_subjects", loaded_->places.numbers().size() + 1, SL_HOOK_SUBJECTS}};
}

std::uint64_t LsmStore::bytes() const {
  const auto loaded = loaded_now();
  return loaded == nullptr ? 0 : loaded->programs->bytes();
}

StatusOr<sl_lsm_progress> LsmStore::Progress() const {
  const auto loaded = loaded_now();
  if (loaded == nullptr) return sl_lsm_progress{};
  return loaded->programs->Progress();
}

}  // namespace sluice::lsm
