#include "policy/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <optional>
#include <set>
#include <sstream>
#include <unordered_map>

#include "ctrl/base/printable.h"

namespace sluice::policy {
namespace {

using NodePtr = std::shared_ptr<const YamlNode>;

[[noreturn]] void Fail(const YAML::Mark& mark, const std::string& what) { throw YAML::ParserException(mark, what); }

// Builds the tree of one document after the other from yaml-cpp's events. Throws YAML::ParserException.
class TreeBuilder : public YAML::EventHandler {
 public:
  // What comes is a part of the text, which begins on this line: before the first "---", or from one to the next.
  void BeginPart(std::string_view text, int line) {
    text_ = text;
    first_line_ = line;
    part_documents_ = 0;
    line_ = 0;
    line_start_ = 0;
  }
  int Line(const YAML::Mark& mark) const { return first_line_ + mark.line; }

  NodePtr TakeDocument() { return std::move(root_); }
  int documents() const { return documents_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    // yaml-cpp starts a new document wherever it can make nothing of what is left of the previous one.
    ++documents_;
    if (++part_documents_ > 1 && !LineAt(mark.line).starts_with("---")) {
      Fail(mark, "unexpected text after the end of the document: a new one starts with \"---\"");
    }
    frames_.clear();
    anchors_.clear();
    root_.reset();
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Complete(NewNode(YamlNode::Type::kNull, mark), anchor, mark);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto target = anchors_.find(anchor);
    if (target == anchors_.end()) Fail(mark, "an alias inside the value that it stands for");
    Charge(target->second->expanded_nodes, target->second->expanded_bytes, mark);
    Attach(target->second, mark);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    auto node = NewNode(YamlNode::Type::kScalar, mark);
    node->quoted = tag != "?";
    if (node->quoted && tag != "!" && tag != "tag:yaml.org,2002:str") Fail(mark, "unsupported tag " + tag);
    node->scalar = value;
    node->expanded_bytes = value.size();
    Charge(0, value.size(), mark);
    Complete(std::move(node), anchor, mark);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(YamlNode::Type::kSequence, "tag:yaml.org,2002:seq", mark, tag, anchor);
  }
  void OnSequenceEnd() override { Close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(YamlNode::Type::kMap, "tag:yaml.org,2002:map", mark, tag, anchor);
  }
  void OnMapEnd() override {
    CheckUniqueKeys(*frames_.back().node);
    Merge(frames_.back());
    Close();
  }

 private:
  struct Key {
    std::string text;
    int line = 0;
    bool merge = false;
  };
  struct Frame {
    std::shared_ptr<YamlNode> node;
    YAML::anchor_t anchor = 0;
    YAML::Mark mark;
    std::optional<Key> key;       // of a map: read, and its value is not
    std::vector<NodePtr> merges;  // of a map: what its "<<" name
  };

  // Documents come in order, so that the text is walked once.
  std::string_view LineAt(int line) {
    for (; line_ < line; ++line_) {
      const std::size_t end = text_.find('\n', line_start_);
      if (end == std::string_view::npos) return {};
      line_start_ = end + 1;
    }
    return text_.substr(line_start_, 3);
  }

  void Charge(std::size_t nodes, std::size_t bytes, const YAML::Mark& mark) {
    nodes_ += nodes;
    bytes_ += bytes;
    if (nodes_ > kMaxYamlNodes || bytes_ > kMaxYamlScalarBytes) {
      Fail(mark, fmt::format("too large: more than {} values or {} bytes of text after the expansion of aliases",
                             kMaxYamlNodes, kMaxYamlScalarBytes));
    }
  }

  std::shared_ptr<YamlNode> NewNode(YamlNode::Type type, const YAML::Mark& mark) {
    Charge(1, 0, mark);
    auto node = std::make_shared<YamlNode>();
    node->type = type;
    node->line = Line(mark);
    return node;
  }

