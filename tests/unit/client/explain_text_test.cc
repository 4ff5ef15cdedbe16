#include "ctrl/sluice/explain_text.h"

#include "tests/unit/client/messages.h"

namespace sluice::client {
namespace {

using test::FromJson;

TEST(ExplanationText, AllowedByRulesAtBothEnds) {
  EXPECT_EQ(ExplanationText(FromJson<v1::Explanation>(R"({
    "allowed": true, "auditDenied": false, "protocol": "TCP", "port": 5432, "revision": "7",
    "from": {"namespace": "shop", "workload": "web-0", "address": "10.1.0.2"},
    "to": {"namespace": "shop", "workload": "db-0", "address": "10.1.0.3"},
    "egress": {"verdict": "ALLOWED", "isolated": true, "policies": [
      {"namespace": "shop", "name": "web", "rule": "egress[0]", "effect": "ALLOW", "direction": "EGRESS"}]},
    "ingress": {"verdict": "ALLOWED", "isolated": false}})")),
            "allowed\n"
            "shop/web-0 (10.1.0.2) -> shop/db-0 (10.1.0.3) 5432/TCP, by policy revision 7\n"
            "egress of shop/web-0: ALLOWED\n"
            "  shop/web egress[0] ALLOW\n"
            "ingress of shop/db-0: ALLOWED: no policy isolates it\n");
}

TEST(ExplanationText, QuarantineAsksNoPolicy) {
  EXPECT_EQ(ExplanationText(FromJson<v1::Explanation>(R"({
    "allowed": false, "quarantined": true, "protocol": "TCP", "port": 80, "revision": "7",
    "from": {"namespace": "shop", "workload": "web-0", "address": "10.1.0.2"},
    "to": {"namespace": "shop", "workload": "db-0", "address": "10.1.0.3"},
    "egress": {"verdict": "DENIED", "quarantined": true}, "ingress": {}})")),
            "denied\n"
            "shop/web-0 (10.1.0.2) -> shop/db-0 (10.1.0.3) 80/TCP, by policy revision 7\n"
            "egress of shop/web-0: DENIED: it is in quarantine, and the other end is not on the allow list\n"
            "ingress: no policy of shop/db-0 is asked: quarantine decides\n");
}

TEST(ExplanationText, SaysWhyNoPolicyIsAsked) {
  const auto text = [](const std::string& exempt) {
    return ExplanationText(FromJson<v1::Explanation>(R"({"allowed": true, "protocol": "TCP", "port": 80, "exempt": ")" +
                                                     exempt + R"(", "egress": {}, "ingress": {"verdict": "ALLOWED"},
      "from": {"address": "10.1.0.1", "entity": "node"}, "to": {"namespace": "shop", "workload": "db-0"}})"));
  };
  EXPECT_NE(text("FROM_NODE").find("ALLOWED: no policy is asked, as the node itself is always let in\n"),
            std::string::npos);
  EXPECT_NE(text("TO_ITSELF").find("ALLOWED: no policy is asked, as a workload always reaches itself\n"),
            std::string::npos);
}

TEST(ExplanationText, LinksAreNoted) {
  const std::string text = ExplanationText(FromJson<v1::Explanation>(R"({
    "allowed": true, "protocol": "TCP", "port": 80, "revision": "7",
    "from": {"address": "192.0.2.1", "entity": "world"}, "to": {"address": "192.0.2.2", "entity": "world"},
    "egress": {}, "ingress": {}, "links": [
      {"workload": "shop/web-0", "path": "/usr/bin/python3", "target": "/usr/bin/python3.11"},
      {"policy": {"namespace": "shop", "name": "web", "rule": "egress[1]"}, "workload": "shop/web-0",
       "path": "/opt/current/**", "target": "/opt/a b/**"}]})"));
  EXPECT_NE(text.find("\nnote: in shop/web-0 /usr/bin/python3 is a symbolic link or below one: answered for "
                      "/usr/bin/python3.11\n"
                      "note: shop/web egress[1]: in shop/web-0 /opt/current/** is a symbolic link or below one: no "
                      "program has that path; name \"/opt/a b/**\"\n"),
            std::string::npos)
      << text;
}

TEST(ExplanationText, DefaultDenyNamesThePoliciesThatIsolate) {
  EXPECT_EQ(ExplanationText(FromJson<v1::Explanation>(R"({
    "allowed": false, "protocol": "ICMP", "revision": "8",
    "from": {"address": "192.0.2.1", "entity": "world"},
    "to": {"namespace": "shop", "workload": "db-0", "address": "10.1.0.3"},
    "egress": {},
    "ingress": {"verdict": "DENIED", "isolated": true, "policies": [
      {"namespace": "shop", "name": "db", "effect": "DEFAULT_DENY", "direction": "INGRESS"},
      {"namespace": "shop", "name": "default-deny", "effect": "DEFAULT_DENY", "direction": "INGRESS"}]}})")),
            "denied\n"
            "192.0.2.1 (world) -> shop/db-0 (10.1.0.3) ICMP, by policy revision 8\n"
            "egress: nothing is decided at 192.0.2.1: it is no workload\n"
            "ingress of shop/db-0: DENIED: these policies isolate it, and no rule allows the flow\n"
            "  shop/db ingress DEFAULT_DENY\n"
            "  shop/default-deny ingress DEFAULT_DENY\n");
}

TEST(ExplanationText, SaysTheReasonAndWhatComesNearest) {
  EXPECT_EQ(ExplanationText(FromJson<v1::Explanation>(R"({
    "allowed": false, "protocol": "TCP", "port": 9000, "revision": "8",
    "from": {"address": "192.0.2.1", "entity": "world"},
    "to": {"namespace": "shop", "workload": "db-0", "address": "10.1.0.3"},
    "egress": {}, "reason": "shop/db isolates shop/db-0 for ingress, and no rule allows it.",
    "ingress": {"verdict": "DENIED", "isolated": true, "policies": [
      {"namespace": "shop", "name": "db", "effect": "DEFAULT_DENY", "direction": "INGRESS"}],
      "nearMisses": [{"policy": {"namespace": "shop", "name": "db", "rule": "ingress[0]"},
                      "differences": ["port: 9000/TCP is not among 5432/TCP"]}]}})")),
            "denied\n"
            "192.0.2.1 (world) -> shop/db-0 (10.1.0.3) 9000/TCP, by policy revision 8\n"
            "shop/db isolates shop/db-0 for ingress, and no rule allows it.\n"
            "egress: nothing is decided at 192.0.2.1: it is no workload\n"
            "ingress of shop/db-0: DENIED: these policies isolate it, and no rule allows the flow\n"
            "  shop/db ingress DEFAULT_DENY\n"
            "  shop/db ingress[0] would allow it, but for:\n"
            "    port: 9000/TCP is not among 5432/TCP\n");
}

TEST(ExplanationText, SaysForWhichProcessItIs) {
  EXPECT_EQ(ExplanationText(FromJson<v1::Explanation>(R"({
    "allowed": false, "protocol": "TCP", "port": 5432, "revision": "7",
    "from": {"namespace": "shop", "workload": "web-0", "address": "10.1.0.2"},
    "to": {"namespace": "shop", "workload": "db-0", "address": "10.1.0.3"},
    "egress": {"verdict": "ALLOWED", "isolated": true, "byProcess": true, "process": "/usr/bin/psql", "policies": [
      {"namespace": "shop", "name": "web", "rule": "egress[0]", "effect": "ALLOW", "direction": "EGRESS"}]},
    "ingress": {"verdict": "DENIED", "isolated": true, "byProcess": true, "policies": [
      {"namespace": "shop", "name": "db", "effect": "DEFAULT_DENY", "direction": "INGRESS"}]}})")),
            "denied\n"
            "shop/web-0 (10.1.0.2) -> shop/db-0 (10.1.0.3) 5432/TCP, by policy revision 7\n"
            "egress of shop/web-0: ALLOWED\n"
            "  for /usr/bin/psql\n"
            "  shop/web egress[0] ALLOW\n"
            "ingress of shop/db-0: DENIED: these policies isolate it, and no rule allows the flow\n"
            "  for a process that is not known: name it with --listener\n"
            "  shop/db ingress DEFAULT_DENY\n");
}

TEST(ExplanationText, DenyRuleAndPolicyInAudit) {
  const std::string text = ExplanationText(FromJson<v1::Explanation>(R"({
    "allowed": true, "auditDenied": true, "protocol": "UDP", "port": 53,
    "from": {"namespace": "shop", "workload": "web-0", "address": "10.1.0.2"},
    "to": {"namespace": "shop", "workload": "db-0", "address": "10.1.0.3"},
    "egress": {"verdict": "ALLOWED", "isolated": false, "policies": [
      {"namespace": "shop", "name": "trial", "rule": "egress[0]", "effect": "AUDIT", "would": "DENY"}]},
    "ingress": {"verdict": "DENIED", "isolated": true, "policies": [
      {"namespace": "shop", "name": "no", "rule": "ingress[2]", "effect": "DENY"}]}})"));
  EXPECT_NE(text.find("\npolicies in audit would deny it\n"), std::string::npos) << text;
  EXPECT_NE(
      text.find("\negress of shop/web-0: ALLOWED: no policy isolates it\n  shop/trial egress[0] AUDIT (would DENY)\n"),
      std::string::npos)
      << text;
  EXPECT_NE(text.find("\ningress of shop/db-0: DENIED\n  shop/no ingress[2] DENY\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace sluice::client
