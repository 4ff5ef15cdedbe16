#include "ctrl/relay/relay_metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <sstream>
#include <vector>

namespace sluice::cluster {
namespace {

using Families = std::vector<prometheus::MetricFamily>;
using Labels = std::vector<prometheus::ClientMetric::Label>;

void Begin(const char* name, const char* help, prometheus::MetricType type, Families* out) {
  out->push_back({.name = name, .help = help, .type = type, .metric = {}});
}

void Add(double value, Labels labels, Families* out) {
  prometheus::ClientMetric metric;
  metric.label = std::move(labels);
  metric.gauge.value = value;
  metric.counter.value = value;
  out->back().metric.push_back(std::move(metric));
}

using Count = google::protobuf::uint64 (NodeStatus::*)() const;

void AddCounts(const char* name, const char* help, const ClusterStatus& status, Count count, Families* out) {
  Begin(name, help, prometheus::MetricType::Counter, out);
  for (const NodeStatus& node : status.nodes()) {
    Add(static_cast<double>((node.*count)()), {{"node", node.node()}}, out);
  }
}

}  // namespace

std::string MetricsText(const ClusterStatus& status) {
  using prometheus::MetricType;
  Families out;
  Begin("sluice_relay_build_info", "The relay's version; always 1.", MetricType::Gauge, &out);
  Add(1, {{"version", status.version()}}, &out);
  Begin("sluice_relay_nodes", "Nodes by whether their agents answer.", MetricType::Gauge, &out);
  double connected = 0;
  for (const NodeStatus& node : status.nodes()) connected += node.state() == NodeStatus::CONNECTED ? 1 : 0;
  Add(connected, {{"state", "connected"}}, &out);
  Add(status.nodes_size() - connected, {{"state", "missing"}}, &out);
  Begin("sluice_relay_nodes_left_out", "Nodes beyond the most that a relay hears.", MetricType::Gauge, &out);
  Add(static_cast<double>(status.left_out()), {}, &out);
  Begin("sluice_relay_source_up", "Whether the relay can read which nodes there are.", MetricType::Gauge, &out);
  Add(status.problem().empty() ? 1 : 0, {}, &out);
  Begin("sluice_relay_followers", "Streams to clients that go on.", MetricType::Gauge, &out);
  Add(static_cast<double>(status.followers()), {}, &out);
  Begin("sluice_relay_node_up", "Whether the node's agent answers.", MetricType::Gauge, &out);
  for (const NodeStatus& node : status.nodes()) {
    Add(node.state() == NodeStatus::CONNECTED ? 1 : 0, {{"node", node.node()}}, &out);
  }
  AddCounts("sluice_relay_events_total", "Events of the node that were passed on.", status, &NodeStatus::events, &out);
  AddCounts("sluice_relay_late_events_total", "Of these, after a younger event of another node.", status,
            &NodeStatus::late, &out);
  AddCounts("sluice_relay_refused_events_total", "Events of the node that were not valid.", status,
            &NodeStatus::refused, &out);
  AddCounts("sluice_relay_renamed_events_total", "Events that named another node.", status, &NodeStatus::renamed, &out);
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, out);
  return text.str();
}

}  // namespace sluice::cluster
