#include "ctrl/explain/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ctrl/explain/world_address.h"
#include "tests/unit/api/world.h"

namespace sluice::explain {
namespace {

using api::kWorld;
using api::MakeView;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

StatusOr<v1::Explanation> Ask(const std::string& from, const std::string& to, const std::string& protocol,
                              std::uint32_t port, const policy::Quarantine& quarantine = {}) {
  static const reconcile::View view = MakeView();
  v1::ExplainRequest request;
  request.set_from(from);
  request.set_to(to);
  request.set_protocol(protocol);
  request.set_port(port);
  return Explain(*view.compiled.snapshot, quarantine, request);
}

TEST(Explain, QuarantineDecidesAlone) {
  policy::Quarantine quarantine{.workloads = {{"shop", "db-0"}}, .allow = {}};
  const auto stopped = Ask("shop/web-0", "shop/db-0", "tcp", 5432, quarantine);
  ASSERT_TRUE(stopped.ok()) << stopped.status();
  EXPECT_FALSE(stopped->allowed());
  EXPECT_TRUE(stopped->quarantined());
  EXPECT_EQ(stopped->ingress().verdict(), "DENIED");
  EXPECT_TRUE(stopped->ingress().quarantined());
  EXPECT_EQ(stopped->ingress().policies_size(), 0);
  EXPECT_EQ(stopped->egress().verdict(), "") << "not asked";
  EXPECT_FALSE(stopped->egress().quarantined());
  quarantine.allow = {policy::Prefix::Parse("10.1.0.2/32").value()};
  const auto spared = Ask("shop/web-0", "shop/db-0", "tcp", 5432, quarantine);
  ASSERT_TRUE(spared.ok()) << spared.status();
  EXPECT_TRUE(spared->allowed());
  EXPECT_FALSE(spared->quarantined());
}

// A policy isolates db-0, but is not evaluated.
TEST(Explain, SaysWhyNoPolicyIsAsked) {
  const auto probe = Ask("10.1.0.1", "shop/db-0", "tcp", 80);
  ASSERT_TRUE(probe.ok()) << probe.status();
  EXPECT_TRUE(probe->allowed());
  EXPECT_EQ(probe->exempt(), "FROM_NODE");
  const auto itself = Ask("shop/db-0", "shop/db-0", "tcp", 80);
  ASSERT_TRUE(itself.ok()) << itself.status();
  EXPECT_TRUE(itself->allowed());
  EXPECT_EQ(itself->exempt(), "TO_ITSELF");
  EXPECT_EQ(Ask("shop/web-0", "shop/db-0", "tcp", 80)->exempt(), "");
  EXPECT_EQ(Ask("10.1.0.1", "192.0.2.1", "tcp", 80)->exempt(), "") << "nothing is decided";
}

StatusOr<v1::Explanation> AskFor(const std::string& process, const std::vector<std::string>& ancestors = {},
                                 const std::string& listener = "", std::uint32_t port = 80,
                                 const FindProgram& find = {}) {
  static const auto snapshot = [] {
    policy::ResourceMap resources;
    const auto parsed = policy::ParseResources("world.yaml", std::string(kWorld) + R"(
---
apiVersion: sluice.dev/v1alpha1
kind: NetworkPolicy
metadata: {name: programs, namespace: shop}
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
  egress:
  - {ports: [{port: 80}], processes: {binaries: ["/usr/bin/*"], ancestors: [/usr/sbin/sshd]}}
  - {ports: [{port: 53}]}
  ingress:
  - {ports: [{port: 80}], processes: {binaries: [/usr/bin/nginx]}}
  - {ports: [{port: 53}]}
)")
                            .value();
    for (const policy::Resource& resource : parsed) resources[resource.id] = resource;
    return *policy::Snapshot::Build(resources, {}, {});
  }();
  v1::ExplainRequest request;
  request.set_from("shop/web-0");
  request.set_to("shop/db-0");
  request.set_protocol("TCP");
  request.set_port(port);
  request.set_process(process);
  request.set_listener(listener);
  request.mutable_ancestors()->Assign(ancestors.begin(), ancestors.end());
  return Explain(*snapshot, {}, request, find);
}

// In both workloads /usr/bin/nginx is a link to nginx-full, and /bin one to /usr/bin.
std::vector<ProgramFile> FindLinks(const policy::ObjectName&, const std::string& path) {
  if (path.ends_with("/nginx")) return {{.path = "/usr/bin/nginx-full"}};
  if (path.starts_with("/bin/")) return {{.path = "/usr" + path}};
  if (path.starts_with("/usr/sbin/")) return {};  // unknown
  return {{.path = path}};
}

TEST(Explain, ALinkIsNoProgram) {
  const auto denied = AskFor("/bin/curl", {"/usr/sbin/sshd"}, "/usr/bin/nginx", 80, FindLinks);
  ASSERT_TRUE(denied.ok()) << denied.status();
  EXPECT_EQ(denied->egress().verdict(), "ALLOWED") << "as /usr/bin/curl, which it is";
  EXPECT_EQ(denied->egress().process(), "/usr/bin/curl");
  EXPECT_EQ(denied->ingress().verdict(), "DENIED") << "no listener has the path that the rule names";
  EXPECT_EQ(denied->ingress().process(), "/usr/bin/nginx-full");
  ASSERT_EQ(denied->links_size(), 3);
  EXPECT_FALSE(denied->links(0).has_policy());
  EXPECT_EQ(denied->links(0).path(), "/bin/curl");
  EXPECT_EQ(denied->links(0).workload(), "shop/web-0");
  EXPECT_EQ(denied->links(0).target(), "/usr/bin/curl");
  EXPECT_EQ(denied->links(1).path(), "/usr/bin/nginx");
  EXPECT_EQ(denied->links(2).policy().name(), "programs");
  EXPECT_EQ(denied->links(2).policy().rule(), "ingress[0]");
  EXPECT_EQ(denied->links(2).workload(), "shop/db-0");
  EXPECT_EQ(denied->links(2).target(), "/usr/bin/nginx-full");
  const auto open = AskFor("/usr/bin/nginx", {}, "", 53, FindLinks);
  ASSERT_TRUE(open.ok()) << open.status();
  EXPECT_EQ(open->links_size(), 1) << "the rules by process have no say there";
}

TEST(Explain, WhatIsNoLinkIsNotNoted) {
  const auto find = [](const policy::ObjectName&, const std::string& path) -> std::vector<ProgramFile> {
    return {{.path = path}};
  };
  const auto allowed = AskFor("/usr/bin/curl", {"/usr/sbin/sshd"}, "/usr/bin/nginx", 80, find);
  ASSERT_TRUE(allowed.ok()) << allowed.status();
  EXPECT_TRUE(allowed->allowed());
  EXPECT_EQ(allowed->links_size(), 0);
}

std::optional<std::string> TargetOf(const std::string& pattern, std::vector<ProgramFile> files) {
  return FindTarget({"shop", "web-0"}, pattern, [&](const policy::ObjectName&, const std::string&) { return files; });
}

TEST(ProgramLinks, TheTargetIsToBeNamed) {
  EXPECT_EQ(TargetOf("/usr/bin/python3", {{.path = "/usr/bin/python3.11"}}), "/usr/bin/python3.11");
  EXPECT_EQ(TargetOf("/opt/current/**", {{.path = "/opt/v1"}}), "/opt/v1/**") << "its directory is a link";
  EXPECT_EQ(TargetOf("/opt/current/b?n/*", {{.path = "/opt/v1"}}), "/opt/v1/b?n/*");
}

TEST(ProgramLinks, WhatMatchesOrIsNotKnownIsLeftAlone) {
  EXPECT_EQ(TargetOf("/usr/bin/python3", {{.path = "/usr/bin/python3"}}), std::nullopt);
  EXPECT_EQ(TargetOf("/usr/bin/python3", {}), std::nullopt) << "it is not there";
  EXPECT_EQ(TargetOf("/bin/curl", {{.path = "/usr/bin/curl"}}), std::nullopt) << "the pattern says that too";
  EXPECT_EQ(TargetOf("/usr/bin/pip", {{.path = "/usr/bin/pip3", .is_script = true}}), std::nullopt)
      << "a script's name counts as it is called by";
  EXPECT_EQ(TargetOf("/usr/bin/python3", {{.path = "/usr/bin/python3.11"}, {.path = "/usr/bin/python3"}}), std::nullopt)
      << "in another container it is none";
  EXPECT_EQ(TargetOf("**/python3", {{.path = "/elsewhere"}}), std::nullopt);
  EXPECT_EQ(TargetOf("/*/python3", {{.path = "/elsewhere"}}), std::nullopt);
}

TEST(Explain, AnswersForTheProcessesThatAreNamed) {
  const auto all = AskFor("/usr/bin/curl", {"/usr/bin/bash", "/usr/sbin/sshd"}, "/usr/bin/nginx");
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_TRUE(all->allowed());
  EXPECT_TRUE(all->egress().by_process());
  EXPECT_EQ(all->egress().process(), "/usr/bin/curl");
  EXPECT_TRUE(all->ingress().by_process());
  EXPECT_EQ(all->ingress().process(), "/usr/bin/nginx");
  EXPECT_EQ(all->ingress().policies(0).rule(), "ingress[0]");
  EXPECT_FALSE(AskFor("/usr/bin/curl", {"/usr/bin/bash"}, "/usr/bin/nginx")->allowed());
  EXPECT_FALSE(AskFor("/opt/curl", {"/usr/sbin/sshd"}, "/usr/bin/nginx")->allowed());
  const auto nobody = AskFor("", {}, "/usr/bin/other");
  EXPECT_EQ(nobody->egress().verdict(), "DENIED") << "not known: closed";
  EXPECT_TRUE(nobody->egress().by_process());
  EXPECT_EQ(nobody->egress().process(), "");
  EXPECT_EQ(nobody->ingress().verdict(), "DENIED");
}

TEST(Explain, WhereNoRuleAsksForTheProcessItSaysNothingOfIt) {
  const auto answer = AskFor("/usr/bin/curl", {}, "", 53);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_TRUE(answer->allowed());
  EXPECT_FALSE(answer->egress().by_process());
  EXPECT_EQ(answer->egress().process(), "");
  EXPECT_FALSE(answer->ingress().by_process());
}

TEST(Explain, RefusesProcessesThatAreNoPaths) {
  for (const auto& [answer, text] :
       {std::pair(AskFor("curl"), "process curl: expected an absolute path"),
        std::pair(AskFor("/" + std::string(511, 'x')), "of at most 511 bytes"),
        std::pair(AskFor("/a", {"/b", "c"}), "ancestor c: expected an absolute path"),
        std::pair(AskFor("", {}, "./nginx"), "listener ./nginx: expected an absolute path"),
        std::pair(AskFor("", {"/a"}), "ancestor /a: name its process too")}) {
    EXPECT_TRUE(absl::IsInvalidArgument(answer.status())) << text;
    EXPECT_THAT(Message(answer.status()), HasSubstr(text));
  }
}

TEST(Explain, NamesTheRuleThatAllowsAndThePolicyOnTrial) {
  const auto answer = Ask("shop/web-0", "shop/db-0", "tcp", 5432);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_TRUE(answer->allowed());
  EXPECT_TRUE(answer->audit_denied());
  EXPECT_EQ(answer->from().address(), "10.1.0.2");
  EXPECT_EQ(answer->to().workload(), "db-0");
  EXPECT_EQ(answer->egress().verdict(), "ALLOWED");
  EXPECT_FALSE(answer->egress().isolated());
  ASSERT_EQ(answer->egress().policies_size(), 1);
  EXPECT_EQ(answer->egress().policies(0).name(), "trial");
  EXPECT_EQ(answer->egress().policies(0).effect(), v1::PolicyRef::AUDIT);
  EXPECT_EQ(answer->egress().policies(0).would(), v1::PolicyRef::DENY);
  EXPECT_TRUE(answer->ingress().isolated());
  ASSERT_EQ(answer->ingress().policies_size(), 1);
  EXPECT_EQ(answer->ingress().policies(0).rule(), "ingress[0]");
  EXPECT_EQ(answer->ingress().policies(0).effect(), v1::PolicyRef::ALLOW);
}

TEST(Explain, NamesThePolicyThatIsolates) {
  const auto answer = Ask("ops/job", "shop/db-0", "TCP", 5432);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_FALSE(answer->allowed());
  EXPECT_EQ(answer->ingress().verdict(), "DENIED");
  ASSERT_EQ(answer->ingress().policies_size(), 1);
  EXPECT_EQ(answer->ingress().policies(0).name(), "db");
  EXPECT_EQ(answer->ingress().policies(0).effect(), v1::PolicyRef::DEFAULT_DENY);
}

TEST(Explain, TakesAddressesAndSaysWhoseTheyAre) {
  const auto answer = Ask("192.0.2.1", "10.1.0.3", "UDP", 53);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->from().entity(), "world");
  EXPECT_EQ(answer->to().workload(), "db-0");
  EXPECT_TRUE(answer->egress().verdict().empty()) << "nothing is decided at an end that is no workload";
  const auto from_node = Ask("10.1.0.1", "shop/db-0", "TCP", 9);
  ASSERT_TRUE(from_node.ok()) << from_node.status();
  EXPECT_EQ(from_node->from().entity(), "node");
  EXPECT_TRUE(from_node->allowed()) << "the node reaches its own pods";
}

TEST(Explain, NamesTheRuleThatComesNearest) {
  const auto answer = Ask("ops/job", "shop/db-0", "TCP", 9000);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->egress().near_misses_size(), 0) << "nothing isolates it";
  ASSERT_EQ(answer->ingress().near_misses_size(), 1);
  const auto& miss = answer->ingress().near_misses(0);
  EXPECT_EQ(miss.policy().name(), "db");
  EXPECT_EQ(miss.policy().rule(), "ingress[0]");
  EXPECT_EQ(miss.policy().kind(), "NetworkPolicy");
  EXPECT_EQ(miss.policy().direction(), v1::Flow::INGRESS);
  EXPECT_THAT(miss.differences(), ElementsAre("peer: ops/job is not in namespace shop",
                                              "peer: ops/job has the label app=job, and the rule asks for app=web",
                                              "port: 9000/TCP is not among 5432/TCP"));
  EXPECT_EQ(Ask("shop/web-0", "shop/db-0", "TCP", 5432)->ingress().near_misses_size(), 0) << "it is allowed";
}

