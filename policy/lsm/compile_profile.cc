#include "policy/lsm/compile_profile.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "policy/lsm/compile_tables.h"
#include "policy/lsm/order.h"
#include "policy/resource/line_text.h"
#include "policy/resource/merged_directories.h"

namespace sluice::policy::lsm {
namespace {

constexpr std::string_view kUsr = "/usr";
constexpr std::size_t kPatternsAtOnce = 64;     // more make states that are sets of too many places
constexpr std::size_t kStatesOfSeveral = 1024;  // of an automaton for several patterns; else they are divided

static_assert(SL_LSM_PROTOCOL_COUNT == kProtocols.size() && SL_LSM_PROTOCOL_ALL == static_cast<int>(Protocol::kAll) &&
              SL_LSM_PROTOCOL_PACKET == static_cast<int>(Protocol::kPacket));
static_assert(SL_LSM_PRESET_COUNT == kPresets.size() &&
              SL_LSM_PRESET_ANON_MAP_EXEC == static_cast<int>(Preset::kAnonMapExec));

// System calls whose path a program at an LSM hook sees, resolved.
constexpr std::string_view kPathCalls[] = {
    "open",      "openat",   "openat2",   "creat", "truncate", "unlink", "unlinkat", "rmdir",   "rename",    "renameat",
    "renameat2", "mkdir",    "mkdirat",   "mknod", "mknodat",  "link",   "linkat",   "symlink", "symlinkat", "chmod",
    "fchmod",    "fchmodat", "fchmodat2", "chown", "lchown",   "fchown", "fchownat", "execve",  "execveat"};

bool IsMerged(std::string_view text) {
  return std::any_of(std::begin(kMergedDirectories), std::end(kMergedDirectories),
                     [&](std::string_view directory) { return text.starts_with(directory); });
}

// The text itself, and the path below /usr that it also means (BeforeMerge).
std::vector<std::string> TextsOf(const std::string& text) {
  if (!IsMerged(text)) return {text};
  return {text, std::string(kUsr) + text};
}

PathPattern::Alternative BelowUsr(const PathPattern::Alternative& elements) {
  PathPattern::Alternative below;
  for (const char byte : kUsr) {
    PathPattern::Element& element = below.emplace_back();
    element.bytes.set(static_cast<unsigned char>(byte));
  }
  below.insert(below.end(), elements.begin(), elements.end());
  return below;
}

sl_lsm_kind KindOf(const PathTarget& target) {
  if (target.form == PathTarget::Form::kName) return SL_LSM_KIND_NAME;
  if (target.form != PathTarget::Form::kDirectory) return SL_LSM_KIND_PATH;
  return target.recursive ? SL_LSM_KIND_RECURSIVE : SL_LSM_KIND_DIRECTORY;
}

std::uint32_t FlagOf(sl_lsm_kind kind) {
  switch (kind) {
    case SL_LSM_KIND_PATH:
    case SL_LSM_KIND_SOURCE:
      return SL_LSM_HAS_PATHS;
    case SL_LSM_KIND_NAME:
      return SL_LSM_HAS_NAMES;
    case SL_LSM_KIND_DIRECTORY:
    case SL_LSM_KIND_SOURCE_DIRECTORY:
      return SL_LSM_HAS_DIRECTORIES;
    case SL_LSM_KIND_RECURSIVE:
    case SL_LSM_KIND_SOURCE_RECURSIVE:
      return SL_LSM_HAS_RECURSIVE;
    default:
      return 0;
  }
}

bool SortsBefore(const Source& a, const Source& b) {
  return std::tie(a.path, a.directory, a.recursive) < std::tie(b.path, b.directory, b.recursive);
}

struct SourceOrder {
  bool operator()(const std::vector<Source>& a, const std::vector<Source>& b) const {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), SortsBefore);
  }
};

// The section whose operations a preset is about.
sl_lsm_section SectionOf(Preset preset) {
  switch (preset) {
    case Preset::kProtectEnv:
    case Preset::kProtectProc:
      return SL_LSM_FILE;
    case Preset::kFilelessExec:
    case Preset::kExec:
      return SL_LSM_PROCESS;
    case Preset::kAnonMapExec:
      break;
  }
  return SL_LSM_NO_SECTION;
}

