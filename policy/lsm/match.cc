#include "policy/lsm/match.h"

#include <algorithm>

#include "policy/resource/merged_directories.h"

namespace sluice::policy::lsm {
namespace {

std::string_view WithoutSlash(std::string_view path) {
  return path.size() > 1 && path.ends_with('/') ? path.substr(0, path.size() - 1) : path;
}

// `directory` itself, a file in it, or with `recursive` one below it.
bool IsInDirectory(std::string_view directory, bool recursive, std::string_view path) {
  if (!path.starts_with(directory)) return false;
  return recursive || WithoutSlash(path.substr(directory.size())).find('/') == std::string_view::npos;
}

bool IsTarget(const PathTarget& target, std::string_view path) {
  switch (target.form) {
    case PathTarget::Form::kPath:
      return WithoutSlash(path) == target.text;
    case PathTarget::Form::kName:
      return path.substr(path.rfind('/') + 1) == target.text;
    case PathTarget::Form::kPattern:
      return target.pattern && target.pattern->Matches(path);
    case PathTarget::Form::kDirectory:
      return !target.text.empty() && IsInDirectory(target.text, target.recursive, path);
  }
  return false;
}

bool IsFrom(const Source& source, std::string_view program) {
  return source.directory ? IsInDirectory(source.path, source.recursive, program) : source.path == program;
}

}  // namespace

bool FromSource(const Rule& rule, const Subject& subject) {
  if (rule.sources.empty()) return true;
  return std::any_of(rule.sources.begin(), rule.sources.end(), [&](const Source& source) {
    const auto before_merge = BeforeMerge(source.path, subject.program);
    return IsFrom(source, subject.program) || (before_merge && IsFrom(source, *before_merge));
  });
}

bool Matches(const PathTarget& target, std::string_view path) {
  const auto before_merge = BeforeMerge(target.text, path);
  return IsTarget(target, path) || (before_merge && IsTarget(target, *before_merge));
}

bool Matches(const PeerRule& rule, const Contact& contact) {
  const bool known = contact.protocol == kTcp || contact.protocol == kUdp || contact.protocol == kSctp;
  if (rule.protocol ? *rule.protocol != contact.protocol : rule.ports && !known) return false;
  if (rule.ports && (contact.port < rule.ports->first || contact.port > rule.ports->last)) return false;
  return rule.cidr.Contains(contact.address);
}

bool Matches(const SyscallRule& rule, const SystemCallUse& use) {
  if (std::find(rule.names.begin(), rule.names.end(), use.name) == rule.names.end()) return false;
  return !rule.path || (!use.path.empty() && Matches(*rule.path, use.path));
}

bool Matches(Preset preset, const Operation& operation) {
  const auto* const execution = std::get_if<Execution>(&operation);
  const auto* const opening = std::get_if<Opening>(&operation);
  switch (preset) {
    case Preset::kProtectEnv:
      return opening != nullptr && opening->of_other_process && opening->path.ends_with("/environ");
    case Preset::kFilelessExec:
      return execution != nullptr && execution->in_memory;
    case Preset::kExec:
      return execution != nullptr && execution->from_outside;
    case Preset::kProtectProc:
      return opening != nullptr && opening->of_other_process;
    case Preset::kAnonMapExec:
      return std::holds_alternative<CodeMapping>(operation);
  }
  return false;
}

Rank RankOf(const PathTarget& target) {
  constexpr std::uint32_t kLongest = 4096;
  const auto shortness = [](std::size_t bytes) { return kLongest - static_cast<std::uint32_t>(bytes); };
  switch (target.form) {
    case PathTarget::Form::kPath:
      return {0};
    case PathTarget::Form::kName:
      return {1};
    case PathTarget::Form::kPattern:
      return {2, shortness(target.pattern ? target.pattern->literal_bytes() : 0), 0};
    case PathTarget::Form::kDirectory:
      return {2, shortness(target.text.size()), target.recursive ? 2U : 1U};
  }
  return {};
}

Rank RankOf(const ProtocolRule& rule) { return {static_cast<std::uint32_t>(InfoOf(rule.protocol).width)}; }

Rank RankOf(const PeerRule& rule) {
  constexpr std::uint32_t kAllPorts = 65536;
  const std::uint32_t width = rule.ports ? rule.ports->last - rule.ports->first + 1U : kAllPorts;
  return {128 - static_cast<std::uint32_t>(rule.cidr.mapped_length()), width, rule.protocol ? 0U : 1U};
}

}  // namespace sluice::policy::lsm
