#include "policy/lsm/evaluate_tables.h"

#include <algorithm>
#include <bitset>
#include <cstring>
#include <functional>

#include "bpf/lib/lsm_key.h"
#include "policy/lsm/compile_tables.h"
#include "policy/lsm/match.h"

namespace sluice::policy::lsm {
namespace {

constexpr std::uint32_t kNone = ~0U;

// Where a kind of texts has its counterpart among the sources.
struct TextKinds {
  sl_lsm_section section;
  sl_lsm_kind path, directory, recursive;
};

class TableReader {
 public:
  using Visit = std::function<void(const sl_lsm_target&)>;

  TableReader(const Tables& tables, std::uint32_t profile) : tables_(tables), profile_(tables.profiles[profile]) {}

  const sl_lsm_profile& profile() const { return profile_; }
  const sl_lsm_rule& rule(std::uint32_t number) const { return tables_.rules[number]; }
  std::uint32_t number(std::uint32_t at) const { return tables_.numbers[at]; }
  std::uint64_t word(std::uint32_t at) const { return tables_.words[at]; }

  void FindNumber(sl_lsm_section section, std::uint64_t number, const Visit& visit) const {
    Find(
        profile_.seed ^ number, section, SL_LSM_KIND_NUMBER,
        [&](const sl_lsm_target& target) { return target.number == number; }, visit);
  }

  void FindText(std::uint64_t hash, sl_lsm_section section, sl_lsm_kind kind, std::string_view text,
                const Visit& visit) const {
    Find(
        hash, section, kind,
        [&](const sl_lsm_target& target) {
          return target.text_length == text.size() &&
                 (text.empty() || std::memcmp(&tables_.words[target.text], text.data(), text.size()) == 0);
        },
        visit);
  }

  // Paths and directories that have the path. One walk over its bytes.
  void FindPath(const TextKinds& kinds, std::uint32_t flags, std::string_view path, const Visit& visit) const {
    const std::size_t bare = path.size() > 1 && path.ends_with('/') ? path.size() - 1 : path.size();
    const std::size_t last_slash = path.substr(0, bare).rfind('/');
    std::uint64_t hash = profile_.seed;
    for (std::size_t i = 0; i < path.size(); ++i) {
      hash = sl_lsm_hash_byte(hash, static_cast<std::uint8_t>(path[i]));
      const std::string_view begin = path.substr(0, i + 1);
      if (flags & SL_LSM_HAS_PATHS && i + 1 == bare) FindText(hash, kinds.section, kinds.path, begin, visit);
      if (path[i] != '/') continue;
      if (flags & SL_LSM_HAS_RECURSIVE) FindText(hash, kinds.section, kinds.recursive, begin, visit);
      if (flags & SL_LSM_HAS_DIRECTORIES && i >= last_slash)
        FindText(hash, kinds.section, kinds.directory, begin, visit);
    }
  }

  void FindName(sl_lsm_section section, std::string_view path, const Visit& visit) const {
    const std::string_view name = path.substr(path.rfind('/') + 1);
    std::uint64_t hash = profile_.seed;
    for (const char byte : name) hash = sl_lsm_hash_byte(hash, static_cast<std::uint8_t>(byte));
    FindText(hash, section, SL_LSM_KIND_NAME, name, visit);
  }

  void RunAutomata(const sl_lsm_rules_of& of, std::string_view path, const Visit& visit) const {
    for (std::uint32_t i = 0; i < of.automata_count; ++i) {
      const sl_lsm_automaton& automaton = tables_.automata[of.automata + i];
      std::uint32_t state = 1;
      for (const char byte : path) {
        const auto of_class = Packed<std::uint8_t>(automaton.classes, static_cast<std::uint8_t>(byte));
        state = Packed<std::uint16_t>(automaton.transitions, state * automaton.class_count + of_class);
        if (state == 0) break;
      }
      const auto match = state == 0 ? 0 : Packed<std::uint32_t>(automaton.matches, state);
      if (match != 0) visit(tables_.targets[automaton.targets + match - 1]);
    }
  }

