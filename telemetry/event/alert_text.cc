#include "telemetry/event/alert_text.h"

#include <fmt/format.h>

#include "base/printable.h"
#include "telemetry/event/flow_text.h"
#include "telemetry/event/process_text.h"

namespace sluice::telemetry {

std::string AlertText(const v1::Alert& alert) {
  const std::string workload = alert.workload().empty() ? "-" : alert.namespace_() + "/" + alert.workload();
  std::string text = fmt::format("{:<6} {} {} {}: {}", "ALERT", workload, alert.process().pid(),
                                 CommandText(alert.process()), v1::Alert::Operation_Name(alert.operation()));
  if (!alert.resource().empty())
    text += fmt::format(" {}{}", alert.resource_truncated() ? "..." : "", PrintableWord(alert.resource()));
  for (const std::string& argument : alert.arguments()) text += " " + PrintableWord(argument);
  if (alert.has_socket()) {
    text += fmt::format(" {} {} {}", alert.socket().family(), alert.socket().type(), alert.socket().protocol());
  }
  text += fmt::format(" -> {}{}", v1::Alert::Action_Name(alert.action()),
                      alert.error().empty() ? "" : " (" + alert.error() + ")");
  if (!alert.message().empty()) text += ": " + Printable(alert.message());
  return fmt::format("{} [{} {}]", text, PolicyName(alert.policy()), alert.policy().rule());
}

}  // namespace sluice::telemetry