// A rule of one section, and what it is about: a path, or numbers.
struct Entry {
  std::shared_ptr<const Policy> policy;
  Candidate candidate;
  const PathTarget* path = nullptr;
  std::vector<std::uint64_t> numbers;
  std::vector<std::uint32_t> calls;  // of SYSCALL_PATHS
  std::optional<Preset> preset;
};

Status RuleError(const Entry& entry, absl::StatusCode code, std::string_view what) {
  const Rule& rule = *entry.candidate.rule;
  return MakeError(code, "policy {}: {}{}: {}", entry.policy->name.ToString(), LineText(rule.place), rule.field, what);
}

class ProfileCompiler {
 public:
  ProfileCompiler(const CompileOptions& options, Compiled* compiled)
      : options_(options), compiled_(*compiled), tables_(compiled->tables) {
    profile_.seed = options.seed;
  }

  Status Add(const std::vector<std::shared_ptr<const Policy>>& policies, const Postures& postures) {
    for (const auto& policy : policies) SL_RETURN_IF_ERROR(Collect(policy));
    const Posture audit = Posture::kAudit;  // no list of theirs is closed
    const std::array<Posture, SL_LSM_SECTION_COUNT + 1> posture = {
        postures.file, postures.file, postures.network, postures.capabilities, audit, audit, audit};
    for (std::size_t section = 0; section < sections_.size(); ++section) {
      SL_RETURN_IF_ERROR(AddSection(static_cast<sl_lsm_section>(section), posture[section]));
    }
    AddSources();
    AddArguments();
    SL_RETURN_IF_ERROR(AddTargets(targets_, &profile_, &tables_));
    tables_.profiles.push_back(profile_);
    return OkStatus();
  }

 private:
  Status Collect(const std::shared_ptr<const Policy>& policy) {
    const auto entry = [&](const Rule& rule, const Rank& rank) {
      return Entry{.policy = policy, .candidate = {.policy = policy.get(), .rule = &rule, .rank = rank}};
    };
    for (const auto& [section, rules] :
         {std::pair{SL_LSM_PROCESS, &policy->process}, std::pair{SL_LSM_FILE, &policy->file}}) {
      for (const PathRule& rule : *rules) {
        sections_[section].push_back(entry(rule.rule, RankOf(rule.target)));
        sections_[section].back().path = &rule.target;
      }
    }
    for (const ProtocolRule& rule : policy->protocols) {
      sections_[SL_LSM_NETWORK].push_back(entry(rule.rule, RankOf(rule)));
      sections_[SL_LSM_NETWORK].back().numbers = {static_cast<std::uint64_t>(rule.protocol)};
    }
    for (const CapabilityRule& rule : policy->capabilities) {
      sections_[SL_LSM_CAPABILITIES].push_back(entry(rule.rule, {}));
      sections_[SL_LSM_CAPABILITIES].back().numbers = {rule.capability};
    }
    for (const SyscallRule& rule : policy->syscalls) SL_RETURN_IF_ERROR(CollectCalls(rule, entry(rule.rule, {})));
    for (const PresetRule& rule : policy->presets) {
      Entry added = entry(rule.rule, {});
      added.preset = rule.preset;
      sections_[SectionOf(rule.preset)].push_back(std::move(added));
    }
    return OkStatus();
  }

  Status CollectCalls(const SyscallRule& rule, Entry entry) {
    std::vector<std::uint32_t> numbers;
    for (const std::string& name : rule.names) {
      if (rule.path && std::find(std::begin(kPathCalls), std::end(kPathCalls), name) == std::end(kPathCalls)) {
        return RuleError(entry, absl::StatusCode::kInvalidArgument,
                         fmt::format("the path of the system call {} is not seen: leave it out, or write a rule of "
                                     "matchSyscalls",
                                     name));
      }
      const auto number = options_.syscall_number == nullptr ? std::nullopt : options_.syscall_number(name);
      if (number && *number < SL_LSM_SYSTEM_CALLS) numbers.push_back(*number);
    }
    __u64* const calls = rule.path ? profile_.path_calls : profile_.calls;
    for (const std::uint32_t number : numbers) calls[number / 64] |= std::uint64_t{1} << number % 64;
    if (rule.path) {
      entry.path = &*rule.path;
      entry.calls = std::move(numbers);
      sections_[SL_LSM_SYSCALL_PATHS].push_back(std::move(entry));
    } else {
      entry.numbers.assign(numbers.begin(), numbers.end());
      sections_[SL_LSM_SYSCALLS].push_back(std::move(entry));
    }
    return OkStatus();
  }

