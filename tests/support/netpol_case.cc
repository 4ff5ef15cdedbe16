#include "tests/support/netpol_case.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <stdexcept>

namespace sluice::test {
namespace {

using policy::Labels;
using policy::ObjectName;
using policy::ResourceId;

// Invalid data; thrown inside this file only and caught by the two Load functions.
struct DataError : std::runtime_error {
  DataError(const YAML::Node& node, const std::string& what)
      : std::runtime_error(fmt::format("line {}: {}", node.Mark().line + 1, what)) {}
};

void CheckKeys(const YAML::Node& map, const std::set<std::string>& known) {
  if (!map.IsMap()) throw DataError(map, "expected a map");
  for (const auto& entry : map) {
    const auto key = entry.first.as<std::string>();
    if (!known.contains(key)) throw DataError(entry.first, "unknown field " + key);
  }
}

YAML::Node Required(const YAML::Node& map, const std::string& key) {
  YAML::Node value = map[key];
  if (!value) throw DataError(map, "missing field " + key);
  return value;
}

std::uint8_t ProtocolNumber(const YAML::Node& node) {
  const auto name = node.as<std::string>();
  if (name == "TCP") return policy::kTcp;
  if (name == "UDP") return policy::kUdp;
  if (name == "SCTP") return policy::kSctp;
  throw DataError(node, "unknown protocol " + name);
}

ObjectName SplitName(const YAML::Node& node) {
  const auto text = node.as<std::string>();
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos) throw DataError(node, text + " is not namespace/name");
  return {text.substr(0, slash), text.substr(slash + 1)};
}

std::string LabelsYaml(const Labels& labels) {
  std::string out;
  for (const auto& [key, value] : labels) out += fmt::format("{}{}: \"{}\"", out.empty() ? "" : ", ", key, value);
  return "{" + out + "}";
}

std::string Lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

void AppendDocument(std::string& stream, const std::string& document) {
  if (!stream.empty()) stream += "---\n";
  stream += document;
  if (!stream.ends_with('\n')) stream += '\n';
}

// One case during rendering: each step changes the scenario, `original` stays.
class CaseRenderer {
 public:
  CaseRenderer(const NetpolScenario& world, Family family) : original_(world), scenario_(world), family_(family) {}

  NetpolCase Render(const YAML::Node& node, std::uint8_t context) {
    CheckKeys(node, {"number", "name", "steps"});
    NetpolCase out;
    out.number = Required(node, "number").as<int>();
    out.name = Required(node, "name").as<std::string>();
    out.context = context;
    for (const YAML::Node& step : Required(node, "steps")) out.steps.push_back(RenderStep(step));
    out.policies.assign(policies_.begin(), policies_.end());
    for (const std::string& ns : relabelled_namespaces_) AppendDocument(out.restore, original_.NamespaceYaml(ns));
    for (const ObjectName& pod : relabelled_pods_) AppendDocument(out.restore, original_.PodYaml(pod));
    return out;
  }

 private:
  NetpolStep RenderStep(const YAML::Node& node) {
    CheckKeys(node, {"apply", "delete", "label", "probe", "expect"});
    NetpolStep step;
    if (const YAML::Node apply = node["apply"]) {
      const std::string text = Substitute(apply);
      for (const YAML::Node& document : YAML::LoadAll(text)) policies_.insert(PolicyId(apply, document));
      AppendDocument(step.apply, text);
    }
    if (const YAML::Node label = node["label"]) AppendDocument(step.apply, Relabel(label));
    for (const YAML::Node& name : node["delete"]) {
      const ResourceId id{policy::Kind::kNetworkPolicy, SplitName(name)};
      if (policies_.erase(id) == 0) throw DataError(name, id.name.ToString() + " was not applied before");
      step.deletes.push_back(id);
    }
    const YAML::Node probe = Required(node, "probe");
    CheckKeys(probe, {"protocol", "port"});
    step.protocol = ProtocolNumber(Required(probe, "protocol"));
    step.port = Required(probe, "port").as<std::uint16_t>();
    step.cells = Table(Required(node, "expect"));
    return step;
  }

  static ResourceId PolicyId(const YAML::Node& where, const YAML::Node& document) {
    if (document["kind"].as<std::string>() != "NetworkPolicy") throw DataError(where, "apply takes policies only");
    const YAML::Node metadata = document["metadata"];
    return {policy::Kind::kNetworkPolicy,
            {metadata["namespace"].as<std::string>(), metadata["name"].as<std::string>()}};
  }

