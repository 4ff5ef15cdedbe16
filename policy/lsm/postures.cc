#include "policy/lsm/postures.h"

#include "policy/resource/resource_scalar.h"

namespace sluice::policy::lsm {
namespace {

Status ReadPosture(const std::map<std::string, std::string>& annotations, const std::string& name, Posture& posture) {
  const auto found = annotations.find(name);
  if (found == annotations.end()) return OkStatus();
  if (found->second != "audit" && found->second != "block") {
    return InvalidError("annotation {}: must be audit or block, got {}", name, Quoted(found->second));
  }
  posture = found->second == "block" ? Posture::kBlock : Posture::kAudit;
  return OkStatus();
}

}  // namespace

StatusOr<Postures> PosturesOf(const std::map<std::string, std::string>& annotations, const Postures& defaults) {
  Postures postures = defaults;
  SL_RETURN_IF_ERROR(ReadPosture(annotations, "kubearmor-file-posture", postures.file));
  SL_RETURN_IF_ERROR(ReadPosture(annotations, "kubearmor-network-posture", postures.network));
  SL_RETURN_IF_ERROR(ReadPosture(annotations, "kubearmor-capabilities-posture", postures.capabilities));
  return postures;
}

}  // namespace sluice::policy::lsm