  Status AddSection(sl_lsm_section section, Posture posture) {
    std::vector<Entry>& entries = sections_[section];
    if (entries.empty()) return OkStatus();
    std::sort(entries.begin(), entries.end(),
              [](const Entry& a, const Entry& b) { return OrderOf(a.candidate) < OrderOf(b.candidate); });
    sl_lsm_rules_of unused{};
    sl_lsm_rules_of& of = section == SL_LSM_NO_SECTION ? unused : profile_.sections[section];
    of.flags = SL_LSM_HAS_RULES | (posture == Posture::kBlock ? __u32{SL_LSM_POSTURE_BLOCKS} : 0);
    std::vector<NumberedPattern> patterns;
    std::map<std::uint32_t, bool> audits;
    std::vector<std::uint32_t> numbers;
    for (const Entry& entry : entries) {
      SL_ASSIGN_OR_RETURN(const std::uint32_t number, AddRule(entry));
      numbers.push_back(number);
      if (entry.preset) AddPreset(*entry.preset, entry.candidate.rule->effect.action, number);
      const bool is_audit = entry.candidate.rule->effect.action == Action::kAudit;
      audits[number] = is_audit;
      for (const std::uint64_t about : entry.numbers) Put({section, SL_LSM_KIND_NUMBER, "", about}, number, is_audit);
      if (entry.path != nullptr) {
        SL_RETURN_IF_ERROR(AddPath(section, entry, number, is_audit, &patterns));
      }
    }
    of.automata = static_cast<__u32>(tables_.automata.size());
    SL_RETURN_IF_ERROR(AddPatterns(section, entries, numbers.front(), patterns, audits));
    of.automata_count = static_cast<__u32>(tables_.automata.size()) - of.automata;
    AddLists(entries, numbers, &of);
    if (!std::all_of(entries.begin(), entries.end(), [](const Entry& entry) { return entry.preset.has_value(); }))
      Need(section);
    return OkStatus();
  }

  // The first rule of each action decides, as they are added in order.
  void AddPreset(Preset preset, Action action, std::uint32_t number) {
    sl_lsm_preset_rules& rules = profile_.presets[static_cast<std::size_t>(preset)];
    __u32& rule = action == Action::kBlock ? rules.block : rules.audit;
    if (rule == 0) rule = number + 1;
    NeedPreset(preset);
  }

  StatusOr<std::uint32_t> AddRule(const Entry& entry) {
    const Rule& rule = *entry.candidate.rule;
    const Conditions& conditions = rule.conditions;
    sl_lsm_rule added{};
    SL_ASSIGN_OR_RETURN(added.group, GroupOf(entry));
    added.action = static_cast<__u8>(rule.effect.action);
    if (conditions.owner_only) added.conditions |= SL_LSM_OWNER_ONLY;
    if (conditions.read_only) added.conditions |= SL_LSM_READ_ONLY;
    if (conditions.terminal) added.conditions |= *conditions.terminal ? SL_LSM_TERMINAL : SL_LSM_NO_TERMINAL;
    if (!conditions.allowed_args.empty()) {
      added.conditions |= SL_LSM_ARGUMENTS;
      SL_ASSIGN_OR_RETURN(added.argument_set, ArgumentSetOf(entry));
    }
    if (entry.path != nullptr && !entry.calls.empty()) {
      added.calls = static_cast<__u32>(tables_.words.size());
      tables_.words.resize(tables_.words.size() + SL_LSM_SYSTEM_CALLS / 64);
      for (const std::uint32_t call : entry.calls)
        tables_.words[added.calls + call / 64] |= std::uint64_t{1} << call % 64;
    }
    tables_.rules.push_back(added);
    compiled_.rules.push_back({.policy = entry.policy, .rule = &rule});
    return static_cast<std::uint32_t>(tables_.rules.size() - 1);
  }