  std::string Relabel(const YAML::Node& node) {
    CheckKeys(node, {"namespace", "pod", "set"});
    const auto added = Required(node, "set").as<Labels>();
    const auto add_to = [&](Labels& labels) {
      for (const auto& [key, value] : added) labels[key] = value;
    };
    if (const YAML::Node ns = node["namespace"]) {
      const auto name = ns.as<std::string>();
      if (!scenario_.namespaces.contains(name)) throw DataError(ns, "no namespace " + name + " in the world");
      add_to(scenario_.namespaces.at(name));
      relabelled_namespaces_.insert(name);
      return scenario_.NamespaceYaml(name);
    }
    const ObjectName name = PodName(Required(node, "pod"));
    add_to(scenario_.pods.at(name).labels);
    relabelled_pods_.insert(name);
    return scenario_.PodYaml(name);
  }

  ObjectName PodName(const YAML::Node& node) const {
    ObjectName name = SplitName(node);
    if (!scenario_.pods.contains(name)) throw DataError(node, "no pod " + name.ToString() + " in the world");
    return name;
  }

  // Absent: every pod. "x": the pods of namespace x. "x/a": one pod.
  std::set<ObjectName> Side(const YAML::Node& rule, const char* key) const {
    std::set<ObjectName> side;
    const YAML::Node node = rule[key];
    const std::string text = node ? node.as<std::string>() : "";
    for (const auto& [name, pod] : scenario_.pods) {
      if (!node || name.ns == text || name.ToString() == text) side.insert(name);
    }
    if (side.empty()) throw DataError(rule, fmt::format("{}: {} is no pod or namespace", key, text));
    return side;
  }

  std::vector<NetpolCell> Table(const YAML::Node& rules) const {
    std::map<std::pair<ObjectName, ObjectName>, bool> table;
    for (const auto& [from, from_pod] : scenario_.pods) {
      for (const auto& [to, to_pod] : scenario_.pods) {
        if (from != to) table[{from, to}] = true;
      }
    }
    for (const YAML::Node& rule : rules) {
      CheckKeys(rule, {"from", "to", "allowed"});
      const bool allowed = Required(rule, "allowed").as<bool>();
      const std::set<ObjectName> targets = Side(rule, "to");
      for (const ObjectName& from : Side(rule, "from")) {
        for (const ObjectName& to : targets) {
          if (from != to) table[{from, to}] = allowed;
        }
      }
    }
    std::vector<NetpolCell> cells;
    for (const auto& [pair, allowed] : table) cells.push_back({pair.first, pair.second, allowed});
    return cells;
  }

  // ${ip POD}, ${host POD}, ${block POD}.
  std::string Substitute(const YAML::Node& node) const {
    std::string text = node.as<std::string>();
    for (std::size_t begin = text.find("${"); begin != std::string::npos; begin = text.find("${", begin)) {
      const std::size_t end = text.find('}', begin);
      if (end == std::string::npos) throw DataError(node, "${ without }");
      const std::string inside = text.substr(begin + 2, end - begin - 2);
      const std::string value = Placeholder(node, inside);
      text.replace(begin, end + 1 - begin, value);
      begin += value.size();
    }
    return text;
  }

  std::string Placeholder(const YAML::Node& node, const std::string& inside) const {
    constexpr int kBlockLength = 4;
    for (const auto& [name, pod] : scenario_.pods) {
      const policy::Address& ip = pod.ip(family_);
      if (inside == "ip " + name.ToString()) return ip.ToString();
      if (inside == "host " + name.ToString()) return policy::Prefix::Host(ip).ToString();
      if (inside == "block " + name.ToString()) return policy::Prefix(ip, kBlockLength).ToString();
    }
    throw DataError(node, "unknown placeholder ${" + inside + "}");
  }

  const NetpolScenario& original_;
  NetpolScenario scenario_;
  const Family family_;
  std::set<ResourceId> policies_;
  std::set<std::string> relabelled_namespaces_;
  std::set<ObjectName> relabelled_pods_;
};

std::vector<NetpolCase> RenderFile(const std::string& path, const NetpolScenario& world, Family family) {
  const YAML::Node file = YAML::LoadFile(path);
  CheckKeys(file, {"context", "cases"});
  const std::uint8_t context = ProtocolNumber(Required(file, "context"));
  std::vector<NetpolCase> cases;
  for (const YAML::Node& node : Required(file, "cases")) {
    cases.push_back(CaseRenderer(world, family).Render(node, context));
  }
  return cases;
}

StatusOr<PodPlace> DefaultPlace(std::size_t number) {
  PodPlace place;
  SL_ASSIGN_OR_RETURN(place.ipv4, policy::Address::Parse(fmt::format("10.1.0.{}", number)));
  SL_ASSIGN_OR_RETURN(place.ipv6, policy::Address::Parse(fmt::format("fd00:1::{:x}", number)));
  return place;
}

}  // namespace

