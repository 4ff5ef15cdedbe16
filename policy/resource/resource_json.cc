// YamlToJson of policy/resource/parser.h: the adapter of nlohmann::json.
#include <cmath>
#include <nlohmann/json.hpp>

#include "policy/resource/parser.h"
#include "policy/resource/resource_scalar.h"
#include "policy/resource/yaml.h"

namespace sluice::policy {
namespace {

using nlohmann::json;

json ScalarToJson(const YamlNode& node) {
  switch (TypeOf(node)) {
    case ScalarType::kBool:
      return *ParseBool(node.scalar);
    case ScalarType::kInteger:
      return *ParseInteger(node.scalar);
    case ScalarType::kFloat:
      if (const double value = *ParseFloat(node.scalar); std::isfinite(value)) return value;
      return node.scalar;  // JSON has no infinity
    case ScalarType::kString:
      return node.scalar;
  }
  return nullptr;
}

json ToJson(const YamlNode& node) {
  switch (node.type) {
    case YamlNode::Type::kNull:
      return nullptr;
    case YamlNode::Type::kScalar:
      return ScalarToJson(node);
    case YamlNode::Type::kSequence: {
      json array = json::array();
      for (const auto& item : node.items) array.push_back(ToJson(*item));
      return array;
    }
    case YamlNode::Type::kMap: {
      json object = json::object();
      for (const YamlNode::Entry& entry : node.entries) object[entry.key] = ToJson(*entry.value);
      return object;
    }
  }
  return nullptr;
}

}  // namespace

StatusOr<std::string> YamlToJson(std::string_view yaml) {
  if (yaml.size() > kMaxResourceBytes) {
    return InvalidError("YAML of {} bytes: at most {} are read", yaml.size(), kMaxResourceBytes);
  }
  std::vector<json> documents;
  const auto error = ParseYaml(yaml, [&](const YamlNode& root, int) { documents.push_back(ToJson(root)); });
  if (error) return InvalidError("yaml:{}: {}", error->place.line, error->what);
  if (documents.size() != 1) return InvalidError("yaml: {} documents: expected one", documents.size());
  try {
    return documents.front().dump();
  } catch (const json::exception& e) {
    return InvalidError("yaml: cannot be written as JSON: {}", e.what());
  }
}

}  // namespace sluice::policy
