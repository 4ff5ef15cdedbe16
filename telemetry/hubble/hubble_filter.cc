#include "telemetry/hubble/hubble_filter.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>

#include "telemetry/hubble/hubble_conditions.h"

namespace sluice::telemetry {
namespace {

Status CheckSizes(const flow::FlowFilter& filter) {
  const google::protobuf::Reflection& reflection = *filter.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection.ListFields(filter, &fields);
  for (const auto* const field : fields) {
    if (!field->is_repeated()) continue;
    const int size = reflection.FieldSize(filter, field);
    if (size > HubbleFilter::kMaxValues) {
      return InvalidError("{}: {} values; at most {} are possible", field->name(), size, HubbleFilter::kMaxValues);
    }
  }
  return OkStatus();
}

}  // namespace

StatusOr<std::vector<HubbleFilter::Conditions>> HubbleFilter::Compile(const char* list, const Filters& filters) {
  if (filters.size() > kMaxFilters) {
    return InvalidError("{}: {} filters; at most {} are possible", list, filters.size(), kMaxFilters);
  }
  std::vector<Conditions> compiled;
  for (int i = 0; i < filters.size(); ++i) {
    Conditions conditions;
    Status status = CheckSizes(filters[i]);
    status.Update(AddEndConditions(filters[i], &conditions));
    status.Update(AddFlowConditions(filters[i], &conditions));
    if (!status.ok()) return Annotate(status, fmt::format("{}[{}]", list, i));
    compiled.push_back(std::move(conditions));
  }
  return compiled;
}

StatusOr<HubbleFilter> HubbleFilter::Make(const Filters& allow, const Filters& deny) {
  HubbleFilter made;
  SL_ASSIGN_OR_RETURN(made.allow_, Compile("whitelist", allow));
  SL_ASSIGN_OR_RETURN(made.deny_, Compile("blacklist", deny));
  return made;
}

bool HubbleFilter::Matches(const flow::Flow& flow) const {
  const auto holds = [&](const Conditions& conditions) {
    return std::all_of(conditions.begin(), conditions.end(),
                       [&](const Condition& condition) { return condition(flow); });
  };
  return (allow_.empty() || std::any_of(allow_.begin(), allow_.end(), holds)) &&
         std::none_of(deny_.begin(), deny_.end(), holds);
}

}  // namespace sluice::telemetry
