// Each rule of Falco's falco_rules.yaml, unmodified, with the real agent: a program in a container does what the rule
// is about, and its fields are what the program did; and a twin that differs in the one thing that the rule asks for
// meets no rule. Facts of the container come from a runtime, and the API server's address from an API server, which the
// test plays.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <set>

#include "tests/e2e_kube/container_cgroup.h"
#include "tests/e2e_kube/kubernetes_fixture.h"
#include "tests/e2e_rules/triggers.h"

namespace sluice::test {

void PrintTo(const Trigger& trigger, std::ostream* out) { *out << trigger.rule << trigger.variant; }

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr char kOtherService[] = "10.96.0.2";
constexpr const char* kImages[] = {"registry.example:5000/shop/server:1.0", "registry.example:5000/shop/admin:1.0",
                                   "prom/prometheus:v2"};
constexpr const char* kContainerNames[] = {"server", "admin", "metrics"};

// Beside Falco's: events that say how far the agent is.
constexpr char kOwnRules[] = R"(
- rule: Marker
  desc: all that happened before has been looked at
  condition: evt.type in (open, openat) and fd.name startswith {0}/marker-
  output: "%fd.name"
  priority: DEBUG
- rule: Facts known
  desc: what the runtime says of a container is known
  condition: evt.type in (open, openat) and fd.name startswith {0}/marker- and container.privileged = true
  output: "%container.image.repository"
  priority: DEBUG
- rule: Names known
  desc: the API server's address has a name
  condition: evt.type = connect and fd.sip.name = kubernetes.default.svc.cluster.local
  output: "%fd.name"
  priority: DEBUG
)";

std::string FalcoRules() {
  const char* const corpora = std::getenv("SLUICE_CORPORA");
  return corpora == nullptr ? "" : std::string(corpora) + "/falco-rules/rules/falco_rules.yaml";
}

class Cluster : public KubernetesFixture {
 public:
  void TestBody() override {}

  // Its failures are the test's.
  void Begin() {
    SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    std::ofstream(directory_ + "/own.yaml") << fmt::format(kOwnRules, directory_);
    more_arguments_ = {"--rules",       FalcoRules(), "--rules",      directory_ + "/own.yaml",
                       "--rules-match", "all",        "--rules-rate", "0"};
    ASSERT_NO_FATAL_FAILURE(Start());
    auto api =
        ProbeServers::Start({{.netns_fd = fixture_->netns_fd("db"), .protocol = policy::kTcp, .port = kApiPort}});
    ASSERT_TRUE(api.ok()) << api.status();
    api_server_ = *std::move(api);
    PutService("kubernetes", "default", kApiService, "db");
    PutService("other", "shop", kOtherService, "new");
    for (const char* const one : {"/box", "/programs"}) fs::create_directory(directory_ + one);
    auto follower =
        ChildProcess::Start({BinDirectory() + "/sluice", "--server", fixture_->agent().api_address(), "observe", "-f",
                             "--host", "--type", "detection", "--workload", "shop/web", "-o", "json"});
    ASSERT_TRUE(follower.ok()) << follower.status();
    follower_.emplace(*std::move(follower));
    ASSERT_TRUE(Eventually([&] {
      Mark(Place::kPrivileged);
      return Shows("Facts known");
    })) << Log();
    ASSERT_TRUE(Eventually([&] {
      ConnectOnHost();
      return Shows("Names known");
    })) << Log();
    HitsUntilNow();
    std::set<std::string> tried = {"Marker", "Facts known", "Names known"};
    for (const Trigger& trigger : Triggers()) tried.insert(trigger.rule);
    EXPECT_EQ(RulesInForce(), tried) << "each rule of the file is tried";
  }

