#include "ctrl/sluice/explain_drop_reason.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/nearest.h"
#include "base/table.h"
#include "telemetry/event/drop_reason.h"

namespace sluice::client {
namespace {

StatusOr<std::vector<telemetry::DropReasonInfo>> Find(const std::string& name) {
  const std::vector<telemetry::DropReasonInfo>& all = telemetry::DropReasons();
  if (name.empty()) return all;
  if (const telemetry::DropReasonInfo* reason = telemetry::FindDropReason(name)) return std::vector{*reason};
  std::vector<std::string> names;
  for (const telemetry::DropReasonInfo& reason : all) names.emplace_back(reason.name);
  std::string upper = name;
  std::transform(upper.begin(), upper.end(), upper.begin(), [](unsigned char c) { return std::toupper(c); });
  const std::string nearest = Nearest(names, upper, upper.size() / 2);
  return InvalidError("{}: there is no such drop reason; {}", name,
                      nearest.empty() ? "`sluice explain --drop-reasons` lists them" : "did you mean " + nearest + "?");
}

}  // namespace

StatusOr<std::string> DropReasonText(const std::string& name) {
  SL_ASSIGN_OR_RETURN(const std::vector<telemetry::DropReasonInfo> reasons, Find(name));
  if (!name.empty()) {
    const telemetry::DropReasonInfo& reason = reasons.front();
    return fmt::format("{}: {}\nWhat to do: {}\n", reason.name, reason.meaning, reason.advice);
  }
  Table table({{"REASON"}, {"MEANING"}});
  for (const telemetry::DropReasonInfo& reason : reasons) table.Add({reason.name, reason.meaning});
  return table.ToString();
}

StatusOr<std::string> DropReasonJson(const std::string& name) {
  SL_ASSIGN_OR_RETURN(const std::vector<telemetry::DropReasonInfo> reasons, Find(name));
  std::string text;
  for (const telemetry::DropReasonInfo& reason : reasons) {
    const nlohmann::ordered_json line = {
        {"reason", reason.name}, {"meaning", reason.meaning}, {"advice", reason.advice}};
    text += line.dump() + "\n";
  }
  return text;
}

}  // namespace sluice::client
