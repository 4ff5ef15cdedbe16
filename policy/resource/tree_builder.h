// Builds a YamlNode tree from a parser's events. Enforces the limits and unique keys of policy/resource/yaml.h, and
// expands aliases and merge keys. For one thread. Every call may throw TreeError.
#pragma once

#include <optional>
#include <stdexcept>
#include <unordered_map>

#include "policy/resource/yaml.h"

namespace sluice::policy {

struct TreeError : std::runtime_error {
  TreeError(const Place& where, const std::string& what) : std::runtime_error(what), place(where) {}
  Place place;
};

class TreeBuilder {
 public:
  using Node = std::shared_ptr<const YamlNode>;
  using Anchor = std::size_t;  // 0: none

  // The sum over all documents so far, for the limits.
  struct Cost {
    std::size_t nodes = 0;
    std::size_t bytes = 0;
  };
  const Cost& cost() const { return cost_; }
  void set_cost(const Cost& cost) { cost_ = cost; }

  // Where maps with a key twice are noted; null: they are errors. See ParseYaml.
  void NoteDuplicates(std::vector<TextError>* notes) { duplicates_ = notes; }

  // Drops an unfinished document and the last one's anchors. The cost stays.
  void BeginDocument();
  Node TakeDocument() { return std::move(root_); }

  void Null(const Place& place, Anchor anchor = 0);
  void Alias(const Place& place, Anchor anchor);
  void Scalar(const Place& place, std::string value, bool quoted, Anchor anchor = 0);
  void OpenSequence(const Place& place, Anchor anchor = 0) { Open(YamlNode::Type::kSequence, place, anchor); }
  void OpenMap(const Place& place, Anchor anchor = 0) { Open(YamlNode::Type::kMap, place, anchor); }
  void CloseSequence() { Close(); }
  void CloseMap();

 private:
  struct Key {
    std::string text;
    Place place;
    bool merge = false;
  };
  struct Frame {
    std::shared_ptr<YamlNode> node;
    Anchor anchor = 0;
    std::optional<Key> key;    // maps: the key whose value is not read yet
    std::vector<Node> merges;  // maps: the maps that "<<" names
  };

  void Charge(std::size_t nodes, std::size_t bytes, const Place& place);
  std::shared_ptr<YamlNode> NewNode(YamlNode::Type type, const Place& place);
  void Open(YamlNode::Type type, const Place& place, Anchor anchor);
  void Close();
  void Complete(Node node, Anchor anchor);
  void Attach(Node node, const Place& place);
  static void CollectMerge(Frame& frame, const Node& value, const Place& place);
  void Merge(Frame& frame);

  Cost cost_;
  std::vector<TextError>* duplicates_ = nullptr;
  std::vector<Frame> frames_;
  std::unordered_map<Anchor, Node> anchors_;
  Node root_;
};

}  // namespace sluice::policy