  std::map<std::string, std::string> Run(const Act& act) {
    TestContainer container{.netns_fd = fixture_->netns_fd("web"),
                            .cgroup = {},
                            .directory = directory_ + "/box",
                            .programs = act.programs};
    std::string programs = "/usr/local/bin";
    if (act.place == Place::kHost) {
      programs = directory_ + "/programs";
      for (const auto& [name, from] : act.programs)
        fs::copy_file(from, programs + "/" + name, fs::copy_options::overwrite_existing);
    } else {
      container.cgroup = cgroups_.Directory(IdOf(act.place));
    }
    const std::string api = fixture_->ip4("db").ToString(), other = fixture_->ip4("new").ToString();
    const auto notes =
        RunInContainer(container, [&](const ContainerNotes& to) { act.body(Surroundings(programs, api, other, to)); });
    EXPECT_TRUE(notes.ok()) << notes.status();
    return notes.value_or(std::map<std::string, std::string>());
  }

  // Detections of the pod since the last call, but for markers.
  std::vector<json> HitsUntilNow() {
    constexpr int kPatience = 10;  // seconds
    const std::string marker = Mark(Place::kHost);
    // With the second one, the line of the first one is whole.
    const auto shown = follower_->WaitForOutput(Mark(Place::kHost) + '"', kPatience);
    EXPECT_TRUE(shown.ok()) << shown.status() << Log();
    std::vector<json> hits;
    std::istringstream lines(shown.ok() ? shown->substr(shown_) : "");
    for (std::string line; std::getline(lines, line);) {
      shown_ += line.size() + 1;
      const json hit = json::parse(line);
      if (hit["rule"] == "Marker" && hit["output"] == marker) break;
      if (hit["rule"] != "Marker" && hit["rule"] != "Facts known") hits.push_back(hit);
    }
    return hits;
  }

  static std::string IdOf(Place place) { return Id(static_cast<char>('a' + static_cast<int>(place))); }
  std::string Log() const { return fixture_->agent().Log(); }
  std::set<std::string> RulesInForce() const {
    std::set<std::string> names;
    const json status = json::parse(Sluice({"status", "-o", "json"}));
    for (const json& rule : status["detectionRules"]["rules"]) names.insert(rule["rule"]);
    return names;
  }

 private:
  void Prepare(TestNode&) override {
    for (const Place place : {Place::kContainer, Place::kPrivileged, Place::kTrusted}) {
      const auto number = static_cast<std::size_t>(place);
      cgroups_.Directory(IdOf(place));
      runtime_.AddContainer(IdOf(place), "sandbox-web", kContainerNames[number], 0);
      runtime_.SetFacts(IdOf(place), kImages[number], place == Place::kPrivileged);
    }
  }

  void PutService(const std::string& name, const std::string& ns, const std::string& address, const std::string& pod) {
    api_->Put(kServices, fmt::format(R"({{"metadata": {{"name": "{0}", "namespace": "{1}", "uid": "s-{0}"}}, "spec":
                  {{"clusterIP": "{2}", "clusterIPs": ["{2}"], "ports": [{{"name": "https", "port": 443, "protocol":
                  "TCP"}}]}}}})",
                                     name, ns, address));
    api_->Put(kSlices, fmt::format(R"({{"metadata": {{"name": "{0}-1", "namespace": "{1}", "labels":
                  {{"kubernetes.io/service-name": "{0}"}}}}, "addressType": "IPv4", "endpoints": [{{"addresses":
                  ["{2}"], "conditions": {{"ready": true}}}}], "ports": [{{"name": "https", "port": {3}, "protocol":
                  "TCP"}}]}})",
                                   name, ns, fixture_->ip4(pod).ToString(), kApiPort));
  }

  // Opens a file that the rule Marker is about; its name.
  std::string Mark(Place place) {
    const std::string path = fmt::format("{}/marker-{}", directory_, ++markers_);
    Run({[&path](const Surroundings&) { open(path.c_str(), O_RDONLY); }, place});
    return path;
  }
  void ConnectOnHost() { Run({ConnectsToApiServer(), Place::kHost}); }
  // Whether the rule hits within a moment.
  bool Shows(const std::string& rule) { return follower_->WaitForOutput('"' + rule + '"', 1).ok(); }

  ContainerCgroups cgroups_;
  std::unique_ptr<ProbeServers> api_server_;
  std::optional<ChildProcess> follower_;  // shows the pod's detections
  std::size_t shown_ = 0;                 // how much of its output has been looked at
  int markers_ = 0;
};

