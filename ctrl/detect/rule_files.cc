#include "ctrl/detect/rule_files.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <set>

#include "ctrl/resources/resource_directory.h"
#include "policy/rules/loader.h"
#include "policy/tracee/detector.h"
#include "policy/tracee/policy.h"

namespace sluice::detect {
namespace {

namespace fs = std::filesystem;

StatusOr<std::string> Sha256(const std::string& text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1)
    return MakeError(absl::StatusCode::kInternal, "sha256 is not available");
  std::string hex;
  for (unsigned i = 0; i < size; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

// JSON is YAML, but nobody keeps rules so: what lies beside them is something else.
bool IsRulesFile(const std::string& path) { return path.ends_with(".yaml") || path.ends_with(".yml"); }

StatusOr<std::vector<resources::ResourceFile>> ReadRuleFiles(const std::string& path) {
  SL_ASSIGN_OR_RETURN(auto files, resources::ReadResourceFiles(path));
  std::error_code unknown;
  if (!fs::is_directory(path, unknown)) return files;
  std::erase_if(files, [](const resources::ResourceFile& file) { return !IsRulesFile(file.path); });
  if (files.empty()) return InvalidError("{}: there is no *.yaml or *.yml file in this directory", path);
  return files;
}

// Each load warns of all that was loaded so far: once is enough, and what a later file uses is not unused.
std::vector<std::string> WarningsOf(const std::vector<policy::rules::LoadResult>& results) {
  std::vector<std::string> warnings;
  std::set<std::string> seen;
  for (std::size_t i = 0; i < results.size(); ++i) {
    for (const policy::rules::LoadMessage& warning : results[i].warnings) {
      const bool is_early = warning.code.starts_with("LOAD_UNUSED_") && i + 1 < results.size();
      if (!is_early && seen.insert(warning.ToString()).second) warnings.push_back(warning.ToString());
    }
  }
  return warnings;
}

// Rules of Tracee's files, whose names must differ.
Status AddRules(std::vector<policy::rules::Rule> added, std::vector<policy::rules::Rule>* rules) {
  for (policy::rules::Rule& rule : added) {
    const auto same = std::find_if(rules->begin(), rules->end(),
                                   [&](const policy::rules::Rule& other) { return other.name == rule.name; });
    if (same != rules->end())
      return InvalidError("{}:{}: rule {} is in {} too: policies and detectors need names of their own", rule.file,
                          rule.place.line, rule.name, same->file);
    rules->push_back(std::move(rule));
  }
  return OkStatus();
}

// Tracee's policies, and its detectors, which build on those of all files. Policies come first: they say more.
Status AddTracee(const std::vector<policy::tracee::DetectorFile>& policies,
                 const std::vector<policy::tracee::DetectorFile>& detectors, std::vector<policy::rules::Rule>* rules) {
  policy::tracee::LoadedDetectors detected = policy::tracee::LoadDetectors(detectors);
  if (!detected.problems.empty())
    return InvalidError("{}", detected.problems.front().problem.ToString(detected.problems.front().file));
  for (const policy::tracee::DetectorFile& file : policies) {
    policy::tracee::LoadedPolicies loaded = policy::tracee::LoadPolicies(file.path, file.text, detected.events);
    if (!loaded.problems.empty()) return InvalidError("{}", loaded.problems.front().ToString(file.path));
    SL_RETURN_IF_ERROR(AddRules(std::move(loaded.rules), rules));
  }
  return AddRules(std::move(detected.rules), rules);
}

void AddSignature(const std::string& path, std::string* out) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    *out += fmt::format("{} {}\n", path, errno);
    return;
  }
  *out += fmt::format("{} {} {} {} {} {}\n", path, info.st_dev, info.st_ino, info.st_size, info.st_mtim.tv_sec,
                      info.st_mtim.tv_nsec);
}

}  // namespace

StatusOr<LoadedRules> LoadRuleFiles(const RuleFilesOptions& options) {
  LoadedRules loaded;
  policy::rules::Loader loader;
  std::vector<policy::rules::LoadResult> results;
  std::vector<policy::rules::Rule> of_tracee;
  std::vector<policy::tracee::DetectorFile> policies, detectors;
  for (const std::string& path : options.paths) {
    SL_ASSIGN_OR_RETURN(const auto files, ReadRuleFiles(path));
    for (const resources::ResourceFile& file : files) {
      const bool has_policies = policy::tracee::IsPolicyText(file.text);
      const bool has_detectors = policy::tracee::IsDetectorText(file.text);
      if (has_policies) policies.push_back({.path = file.path, .text = file.text});
      if (has_detectors) detectors.push_back({.path = file.path, .text = file.text});
      if (!has_policies && !has_detectors) {
        const policy::rules::LoadResult result = loader.Load(file.path, file.text);
        if (!result.ok()) return InvalidError("{}", result.errors.front().ToString());
        results.push_back(result);
      }
      SL_ASSIGN_OR_RETURN(std::string sha256, Sha256(file.text));
      loaded.files.push_back({.path = file.path, .sha256 = std::move(sha256)});
    }
  }
  SL_RETURN_IF_ERROR(AddTracee(policies, detectors, &of_tracee));
  loaded.warnings = WarningsOf(results);
  std::vector<policy::rules::Rule> rules = loader.rules();
  rules.insert(rules.end(), of_tracee.begin(), of_tracee.end());
  for (policy::rules::Rule& rule : rules) {
    if (rule.priority > options.lowest) rule.enabled = false;  // by number: the highest is 0
    if (!rule.enabled) loaded.switched_off++;
  }
  loaded.ruleset = policy::rules::Ruleset::Compile(rules);
  return loaded;
}

std::string SignatureOf(const std::vector<std::string>& paths) {
  std::string signature;
  for (const std::string& path : paths) {
    AddSignature(path, &signature);
    std::error_code error;
    if (!fs::is_directory(path, error)) continue;
    std::vector<std::string> inside;
    for (fs::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error)) {
      if (IsRulesFile(entry->path())) inside.push_back(entry->path());
    }
    std::sort(inside.begin(), inside.end());
    for (const std::string& file : inside) AddSignature(file, &signature);
  }
  return signature;
}

}  // namespace sluice::detect
