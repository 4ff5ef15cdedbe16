#include "ctrl/sluice/object_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "ctrl/sluice/process_table.h"
#include "ctrl/sluice/some_of.h"
#include "telemetry/event/flow_text.h"
#include "telemetry/event/pod_owner.h"

namespace sluice::client {
namespace {

using Cells = std::vector<std::string>;

std::string NumberOrNone(std::uint32_t number) { return number == 0 ? "-" : std::to_string(number); }

Cells WorkloadCells(const v1::Object& object) {
  const v1::Resource& resource = object.resource();
  const v1::WorkloadFacts& facts = resource.workload();
  return {resource.ref().namespace_(),
          resource.ref().name(),
          SomeOf(facts.ips(), ","),
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
          SomeOf(facts.ips(), ","),
          facts.host_network() ? "yes" : "no",
          facts.finished() ? "finished" : "running",
          LabelsText(resource.labels())};
}

Cells NamespaceCells(const v1::Object& object) {
  return {object.resource().ref().name(), LabelsText(object.resource().labels())};
}

// The directions in which the policy isolates.
std::string DirectionsText(const v1::PolicyFacts& facts) {
  return facts.directions().empty() ? "-" : fmt::format("{}", fmt::join(facts.directions(), ","));
}

Cells PolicyCells(const v1::Object& object) {
  const v1::Resource& resource = object.resource();
  const v1::PolicyFacts& facts = resource.policy();
  return {resource.ref().namespace_(), resource.ref().name(),           resource.ref().api_version(), facts.mode(),
          DirectionsText(facts),       std::to_string(facts.selected())};
}

Cells ClusterPolicyCells(const v1::Object& object) {
  const v1::Resource& resource = object.resource();
  const v1::PolicyFacts& facts = resource.policy();
  return {resource.ref().name(), facts.mode(), DirectionsText(facts), std::to_string(facts.selected())};
}

Cells TracingCells(const v1::Object& object) {
  const v1::Resource& resource = object.resource();
  const v1::TracingPolicyFacts& facts = resource.tracing_policy();
  std::vector<std::string> hooks;
  for (const auto& hook : facts.hooks()) hooks.push_back(HookText(hook));
  Cells cells{resource.ref().name(),
              StateText(facts),
              hooks.empty() ? "-" : fmt::format("{}", fmt::join(hooks, ", ")),
              MemoryText(facts.memory_bytes()),
              std::to_string(MatchesOf(facts)),
              ActionsText(facts)};
  if (!resource.ref().namespace_().empty()) cells.insert(cells.begin(), resource.ref().namespace_());
  return cells;
}

Cells KubeArmorCells(const v1::Object& object) {
  const v1::Resource& resource = object.resource();
  const v1::KubeArmorPolicyFacts& facts = resource.kubearmor_policy();
  Cells cells{resource.ref().name(),           StateText(facts),
              ListText(facts.actions()),       std::to_string(facts.selected()),
              std::to_string(facts.blocked()), std::to_string(facts.audited())};
  if (!resource.ref().namespace_().empty()) cells.insert(cells.begin(), resource.ref().namespace_());
  return cells;
}

Cells ResponseCells(const v1::Object& object) {
  const v1::Resource& resource = object.resource();
  const v1::ResponseFacts& facts = resource.response();
  return {resource.ref().name(),           facts.state(),
          ListText(facts.sources()),       ListText(facts.actions()),
          std::to_string(facts.answers()), std::to_string(facts.failed()),
          std::to_string(facts.spared()),  std::to_string(facts.limited())};
}

Cells IdentityCells(const v1::Object& object) {
  const v1::Identity& identity = object.identity();
  return {std::to_string(identity.id()), identity.description(), SomeOf(identity.addresses(), ",")};
}

Cells RulesetCells(const v1::Object& object) {
  const v1::Ruleset& ruleset = object.ruleset();
  return {std::to_string(ruleset.id()), ruleset.direction(), std::to_string(ruleset.workloads()),
          SomeOf(ruleset.policies(), ", ")};
}

using ToCells = Cells (*)(const v1::Object& object);

std::string OwnerCell(const v1::Owner& owner) { return owner.kind().empty() ? "-" : telemetry::OwnerText(owner); }

Cells MoreOfWorkload(const v1::Object& object) {
  const v1::WorkloadFacts& facts = object.resource().workload();
  return {OwnerCell(facts.owner()), ListText(facts.ingress_policies()), ListText(facts.egress_policies())};
}

Cells MoreOfPod(const v1::Object& object) { return {OwnerCell(object.resource().pod().owner())}; }

Cells WorkloadsOfPolicy(const v1::Object& object) { return {ListText(object.resource().policy().workloads())}; }

Cells WorkloadsOfKubeArmor(const v1::Object& object) {
  return {ListText(object.resource().kubearmor_policy().workloads())};
}

struct Layout {
  std::vector<Column> columns;
  ToCells cells = nullptr;
  std::vector<Column> wide_columns = {};
  ToCells wide_cells = nullptr;
};

std::vector<Column> TracingColumns() {
  return {{"NAME"}, {"STATE"}, {"HOOKS"}, {"MEMORY", Align::kRight}, {"MATCHES", Align::kRight}, {"ACTIONS"}};
}

std::vector<Column> KubeArmorColumns() {
  return {{"NAME"},
          {"STATE"},
          {"ACTIONS"},
          {"WORKLOADS", Align::kRight},
          {"BLOCKED", Align::kRight},
          {"AUDITED", Align::kRight}};
}

Layout LayoutOf(const api::KindSelection& selection) {
  if (selection.listing == api::Listing::kIdentities) {
    return {{{"ID"}, {"DESCRIPTION"}, {"ADDRESSES"}}, IdentityCells};
  }
  if (selection.listing == api::Listing::kRulesets) {
    return {{{"ID"}, {"DIRECTION"}, {"WORKLOADS", Align::kRight}, {"POLICIES"}}, RulesetCells};
  }
  if (selection.listing != api::Listing::kResources) return {};  // unknown to this program
  switch (selection.kinds.front()) {
    case policy::Kind::kWorkload:
      return {{{"NAMESPACE"}, {"NAME"}, {"IPS"}, {"IDENTITY"}, {"IFINDEX"}, {"LABELS"}, {"STATE"}},
              WorkloadCells,
              {{"OWNER"}, {"INGRESS-POLICIES"}, {"EGRESS-POLICIES"}},
              MoreOfWorkload};
    case policy::Kind::kPod:
      return {{{"NAMESPACE"}, {"NAME"}, {"IPS"}, {"HOST-NETWORK"}, {"PHASE"}, {"LABELS"}},
              PodCells,
              {{"OWNER"}},
              MoreOfPod};
    case policy::Kind::kNamespace:
      return {{{"NAME"}, {"LABELS"}}, NamespaceCells};
    case policy::Kind::kSluiceClusterNetworkPolicy:
      return {{{"NAME"}, {"MODE"}, {"ISOLATES"}, {"SELECTED", Align::kRight}},
              ClusterPolicyCells,
              {{"WORKLOADS"}},
              WorkloadsOfPolicy};
    case policy::Kind::kTracingPolicy:
      return {TracingColumns(), TracingCells};
    case policy::Kind::kTracingPolicyNamespaced: {
      std::vector<Column> columns = TracingColumns();
      columns.insert(columns.begin(), {"NAMESPACE"});
      return {std::move(columns), TracingCells};
    }
    case policy::Kind::kKubeArmorHostPolicy:
    case policy::Kind::kKubeArmorClusterPolicy:
      return {KubeArmorColumns(), KubeArmorCells, {{"SELECTED"}}, WorkloadsOfKubeArmor};
    case policy::Kind::kKubeArmorPolicy: {
      std::vector<Column> columns = KubeArmorColumns();
      columns.insert(columns.begin(), {"NAMESPACE"});
      return {std::move(columns), KubeArmorCells, {{"SELECTED"}}, WorkloadsOfKubeArmor};
    }
    case policy::Kind::kResponse:
      return {{{"NAME"},
               {"STATE"},
               {"SOURCES"},
               {"ACTIONS"},
               {"ANSWERS", Align::kRight},
               {"FAILED", Align::kRight},
               {"SPARED", Align::kRight},
               {"LIMITED", Align::kRight}},
              ResponseCells};
    case policy::Kind::kNetworkPolicy:
    case policy::Kind::kSluiceNetworkPolicy:
      break;
  }
  return {{{"NAMESPACE"}, {"NAME"}, {"API"}, {"MODE"}, {"ISOLATES"}, {"SELECTED", Align::kRight}},
          PolicyCells,
          {{"WORKLOADS"}},
          WorkloadsOfPolicy};
}

bool ShowsOrigin(const std::vector<v1::Object>& objects) {
  return std::any_of(objects.begin(), objects.end(), [](const v1::Object& object) {
    return object.resource().origin() > v1::API || object.resource().shadows();
  });
}

void Append(Cells more, Cells& cells) {
  cells.insert(cells.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

}  // namespace

std::string ListText(const google::protobuf::RepeatedPtrField<std::string>& names, int most) {
  if (names.empty()) return "-";
  const int shown = std::min(names.size(), most);
  std::string text = fmt::format("{}", fmt::join(names.begin(), names.begin() + shown, ", "));
  return names.size() == shown ? text : fmt::format("{} and {} more", text, names.size() - shown);
}

std::string OriginText(const v1::Resource& resource) {
  const char* const shadows = resource.shadows() ? ", shadows another source" : "";
  switch (resource.origin()) {
    case v1::API:
      return fmt::format("api{}", shadows);
    case v1::DIRECTORY:
      return fmt::format("directory{}", shadows);
    case v1::KUBERNETES:
      return "kubernetes";
    default:
      return "-";
  }
}

std::string StateText(const v1::WorkloadFacts& facts) {
  if (!facts.quarantined()) return facts.problem().empty() ? "enforced" : facts.problem();
  return facts.problem().empty() ? "quarantined" : "quarantined; " + facts.problem();
}

std::string StateText(const v1::TracingPolicyFacts& facts) {
  return facts.problem().empty() ? facts.state() : fmt::format("{}: {}", facts.state(), facts.problem());
}

std::string StateText(const v1::KubeArmorPolicyFacts& facts) {
  return facts.problem().empty() ? facts.state() : fmt::format("{}: {}", facts.state(), facts.problem());
}

std::string ActionsText(const v1::TracingPolicyFacts& facts) {
  std::vector<std::pair<std::string, std::uint64_t>> sums;  // in the order of the first hook that has them
  for (const auto& hook : facts.hooks()) {
    for (const auto& count : hook.counts()) {
      auto sum = std::find_if(sums.begin(), sums.end(), [&](const auto& one) { return one.first == count.what(); });
      if (sum == sums.end()) sum = sums.insert(sums.end(), {count.what(), 0});
      sum->second += count.count();
    }
  }
  std::string text;
  for (const auto& [what, count] : sums) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", what, count);
  return text.empty() ? "-" : text;
}

std::uint64_t MatchesOf(const v1::TracingPolicyFacts& facts) {
  std::uint64_t matches = 0;
  for (const auto& hook : facts.hooks()) matches += hook.matches();
  return matches;
}

std::string HookText(const v1::TracingPolicyFacts::Hook& hook) {
  return hook.attached().empty() ? hook.hook() + " (this kernel has none)"
                                 : fmt::format("{} by {}", hook.hook(), hook.attached());
}

std::string MemoryText(std::uint64_t bytes) { return bytes == 0 ? "-" : fmt::format("{} KiB", (bytes + 1023) / 1024); }

// Sorted, because a protobuf map has no order.
std::string LabelsText(const google::protobuf::Map<std::string, std::string>& labels) {
  const std::map<std::string, std::string> sorted(labels.begin(), labels.end());
  std::string text;
  for (const auto& [key, value] : sorted) text += fmt::format("{}{}={}", text.empty() ? "" : ",", key, value);
  return text;
}

Table ToTable(const api::KindSelection& selection, const std::vector<v1::Object>& objects, Width width) {
  if (selection.listing == api::Listing::kProcesses) return MakeProcessTable(objects);
  if (selection.listing == api::Listing::kFlows) {
    Table flows = telemetry::MakeFlowTable();
    for (const v1::Object& object : objects) telemetry::AddFlow(object.flow(), &flows);
    return flows;
  }
  Layout layout = LayoutOf(selection);
  const bool is_wide = width == Width::kWide;
  const bool with_origin = selection.listing == api::Listing::kResources && (is_wide || ShowsOrigin(objects));
  if (with_origin) layout.columns.push_back({"ORIGIN"});
  if (is_wide) layout.columns.insert(layout.columns.end(), layout.wide_columns.begin(), layout.wide_columns.end());
  Table table(layout.columns);
  for (const v1::Object& object : objects) {
    if (layout.cells == nullptr) break;
    Cells cells = layout.cells(object);
    if (with_origin) cells.push_back(OriginText(object.resource()));
    if (is_wide && layout.wide_cells != nullptr) Append(layout.wide_cells(object), cells);
    table.Add(std::move(cells));
  }
  return table;
}

}  // namespace sluice::client