StatusOr<NetpolScenario> NetpolScenario::Load(const std::string& directory, const PodPlaces& places) {
  const std::string path = directory + "/world.yaml";
  try {
    const YAML::Node file = YAML::LoadFile(path);
    CheckKeys(file, {"namespaces", "pods", "ports", "protocols"});
    NetpolScenario world;
    for (const YAML::Node& protocol : Required(file, "protocols")) {
      ProtocolNumber(protocol);
      for (const YAML::Node& port : Required(file, "ports")) {
        world.ports.push_back({port.as<std::uint16_t>(), protocol.as<std::string>()});
      }
    }
    for (const YAML::Node& ns : Required(file, "namespaces")) {
      CheckKeys(ns, {"name", "labels"});
      const auto ns_name = Required(ns, "name").as<std::string>();
      world.namespaces[ns_name] = Required(ns, "labels").as<Labels>();
      for (const YAML::Node& pod : Required(file, "pods")) {
        const ObjectName name{ns_name, pod.as<std::string>()};
        Pod& out = world.pods[name];
        out.labels["pod"] = name.name;
        if (const auto place = places.find(name); place != places.end()) {
          out.place = place->second;
        } else {
          SL_ASSIGN_OR_RETURN(out.place, DefaultPlace(world.pods.size() + 1));
        }
      }
    }
    return world;
  } catch (const std::exception& e) {
    return InvalidError("{}: {}", path, e.what());
  }
}

std::string NetpolScenario::NamespaceYaml(const std::string& name) const {
  return fmt::format("apiVersion: v1\nkind: Namespace\nmetadata: {{name: \"{}\", labels: {}}}\n", name,
                     LabelsYaml(namespaces.at(name)));
}

std::string NetpolScenario::PodYaml(const ObjectName& name) const {
  const Pod& pod = pods.at(name);
  const PodPlace& place = pod.place;
  const std::string metadata = fmt::format("metadata: {{name: \"{}\", namespace: \"{}\", labels: {}}}\n", name.name,
                                           name.ns, LabelsYaml(pod.labels));
  const bool local = !place.netns.empty() || !place.host_interface.empty();
  std::string served;
  for (const Port& port : ports) {
    served += fmt::format("{}- {{name: serve-{}-{}, {}: {}, protocol: {}}}\n", local ? "    " : "        ", port.number,
                          Lower(port.protocol), local ? "port" : "containerPort", port.number, port.protocol);
  }
  const std::string ipv4 = place.ipv4.ToString();
  const std::string ipv6 = place.ipv6.ToString();
  if (!local) {
    return fmt::format(
        "apiVersion: v1\nkind: Pod\n{}spec:\n  containers:\n    - name: serve\n      ports:\n{}"
        "status: {{phase: Running, podIPs: [{{ip: \"{}\"}}, {{ip: \"{}\"}}]}}\n",
        metadata, served, ipv4, ipv6);
  }
  const std::string where = place.netns.empty()
                                ? fmt::format("  hostInterface: {}\n", place.host_interface)
                                : fmt::format("  netns: {}\n  interface: {}\n", place.netns, place.interface);
  return fmt::format(
      "apiVersion: sluice.dev/v1alpha1\nkind: Workload\n{}spec:\n{}  ips: [\"{}\", \"{}\"]\n  ports:\n{}", metadata,
      where, ipv4, ipv6, served);
}

std::string NetpolScenario::ToYaml() const {
  std::string out;
  for (const auto& [name, labels] : namespaces) AppendDocument(out, NamespaceYaml(name));
  for (const auto& [name, pod] : pods) AppendDocument(out, PodYaml(name));
  return out;
}

StatusOr<std::vector<NetpolCase>> LoadNetpolCases(const std::string& directory, const NetpolScenario& world,
                                                  Family family) {
  std::string path = directory;
  try {
    std::vector<NetpolCase> cases;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      path = entry.path().string();
      if (entry.path().extension() != ".yaml" || entry.path().filename() == "world.yaml") continue;
      std::ranges::move(RenderFile(path, world, family), std::back_inserter(cases));
    }
    std::ranges::sort(cases, {}, &NetpolCase::number);
    const auto twin = std::ranges::adjacent_find(cases, {}, &NetpolCase::number);
    if (twin != cases.end()) return InvalidError("{}: two cases have number {}", directory, twin->number);
    return cases;
  } catch (const std::exception& e) {
    return InvalidError("{}: {}", path, e.what());
  }
}

int NetpolCaseStep() {
  const char* every = std::getenv("SLUICE_CONFORMANCE_EVERY");
  return every == nullptr ? 1 : std::max(1, std::atoi(every));
}

std::vector<std::tuple<int, Family>> ChosenNetpolCases(int last, int offset) {
  const int step = NetpolCaseStep();
  int index = 0;
  std::vector<std::tuple<int, Family>> chosen;
  for (int number = 1; number <= last; ++number) {
    for (const Family family : {Family::kIpv4, Family::kIpv6}) {
      if (index++ % step == offset % step) chosen.emplace_back(number, family);
    }
  }
  return chosen;
}

}  // namespace sluice::test
