#include "ctrl/sluice/cluster_text.h"

#include <algorithm>

#include "base/printable.h"
#include "base/table.h"
#include "ctrl/sluice/status_text.h"
#include "telemetry/event/event_time.h"

namespace sluice::client {
namespace {

bool IsConnected(const cluster::NodeStatus& node) { return node.state() == cluster::NodeStatus::CONNECTED; }

bool IsNodeInPlace(const cluster::NodeStatus& node) {
  return IsConnected(node) && node.has_agent() && IsInPlace(node.agent());
}

// Empty: nothing is wrong.
std::string ProblemOf(const cluster::NodeStatus& node) {
  if (!IsConnected(node)) return node.problem();
  if (!node.has_agent()) return "its agent did not tell its status in time";
  return IsInPlace(node.agent()) ? "" : NotInPlaceText(node.agent());
}

}  // namespace

std::string StatusText(const cluster::ClusterStatus& status) {
  Table table({{"NODE"},
               {"STATE"},
               {"SINCE"},
               {"VERSION"},
               {"WORKLOADS", Align::kRight},
               {"REVISION", Align::kRight},
               {"EVENTS", Align::kRight},
               {"LATE", Align::kRight},
               {"PROBLEM"}});
  int connected = 0;
  for (const cluster::NodeStatus& node : status.nodes()) {
    connected += IsConnected(node) ? 1 : 0;
    const bool has_agent = node.has_agent();
    table.Add({Printable(node.node()), IsConnected(node) ? "connected" : "missing", telemetry::TimeText(node.since()),
               node.version().empty() ? "-" : Printable(node.version()),
               has_agent ? std::to_string(node.agent().workloads()) : "-",
               has_agent ? std::to_string(node.agent().revision()) : "-", std::to_string(node.events()),
               std::to_string(node.late()), Printable(ProblemOf(node))});
  }
  std::string text = fmt::format("relay {}: {} of {} nodes answer, found by {}\n", Printable(status.version()),
                                 connected, status.nodes_size(), Printable(status.source()));
  if (!status.problem().empty()) text += "which nodes there are: " + Printable(status.problem()) + "\n";
  if (status.left_out() != 0) text += fmt::format("{} more nodes are left out (--max-nodes)\n", status.left_out());
  return table.empty() ? text : text + "\n" + table.ToString();
}

bool IsInPlace(const cluster::ClusterStatus& status) {
  return status.problem().empty() && status.left_out() == 0 && status.nodes_size() != 0 &&
         std::all_of(status.nodes().begin(), status.nodes().end(), IsNodeInPlace);
}

std::string NotInPlaceText(const cluster::ClusterStatus& status) {
  if (!status.problem().empty()) return "the relay does not know which nodes there are: " + status.problem();
  if (status.nodes_size() == 0) return "the relay has no nodes";
  const auto bad = std::find_if_not(status.nodes().begin(), status.nodes().end(), IsNodeInPlace);
  if (bad == status.nodes().end()) return fmt::format("{} nodes are left out", status.left_out());
  return fmt::format("node {} {}: {}", bad->node(), IsConnected(*bad) ? "is not in place" : "is missing",
                     ProblemOf(*bad));
}

}  // namespace sluice::client
