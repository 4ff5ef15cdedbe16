// The real `sluice explain`: ports by name, drop reasons, and answers from files alone.
#include <gmock/gmock.h>

#include <fstream>

#include "telemetry/event/drop_reason.h"
#include "testbed/command.h"
#include "tests/unit/client/fake_agent.h"
#include "tests/unit/client/messages.h"

namespace sluice::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class ExplainProgram : public testing::Test {
 protected:
  CommandResult Run(const Arguments& arguments) const {
    const char* directory = std::getenv("SLUICE_BIN_DIR");
    Arguments all{std::string(directory == nullptr ? "build/bin" : directory) + "/sluice", "--server", agent_.address(),
                  "explain"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const auto result = RunCommand(all);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : CommandResult{};
  }

  FakeAgent agent_;
  TemporaryDirectory files_;
};

constexpr char kDatabase[] = R"(apiVersion: sluice.dev/v1alpha1
kind: Workload
metadata: {name: db, namespace: shop, labels: {app: db}}
spec:
  netns: /n
  ips: [10.0.0.2]
  ports: [{name: sql, port: 5432}, {name: dns, port: 53}, {name: dns, port: 53, protocol: UDP}]
)";

constexpr char kFiles[] = R"(apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: []}}}
---
apiVersion: security.kubearmor.com/v1
kind: KubeArmorPolicy
metadata: {name: tools, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  process: {matchPaths: [{path: /usr/bin/nc, fromSource: [{path: /bin/sh}]}]}
  file: {matchPaths: [{path: /etc/shadow}], action: Audit}
)";

