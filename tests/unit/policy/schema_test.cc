// docs/schema/sluice.json, for editors, against the parser: resources that the parser accepts are valid, and both know
// the same fields. Supports the part of JSON Schema (draft 7) that the file uses.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>

#include "tests/support/netpol_case.h"
#include "tests/unit/policy/world.h"

namespace sluice::policy {
namespace {

using Json = nlohmann::json;

std::string SourceDirectory() {
  const char* source = std::getenv("SLUICE_SOURCE_DIR");
  return source == nullptr ? "." : source;
}

class Schema {
 public:
  Schema() { std::ifstream(SourceDirectory() + "/docs/schema/sluice.json") >> root_; }

  bool Takes(const Json& value) const { return Takes(root_, value); }

 private:
  static bool HasType(const std::string& type, const Json& value) {
    return type == "object"    ? value.is_object()
           : type == "array"   ? value.is_array()
           : type == "string"  ? value.is_string()
           : type == "integer" ? value.is_number_integer()
           : type == "boolean" ? value.is_boolean()
                               : type == "null" && value.is_null();
  }

  bool TakesNumberOrText(const Json& schema, const Json& value) const {
    if (value.is_number()) return value >= schema.value("minimum", value) && value <= schema.value("maximum", value);
    if (!value.is_string()) return true;
    const std::string text = value;
    return text.size() <= schema.value("maxLength", text.size()) &&
           (!schema.contains("pattern") ||
            std::regex_search(text, std::regex(schema["pattern"].get<std::string>(), std::regex::ECMAScript)));
  }

  bool TakesMembers(const Json& schema, const Json& value) const {
    for (const Json& key : schema.value("required", Json::array())) {
      if (!value.contains(key)) return false;
    }
    const Json& known = schema.contains("properties") ? schema["properties"] : Json::object();
    const Json others = schema.value("additionalProperties", Json(true));
    return std::all_of(value.items().begin(), value.items().end(), [&](const auto& member) {
      if (known.contains(member.key())) return Takes(known[member.key()], member.value());
      return others.is_boolean() ? others.template get<bool>() : Takes(others, member.value());
    });
  }

  bool Takes(const Json& schema, const Json& value) const {
    const auto takes = [&](const Json& part) { return Takes(part, value); };
    for (const auto& [key, rule] : schema.items()) {
      bool ok = true;
      if (key == "$ref") ok = takes(root_.at(Json::json_pointer(rule.get<std::string>().substr(1))));
      if (key == "const") ok = value == rule;
      if (key == "enum") ok = std::find(rule.begin(), rule.end(), value) != rule.end();
      if (key == "allOf") ok = std::all_of(rule.begin(), rule.end(), takes);
      if (key == "anyOf") ok = std::any_of(rule.begin(), rule.end(), takes);
      if (key == "oneOf") ok = std::count_if(rule.begin(), rule.end(), takes) == 1;
      if (key == "minItems") ok = !value.is_array() || value.size() >= rule.get<std::size_t>();
      if (key == "items" && value.is_array()) {
        ok = std::all_of(value.begin(), value.end(), [&](const Json& item) { return Takes(rule, item); });
      }
      if (key == "type") {
        const Json types = rule.is_array() ? rule : Json::array({rule});
        ok = std::any_of(types.begin(), types.end(), [&](const Json& type) { return HasType(type, value); });
      }
      if (!ok) return false;
    }
    return TakesNumberOrText(schema, value) && (!value.is_object() || TakesMembers(schema, value));
  }

  Json root_;
};

Json ToJson(const Resource& resource) {
  const auto json = YamlToJson(resource.yaml);
  EXPECT_TRUE(json.ok()) << json.status();
  return json.ok() ? Json::parse(*json) : Json();
}

bool ParserTakes(const Json& document) { return ParseResources("test", document.dump()).ok(); }

// The examples, the documents of the conformance cases, and one of each kind with every field.
std::vector<Json> Documents() {
  std::string text = kBaseScenario;
  text += R"(---
apiVersion: sluice.dev/v1alpha1
kind: NetworkPolicy
metadata: {name: all, namespace: shop, labels: {a: b, c: null}, annotations: {d: e}, uid: u, generation: 1}
spec:
  podSelector: {matchLabels: {app: web}, matchExpressions: [{key: tier, operator: In, values: [front]}, {key: x, operator: Exists}]}
  policyTypes: [Ingress, Egress]
  mode: Audit
  unknownProcesses: Allow
  ingress:
  - from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}, {podSelector: {}, namespaceSelector: null}]
    ports: [{port: http}, {protocol: UDP}, {port: 80, endPort: 90, protocol: SCTP}]
    action: Deny
    processes: {binaries: [/bin/x], ancestors: ["**/y"]}
  egress: [{to: null, ports: []}]
---
apiVersion: sluice.dev/v1alpha1
kind: ClusterNetworkPolicy
metadata: {name: all, labels: {a: b}, namespace: null}
spec:
  namespaceSelector: {matchExpressions: [{key: x, operator: DoesNotExist}]}
  podSelector: {matchLabels: {app: web}}
  defaultDeny: false
  policyTypes: [Egress]
  mode: Enforce
  unknownProcesses: Deny
  ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}], processes: {binaries: [/bin/x]}}]
  egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8}}, {namespaceSelector: {}}], ports: [{port: 80}], action: Deny}, {to: []}]
