// `apply`, `check` and `explain --resources` on files from practice. The last two do not need an agent.
#include <gmock/gmock.h>

#include <fstream>

#include "testbed/command.h"
#include "tests/unit/client/fake_agent.h"
#include "tests/unit/client/messages.h"

namespace sluice::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr char kDatabasePolicy[] =
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: db, namespace: shop}\nspec:\n"
    "  podSelector: {matchLabels: {app: db}}\n  policyTypes: [Ingress]\n  ingress:\n"
    "  - from: [{podSelector: {matchLabels: {app: web}}}]\n    ports: [{port: postgres}]\n";

std::string Maker(const std::string& kind, const std::string& name, const std::string& port) {
  return "apiVersion: apps/v1\nkind: " + kind + "\nmetadata: {name: " + name + ", namespace: shop}\nspec:\n" +
         "  template:\n    metadata: {labels: {app: " + name + "}}\n    spec: {containers: [{name: c, ports: [" + port +
         "]}]}\n";
}

class Files : public testing::Test {
 protected:
  static CommandResult Run(const Arguments& arguments, const std::string& server = "unix:///nowhere") {
    const char* directory = std::getenv("SLUICE_BIN_DIR");
    Arguments all{std::string(directory == nullptr ? "build/bin" : directory) + "/sluice", "--server", server};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const auto result = RunCommand(all, "");
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : CommandResult{};
  }
  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = files_ / name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  void WriteShop() {
    Write("d/policies/db.yaml", kDatabasePolicy);
    Write("d/web.yaml", Maker("Deployment", "web", ""));
    Write("d/db.yaml", Maker("StatefulSet", "db", "{name: postgres, containerPort: 5432}"));
    Write("d/other.yaml", Maker("DaemonSet", "other", ""));
    Write("d/service.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: db}\n");
    Write("d/.hidden/bad.yaml", "}");
  }

  TemporaryDirectory files_;
};

TEST_F(Files, ApplySaysHowToReadAndTellsWhatWasNotTaken) {
  FakeAgent agent;
  agent.applied = FromJson<v1::ApplyReply>(R"({"revision": "7", "notices": ["a.yaml:1: Service/x: left out"]})");
  agent.Start();
  WriteShop();
  const auto result = Run({"apply", "-R", "-n", "ops", "--skip-unknown", "-f", files_ / "d"}, agent.address());
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, AllOf(HasSubstr("a.yaml:1: Service/x: left out\n"), HasSubstr("policy revision 7\n")));
  const auto request = agent.Asked<v1::ApplyRequest>();
  EXPECT_EQ(request.read().default_namespace(), "ops");
  EXPECT_TRUE(request.read().skip_unknown());
  EXPECT_EQ(request.documents_size(), 5) << "those below too, hidden ones not";
  EXPECT_EQ(Run({"apply", "-f", files_ / "d"}, agent.address()).exit_code, 0);
  EXPECT_EQ(agent.Asked<v1::ApplyRequest>().documents_size(), 4) << "without -R, only those right in it";
  EXPECT_EQ(Run({"delete", "--skip-unknown", "-n", "ops", "-f", files_ / "d"}, agent.address()).exit_code, 0);
  EXPECT_EQ(agent.Asked<v1::DeleteRequest>().read().default_namespace(), "ops");
}

TEST_F(Files, CheckTellsAllThatIsWrongWithItsPlace) {
  const std::string a = Write("a.yaml", std::string("apiVersion: v1\nkind: Pod\nmetadata: {name: A}\n---\n") +
                                            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n"
                                            "  name: x\nspec:\n  podSelector: {}\n  egres: []\n");
  const std::string b = Write("b.yaml", "kind: [\n");
  const std::string c = Write("c.yaml", std::string(kDatabasePolicy) + "---\n" + kDatabasePolicy);
  const std::string d = Write("d.yaml", kDatabasePolicy);
  const auto result = Run({"check", "-f", a, b, c, d});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, AllOf(HasSubstr(a + ":3:12: Pod/A: metadata.name: "),
                                   HasSubstr(a + ":11:3: NetworkPolicy/x: spec.egres: unknown field\n"),
                                   HasSubstr(b + ":2:1: "), HasSubstr(c + ":11:1: NetworkPolicy/db: defined twice"),
                                   HasSubstr(d + ":1:1: NetworkPolicy/db: defined twice: " + c + ":1 has it too")));
}