TEST(Explain, SaysTheReasonInASentence) {
  const auto reason = [](const std::string& from, const std::string& to, std::uint32_t port) {
    const auto answer = Ask(from, to, "TCP", port);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? answer->reason() : "";
  };
  EXPECT_EQ(reason("ops/job", "shop/db-0", 5432), "shop/db isolates shop/db-0 for ingress, and no rule allows it.");
  EXPECT_EQ(
      reason("shop/web-0", "shop/db-0", 5432),
      "No policy isolates shop/web-0 for egress; shop/db ingress[0] allows it at shop/db-0. Policies in audit would "
      "deny it.");
  EXPECT_EQ(reason("node", "shop/db-0", 80), "The node itself always reaches shop/db-0; no policy is asked.");
  EXPECT_EQ(reason("shop/db-0", "shop/db-0", 80), "A workload always reaches itself; no policy is asked.");
  EXPECT_EQ(reason("world", "192.0.2.9", 80), "No policy decides it, as neither end is a workload.");
  const auto stopped =
      Ask("shop/web-0", "shop/db-0", "TCP", 5432, policy::Quarantine{.workloads = {{"shop", "db-0"}}, .allow = {}});
  EXPECT_EQ(stopped->reason(), "Quarantine stops it at shop/db-0; no policy is asked.");
}

