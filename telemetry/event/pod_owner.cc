#include "telemetry/event/pod_owner.h"

namespace sluice::telemetry {

void SetOwner(const policy::PodOwner& owner, v1::Owner* out) {
  out->set_kind(owner.kind);
  out->set_name(owner.name);
}

std::string OwnerText(const v1::Owner& owner) { return owner.kind().empty() ? "" : owner.kind() + "/" + owner.name(); }

}  // namespace sluice::telemetry
