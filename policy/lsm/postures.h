// What happens with an operation that an allow list does not have: the default posture of its section. Pure.
#pragma once

#include <map>
#include <string>

#include "base/status.h"

namespace sluice::policy::lsm {

enum class Posture { kAudit, kBlock };

struct Postures {
  Posture file = Posture::kAudit;  // of processes, too
  Posture network = Posture::kAudit;
  Posture capabilities = Posture::kAudit;
  bool operator==(const Postures&) const = default;
};

// The annotations of a namespace: "kubearmor-file-posture", "kubearmor-network-posture" and
// "kubearmor-capabilities-posture", each "audit" or "block". What has no annotation is as in `defaults`. Error:
// InvalidArgument, the annotation and its value.
StatusOr<Postures> PosturesOf(const std::map<std::string, std::string>& annotations, const Postures& defaults = {});

}  // namespace sluice::policy::lsm
