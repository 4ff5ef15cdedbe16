// Which of several rules decides.
#include "tests/unit/policy_lsm/policies.h"

namespace sluice::policy::lsm {
namespace {

std::string RuleOf(const std::string& list, const std::string& target, const std::string& action) {
  return "{file: {" + list + ": [{" + target + ", action: " + action + "}]}}";
}

// What a policy with the rule of `first` and one with that of `second` say together, either one being first.
std::string Both(const std::string& first, const std::string& second, const std::string& path,
                 const std::string& program = "") {
  const Opening opening{.path = path};
  const std::string one = Policies({first, second}).OnClosed(opening, {.program = program});
  const std::string other = Policies({second, first}).OnClosed(opening, {.program = program});
  EXPECT_EQ(one.substr(0, one.find(':')), other.substr(0, other.find(':'))) << first << second;
  return one;
}

TEST(LsmOrder, ThePreciseRuleDecides) {
  struct OrderCase {
    std::string list, target;  // of the more precise rule
    std::string other_list, other_target;
  };
  const std::vector<OrderCase> cases = {
      {"matchPaths", "path: /etc/a", "matchDirectories", "dir: /etc/"},
      {"matchPaths", "path: /etc/a", "matchPatterns", "pattern: '/etc/?'"},
      {"matchDirectories", "dir: /etc/", "matchDirectories", "dir: /, recursive: true"},
      {"matchDirectories", "dir: /etc/", "matchDirectories", "dir: /etc/, recursive: true"},
      {"matchPatterns", "pattern: '/etc/*'", "matchDirectories", "dir: /etc/"},
      {"matchPatterns", "pattern: '/etc/a*'", "matchPatterns", "pattern: '/etc/*'"},
      {"matchDirectories", "dir: /etc/, recursive: true", "matchPatterns", "pattern: '/**/a'"},
      {"matchDirectories", "dir: /, recursive: true, fromSource: [{path: /p}]", "matchPaths", "path: /etc/a"},
  };
  for (const OrderCase& one : cases) {
    for (const auto& [action, opposite] : {std::pair("Allow", "Block"), std::pair("Block", "Allow")}) {
      EXPECT_EQ(Both(RuleOf(one.list, one.target, action), RuleOf(one.other_list, one.other_target, opposite), "/etc/a",
                     "/p"),
                fmt::format("{}: a spec.file.{}[0]", action, one.list))
          << one.target << " | " << one.other_target;
    }
  }
}

TEST(LsmOrder, BlockGoesBeforeAllow) {
  const std::string block = RuleOf("matchPaths", "path: /etc/a", "Block");
  EXPECT_EQ(Both(block, RuleOf("matchPaths", "path: /etc/a", "Allow"), "/etc/a"), "Block: a spec.file.matchPaths[0]");
  // A Block rule that says nothing about the owner leaves the decision to others.
  const std::string owners = RuleOf("matchPaths", "path: /etc/a, ownerOnly: true", "Block");
  EXPECT_EQ(Both(owners, RuleOf("matchPaths", "path: /etc/a", "Allow"), "/etc/a"), "Allow: b spec.file.matchPaths[0]");
  EXPECT_EQ(Both(owners, RuleOf("matchPaths", "path: /etc/b", "Allow"), "/etc/a"),
            "Block: posture b spec.file.matchPaths[0]");
}

TEST(LsmOrder, ProgramNamesComeAfterPaths) {
  const auto process = [](const std::string& rule, const std::string& action) {
    return "{process: {" + rule + "}, action: " + action + "}";
  };
  const Policies policies({process("matchPaths: [{execname: ls}]", "Block"),
                           process("matchPaths: [{path: /opt/ls}]", "Allow"),
                           process("matchDirectories: [{dir: /usr/bin/}]", "Allow")});
  EXPECT_EQ(policies.OnClosed(Execution{.path = "/opt/ls"}), "Allow: b spec.process.matchPaths[0]");
  EXPECT_EQ(policies.OnClosed(Execution{.path = "/usr/bin/ls"}), "Block: a spec.process.matchPaths[0]");
}

TEST(LsmOrder, AuditOpensAndClosesNothing) {
  const std::string audit = RuleOf("matchPaths", "path: /etc/a", "Audit");
  EXPECT_EQ(Both(audit, RuleOf("matchDirectories", "dir: /etc/", "Block"), "/etc/a"),
            "Block: b spec.file.matchDirectories[0]");
  EXPECT_EQ(Both(audit, RuleOf("matchDirectories", "dir: /etc/", "Allow"), "/etc/a"),
            "Audit: a spec.file.matchPaths[0]");
  EXPECT_EQ(Both(audit, RuleOf("matchDirectories", "dir: /var/", "Allow"), "/etc/a"),
            "Block: posture b spec.file.matchDirectories[0]");
  // By the posture "audit", the report names the rule.
  EXPECT_EQ(Policies({audit, RuleOf("matchDirectories", "dir: /var/", "Allow")}).On(Opening{.path = "/etc/a"}),
            "Audit: a spec.file.matchPaths[0]");
  EXPECT_EQ(Both(RuleOf("matchDirectories", "dir: /etc/", "Audit"), audit, "/etc/a"),
            "Audit: b spec.file.matchPaths[0]");
}

TEST(LsmOrder, PosturesAreOfTheirSection) {
  const std::string all =
      "{process: {matchPaths: [{path: /a}]}, file: {matchPaths: [{path: /a}]}, network: {matchProtocols: [{protocol: "
      "udp}], matchPeers: [{cidr: 10.0.0.0/8}]}, capabilities: {matchCapabilities: [{capability: chown}]}, action: "
      "Allow}";
  const Policies policies({all});
  const std::vector<std::pair<Operation, Postures>> operations = {
      {Execution{.path = "/b"}, {.file = Posture::kBlock}},
      {Opening{.path = "/b"}, {.file = Posture::kBlock}},
      {SocketCreation{{.family = 2, .type = 1}}, {.network = Posture::kBlock}},
      {Contact{.address = *Address::Parse("192.0.2.1")}, {.network = Posture::kBlock}},
      {CapabilityUse{13}, {.capabilities = Posture::kBlock}}};
  for (const auto& [operation, postures] : operations) {
    EXPECT_EQ(policies.On(operation).substr(0, 14), "Audit: posture");
    for (const auto& [other, closed] : operations) {
      const bool same = closed == postures;
      EXPECT_EQ(policies.On(operation, {}, closed).substr(0, 14), same ? "Block: posture" : "Audit: posture");
    }
  }
}

TEST(LsmOrder, PosturesAreAnnotationsOfTheNamespace) {
  const auto postures = PosturesOf({{"kubearmor-file-posture", "block"}, {"other", "x"}});
  ASSERT_TRUE(postures.ok());
  EXPECT_EQ(*postures, (Postures{.file = Posture::kBlock}));
  const Postures closed{Posture::kBlock, Posture::kBlock, Posture::kBlock};
  EXPECT_EQ(*PosturesOf({{"kubearmor-network-posture", "audit"}}, closed),
            (Postures{Posture::kBlock, Posture::kAudit, Posture::kBlock}));
  EXPECT_EQ(*PosturesOf({{"kubearmor-capabilities-posture", "block"}}), (Postures{.capabilities = Posture::kBlock}));
  EXPECT_EQ(Message(PosturesOf({{"kubearmor-file-posture", "deny"}}).status()),
            "annotation kubearmor-file-posture: must be audit or block, got \"deny\"");
}

}  // namespace
}  // namespace sluice::policy::lsm
