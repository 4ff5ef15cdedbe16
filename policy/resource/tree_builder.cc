#include "policy/resource/tree_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace sluice::policy {
namespace {

constexpr std::size_t kMaxDuplicates = 1000;  // that are noted

void CheckUniqueKeys(const YamlNode& map) {
  std::vector<const YamlNode::Entry*> sorted;
  sorted.reserve(map.entries.size());
  for (const YamlNode::Entry& entry : map.entries) sorted.push_back(&entry);
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return a->key < b->key; });
  const auto twice =
      std::adjacent_find(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return a->key == b->key; });
  if (twice == sorted.end()) return;
  const YamlNode::Entry& second = **std::next(twice);
  throw TreeError(second.place,
                  fmt::format("duplicate key \"{}\": it is already on line {}", second.key, (*twice)->place.line));
}

// Keeps the last of equal keys.
void DropDuplicates(YamlNode& map, std::vector<TextError>& notes) {
  std::map<std::string_view, int> lines;  // of the entries that stay
  std::vector<YamlNode::Entry> kept;
  for (auto entry = map.entries.rbegin(); entry != map.entries.rend(); ++entry) {
    const auto [last, is_last] = lines.emplace(entry->key, entry->place.line);
    if (is_last) {
      kept.push_back(*entry);
      continue;
    }
    if (notes.size() >= kMaxDuplicates) throw TreeError(entry->place, "too many duplicate keys");
    notes.push_back(
        {entry->place, fmt::format("duplicate key \"{}\": line {} has it again, and only the last one is read",
                                   entry->key, last->second)});
  }
  if (kept.size() == map.entries.size()) return;
  std::reverse(kept.begin(), kept.end());
  map.entries = std::move(kept);
}

void CheckKey(const YamlNode& node, const Place& place) {
  if (node.type != YamlNode::Type::kScalar) throw TreeError(place, "a key must be a string");
  if (node.scalar.size() > kMaxYamlKeyBytes) {
    throw TreeError(place,
                    fmt::format("a key of {} bytes: at most {} are allowed", node.scalar.size(), kMaxYamlKeyBytes));
  }
  if (std::any_of(node.scalar.begin(), node.scalar.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; })) {
    throw TreeError(place, "a key has a control character");
  }
}

}  // namespace

void TreeBuilder::BeginDocument() {
  frames_.clear();
  anchors_.clear();
  root_.reset();
}

void TreeBuilder::Null(const Place& place, Anchor anchor) { Complete(NewNode(YamlNode::Type::kNull, place), anchor); }

void TreeBuilder::Alias(const Place& place, Anchor anchor) {
  const auto target = anchors_.find(anchor);
  if (target == anchors_.end()) throw TreeError(place, "an alias inside its own value");
  Charge(target->second->expanded_nodes, target->second->expanded_bytes, place);
  Attach(target->second, place);
}

void TreeBuilder::Scalar(const Place& place, std::string value, bool quoted, Anchor anchor) {
  auto node = NewNode(YamlNode::Type::kScalar, place);
  Charge(0, value.size(), place);
  node->quoted = quoted;
  node->expanded_bytes = value.size();
  node->scalar = std::move(value);
  Complete(std::move(node), anchor);
}

void TreeBuilder::CloseMap() {
  if (duplicates_ == nullptr) {
    CheckUniqueKeys(*frames_.back().node);
  } else {
    DropDuplicates(*frames_.back().node, *duplicates_);
  }
  Merge(frames_.back());
  Close();
}

void TreeBuilder::Charge(std::size_t nodes, std::size_t bytes, const Place& place) {
  cost_.nodes += nodes;
  cost_.bytes += bytes;
  if (cost_.nodes > kMaxYamlNodes || cost_.bytes > kMaxYamlScalarBytes) {
    throw TreeError(place,
                    fmt::format("too large: more than {} values or {} bytes of text after the expansion of aliases",
                                kMaxYamlNodes, kMaxYamlScalarBytes));
  }
}

std::shared_ptr<YamlNode> TreeBuilder::NewNode(YamlNode::Type type, const Place& place) {
  Charge(1, 0, place);
  auto node = std::make_shared<YamlNode>();
  node->type = type;
  node->place = place;
  return node;
}

void TreeBuilder::Open(YamlNode::Type type, const Place& place, Anchor anchor) {
  if (frames_.size() >= kMaxYamlDepth) throw TreeError(place, fmt::format("nested more than {} deep", kMaxYamlDepth));
  frames_.push_back({.node = NewNode(type, place), .anchor = anchor, .key = {}, .merges = {}});
}

void TreeBuilder::Close() {
  Frame frame = std::move(frames_.back());
  frames_.pop_back();
  Complete(std::move(frame.node), frame.anchor);
}

void TreeBuilder::Complete(Node node, Anchor anchor) {
  if (anchor != 0) anchors_[anchor] = node;
  const Place place = node->place;
  Attach(std::move(node), place);
}

void TreeBuilder::Attach(Node node, const Place& place) {
  if (frames_.empty()) {
    root_ = std::move(node);
    return;
  }
  Frame& frame = frames_.back();
  if (frame.node->type == YamlNode::Type::kMap && !frame.key) {
    CheckKey(*node, place);
    frame.key = {.text = node->scalar, .place = place, .merge = !node->quoted && node->scalar == "<<"};
    return;
  }
  frame.node->expanded_nodes += node->expanded_nodes;
  frame.node->expanded_bytes += node->expanded_bytes;
  if (frame.node->type == YamlNode::Type::kSequence) {
    frame.node->items.push_back(std::move(node));
    return;
  }
  if (frame.key->merge) {
    CollectMerge(frame, node, place);
  } else {
    frame.node->entries.push_back(
        {.key = std::move(frame.key->text), .place = frame.key->place, .value = std::move(node)});
  }
  frame.key.reset();
}

void TreeBuilder::CollectMerge(Frame& frame, const Node& value, const Place& place) {
  if (value->type == YamlNode::Type::kMap) {
    frame.merges.push_back(value);
    return;
  }
  const bool maps = value->type == YamlNode::Type::kSequence &&
                    std::all_of(value->items.begin(), value->items.end(),
                                [](const Node& item) { return item->type == YamlNode::Type::kMap; });
  if (!maps) throw TreeError(place, "\"<<\" merges a map or a list of maps, nothing else");
  frame.merges.insert(frame.merges.end(), value->items.begin(), value->items.end());
}

// Own keys win over merged ones, earlier sources over later ones.
void TreeBuilder::Merge(Frame& frame) {
  if (frame.merges.empty()) return;
  YamlNode& map = *frame.node;
  std::set<std::string> keys;
  for (const YamlNode::Entry& entry : map.entries) keys.insert(entry.key);
  for (const Node& source : frame.merges) {
    Charge(source->expanded_nodes, source->expanded_bytes, map.place);
    map.expanded_nodes += source->expanded_nodes;
    map.expanded_bytes += source->expanded_bytes;
    for (const YamlNode::Entry& entry : source->entries) {
      if (keys.insert(entry.key).second) map.entries.push_back(entry);
    }
  }
}

}  // namespace sluice::policy
