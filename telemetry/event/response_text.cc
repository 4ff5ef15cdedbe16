#include "telemetry/event/response_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "base/printable.h"
#include "telemetry/event/flow_text.h"
#include "telemetry/event/process_text.h"

namespace sluice::telemetry {
namespace {

std::string Counted(std::size_t count, const char* one, const char* many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

std::string DetailsText(const v1::Response& response) {
  std::vector<std::string> details;
  const std::size_t killed = static_cast<std::size_t>(response.killed_size()) + response.more_killed();
  if (killed != 0) details.push_back(Counted(killed, "process", "processes"));
  const auto copied = std::count_if(response.files().begin(), response.files().end(),
                                    [](const v1::CollectedFile& file) { return !file.sha256().empty(); });
  if (response.action() == v1::Response::COLLECT) {
    details.push_back(Counted(static_cast<std::size_t>(copied), "file", "files"));
  }
  if (!response.capture_file().empty()) details.push_back(Printable(response.capture_file()));
  if (response.has_delay()) {
    const double seconds = static_cast<double>(response.delay().seconds()) + response.delay().nanos() * 1e-9;
    details.push_back(fmt::format("after {:.1f} ms", seconds * 1e3));
  }
  if (response.left_out() != 0) details.push_back(fmt::format("{} left out before", response.left_out()));
  return details.empty() ? "" : fmt::format(" ({})", fmt::join(details, ", "));
}

std::string CauseText(const v1::ResponseCause& cause) {
  std::vector<std::string> names;
  for (const v1::PolicyRef& policy : cause.policies()) names.push_back(PolicyName(policy));
  for (const std::string& rule : cause.rules()) names.push_back(Printable(rule));
  return fmt::format("{}{}{}", cause.source(), names.empty() ? "" : " ", fmt::join(names, ", "));
}

}  // namespace

std::string ResponseText(const v1::Response& response) {
  const std::string workload = response.workload().empty() ? "-" : response.namespace_() + "/" + response.workload();
  std::string text = fmt::format("RESPONSE {}", workload);
  if (response.has_process()) text += fmt::format(" {} {}", response.process().pid(), CommandText(response.process()));
  const bool has_action = response.action() != v1::Response::ACTION_UNSPECIFIED;
  text += fmt::format(": {}{}{}{}", has_action ? v1::Response::Action_Name(response.action()) : "",
                      has_action ? " " : "", v1::Response::Outcome_Name(response.outcome()), DetailsText(response));
  if (!response.problem().empty()) text += ": " + Printable(response.problem());
  return fmt::format("{} by {}: {}", text, response.response(), CauseText(response.cause()));
}

}  // namespace sluice::telemetry