 private:
  template <typename Same>
  void Find(std::uint64_t hash, sl_lsm_section section, sl_lsm_kind kind, const Same& same, const Visit& visit) const {
    const std::uint64_t key = sl_lsm_key(hash, section, kind);
    for (std::uint64_t probe = 0; probe < SL_LSM_PROBES; ++probe) {
      const sl_lsm_cell& cell = tables_.cells[profile_.cells + ((key + probe) & profile_.cell_mask)];
      if (cell.target == 0) return;
      if (cell.key != key) continue;
      const sl_lsm_target& target = tables_.targets[cell.target - 1];
      if (target.section == section && target.kind == kind && same(target)) return visit(target);
    }
  }

  template <typename Value>
  Value Packed(std::uint32_t first_word, std::size_t index) const {
    Value value;
    std::memcpy(&value, reinterpret_cast<const char*>(&tables_.words[first_word]) + index * sizeof(Value),
                sizeof(Value));
    return value;
  }

  const Tables& tables_;
  const sl_lsm_profile& profile_;
};

class TableVerdict {
 public:
  TableVerdict(const TableReader& tables, const Subject& subject, const Operation& operation)
      : tables_(tables), subject_(subject), operation_(operation) {
    groups_.set(0);
    tables.FindPath({kOfProfile, SL_LSM_KIND_SOURCE, SL_LSM_KIND_SOURCE_DIRECTORY, SL_LSM_KIND_SOURCE_RECURSIVE},
                    tables.profile().source_flags, subject.program, [&](const sl_lsm_target& target) {
                      for (std::uint32_t i = 0; i < target.decides_count; ++i)
                        groups_.set(tables_.number(target.decides + i));
                    });
    if (const auto* execution = std::get_if<Execution>(&operation)) FindArguments(*execution);
  }

  void Add(const sl_lsm_target& target) {
    AddList(target.decides, target.decides_count, &decides_);
    AddList(target.audits, target.audits_count, &audits_);
  }

  void OnlyCall(std::uint32_t call) { call_ = call; }

  TableDecision Decide(sl_lsm_section section) {
    const sl_lsm_profile& profile = tables_.profile();
    std::uint32_t blocks = kNone;
    for (std::size_t preset = 0; preset < kPresets.size(); ++preset) {
      if (!Matches(static_cast<Preset>(preset), operation_)) continue;
      blocks = std::min(blocks, profile.presets[preset].block - 1);  // 0 becomes kNone
      audits_ = std::min(audits_, profile.presets[preset].audit - 1);
    }
    if (blocks != kNone) return {SL_LSM_BLOCK, SL_LSM_BY_RULE, blocks};
    if (decides_ != kNone && tables_.rule(decides_).action == SL_LSM_ACTION_BLOCK)
      return {SL_LSM_BLOCK, SL_LSM_BY_RULE, decides_};
    const std::uint32_t closes = decides_ == kNone ? Closes(section) : kNone;
    if (closes != kNone && (profile.sections[section].flags & SL_LSM_POSTURE_BLOCKS) != 0)
      return {SL_LSM_BLOCK, SL_LSM_BY_POSTURE, closes};
    if (audits_ != kNone) return {SL_LSM_AUDIT, SL_LSM_BY_RULE, audits_};
    if (closes != kNone) return {SL_LSM_AUDIT, SL_LSM_BY_POSTURE, closes};
    return {};
  }

 private:
  std::uint32_t Closes(sl_lsm_section section) const {
    if (section == SL_LSM_NO_SECTION) return kNone;
    const sl_lsm_rules_of& of = tables_.profile().sections[section];
    for (std::uint32_t i = 0; i < of.closes_count; ++i) {
      const std::uint32_t rule = tables_.number(of.closes + i);
      if (groups_[tables_.rule(rule).group]) return rule;
    }
    return kNone;
  }

  void FindArguments(const Execution& execution) {
    argument_sets_ = execution.args.empty() ? 0 : ~std::uint64_t{0};
    for (const std::string& argument : execution.args) {
      std::uint64_t hash = tables_.profile().seed, sets = 0;
      for (const char byte : argument) hash = sl_lsm_hash_byte(hash, static_cast<std::uint8_t>(byte));
      tables_.FindText(hash, kOfProfile, SL_LSM_KIND_ARGUMENT, argument, [&](const sl_lsm_target& target) {
        for (std::uint32_t i = 0; i < target.decides_count; ++i)
          sets |= std::uint64_t{1} << tables_.number(target.decides + i);
      });
      argument_sets_ &= sets;
    }
  }