  void Open(YamlNode::Type type, const char* own_tag, const YAML::Mark& mark, const std::string& tag,
            YAML::anchor_t anchor) {
    if (tag != "?" && tag != "!" && !tag.empty() && tag != own_tag) Fail(mark, "unsupported tag " + tag);
    if (frames_.size() >= kMaxYamlDepth) Fail(mark, fmt::format("nested more than {} deep", kMaxYamlDepth));
    frames_.push_back({.node = NewNode(type, mark), .anchor = anchor, .mark = mark, .key = {}, .merges = {}});
  }

  void Close() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    Complete(std::move(frame.node), frame.anchor, frame.mark);
  }

  void Complete(NodePtr node, YAML::anchor_t anchor, const YAML::Mark& mark) {
    if (anchor != YAML::NullAnchor) anchors_[anchor] = node;
    Attach(std::move(node), mark);
  }

  void Attach(NodePtr node, const YAML::Mark& mark) {
    if (frames_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& frame = frames_.back();
    if (frame.node->type == YamlNode::Type::kMap && !frame.key) {
      frame.key = ReadKey(*node, mark);
      return;
    }
    frame.node->expanded_nodes += node->expanded_nodes;
    frame.node->expanded_bytes += node->expanded_bytes;
    if (frame.node->type == YamlNode::Type::kSequence) {
      frame.node->items.push_back(std::move(node));
    } else if (frame.key->merge) {
      CollectMerge(frame, node, mark);
      frame.key.reset();
    } else {
      frame.node->entries.push_back(
          {.key = std::move(frame.key->text), .line = frame.key->line, .value = std::move(node)});
      frame.key.reset();
    }
  }

  YAML::Mark AtLine(int line) const {
    YAML::Mark mark;
    mark.line = line - first_line_;
    return mark;
  }

  Key ReadKey(const YamlNode& node, const YAML::Mark& mark) const {
    if (node.type != YamlNode::Type::kScalar) Fail(mark, "a key must be a string");
    if (node.scalar.size() > kMaxYamlKeyBytes) {
      Fail(mark, fmt::format("a key of {} bytes: at most {} are allowed", node.scalar.size(), kMaxYamlKeyBytes));
    }
    if (std::any_of(node.scalar.begin(), node.scalar.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; })) {
      Fail(mark, "a key with a control character");
    }
    return {.text = node.scalar, .line = Line(mark), .merge = !node.quoted && node.scalar == "<<"};
  }

  static void CollectMerge(Frame& frame, const NodePtr& value, const YAML::Mark& mark) {
    if (value->type == YamlNode::Type::kMap) {
      frame.merges.push_back(value);
      return;
    }
    const bool maps = value->type == YamlNode::Type::kSequence &&
                      std::all_of(value->items.begin(), value->items.end(),
                                  [](const NodePtr& item) { return item->type == YamlNode::Type::kMap; });
    if (!maps) Fail(mark, "\"<<\" merges a map or a list of maps, nothing else");
    frame.merges.insert(frame.merges.end(), value->items.begin(), value->items.end());
  }

  void CheckUniqueKeys(const YamlNode& map) const {
    std::vector<const YamlNode::Entry*> sorted;
    sorted.reserve(map.entries.size());
    for (const YamlNode::Entry& entry : map.entries) sorted.push_back(&entry);
    std::stable_sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return a->key < b->key; });
    const auto twice =
        std::adjacent_find(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return a->key == b->key; });
    if (twice == sorted.end()) return;
    const YamlNode::Entry& second = **std::next(twice);
    Fail(AtLine(second.line), fmt::format("key \"{}\" again: it is already on line {}", second.key, (*twice)->line));
  }

  // Own keys win over merged ones, earlier sources over later ones.
  void Merge(Frame& frame) {
    if (frame.merges.empty()) return;
    YamlNode& map = *frame.node;
    std::set<std::string> keys;
    for (const YamlNode::Entry& entry : map.entries) keys.insert(entry.key);
    for (const NodePtr& source : frame.merges) {
      Charge(source->expanded_nodes, source->expanded_bytes, frame.mark);
      map.expanded_nodes += source->expanded_nodes;
      map.expanded_bytes += source->expanded_bytes;
      for (const YamlNode::Entry& entry : source->entries) {
        if (keys.insert(entry.key).second) map.entries.push_back(entry);
      }
    }
  }

  std::string_view text_;  // of the part, as are the next four
  int first_line_ = 1;
  int part_documents_ = 0;
  int line_ = 0;
  std::size_t line_start_ = 0;
  int documents_ = 0;
  std::size_t nodes_ = 0;
  std::size_t bytes_ = 0;
  std::vector<Frame> frames_;
  std::unordered_map<YAML::anchor_t, NodePtr> anchors_;
  NodePtr root_;
};

}  // namespace