TEST_F(Files, CheckOfWhatIsRightSaysSo) {
  WriteShop();
  const auto result = Run({"check", "-R", "--skip-unknown", "-f", files_ / "d"});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, AllOf(HasSubstr("4 objects in 5 files: all right\n"),
                                   HasSubstr("service.yaml:1: Service/db: left out: neither policy nor workload\n")));
  EXPECT_EQ(Run({"check", "-f", files_ / "d"}).exit_code, 1) << "a Service is unknown";
  EXPECT_EQ(Run({"check", "-f", files_ / "missing"}).exit_code, 1);
  EXPECT_EQ(Run({"check"}).exit_code, 2);
}

TEST_F(Files, CheckReadsTraceesPoliciesToo) {
  const std::string right = Write("right.yaml", "type: policy\nname: a\nscope: [global]\nrules: [{event: openat}]\n");
  const std::string wrong =
      Write("wrong.yaml", "type: policy\nname: b\nscope: [global]\nrules:\n- event: openat\n- event: net_packet_dns\n");
  const auto both = Run({"check", "-f", right, wrong});
  EXPECT_EQ(both.exit_code, 1);
  EXPECT_EQ(both.output, wrong +
                             ":6:3: Policy/b: rules[1].event: \"net_packet_dns\": there is no such event here: "
                             "packets' contents are not decoded\n");
  const auto one = Run({"check", "-f", right});
  EXPECT_EQ(one.exit_code, 0);
  EXPECT_EQ(one.output, "1 objects in 1 files: all right\n");
  const std::string detector = Write("detector.yaml",
                                     "type: detector\nid: a\nproduced_event: {name: found, version: 1.0.0}\n"
                                     "requirements: {events: [{name: openat}]}\nconditions: ['1 == 1']\n");
  const auto two = Run({"check", "-f", right, detector});
  EXPECT_EQ(two.exit_code, 1);
  EXPECT_EQ(two.output,
            detector + ":5:14: Detector/found: conditions[0]: column 3: two constants are not compared here\n");
}

TEST_F(Files, CheckFindsTwoPodsWithOneAddress) {
  const std::string text =
      "apiVersion: sluice.dev/v1alpha1\nkind: Workload\nmetadata: {name: a}\nspec: {netns: /n, ips: "
      "[10.0.0.1]}\n---\napiVersion: sluice.dev/v1alpha1\nkind: Workload\nmetadata: {name: b}\n"
      "spec: {netns: /m, ips: [10.0.0.1]}\n";
  const auto result = Run({"check", "-n", "shop", "-f", Write("a.yaml", text)});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, AllOf(HasSubstr("10.0.0.1"), HasSubstr("shop/b")));
}

TEST_F(Files, ExplainJudgesThePodsThatDeploymentsMake) {
  WriteShop();
  const auto explain = [&](const std::string& from, const std::string& port) {
    return Run({"explain", "--resources", files_ / "d", "-R", "--skip-unknown", "--from", from, "--to", "shop/db",
                "--port", port});
  };
  const auto allowed = explain("shop/web", "5432/TCP");
  EXPECT_EQ(allowed.exit_code, 0) << allowed.output;
  EXPECT_THAT(allowed.output,
              AllOf(HasSubstr("allowed\n"), HasSubstr("shop/deployment/web"), HasSubstr("shop/statefulset/db"),
                    HasSubstr("by the given resources"), HasSubstr("is assumed")));
  EXPECT_EQ(explain("shop/web", "80/TCP").exit_code, 3) << "by the port's name";
  EXPECT_EQ(explain("shop/daemonset/other", "5432/TCP").exit_code, 3);
  EXPECT_EQ(explain("192.0.2.1", "5432/TCP").exit_code, 3);
  EXPECT_EQ(explain("shop/nobody", "5432/TCP").exit_code, 1);
}

TEST_F(Files, ExplainOfWrongFilesSaysWhatIsWrong) {
  const auto result = Run({"explain", "--resources", Write("a.yaml", "kind: Pod\n"), "--from", "192.0.2.1", "--to",
                           "192.0.2.2", "--port", "80"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, HasSubstr("a.yaml:1:1: "));
}

}  // namespace
}  // namespace sluice::test