---
apiVersion: sluice.dev/v1alpha1
kind: Workload
metadata: {name: all}
spec: {hostInterface: v, interface: eth1, ips: [10.9.9.9], ports: [{name: a, port: 1, protocol: UDP}], cgroup: /a}
---
apiVersion: v1
kind: Pod
metadata: {name: all, ownerReferences: [{kind: ReplicaSet}]}
spec: {hostNetwork: true, nodeName: n, initContainers: [{name: i}], containers: [{name: c, env: []}]}
status: {phase: Succeeded, podIP: 10.9.9.8, qosClass: x}
)";
  std::vector<std::string> texts{text};
  for (const auto& entry : std::filesystem::directory_iterator(SourceDirectory() + "/deploy/examples")) {
    if (entry.path().extension() != ".yaml") continue;
    std::stringstream file;
    file << std::ifstream(entry.path()).rdbuf();
    texts.push_back(file.str());
  }
  const std::string cases = SourceDirectory() + "/tests/data/netpol";
  const auto world = test::NetpolScenario::Load(cases);
  EXPECT_TRUE(world.ok()) << world.status();
  texts.push_back(world->ToYaml());
  const auto loaded = test::LoadNetpolCases(cases, *world, test::Family::kIpv6);
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  for (const test::NetpolCase& one : *loaded) {
    for (const test::NetpolStep& step : one.steps) texts.push_back(step.apply);
  }
  std::vector<Json> documents;
  for (const std::string& part : texts) {
    const auto parsed = ParseResources("test", part);
    EXPECT_TRUE(parsed.ok()) << parsed.status();
    for (const Resource& resource : *parsed) documents.push_back(ToJson(resource));
  }
  return documents;
}

// Every object inside `value`, as JSON pointers.
void FindObjects(const Json& value, const Json::json_pointer& at, std::vector<Json::json_pointer>& out) {
  if (value.is_object()) out.push_back(at);
  if (value.is_array()) {
    for (std::size_t i = 0; i < value.size(); ++i) FindObjects(value[i], at / i, out);
  } else if (value.is_object()) {
    for (const auto& [key, member] : value.items()) FindObjects(member, at / key, out);
  }
}

TEST(Schema, TakesWhatTheParserTakes) {
  const Schema schema;
  const std::vector<Json> documents = Documents();
  EXPECT_GT(documents.size(), 80U);
  for (const Json& document : documents) EXPECT_TRUE(schema.Takes(document)) << document.dump(1);
}

TEST(Schema, KnowsTheFieldsThatTheParserKnows) {
  const Schema schema;
  for (const Json& document : Documents()) {
    std::vector<Json::json_pointer> objects;
    FindObjects(document, Json::json_pointer(), objects);
    for (const Json::json_pointer& at : objects) {
      Json changed = document;
      changed[at]["unknownField"] = 1;
      EXPECT_EQ(schema.Takes(changed), ParserTakes(changed)) << at << " of " << document.dump(1);
    }
  }
}

TEST(Schema, RefusesWhatIsWrong) {
  const Schema schema;
  const Json right = {{"apiVersion", "sluice.dev/v1alpha1"},
                      {"kind", "Workload"},
                      {"metadata", {{"name", "web"}}},
                      {"spec", {{"netns", "/n"}, {"ports", {{{"name", "http"}, {"port", 80}}}}}}};
  ASSERT_TRUE(schema.Takes(right));
  const auto refuses = [&](const std::string& at, const Json& value) {
    Json wrong = right;
    wrong[Json::json_pointer(at)] = value;
    return !schema.Takes(wrong) && !ParserTakes(wrong);
  };
  EXPECT_TRUE(refuses("/apiVersion", "v1"));
  EXPECT_TRUE(refuses("/kind", "Wrokload"));
  EXPECT_TRUE(refuses("/metadata/name", "Web"));
  EXPECT_TRUE(refuses("/spec/netns", "n"));
  EXPECT_TRUE(refuses("/spec/hostInterface", "v"));
  EXPECT_TRUE(refuses("/spec/ports/0/port", 0));
  EXPECT_TRUE(refuses("/spec/ports/0/port", "80"));
  EXPECT_TRUE(refuses("/spec/ports/0/protocol", "tcp"));
  EXPECT_TRUE(refuses("/spec/ports/0/name", "a_b"));
  EXPECT_TRUE(refuses("/spec", nullptr));
}

TEST(Schema, RefusesWhatIsWrongInAClusterNetworkPolicy) {
  const Schema schema;
  const Json right = {{"apiVersion", "sluice.dev/v1alpha1"},
                      {"kind", "ClusterNetworkPolicy"},
                      {"metadata", {{"name", "guard"}}},
                      {"spec",
                       {{"namespaceSelector", Json::object()},
                        {"defaultDeny", true},
                        {"ingress", {{{"from", {{{"namespaceSelector", Json::object()}}}}}}}}}};
  ASSERT_TRUE(schema.Takes(right) && ParserTakes(right));
  const auto refuses = [&](const std::string& at, const Json& value) {
    Json wrong = right;
    wrong[Json::json_pointer(at)] = value;
    return !schema.Takes(wrong) && !ParserTakes(wrong);
  };
  EXPECT_TRUE(refuses("/metadata/namespace", "shop"));
  EXPECT_TRUE(refuses("/spec/namespaceSelector", nullptr));
  EXPECT_TRUE(refuses("/spec/defaultDeny", nullptr));
  EXPECT_TRUE(refuses("/spec/defaultDeny", "false"));
  EXPECT_TRUE(refuses("/spec", {{"namespaceSelector", Json::object()}}));
  EXPECT_TRUE(refuses("/spec", {{"defaultDeny", true}}));
  EXPECT_TRUE(refuses("/spec/ingress/0/from/0", {{"podSelector", Json::object()}}));
  EXPECT_TRUE(refuses("/spec/tier", "Admin"));
}

}  // namespace
}  // namespace sluice::policy