  StatusOr<std::uint16_t> GroupOf(const Entry& entry) {
    std::vector<Source> sources = entry.candidate.rule->sources;
    std::sort(sources.begin(), sources.end(), SortsBefore);
    if (sources.empty()) return 0;
    const auto [group, is_new] = groups_.emplace(std::move(sources), groups_.size() + 1);
    if (is_new && (*group).second >= SL_LSM_GROUPS) {
      return RuleError(entry, absl::StatusCode::kResourceExhausted,
                       fmt::format("fromSource: the policies of a workload may have {} different lists of programs",
                                   SL_LSM_GROUPS - 1));
    }
    return static_cast<std::uint16_t>((*group).second);
  }

  StatusOr<std::uint8_t> ArgumentSetOf(const Entry& entry) {
    const auto& allowed = entry.candidate.rule->conditions.allowed_args;
    const auto [set, is_new] =
        argument_sets_.emplace(std::set<std::string>(allowed.begin(), allowed.end()), argument_sets_.size());
    if (is_new && (*set).second >= SL_LSM_ARGUMENT_SETS) {
      return RuleError(
          entry, absl::StatusCode::kResourceExhausted,
          fmt::format("allowedArgs: the policies of a workload may have {} different lists", SL_LSM_ARGUMENT_SETS));
    }
    return static_cast<std::uint8_t>((*set).second);
  }

  Status AddPath(sl_lsm_section section, const Entry& entry, std::uint32_t number, bool is_audit,
                 std::vector<NumberedPattern>* patterns) {
    const PathTarget& target = *entry.path;
    if (target.form == PathTarget::Form::kPattern) {
      if (!target.pattern) return OkStatus();  // lenient: it matches nothing
      for (const PathPattern::Alternative& elements : target.pattern->alternatives()) {
        patterns->push_back({.elements = elements, .rule = number});
        if (IsMerged(target.text)) patterns->push_back({.elements = BelowUsr(elements), .rule = number});
      }
      return OkStatus();
    }
    if (target.text.empty()) return OkStatus();  // likewise
    const sl_lsm_kind kind = KindOf(target);
    for (const std::string& text : TextsOf(target.text)) Put({section, kind, text, 0}, number, is_audit);
    profile_.sections[section].flags |= FlagOf(kind);
    return OkStatus();
  }

  void Put(TargetKey key, std::uint32_t number, bool is_audit) {
    TargetNumbers& numbers = targets_[std::move(key)];
    (is_audit ? numbers.audits : numbers.decides).insert(number);
  }

  Status AddPatterns(sl_lsm_section section, const std::vector<Entry>& entries, std::uint32_t first_rule,
                     const std::vector<NumberedPattern>& patterns, const std::map<std::uint32_t, bool>& audits) {
    if (patterns.empty()) return OkStatus();
    const std::size_t most = patterns.size() == 1 ? SL_LSM_STATES : kStatesOfSeveral;
    const auto automaton = patterns.size() > kPatternsAtOnce ? std::nullopt : BuildAutomaton(patterns, most);
    if (automaton) {
      AddAutomaton(*automaton, section, audits, &tables_);
      return OkStatus();
    }
    if (patterns.size() == 1) {
      return RuleError(
          entries[patterns.front().rule - first_rule], absl::StatusCode::kInvalidArgument,
          fmt::format("the pattern needs more than {} states: have fewer wildcards after a \"*\"", SL_LSM_STATES));
    }
    const auto middle = patterns.begin() + static_cast<std::ptrdiff_t>(patterns.size() / 2);
    SL_RETURN_IF_ERROR(AddPatterns(section, entries, first_rule, {patterns.begin(), middle}, audits));
    return AddPatterns(section, entries, first_rule, {middle, patterns.end()}, audits);
  }

