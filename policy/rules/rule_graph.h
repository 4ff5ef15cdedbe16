// The conditions of many rules as one graph: a part that two rules share is there once. For policy/rules/ruleset.cc.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "policy/rules/bound.h"

namespace sluice::policy::rules {

using NodeId = std::uint32_t;
using LeafId = std::uint32_t;

struct GraphNode {
  Condition::Kind kind = Condition::Kind::kCheck;
  LeafId leaf = 0;          // of kCheck
  std::uint32_t first = 0;  // parts: Graph::parts[first, first + count), the cheapest first
  std::uint32_t count = 0;
  std::uint32_t cost = 0;  // about how long it takes, in units of an equality
};

struct Graph {
  std::vector<GraphNode> nodes;
  std::vector<NodeId> parts;
  std::vector<std::shared_ptr<const BoundCheck>> leaves;
};

// What is known of all events that are looked at.
struct KnownFacts {
  EventType type = 0;
  bool on_host = false;  // the process is in no container
};

// Whether the check asks for evt.type and nothing else, so that the type decides it.
bool IsAboutType(const BoundCheck& check);

// Adds conditions, with what is known of the events already put in.
class GraphBuilder {
 public:
  static constexpr NodeId kFalse = 0xfffffffe;
  static constexpr NodeId kTrue = 0xffffffff;

  // The condition's node, or kTrue or kFalse.
  NodeId Add(const BoundCondition& condition, const KnownFacts& facts);

  Graph Take() { return std::move(graph_); }

 private:
  NodeId AddNew(const BoundCondition& condition, const KnownFacts& facts);
  NodeId AddLeaf(const std::shared_ptr<const BoundCheck>& check, const KnownFacts& facts);
  NodeId AddNot(NodeId part);
  NodeId AddJoined(Condition::Kind kind, std::vector<NodeId> parts);
  NodeId Intern(Condition::Kind kind, LeafId leaf, const std::vector<NodeId>& parts);

  Graph graph_;
  std::map<std::string, LeafId> leaf_ids_;
  std::map<std::pair<Condition::Kind, std::vector<std::uint32_t>>, NodeId> node_ids_;
  // Of the condition that is added now.
  std::map<const BoundCondition*, NodeId> added_;
};

}  // namespace sluice::policy::rules
