#include "ctrl/sluice/object_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

#include "ctrl/sluice/process_table.h"
#include "telemetry/event/flow_text.h"

namespace sluice::client {
namespace {

using Labels = google::protobuf::Map<std::string, std::string>;
using Cells = std::vector<std::string>;

// In order: a protobuf map has none.
std::string LabelsText(const Labels& labels) {
  const std::map<std::string, std::string> sorted(labels.begin(), labels.end());
  std::string text;
  for (const auto& [key, value] : sorted) text += fmt::format("{}{}={}", text.empty() ? "" : ",", key, value);
  return text;
}

std::string NumberOrNone(std::uint32_t number) { return number == 0 ? "-" : std::to_string(number); }

std::string StateText(const v1::WorkloadFacts& facts) {
  if (!facts.quarantined()) return facts.problem().empty() ? "enforced" : facts.problem();
  return facts.problem().empty() ? "quarantined" : "quarantined; " + facts.problem();
}

Cells WorkloadCells(const v1::Object& object) {
  const v1::Resource& resource = object.resource();
  const v1::WorkloadFacts& facts = resource.workload();
  return {resource.ref().namespace_(),
          resource.ref().name(),
          fmt::format("{}", fmt::join(facts.ips(), ",")),
          NumberOrNone(facts.identity()),
          NumberOrNone(facts.ifindex()),
          LabelsText(resource.labels()),
          StateText(facts)};
}

Cells PodCells(const v1::Object& object) {
  const v1::Resource& resource = object.resource();
  const v1::PodFacts& facts = resource.pod();
  return {resource.ref().namespace_(),
          resource.ref().name(),
          fmt::format("{}", fmt::join(facts.ips(), ",")),
          facts.host_network() ? "yes" : "no",
          facts.finished() ? "finished" : "running",
          LabelsText(resource.labels())};
}

Cells NamespaceCells(const v1::Object& object) {
  return {object.resource().ref().name(), LabelsText(object.resource().labels())};
}

Cells PolicyCells(const v1::Object& object) {
  const v1::Resource& resource = object.resource();
  const v1::PolicyFacts& facts = resource.policy();
  return {resource.ref().namespace_(),
          resource.ref().name(),
          resource.ref().api_version(),
          facts.mode(),
          fmt::format("{}", fmt::join(facts.directions(), ",")),
          std::to_string(facts.selected())};
}

Cells IdentityCells(const v1::Object& object) {
  const v1::Identity& identity = object.identity();
  return {std::to_string(identity.id()), identity.description(),
          fmt::format("{}", fmt::join(identity.addresses(), ","))};
}

Cells RulesetCells(const v1::Object& object) {
  const v1::Ruleset& ruleset = object.ruleset();
  return {std::to_string(ruleset.id()), ruleset.direction(), std::to_string(ruleset.workloads()),
          fmt::format("{}", fmt::join(ruleset.policies(), ", "))};
}

struct Layout {
  std::vector<Column> columns;
  Cells (*cells)(const v1::Object& object) = nullptr;
};

Layout LayoutOf(const api::KindSelection& selection) {
  if (selection.listing == api::Listing::kIdentities) {
    return {{{"ID"}, {"DESCRIPTION"}, {"ADDRESSES"}}, IdentityCells};
  }
  if (selection.listing == api::Listing::kRulesets) {
    return {{{"ID"}, {"DIRECTION"}, {"WORKLOADS", Align::kRight}, {"POLICIES"}}, RulesetCells};
  }
  if (selection.listing != api::Listing::kResources) return {};  // nothing that this program knows
  switch (selection.kinds.front()) {
    case policy::Kind::kWorkload:
      return {{{"NAMESPACE"}, {"NAME"}, {"IPS"}, {"IDENTITY"}, {"IFINDEX"}, {"LABELS"}, {"STATE"}}, WorkloadCells};
    case policy::Kind::kPod:
      return {{{"NAMESPACE"}, {"NAME"}, {"IPS"}, {"HOST-NETWORK"}, {"PHASE"}, {"LABELS"}}, PodCells};
    case policy::Kind::kNamespace:
      return {{{"NAME"}, {"LABELS"}}, NamespaceCells};
    case policy::Kind::kNetworkPolicy:
    case policy::Kind::kSluiceNetworkPolicy:
      break;
  }
  return {{{"NAMESPACE"}, {"NAME"}, {"API"}, {"MODE"}, {"ISOLATES"}, {"SELECTED", Align::kRight}}, PolicyCells};
}

}  // namespace

Table ToTable(const api::KindSelection& selection, const std::vector<v1::Object>& objects) {
  if (selection.listing == api::Listing::kProcesses) return MakeProcessTable(objects);
  if (selection.listing == api::Listing::kFlows) {
    Table flows = telemetry::MakeFlowTable();
    for (const v1::Object& object : objects) telemetry::AddFlow(object.flow(), &flows);
    return flows;
  }
  const Layout layout = LayoutOf(selection);
  Table table(layout.columns);
  for (const v1::Object& object : objects) {
    if (layout.cells != nullptr) table.Add(layout.cells(object));
  }
  return table;
}

}  // namespace sluice::client