TEST(Explain, TakesNodeAndWorld) {
  const auto node = Ask("shop/web-0", "node", "TCP", 22);
  ASSERT_TRUE(node.ok()) << node.status();
  EXPECT_EQ(node->to().address(), "10.1.0.1");
  EXPECT_EQ(node->to().entity(), "node");
  const auto world = Ask("world", "shop/db-0", "TCP", 5432);
  ASSERT_TRUE(world.ok()) << world.status();
  EXPECT_EQ(world->from().entity(), "world");
  EXPECT_FALSE(world->allowed());
}

// Addresses that no policy or resource names.
TEST(WorldAddresses, AreNamedByNobody) {
  const auto of = [](const std::string& blocks) {
    policy::ResourceMap resources;
    const std::string policy = R"(
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: blocks, namespace: shop}
spec: {podSelector: {}, ingress: [{from: [)" +
                               blocks + "]}]}\n";
    const auto parsed = policy::ParseResources("world.yaml", kWorld + policy);
    EXPECT_TRUE(parsed.ok()) << parsed.status();
    for (const policy::Resource& resource : *parsed) resources[resource.id] = resource;
    std::vector<std::string> texts;
    for (const auto& address : WorldAddresses(**policy::Snapshot::Build(resources, {}, {}))) {
      texts.push_back(address.ToString());
    }
    return texts;
  };
  EXPECT_THAT(of(""), ElementsAre("192.0.2.1", "2001:db8::1"));
  EXPECT_THAT(of("{ipBlock: {cidr: 0.0.0.0/0}}, {ipBlock: {cidr: '::/0'}}"), ElementsAre("192.0.2.1", "2001:db8::1"));
  EXPECT_THAT(of("{ipBlock: {cidr: 0.0.0.0/0, except: [192.0.0.0/16, 192.1.0.0/31]}}, {ipBlock: {cidr: '2000::/4'}}"),
              ElementsAre("192.1.0.2", "3000::"));
  EXPECT_THAT(of("{ipBlock: {cidr: 128.0.0.0/1}}, {ipBlock: {cidr: '8000::/1'}}"),
              ElementsAre("1.0.0.1", "2001:db8::1"));
  EXPECT_THAT(of("{ipBlock: {cidr: 128.0.0.0/1}}, {ipBlock: {cidr: 0.0.0.0/1}}"), ElementsAre("2001:db8::1"));
}

TEST(Explain, TakesTheFamilyThatBothEndsHave) {
  const auto answer = Ask("shop/web-0", "fd00::9", "ICMPv6", 0);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->from().address(), "fd00::2");
  EXPECT_THAT(Message(Ask("shop/db-0", "fd00::9", "TCP", 1).status()), HasSubstr("different IP families"));
}

TEST(Explain, RefusesWhatDoesNotExist) {
  EXPECT_TRUE(absl::IsNotFound(Ask("shop/nobody", "shop/db-0", "TCP", 1).status()));
  for (const auto& [from, protocol, port, text] :
       {std::tuple("web-0", "TCP", 1U, "web-0: expected namespace/name"),
        std::tuple("/web-0", "TCP", 1U, "/web-0: expected namespace/name"),
        std::tuple("shop/web-0", "TPC", 1U, "protocol TPC"), std::tuple("shop/web-0", "256", 0U, "protocol 256"),
        std::tuple("shop/web-0", "TCP", 65536U, "port 65536"),
        std::tuple("shop/web-0", "ICMP", 8U, "ICMP has no ports")}) {
    const auto answer = Ask(from, "shop/db-0", protocol, port);
    EXPECT_TRUE(absl::IsInvalidArgument(answer.status())) << text;
    EXPECT_THAT(Message(answer.status()), HasSubstr(text));
  }
}

}  // namespace
}  // namespace sluice::explain
