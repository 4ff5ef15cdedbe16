#include "ctrl/web/service_map.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>

#include "telemetry/event/event_time.h"

namespace sluice::web {
namespace {

using google::protobuf::util::TimeUtil;
using telemetry::NanosecondsOf;

}  // namespace

void ServiceMapBuilder::AddWorkloads(const policy::Snapshot& snapshot, const policy::Quarantine& quarantine) {
  for (const std::uint32_t index : snapshot.population->locals) {
    const policy::Endpoint& endpoint = snapshot.endpoints[index];
    if (nodes_.size() >= limits_.nodes) return;
    ServiceMap::Node& node = *map_.add_nodes();
    node.set_id(endpoint.name.ToString());
    node.set_namespace_(endpoint.name.ns);
    node.set_name(endpoint.name.name);
    node.set_local(true);
    node.set_quarantined(quarantine.workloads.contains(endpoint.name));
    if (endpoint.owner) {
      node.mutable_owner()->set_kind(endpoint.owner->kind);
      node.mutable_owner()->set_name(endpoint.owner->name);
    }
    nodes_[node.id()] = &node;
  }
}

// Empty: there is no room for it. Clients from outside are one node, as there may be any number of them; a destination
// outside is one by its address.
std::string ServiceMapBuilder::NodeOf(const v1::Peer& peer, const std::string& address, bool is_destination) {
  std::string id = peer.workload().empty() ? peer.entity() : peer.namespace_() + "/" + peer.workload();
  if (peer.workload().empty() && (peer.entity().empty() || (is_destination && peer.entity() != "node"))) id = address;
  if (nodes_.contains(id)) return id;
  if (nodes_.size() >= limits_.nodes) return "";
  ServiceMap::Node& node = *map_.add_nodes();
  node.set_id(id);
  node.set_namespace_(peer.namespace_());
  node.set_name(peer.workload().empty() ? id : peer.workload());
  node.set_entity(peer.workload().empty() && peer.entity().empty() ? "world" : peer.entity());
  if (peer.has_owner()) *node.mutable_owner() = peer.owner();
  nodes_[id] = &node;
  return id;
}

// Null: there is no room for it.
ServiceMap::Edge* ServiceMapBuilder::EdgeOf(const v1::Flow& flow) {
  const std::string from = NodeOf(flow.source(), flow.ip().source(), false);
  const std::string to = NodeOf(flow.destination(), flow.ip().destination(), true);
  if (from.empty() || to.empty()) return nullptr;
  const Key key{from,
                to,
                flow.source().process().binary(),
                flow.destination().process().binary(),
                flow.l4().protocol(),
                flow.l4().destination_port(),
                flow.verdict(),
                flow.drop_reason(),
                flow.has_service() ? flow.service().namespace_() + "/" + flow.service().name() : ""};
  if (const auto found = edges_.find(key); found != edges_.end()) return found->second;
  if (edges_.size() >= limits_.edges) return nullptr;
  ServiceMap::Edge& edge = *map_.add_edges();
  edge.set_from(from);
  edge.set_to(to);
  edge.set_from_program(flow.source().process().binary());
  edge.set_to_program(flow.destination().process().binary());
  edge.set_protocol(flow.l4().protocol());
  edge.set_port(flow.l4().destination_port());
  edge.set_verdict(flow.verdict());
  edge.set_drop_reason(flow.drop_reason());
  if (flow.has_service()) *edge.mutable_service() = flow.service();
  edges_[key] = &edge;
  return &edge;
}

void ServiceMapBuilder::Add(const v1::Flow& flow) {
  const std::int64_t last = NanosecondsOf(flow.time());
  const std::int64_t begin = flow.has_start_time() ? NanosecondsOf(flow.start_time()) : last;
  oldest_ns_ = oldest_ns_ == 0 ? begin : std::min(oldest_ns_, begin);
  if (begin > span_.until_ns || last < span_.from_ns) return;
  // A flow without an id is counted by itself.
  Counted own;
  const bool is_new = flow.flow_id().empty() || !flows_.contains(flow.flow_id());
  Counted& counted = flow.flow_id().empty() ? own : flows_[flow.flow_id()];
  if (is_new) {
    map_.set_flows(map_.flows() + 1);
    counted.edge = EdgeOf(flow);
    if (counted.edge == nullptr) map_.set_left_out(map_.left_out() + 1);
    if (counted.edge != nullptr) counted.edge->set_flows(counted.edge->flows() + 1);
  }
  if (counted.edge == nullptr) return;
  ServiceMap::Edge& edge = *counted.edge;
  const Amounts amounts{.packets = flow.forward().packets() + flow.backward().packets(),
                        .bytes = flow.forward().bytes() + flow.backward().bytes()};
  // Counters only grow, so an older record of the same flow adds nothing.
  edge.set_packets(edge.packets() + amounts.packets - std::min(amounts.packets, counted.amounts.packets));
  edge.set_bytes(edge.bytes() + amounts.bytes - std::min(amounts.bytes, counted.amounts.bytes));
  counted.amounts.packets = std::max(counted.amounts.packets, amounts.packets);
  counted.amounts.bytes = std::max(counted.amounts.bytes, amounts.bytes);
  if (edge.has_last() && last < NanosecondsOf(edge.last())) return;
  *edge.mutable_last() = flow.time();
  edge.set_from_address(flow.ip().source());
  edge.set_to_address(flow.ip().destination());
  *edge.mutable_policies() = flow.policies();
}

ServiceMap ServiceMapBuilder::Take() {
  *map_.mutable_from() = TimeUtil::NanosecondsToTimestamp(span_.from_ns);
  *map_.mutable_until() = TimeUtil::NanosecondsToTimestamp(span_.until_ns);
  if (oldest_ns_ != 0) *map_.mutable_oldest() = TimeUtil::NanosecondsToTimestamp(oldest_ns_);
  nodes_.clear();
  edges_.clear();
  flows_.clear();
  return std::move(map_);
}

}  // namespace sluice::web
