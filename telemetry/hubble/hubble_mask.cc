#include "telemetry/hubble/hubble_mask.h"

#include <google/protobuf/util/field_mask_util.h>

#include <algorithm>

namespace sluice::telemetry {

using google::protobuf::util::FieldMaskUtil;

StatusOr<HubbleMask> HubbleMask::Make(const google::protobuf::FieldMask& mask) {
  HubbleMask made;
  for (const std::string& path : mask.paths()) {
    if (!FieldMaskUtil::IsValidPath<flow::Flow>(path)) {
      return InvalidError("field_mask: {}: flows have no such field", path);
    }
  }
  FieldMaskUtil::ToCanonicalForm(mask, &made.mask_);
  const auto& paths = made.mask_.paths();
  made.wants_extensions_ = paths.empty() || std::any_of(paths.begin(), paths.end(), [](const std::string& path) {
                             return path == "extensions" || path.starts_with("extensions.");
                           });
  return made;
}

void HubbleMask::Apply(flow::Flow* flow) const {
  const auto& paths = mask_.paths();
  if (paths.empty()) return;
  constexpr std::int32_t kPolicyVerdict = 5;
  const bool keeps_verdict =
      flow->event_type().type() == kPolicyVerdict && std::find(paths.begin(), paths.end(), "event_type") != paths.end();
  flow::Flow verdict;
  if (keeps_verdict) {
    verdict.set_traffic_direction(flow->traffic_direction());
    verdict.set_policy_match_type(flow->policy_match_type());
    verdict.mutable_egress_allowed_by()->Swap(flow->mutable_egress_allowed_by());
    verdict.mutable_egress_denied_by()->Swap(flow->mutable_egress_denied_by());
    verdict.mutable_ingress_allowed_by()->Swap(flow->mutable_ingress_allowed_by());
    verdict.mutable_ingress_denied_by()->Swap(flow->mutable_ingress_denied_by());
  }
  FieldMaskUtil::TrimMessage(mask_, flow);
  if (keeps_verdict) flow->MergeFrom(verdict);
}

}  // namespace sluice::telemetry
