#include "tests/suites/suite.h"

#include <set>

#include "policy/resource/yaml.h"

namespace sluice::test {
namespace {

using policy::YamlNode;

constexpr std::size_t kMostCases = 10'000;
constexpr std::string_view kBlanks = " \t";

SuiteJson ToJson(const YamlNode& node) {
  switch (node.type) {
    case YamlNode::Type::kNull:
      return nullptr;
    case YamlNode::Type::kScalar:
      return node.scalar == "null" && !node.quoted ? SuiteJson(nullptr) : SuiteJson(node.scalar);
    case YamlNode::Type::kSequence: {
      SuiteJson list = SuiteJson::array();
      for (const auto& item : node.items) list.push_back(ToJson(*item));
      return list;
    }
    case YamlNode::Type::kMap: {
      SuiteJson map = SuiteJson::object();
      for (const auto& entry : node.entries) map[entry.key] = ToJson(*entry.value);
      return map;
    }
  }
  return nullptr;
}

// `key: %{ item.x }` -> `key: "%{ item.x }"`.
std::string WithQuotes(const std::string& text) {
  std::string quoted;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    const std::size_t begin = line.find(": %{");
    const std::size_t close = begin == std::string::npos ? begin : line.find('}', begin);
    if (close != std::string::npos)
      line = line.substr(0, begin + 2) + '"' + line.substr(begin + 2, close - begin - 1) + '"' + line.substr(close + 1);
    quoted += line + "\n";
    at = end + 1;
  }
  return quoted;
}

// "%{ item.user }" -> "user". Empty: the text is no parameter.
std::string ParameterOf(const std::string& text) {
  const auto skip = [&](std::size_t at) { return std::min(text.find_first_not_of(kBlanks, at), text.size()); };
  std::size_t at = skip(0);
  if (text.compare(at, 2, "%{") != 0) return "";
  at = skip(at + 2);
  constexpr std::string_view kItem = "item.";
  if (text.compare(at, kItem.size(), kItem) != 0) return "";
  at += kItem.size();
  const std::size_t end = std::min(text.find_first_of(" \t}", at), text.size());
  const std::size_t close = skip(end);
  const bool is_whole = close < text.size() && text[close] == '}' && skip(close + 1) == text.size();
  return is_whole ? text.substr(at, end - at) : "";
}

Status Fill(const SuiteJson& values, SuiteJson* tree) {
  if (tree->is_structured()) {
    for (SuiteJson& part : *tree) SL_RETURN_IF_ERROR(Fill(values, &part));
    return OkStatus();
  }
  if (!tree->is_string()) return OkStatus();
  const std::string parameter = ParameterOf(tree->get<std::string>());
  if (parameter.empty()) return OkStatus();
  if (!values.contains(parameter)) return InvalidError("no case has a value for %{{ item.{} }}", parameter);
  *tree = values[parameter];
  return OkStatus();
}

// The values of a case are an object each; a matrix has one for each combination.
StatusOr<std::vector<SuiteJson>> Combine(const SuiteJson& lists) {
  std::vector<SuiteJson> combinations = {SuiteJson::object()};
  for (const auto& [key, list] : lists.items()) {
    if (!list.is_array()) return InvalidError("values.{}: a matrix needs a list", key);
    std::vector<SuiteJson> more;
    for (const SuiteJson& combination : combinations) {
      for (const SuiteJson& value : list) {
        more.push_back(combination);
        more.back()[key] = value;
      }
    }
    if (more.size() > kMostCases) return InvalidError("values: more than {} combinations", kMostCases);
    combinations = std::move(more);
  }
  return combinations;
}

std::set<std::string> KeysOf(const SuiteJson& object) {
  std::set<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.insert(key);
  return keys;
}

StatusOr<std::vector<SuiteJson>> ValuesOf(const SuiteJson& cases) {
  if (!cases.is_array() || cases.empty()) return InvalidError("cases: expected a list that is not empty");
  std::vector<SuiteJson> all;
  for (const SuiteJson& spec : cases) {
    const SuiteJson none;
    const SuiteJson& values = spec.is_object() && spec.contains("values") ? spec["values"] : none;
    const std::string strategy = spec.is_object() ? spec.value("strategy", "") : "";
    if (!values.is_object()) return InvalidError("cases: an item without values");
    if (strategy == "vector") {
      all.push_back(values);
    } else if (strategy == "matrix") {
      SL_ASSIGN_OR_RETURN(std::vector<SuiteJson> combinations, Combine(values));
      for (SuiteJson& combination : combinations) all.push_back(std::move(combination));
    } else {
      return InvalidError("cases: strategy \"{}\": expected vector or matrix", strategy);
    }
    if (KeysOf(all.front()) != KeysOf(values)) return InvalidError("cases: their values have different keys");
  }
  return all;
}

std::string TextOf(const SuiteJson& values) {
  std::string text;
  for (const auto& [key, value] : values.items()) {
    if (value.is_string()) text += (text.empty() ? "" : " ") + key + "=" + value.get<std::string>();
  }
  return text;
}

Status AddTest(const std::string& file, const SuiteJson& test, std::vector<SuiteCase>* all) {
  if (!test.is_object() || !test.contains("name") || !test["name"].is_string())
    return InvalidError("a test without a name");
  const auto name = test["name"].get<std::string>();
  SuiteJson blueprint = test;
  blueprint.erase("cases");
  if (!test.contains("cases")) {
    all->push_back({.file = file, .test = name, .name = name, .values = "", .description = std::move(blueprint)});
    return OkStatus();
  }
  const auto values = ValuesOf(test["cases"]);
  if (!values.ok()) return Annotate(values.status(), name);
  for (std::size_t i = 0; i < values->size(); ++i) {
    SuiteCase one{.file = file,
                  .test = name,
                  .name = fmt::format("{}#{}", name, i),
                  .values = TextOf((*values)[i]),
                  .description = blueprint};
    SL_RETURN_IF_ERROR(Annotate(Fill((*values)[i], &one.description), name));
    all->push_back(std::move(one));
  }
  return OkStatus();
}

}  // namespace

StatusOr<std::vector<SuiteCase>> ReadSuite(const std::string& file, const std::string& text) {
  SuiteJson root;
  const auto error = policy::ParseYaml(WithQuotes(text), [&](const YamlNode& node, int) { root = ToJson(node); });
  if (error) return InvalidError("{}:{}:{}: {}", file, error->place.line, error->place.column, error->what);
  if (!root.is_object() || !root.contains("tests") || !root["tests"].is_array())
    return InvalidError("{}: no list of tests", file);
  std::vector<SuiteCase> all;
  for (const SuiteJson& test : root["tests"]) SL_RETURN_IF_ERROR(Annotate(AddTest(file, test, &all), file));
  std::set<std::string> names;
  for (const SuiteCase& one : all) {
    if (!names.insert(one.name).second) return InvalidError("{}: two tests are named {}", file, one.test);
  }
  return all;
}

}  // namespace sluice::test
