#include "policy/resource/resource_emit.h"

#include <absl/strings/ascii.h>

#include <algorithm>

#include "policy/resource/resource_scalar.h"

namespace sluice::policy {
namespace {

// YAML reads this text as a plain scalar in every position.
bool IsPlainSafe(std::string_view text) {
  if (text.empty() || (text.front() == '-' && (text.size() < 2 || text[1] == '-'))) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           std::string_view("_./+-").find(c) != std::string_view::npos;
  });
}

std::string EmitScalar(const YamlNode& node) {
  const bool stays_string = [&] {
    YamlNode plain;
    plain.scalar = node.scalar;
    return TypeOf(plain) == ScalarType::kString && !IsNullText(node.scalar);
  }();
  return IsPlainSafe(node.scalar) && (!node.quoted || stays_string) ? node.scalar : Quoted(node.scalar);
}

std::string EmitKey(const std::string& key) { return IsPlainSafe(key) && !IsNullText(key) ? key : Quoted(key); }

class Emitter {
 public:
  std::string Take() { return std::move(out_); }

  // `inline_first`: the first line continues a line that is already indented ("- ").
  void Map(const YamlNode& map, std::size_t indent, bool inline_first) {
    for (const YamlNode::Entry& entry : map.entries) {
      if (!inline_first) out_.append(indent, ' ');
      inline_first = false;
      out_ += EmitKey(entry.key);
      out_ += ':';
      if (IsBlock(*entry.value)) {
        out_ += '\n';
        Block(*entry.value, entry.value->type == YamlNode::Type::kMap ? indent + 2 : indent, false);
      } else {
        out_ += ' ';
        Inline(*entry.value);
      }
    }
  }

 private:
  static bool IsBlock(const YamlNode& node) { return !node.items.empty() || !node.entries.empty(); }

  void Block(const YamlNode& node, std::size_t indent, bool inline_first) {
    if (node.type == YamlNode::Type::kMap) {
      Map(node, indent, inline_first);
    } else {
      Sequence(node, indent, inline_first);
    }
  }

  void Sequence(const YamlNode& sequence, std::size_t indent, bool inline_first) {
    for (const auto& item : sequence.items) {
      if (!inline_first) out_.append(indent, ' ');
      inline_first = false;
      out_ += "- ";
      if (IsBlock(*item)) {
        Block(*item, indent + 2, true);
      } else {
        Inline(*item);
      }
    }
  }

  void Inline(const YamlNode& node) {
    switch (node.type) {
      case YamlNode::Type::kNull:
        out_ += "null";
        break;
      case YamlNode::Type::kScalar:
        out_ += EmitScalar(node);
        break;
      case YamlNode::Type::kSequence:
        out_ += "[]";
        break;
      case YamlNode::Type::kMap:
        out_ += "{}";
        break;
    }
    out_ += '\n';
  }

  std::string out_;
};

}  // namespace

std::string EmitYaml(const YamlNode& map) {
  Emitter emitter;
  emitter.Map(map, 0, false);
  return emitter.Take();
}

}  // namespace sluice::policy
