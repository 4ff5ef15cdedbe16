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
  if (!mask_.paths().empty()) FieldMaskUtil::TrimMessage(mask_, flow);
}

}  // namespace sluice::telemetry
