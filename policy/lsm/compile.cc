#include "policy/lsm/compile.h"

#include <algorithm>
#include <map>

#include "policy/lsm/compile_profile.h"

namespace sluice::policy::lsm {
namespace {

// Workloads with the same policies and postures share a profile.
struct ProfileKey {
  std::vector<std::shared_ptr<const Policy>> policies;  // sorted
  Postures postures;

  auto Words() const {
    return std::make_tuple(std::cref(policies), postures.file, postures.network, postures.capabilities);
  }
  bool operator<(const ProfileKey& other) const { return Words() < other.Words(); }
};

Status CheckSize(const char* what, std::size_t used, std::size_t most) {
  if (used <= most) return OkStatus();
  return MakeError(absl::StatusCode::kResourceExhausted,
                   "the KubeArmor policies of this node need {} {}: at most {} are possible", used, what, most);
}

Status CheckSizes(const Tables& tables) {
  SL_RETURN_IF_ERROR(CheckSize("different sets of policies", tables.profiles.size(), SL_LSM_PROFILES));
  SL_RETURN_IF_ERROR(CheckSize("rules", tables.rules.size(), SL_LSM_RULES));
  SL_RETURN_IF_ERROR(CheckSize("paths and other targets of rules", tables.targets.size(), SL_LSM_TARGETS));
  SL_RETURN_IF_ERROR(CheckSize("places in hash tables", tables.cells.size(), SL_LSM_CELLS));
  SL_RETURN_IF_ERROR(CheckSize("automata for patterns", tables.automata.size(), SL_LSM_AUTOMATA));
  SL_RETURN_IF_ERROR(CheckSize("entries in lists of rules", tables.numbers.size(), SL_LSM_NUMBERS));
  return CheckSize("words for texts and automata", tables.words.size(), SL_LSM_WORDS);
}

}  // namespace

StatusOr<std::shared_ptr<const Compiled>> Compile(const std::vector<WorkloadPolicies>& workloads,
                                                  const CompileOptions& options) {
  auto compiled = std::make_shared<Compiled>();
  std::map<ProfileKey, std::uint32_t> known;
  for (const WorkloadPolicies& workload : workloads) {
    if (workload.policies.empty()) continue;
    ProfileKey key{.policies = workload.policies, .postures = workload.postures};
    std::sort(key.policies.begin(), key.policies.end());
    const auto [profile, is_new] = known.emplace(std::move(key), static_cast<std::uint32_t>(known.size()));
    if (is_new) {
      SL_RETURN_IF_ERROR(AddProfile(workload.policies, workload.postures, options, compiled.get()));
      SL_RETURN_IF_ERROR(CheckSizes(compiled->tables));
    }
    compiled->profiles[workload.key] = (*profile).second;
  }
  return compiled;
}

}  // namespace sluice::policy::lsm