  bool Keeps(const sl_lsm_rule& rule) const {
    const auto* const opening = std::get_if<Opening>(&operation_);
    const auto* const execution = std::get_if<Execution>(&operation_);
    const std::uint32_t owner = opening != nullptr     ? opening->owner
                                : execution != nullptr ? execution->owner
                                                       : subject_.uid;
    if (rule.conditions & SL_LSM_OWNER_ONLY && owner != subject_.uid) return false;
    if (rule.conditions & SL_LSM_READ_ONLY && opening != nullptr && opening->writes) return false;
    if (rule.conditions & SL_LSM_TERMINAL && !subject_.terminal) return false;
    if (rule.conditions & SL_LSM_NO_TERMINAL && subject_.terminal) return false;
    return (rule.conditions & SL_LSM_ARGUMENTS) == 0 || execution == nullptr ||
           (argument_sets_ >> rule.argument_set & 1) != 0;
  }

  bool Applies(const sl_lsm_rule& rule) const {
    if (!groups_[rule.group]) return false;
    if (call_ && (tables_.word(rule.calls + *call_ / 64) >> *call_ % 64 & 1) == 0) return false;
    const bool kept = Keeps(rule);
    return rule.action == SL_LSM_ACTION_BLOCK ? !kept || rule.conditions == 0 : kept;
  }

  void AddList(std::uint32_t first, std::uint32_t count, std::uint32_t* best) const {
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t rule = tables_.number(first + i);
      if (rule >= *best) return;
      if (!Applies(tables_.rule(rule))) continue;
      *best = rule;
      return;
    }
  }

  const TableReader& tables_;
  const Subject& subject_;
  const Operation& operation_;
  std::bitset<SL_LSM_GROUPS> groups_;  // that the program is in
  std::uint64_t argument_sets_ = 0;    // that have all arguments
  std::optional<std::uint32_t> call_;
  std::uint32_t decides_ = kNone, audits_ = kNone;
};

void AddPath(const TableReader& tables, sl_lsm_section section, std::string_view path, TableVerdict* verdict) {
  const sl_lsm_rules_of& of = tables.profile().sections[section];
  const auto add = [&](const sl_lsm_target& target) { verdict->Add(target); };
  tables.FindPath({section, SL_LSM_KIND_PATH, SL_LSM_KIND_DIRECTORY, SL_LSM_KIND_RECURSIVE}, of.flags, path, add);
  if (of.flags & SL_LSM_HAS_NAMES) tables.FindName(section, path, add);
  tables.RunAutomata(of, path, add);
}

}  // namespace

TableDecision EvaluateTables(const Compiled& compiled, std::uint32_t profile, const Subject& subject,
                             const Operation& operation, std::uint32_t call) {
  const TableReader tables(compiled.tables, profile);
  TableVerdict verdict(tables, subject, operation);
  const auto add = [&](const sl_lsm_target& target) { verdict.Add(target); };
  sl_lsm_section section = SL_LSM_NO_SECTION;
  if (const auto* execution = std::get_if<Execution>(&operation)) {
    AddPath(tables, section = SL_LSM_PROCESS, execution->path, &verdict);
  } else if (const auto* opening = std::get_if<Opening>(&operation)) {
    AddPath(tables, section = SL_LSM_FILE, opening->path, &verdict);
  } else if (const auto* creation = std::get_if<SocketCreation>(&operation)) {
    if (!IsNetworkSocket(creation->socket)) return {};
    section = SL_LSM_NETWORK;
    for (const ProtocolInfo& info : kProtocols) {
      if (Matches(info.protocol, creation->socket))
        tables.FindNumber(section, static_cast<std::uint64_t>(info.protocol), add);
    }
  } else if (const auto* use = std::get_if<CapabilityUse>(&operation)) {
    tables.FindNumber(section = SL_LSM_CAPABILITIES, use->capability, add);
  } else if (const auto* called = std::get_if<SystemCallUse>(&operation)) {
    section = called->path.empty() ? SL_LSM_SYSCALLS : SL_LSM_SYSCALL_PATHS;
    if (called->path.empty()) {
      tables.FindNumber(section, call, add);
    } else {
      verdict.OnlyCall(call);
      AddPath(tables, section, called->path, &verdict);
    }
  }
  return verdict.Decide(section);
}

}  // namespace sluice::policy::lsm