class FalcoTriggers : public testing::TestWithParam<Trigger> {
 protected:
  static void TearDownTestSuite() { cluster_.reset(); }
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    if (cluster_ == nullptr) SL_SKIP_OR_FAIL_IF(ContainerCgroups().Missing());
    if (!fs::exists(FalcoRules())) GTEST_SKIP() << "SLUICE_CORPORA names no directory with falco-rules";
    if (cluster_ == nullptr) {
      cluster_ = std::make_unique<Cluster>();
      cluster_->Begin();
      if (HasFatalFailure()) cluster_.reset();
    }
  }

  static std::string FieldOf(const json& hit, const std::string& name) {
    for (const json& field : hit["fields"]) {
      if (field["name"] != name) continue;
      for (const char* const kind : {"text", "uint64Value", "int64Value", "boolValue"}) {
        if (!field.contains(kind)) continue;
        return field[kind].is_string() ? field[kind].get<std::string>() : field[kind].dump();
      }
    }
    return "";
  }
  static std::vector<std::string> RulesOf(const std::vector<json>& hits) {
    std::vector<std::string> rules;
    for (const json& hit : hits) rules.push_back(hit["rule"]);
    return rules;
  }

  static inline std::unique_ptr<Cluster> cluster_;  // of the suite: an agent's start takes longer than a trigger
};

TEST_P(FalcoTriggers, HitOnceWithWhatWasDone) {
  const Trigger& trigger = GetParam();
  auto notes = cluster_->Run(trigger.does);
  const std::vector<json> hits = cluster_->HitsUntilNow();
  std::vector<std::string> expected = trigger.also;
  expected.push_back(trigger.rule);
  ASSERT_THAT(RulesOf(hits), testing::UnorderedElementsAreArray(expected)) << json(hits).dump(2);
  const json& hit =
      *std::find_if(hits.begin(), hits.end(), [&](const json& one) { return one["rule"] == trigger.rule; });
  std::map<std::string, std::string> fields = trigger.fields;
  fields.emplace("user.name", "root");
  fields.emplace("user.uid", "0");
  for (const auto& [name, value] : fields) {
    const std::string got = FieldOf(hit, name);
    if (value == "*")
      EXPECT_NE(got, "") << name << " of " << hit;
    else
      EXPECT_EQ(got, value.starts_with('@') ? notes[value.substr(1)] : value) << name << " of " << hit;
  }
  EXPECT_EQ(hit["namespace"], "shop");
  EXPECT_EQ(hit["workload"], "web");
  const json& process = hit["process"];
  if (trigger.does.place == Place::kHost) {
    EXPECT_EQ(process.value("containerId", ""), "") << hit;
  } else {
    EXPECT_EQ(process.value("containerId", ""), Cluster::IdOf(trigger.does.place)) << hit;
    EXPECT_EQ(process.value("containerName", ""), kContainerNames[static_cast<std::size_t>(trigger.does.place)]);
  }
}

TEST_P(FalcoTriggers, SpareTheTwin) {
  const Trigger& trigger = GetParam();
  cluster_->Run(trigger.twin);
  const std::vector<json> hits = cluster_->HitsUntilNow();
  EXPECT_THAT(RulesOf(hits), testing::UnorderedElementsAreArray(trigger.twin_also)) << json(hits).dump(2);
}

INSTANTIATE_TEST_SUITE_P(Rule, FalcoTriggers, testing::ValuesIn(Triggers()),
                         [](const testing::TestParamInfo<Trigger>& info) {
                           std::string name;
                           for (const char c : info.param.rule + info.param.variant) {
                             if (std::isalnum(static_cast<unsigned char>(c))) name += c;
                           }
                           return name;
                         });

}  // namespace
}  // namespace sluice::test