const YamlNode* YamlNode::Find(std::string_view key) const {
  const auto entry = std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.key == key; });
  return entry == entries.end() ? nullptr : entry->value.get();
}

// yaml-cpp takes 0x04 for the end of the text and guesses other encodings: neither may hide a part of the file.
Status CheckCharacters(std::string_view origin, std::string_view text) {
  int line = 1;
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    const std::size_t length = Utf8Length(text.substr(i));
    if (length == 0) return InvalidError("{}:{}: byte 0x{:02x} is not UTF-8", origin, line, c);
    const bool line_end = c == '\n' || (c == '\r' && i + 1 < text.size() && text[i + 1] == '\n');
    if ((c < 0x20 && c != '\t' && !line_end) || c == 0x7f) {
      return InvalidError("{}:{}: control character 0x{:02x}: write it as an escape in double quotes", origin, line, c);
    }
    if (c == '\n') ++line;
    i += length;
  }
  return OkStatus();
}

namespace {

// Where the next line begins that is a document's start, from the second line on; or the end of the text.
std::size_t NextStart(std::string_view text) {
  for (std::size_t at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1)) {
    const std::string_view rest = text.substr(at + 1);
    if (rest.starts_with("---") && (rest.size() == 3 || std::string_view(" \t\r\n").find(rest[3]) != rest.npos)) {
      return at + 1;
    }
  }
  return text.size();
}

Status CheckFlowIndicators(std::string_view origin, std::string_view text, int line) {
  std::size_t count = 0;
  for (const char c : text) {
    if (c == '\n') ++line;
    if (c != '{' && c != '}' && c != '[' && c != ']' && c != ',') continue;
    if (++count > kMaxYamlFlowIndicators) {
      return InvalidError(
          "{}:{}: too large: more than {} brackets, braces and commas in one document: split it, or write it in "
          "block style (`kubectl get -o yaml`)",
          origin, line, kMaxYamlFlowIndicators);
    }
  }
  return OkStatus();
}

// One document, or what is before the first one's start.
Status ParsePart(std::string_view text, TreeBuilder& builder, const YamlVisitor& visit) {
  std::istringstream stream{std::string(text)};
  YAML::Parser parser(stream);
  while (parser.HandleNextDocument(builder)) {
    const NodePtr root = builder.TakeDocument();
    if (!root || root->type == YamlNode::Type::kNull) continue;
    SL_RETURN_IF_ERROR(visit(*root, builder.documents()));
  }
  return OkStatus();
}

}  // namespace

Status ParseYaml(std::string_view origin, std::string_view text, const YamlVisitor& visit) {
  SL_RETURN_IF_ERROR(CheckCharacters(origin, text));
  TreeBuilder builder;
  try {
    // Each document has a parser of its own: it keeps all of an unfinished one, over the starts of others too.
    for (int line = 1; !text.empty();) {
      const std::string_view part = text.substr(0, NextStart(text));
      SL_RETURN_IF_ERROR(CheckFlowIndicators(origin, part, line));
      builder.BeginPart(part, line);
      SL_RETURN_IF_ERROR(ParsePart(part, builder, visit));
      line += static_cast<int>(std::count(part.begin(), part.end(), '\n'));
      text.remove_prefix(part.size());
    }
    return OkStatus();
  } catch (const YAML::Exception& e) {
    return InvalidError("{}:{}: {}", origin, builder.Line(e.mark), e.msg);
  } catch (const std::exception& e) {
    return InvalidError("{}: cannot be read as YAML: {}", origin, e.what());
  }
}

}  // namespace sluice::policy
