#include "telemetry/event/detection_text.h"

#include <fmt/format.h>

#include "base/printable.h"
#include "telemetry/event/process_text.h"

namespace sluice::telemetry {

std::string DetectionText(const v1::Detection& detection) {
  const std::string workload = detection.workload().empty() ? "-" : detection.namespace_() + "/" + detection.workload();
  std::string text =
      fmt::format("DETECTION {} {} {}: {} {}", workload, detection.process().pid(), CommandText(detection.process()),
                  v1::Detection::Priority_Name(detection.priority()), Printable(detection.rule()));
  if (!detection.output().empty()) text += ": " + Printable(detection.output());
  return text;
}

}  // namespace sluice::telemetry
