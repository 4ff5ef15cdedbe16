#include "ctrl/kube/json_tree.h"

#include <string>
#include <utility>

namespace sluice::kube {
namespace {

using policy::YamlNode;

Tree NewNode(YamlNode::Type type) {
  auto node = std::make_shared<YamlNode>();
  node->type = type;
  return node;
}

Tree NewScalar(std::string text, bool quoted) {
  Tree node = NewNode(YamlNode::Type::kScalar);
  node->scalar = std::move(text);
  node->quoted = quoted;
  return node;
}

// With a point or an exponent, so that nobody takes 80.0 for an integer.
std::string DoubleText(double value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

Tree CopyAt(const JsonElement& value, std::size_t depth) {
  if (depth > policy::kMaxYamlDepth) return nullptr;
  switch (value.type()) {
    case simdjson::dom::element_type::OBJECT: {
      Tree map = NewMap();
      const simdjson::dom::object fields = value.get_object().value_unsafe();
      for (const auto& field : fields) {
        Tree copy = CopyAt(field.value, depth + 1);
        if (!copy) return nullptr;
        AddTo(*map, field.key, std::move(copy));
      }
      return map;
    }
    case simdjson::dom::element_type::ARRAY: {
      Tree sequence = NewSequence();
      const simdjson::dom::array items = value.get_array().value_unsafe();
      for (const JsonElement item : items) {
        Tree copy = CopyAt(item, depth + 1);
        if (!copy) return nullptr;
        sequence->items.push_back(std::move(copy));
      }
      return sequence;
    }
    case simdjson::dom::element_type::STRING:
      return NewString(value.get_string().value_unsafe());
    case simdjson::dom::element_type::INT64:
      return NewScalar(fmt::format("{}", value.get_int64().value_unsafe()), false);
    case simdjson::dom::element_type::UINT64:
      return NewScalar(fmt::format("{}", value.get_uint64().value_unsafe()), false);
    case simdjson::dom::element_type::DOUBLE:
      return NewScalar(DoubleText(value.get_double().value_unsafe()), false);
    case simdjson::dom::element_type::BOOL:
      return NewScalar(value.get_bool().value_unsafe() ? "true" : "false", false);
    case simdjson::dom::element_type::NULL_VALUE:
      break;
  }
  return NewNode(YamlNode::Type::kNull);
}

}  // namespace

Tree NewMap() { return NewNode(YamlNode::Type::kMap); }
Tree NewSequence() { return NewNode(YamlNode::Type::kSequence); }
Tree NewString(std::string_view text) { return NewScalar(std::string(text), true); }

void AddTo(YamlNode& map, std::string_view key, Tree value) {
  map.entries.push_back({.key = std::string(key), .place = {}, .value = std::move(value)});
}

Tree CopyJson(const JsonElement& value) { return CopyAt(value, 1); }

bool CopyField(const JsonElement& object, std::string_view key, YamlNode& map) {
  const auto value = FieldOf(object, key);
  if (!value) return true;
  Tree copy = CopyJson(*value);
  if (!copy) return false;
  AddTo(map, key, std::move(copy));
  return true;
}

}  // namespace sluice::kube
