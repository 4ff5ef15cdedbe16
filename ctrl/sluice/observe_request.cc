#include "ctrl/sluice/observe_request.h"

#include <absl/strings/str_split.h>

#include "ctrl/sluice/event_writer.h"
#include "ctrl/sluice/observe_filters.h"
#include "ctrl/sluice/time_point.h"
#include "telemetry/event/event_filter.h"

namespace sluice::client {
namespace {

constexpr std::uint32_t kDefaultLast = 20;
constexpr char kType[] = "--type";
constexpr char kNamespace[] = "--namespace";
constexpr char kWorkload[] = "--workload";

// The only namespace in the conditions; empty: there is none, or there are several.
std::string OnlyNamespace(const std::vector<Condition>& conditions) {
  std::string only;
  for (const Condition& condition : conditions) {
    if (condition.flag != kNamespace || condition.negated) continue;
    if (!only.empty() || condition.value.find(',') != std::string::npos) return "";
    only = condition.value;
  }
  return only;
}

// With -n, a workload's name is enough.
std::string FullValue(const Condition& condition, const std::string& value, const std::string& ns) {
  const bool short_name = condition.flag == kWorkload && !ns.empty() && value.find('/') == std::string::npos;
  return short_name ? ns + "/" + value : value;
}

Status AddCondition(const Condition& condition, const std::string& ns, v1::ObserveRequest::Filter* filter) {
  const FilterFlag* flag = FindFilterFlag(condition.flag);
  if (flag == nullptr) return InvalidError("{}: there is no such filter", condition.flag);
  std::vector<std::string> values = {condition.value};
  if (flag->takes_list) values = absl::StrSplit(condition.value, ',');
  for (const std::string& value : values) {
    const Status added = flag->add(FullValue(condition, value, ns), filter);
    if (!added.ok()) return Annotate(added, condition.flag);
  }
  // Checked here, so that the error names the flag.
  return Annotate(telemetry::EventFilter::Make(*filter).status(), condition.flag);
}

Status AddConditions(const ObserveOptions& options, v1::ObserveRequest* request) {
  const std::string ns = OnlyNamespace(options.conditions);
  bool forks = false;
  for (const Condition& condition : options.conditions) {
    if (condition.flag == kType && condition.value == "all" && !condition.negated) {
      forks = true;
      continue;
    }
    if (condition.flag == kNamespace && !condition.negated && options.all_namespaces) {
      return InvalidError("observe: give either -n or -A");
    }
    SL_RETURN_IF_ERROR(
        AddCondition(condition, ns, condition.negated ? request->add_except() : request->mutable_filter()));
  }
  if (options.dangling_not) return InvalidError("--not: give it before the filter that it inverts");
  v1::ObserveRequest::Filter& filter = *request->mutable_filter();
  if (options.output == kTetragonJson && filter.types_size() == 0) {
    for (const char* type : {"exec", "exit", "hook"}) filter.add_types(type);  // others have no line
  }
  if (options.output == kKubeArmorJson && filter.types_size() == 0) filter.add_types("alert");  // likewise
  if (options.output == kFalcoJson && filter.types_size() == 0) filter.add_types("detection");  // likewise
  filter.set_without_forks(!forks);
  filter.set_without_host(!options.host);
  return OkStatus();
}

Status AddTimes(const ObserveOptions& options, std::chrono::system_clock::time_point now, v1::ObserveRequest* request) {
  if (!options.since.empty()) {
    const auto since = ParseTimePoint(options.since, now);
    if (!since.ok()) return Annotate(since.status(), "--since");
    *request->mutable_since() = *since;
  }
  if (options.until.empty()) return OkStatus();
  const auto until = ParseTimePoint(options.until, now);
  if (!until.ok()) return Annotate(until.status(), "--until");
  *request->mutable_until() = *until;
  return OkStatus();
}

// 0 means none in a request that follows, and all in one that does not.
std::uint32_t Last(const ObserveOptions& options) {
  if (options.all) return options.follow ? UINT32_MAX : 0;
  if (options.last) return *options.last;
  return options.follow || !options.since.empty() ? 0 : kDefaultLast;
}

}  // namespace

StatusOr<v1::ObserveRequest> ToRequest(const ObserveOptions& options, std::chrono::system_clock::time_point now) {
  if (options.all && options.last.value_or(0) != 0) return InvalidError("observe: give either --all or --last");
  v1::ObserveRequest request;
  request.set_follow(options.follow);
  request.set_last(Last(options));
  request.set_with_parents(options.output == kTetragonJson || options.output == kKubeArmorJson);
  SL_RETURN_IF_ERROR(AddConditions(options, &request));
  SL_RETURN_IF_ERROR(AddTimes(options, now, &request));
  SL_RETURN_IF_ERROR(telemetry::EventFilter::Make(request).status());
  return request;
}

}  // namespace sluice::client