TEST_F(ExplainProgram, SaysOfFilesAloneWhoWouldStopAProgramOrTheOpeningOfAFile) {
  const std::string file = files_ / "files.yaml";
  std::ofstream(file) << kFiles;
  const auto ask = [&](const Arguments& more) {
    Arguments arguments = {"--resources", file, "--from", "shop/web"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Run(arguments);
  };
  const auto denied = ask({"--exec", "/usr/bin/nc", "--process", "/usr/bin/sh"});
  EXPECT_EQ(denied.exit_code, 3) << denied.output;
  EXPECT_EQ(denied.output,
            "denied\n"
            "shop/deployment/web: /usr/bin/sh executes /usr/bin/nc, by the given resources\n"
            "shop/tools spec.process.matchPaths[0] stops it.\n"
            "  KubeArmorPolicy shop/tools spec.process.matchPaths[0]: Block\n");
  EXPECT_EQ(ask({"--exec", "/usr/bin/nc", "--process", "/usr/bin/bash"}).exit_code, 0);
  const auto audited = ask({"--open", "/etc/shadow", "-o", "json"});
  EXPECT_EQ(audited.exit_code, 0);
  EXPECT_THAT(audited.output, AllOf(HasSubstr(R"("allowed":true)"), HasSubstr(R"("effect":"AUDIT")"),
                                    HasSubstr(R"("actions":["Audit"])")));
  EXPECT_EQ(ask({"--exec", "nc"}).exit_code, 2);
  EXPECT_EQ(ask({"--exec", "/a", "--open", "/b"}).exit_code, 2);
  EXPECT_EQ(ask({"--open", "/a", "--argument", "x"}).exit_code, 2);
  EXPECT_THAT(Run({"--exec", "/a"}).output, HasSubstr("explain: --from is missing"));
}

TEST_F(ExplainProgram, AsksTheAgentAboutAProgram) {
  agent_.operation.set_allowed(false);
  agent_.operation.set_reason("Because.");
  agent_.Start();
  const auto denied = Run({"--from", "shop/web-0", "--exec", "/bin/x", "--argument", "-v", "--process", "/bin/sh",
                           "--uid", "7", "--owner", "8", "--terminal", "--container", "app"});
  EXPECT_EQ(denied.exit_code, 3);
  EXPECT_THAT(denied.output, HasSubstr("Because."));
  const auto asked = agent_.Asked<v1::ExplainOperationRequest>();
  EXPECT_EQ(asked.from() + asked.container() + asked.program() + asked.execute().path(), "shop/web-0app/bin/sh/bin/x");
  EXPECT_EQ(asked.execute().arguments(0), "-v");
  EXPECT_EQ(asked.uid(), 7U);
  EXPECT_EQ(asked.owner(), 8U);
  EXPECT_TRUE(asked.terminal());
}

TEST_F(ExplainProgram, TakesThePortsNameOfAWorkload) {
  agent_.explanation.set_allowed(true);
  agent_.objects.emplace_back().mutable_resource()->set_yaml(kDatabase);
  agent_.Start();
  const auto port = [&](const std::string& text) {
    const auto result = Run({"--from", "world", "--to", "shop/db", "--port", text});
    EXPECT_EQ(result.exit_code, 0) << result.output;
    const auto asked = agent_.Asked<v1::ExplainRequest>();
    return fmt::format("{}/{}", asked.port(), asked.protocol());
  };
  EXPECT_EQ(port("sql"), "5432/TCP");
  EXPECT_EQ(port("dns/udp"), "53/UDP");
  EXPECT_EQ(port("5432"), "5432/TCP");
  EXPECT_EQ(agent_.Asked<v1::ExplainRequest>().from(), "world");
}

TEST_F(ExplainProgram, AWrongNameOfAPortIsToldTheRightOnes) {
  agent_.objects.emplace_back().mutable_resource()->set_yaml(kDatabase);
  agent_.Start();
  const auto run = [&](const std::string& to, const std::string& port) {
    const auto result = Run({"--from", "world", "--to", to, "--port", port});
    EXPECT_EQ(result.exit_code, 2) << result.output;
    return result.output;
  };
  EXPECT_THAT(run("shop/db", "http"), HasSubstr("its named ports: sql 5432/TCP, dns 53/TCP, dns 53/UDP\n"));
  EXPECT_THAT(run("shop/db", "dns"), HasSubstr("several of that name: dns 53/TCP, dns 53/UDP; give the number"));
  EXPECT_THAT(run("10.0.0.2", "sql"), HasSubstr("only a workload or pod names its ports"));
  EXPECT_THAT(run("shop/db", "sql/GRE"), HasSubstr("the protocol is none of"));
}

TEST_F(ExplainProgram, ByFilesItNamesTheNearestRuleAndTheReason) {
  std::ofstream(files_ / "a.yaml") << kDatabase << R"(---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: sql}]}]
)";
  const auto denied = Run({"--resources", files_ / "a.yaml", "--from", "world", "--to", "shop/db", "--port", "sql"});
  EXPECT_EQ(denied.exit_code, 3);
  EXPECT_EQ(denied.output,
            "denied\n"
            "192.0.3.0 (world) -> shop/db (10.0.0.2) 5432/TCP, by the given resources\n"
            "shop/db isolates shop/db for ingress, and no rule allows it.\n"
            "egress: nothing is decided at 192.0.3.0: it is no workload\n"
            "ingress of shop/db: DENIED: these policies isolate it, and no rule allows the flow\n"
            "  shop/db ingress DEFAULT_DENY\n"
            "  shop/db ingress[0] would allow it, but for:\n"
            "    peer: 192.0.3.0 is not in 192.0.2.0/24\n");
  const auto json = Run(
      {"--resources", files_ / "a.yaml", "--from", "192.0.2.7", "--to", "shop/db", "--port", "dns/UDP", "-o", "json"});
  EXPECT_THAT(json.output,
              AllOf(HasSubstr(R"("reason":"shop/db isolates shop/db for ingress, and no rule allows it.")"),
                    HasSubstr(R"-("differences":["port: 53/UDP is not among sql (5432/TCP)"])-")));
  const auto node = Run({"--resources", files_ / "a.yaml", "--from", "node", "--to", "shop/db", "--port", "1"});
  EXPECT_EQ(node.exit_code, 1);
  EXPECT_THAT(node.output, HasSubstr("node: no address of the node is known here; give an IP address instead"));
}

TEST_F(ExplainProgram, DropReasonsNeedNoAgent) {
  const auto one = Run({"--drop-reason", "quarantined"});
  EXPECT_EQ(one.exit_code, 0);
  EXPECT_THAT(one.output,
              AllOf(StartsWith("QUARANTINED: The workload is in quarantine.\nWhat to do: "), HasSubstr("--release")));
  const auto all = Run({"--drop-reasons"});
  EXPECT_EQ(all.exit_code, 0);
  for (const auto& reason : telemetry::DropReasons()) {
    EXPECT_THAT(all.output, AllOf(HasSubstr(std::string("\n") + reason.name + " "), HasSubstr(reason.meaning)));
  }
  EXPECT_THAT(Run({"--drop-reason", "QUARANTINED", "-o", "json"}).output,
              StartsWith(R"({"reason":"QUARANTINED","meaning":"The workload is in quarantine.","advice":")"));
  const auto wrong = Run({"--drop-reason", "POLICY_DENY"});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.output, HasSubstr("did you mean POLICY_DENIED?"));
  EXPECT_EQ(Run({"--drop-reason", "x", "--drop-reasons"}).exit_code, 2);
  EXPECT_THAT(Run({"--from", "a/b", "--to", "c/d"}).output, HasSubstr("--port is missing"));
}

}  // namespace
}  // namespace sluice::test