  // Of each group the first rule of an action, in the order in which they are reported.
  std::vector<std::uint32_t> FirstOfGroups(const std::vector<Entry>& entries, const std::vector<std::uint32_t>& numbers,
                                           Action action) const {
    std::vector<std::pair<Candidate, std::uint32_t>> all;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (entries[i].preset || entries[i].candidate.rule->effect.action != action) continue;
      Candidate candidate = entries[i].candidate;
      candidate.rank = {};  // what a rule is about does not matter here
      all.emplace_back(candidate, numbers[i]);
    }
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return OrderOf(a.first) < OrderOf(b.first); });
    std::set<std::uint16_t> groups;
    std::vector<std::uint32_t> first;
    for (const auto& [candidate, number] : all) {
      if (groups.insert(tables_.rules[number].group).second) first.push_back(number);
    }
    return first;
  }

  void AddLists(const std::vector<Entry>& entries, const std::vector<std::uint32_t>& numbers, sl_lsm_rules_of* of) {
    const NumberRange closes = AddNumbers(FirstOfGroups(entries, numbers, Action::kAllow), &tables_);
    const NumberRange blocks = AddNumbers(FirstOfGroups(entries, numbers, Action::kBlock), &tables_);
    of->closes = closes.first;
    of->closes_count = closes.count;
    of->blocks = blocks.first;
    of->blocks_count = blocks.count;
  }

  void Need(sl_lsm_section section) {
    Needs& needs = compiled_.needs;
    switch (section) {
      case SL_LSM_PROCESS:
        needs.process = true;
        break;
      case SL_LSM_FILE:
        needs.file = true;
        break;
      case SL_LSM_NETWORK:
        needs.network = true;
        break;
      case SL_LSM_CAPABILITIES:
        needs.capabilities = true;
        break;
      case SL_LSM_SYSCALLS:
        needs.system_calls = true;
        break;
      case SL_LSM_SYSCALL_PATHS:
        needs.process = needs.file = true;
        break;
      case SL_LSM_NO_SECTION:
        break;
    }
  }

  void NeedPreset(Preset preset) {
    Needs& needs = compiled_.needs;
    switch (preset) {
      case Preset::kProtectEnv:
      case Preset::kProtectProc:
        needs.file = true;
        break;
      case Preset::kFilelessExec:
      case Preset::kExec:
        needs.process = true;
        break;
      case Preset::kAnonMapExec:
        needs.code_mappings = true;
        break;
    }
  }

  void AddSources() {
    for (const auto& [sources, group] : groups_) {
      for (const Source& source : sources) {
        const sl_lsm_kind kind = !source.directory  ? SL_LSM_KIND_SOURCE
                                 : source.recursive ? SL_LSM_KIND_SOURCE_RECURSIVE
                                                    : SL_LSM_KIND_SOURCE_DIRECTORY;
        profile_.source_flags |= FlagOf(kind);
        for (const std::string& text : TextsOf(source.path))
          targets_[{kOfProfile, kind, text, 0}].decides.insert(static_cast<std::uint32_t>(group));
      }
    }
  }

  void AddArguments() {
    profile_.argument_sets = static_cast<__u32>(argument_sets_.size());
    for (const auto& [arguments, set] : argument_sets_) {
      for (const std::string& argument : arguments)
        targets_[{kOfProfile, SL_LSM_KIND_ARGUMENT, argument, 0}].decides.insert(static_cast<std::uint32_t>(set));
    }
  }

  const CompileOptions& options_;
  Compiled& compiled_;
  Tables& tables_;
  sl_lsm_profile profile_{};
  std::array<std::vector<Entry>, SL_LSM_SECTION_COUNT + 1> sections_;  // the last one has only presets
  std::map<std::vector<Source>, std::size_t, SourceOrder> groups_;     // from 1
  std::map<std::set<std::string>, std::size_t> argument_sets_;
  std::map<TargetKey, TargetNumbers> targets_;
};

}  // namespace

Status AddProfile(const std::vector<std::shared_ptr<const Policy>>& policies, const Postures& postures,
                  const CompileOptions& options, Compiled* compiled) {
  return ProfileCompiler(options, compiled).Add(policies, postures);
}

}  // namespace sluice::policy::lsm
