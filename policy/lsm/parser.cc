#include "policy/lsm/parser.h"

#include "policy/lsm/parse_parts.h"
#include "policy/lsm/peer_policies.h"

namespace sluice::policy::lsm {
namespace {

Status ParseSections(const Field& spec, Policy& policy) {
  SL_ASSIGN_OR_RETURN(const Effect effect, ParseEffect(spec, {}));
  PolicyParts parts{.kind = policy.kind};
  Status first = ParsePathSection(spec, "process", effect, parts, policy.process);
  first.Update(ParsePathSection(spec, "file", effect, parts, policy.file));
  first.Update(ParseNetwork(spec, effect, parts, policy));
  first.Update(ParseCapabilities(spec, effect, parts, policy));
  first.Update(ParseSyscalls(spec, effect, parts, policy));
  first.Update(ParsePresets(spec, effect, parts, policy));
  if (!first.ok()) return first;
  SL_RETURN_IF_ERROR(CheckStatements(parts.statements));
  if (parts.rules != 0) return OkStatus();
  return spec.Error("has no rule, and would do nothing: add process, file, network, capabilities, syscalls or presets");
}

template <Policy::Kind kind>
Status ParseInto(const Field& root, const ObjectName& name, Resource& resource) {
  SL_ASSIGN_OR_RETURN(resource.lsm, ParsePolicy(root, kind, name));
  // What the packet path cannot enforce is no error of the file: whoever enforces it says so.
  if (auto peers = PeerPoliciesOf(*resource.lsm); peers.ok()) resource.peers = *std::move(peers);
  return OkStatus();
}

}  // namespace

StatusOr<std::shared_ptr<const Policy>> ParsePolicy(const Field& root, Policy::Kind kind, const ObjectName& name) {
  SL_RETURN_IF_ERROR(CheckKeys(root, "apiVersion kind metadata spec"));
  const auto spec = root.Get("spec");
  if (!spec) return root.Missing("spec");
  const bool host = kind == Policy::Kind::kHost;
  SL_RETURN_IF_ERROR(CheckKeys(
      *spec,
      fmt::format("severity tags message action {} process file network capabilities syscalls presets apparmor{}",
                  host ? "nodeSelector" : "selector", host ? " device" : "")));
  SL_RETURN_IF_ERROR(RefuseKeys(*spec, {{"apparmor", "profiles of AppArmor are not enforced here: write rules instead"},
                                        {"device", "USB devices are not watched here"}}));
  auto policy = std::make_shared<Policy>();
  policy->kind = kind;
  policy->name = name;
  Status first = ParseSelection(*spec, kind, policy->selection);
  first.Update(ParseSections(*spec, *policy));
  if (!first.ok()) return first;
  return policy;
}

std::vector<KindParser> KindParsers() {
  return {
      {.kind = Kind::kKubeArmorPolicy, .parse = ParseInto<Policy::Kind::kPods>, .has_lenient_mode = true},
      {.kind = Kind::kKubeArmorHostPolicy, .parse = ParseInto<Policy::Kind::kHost>, .has_lenient_mode = true},
      {.kind = Kind::kKubeArmorClusterPolicy, .parse = ParseInto<Policy::Kind::kCluster>, .has_lenient_mode = true}};
}

}  // namespace sluice::policy::lsm
