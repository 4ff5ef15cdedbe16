// Output of the other verbs.
#include <gmock/gmock.h>

#include "ctrl/sluice/changes_text.h"
#include "ctrl/sluice/describe_text.h"
#include "ctrl/sluice/object_table.h"
#include "ctrl/sluice/some_of.h"
#include "ctrl/sluice/status_text.h"
#include "tests/unit/client/messages.h"

namespace sluice::client {
namespace {

using test::FromJson;
using ::testing::HasSubstr;

TEST(ChangesText, OneLineAResourceAndTheRevision) {
  const auto reply = FromJson<v1::ApplyReply>(R"({"revision": "7", "changes": [
    {"resource": {"kind": "Namespace", "name": "shop"}, "change": "CREATED"},
    {"resource": {"kind": "NetworkPolicy", "namespace": "shop", "name": "db"}, "change": "REPLACED"},
    {"resource": {"kind": "Pod", "namespace": "ops", "name": "a"}, "change": "UNCHANGED"},
    {"resource": {"kind": "Workload", "namespace": "ops", "name": "b"}, "change": "REMOVED"}]})");
  EXPECT_EQ(ChangesText(reply.changes(), reply.revision()),
            "Namespace shop created\n"
            "NetworkPolicy shop/db replaced\n"
            "Pod ops/a unchanged\n"
            "Workload ops/b removed\n"
            "policy revision 7\n");
}

std::string TableOf(const char* kind, const std::vector<const char*>& objects) {
  const auto selection = api::ParseKind(kind);
  EXPECT_TRUE(selection.ok()) << selection.status();
  std::vector<v1::Object> parsed;
  for (const char* object : objects) parsed.push_back(FromJson<v1::Object>(object));
  const Table table = ToTable(*selection, parsed);
  return table.ToString();
}

TEST(ObjectTable, Workloads) {
  EXPECT_EQ(TableOf("workloads",
                    {R"({"resource": {"ref": {"namespace": "shop", "name": "web-0"}, "labels": {"b": "2", "app": "web"},
                         "workload": {"ips": ["10.1.0.2", "fd00::2"], "ifindex": 4, "identity": 259}}})",
                     R"({"resource": {"ref": {"namespace": "shop", "name": "db-0"},
                         "workload": {"problem": "netns /x: it does not exist"}}})",
                     R"({"resource": {"ref": {"namespace": "shop", "name": "bad"},
                         "workload": {"ips": ["10.1.0.9"], "ifindex": 5, "identity": 260, "quarantined": true}}})"}),
            "NAMESPACE  NAME   IPS               IDENTITY  IFINDEX  LABELS       STATE\n"
            "shop       web-0  10.1.0.2,fd00::2  259       4        app=web,b=2  enforced\n"
            "shop       db-0                     -         -                     netns /x: it does not exist\n"
            "shop       bad    10.1.0.9          260       5                     quarantined\n");
}

TEST(ObjectTable, PodsNamespacesAndPolicies) {
  EXPECT_EQ(TableOf("po", {R"({"resource": {"ref": {"namespace": "ops", "name": "m"}, "labels": {"app": "m"},
                               "pod": {"ips": ["10.2.0.7"], "hostNetwork": true, "finished": true}}})"}),
            "NAMESPACE  NAME  IPS       HOST-NETWORK  PHASE     LABELS\n"
            "ops        m     10.2.0.7  yes           finished  app=m\n");
  EXPECT_EQ(TableOf("ns", {R"({"resource": {"ref": {"name": "shop"}, "labels": {"team": "a"}}})"}),
            "NAME  LABELS\n"
            "shop  team=a\n");
  EXPECT_EQ(
      TableOf("netpol", {R"({"resource": {"ref": {"apiVersion": "sluice.dev/v1alpha1", "namespace": "s", "name": "p"},
                                   "policy": {"directions": ["INGRESS", "EGRESS"], "selected": 3, "mode": "Audit"}}})"}),
      "NAMESPACE  NAME  API                  MODE   ISOLATES        SELECTED\n"
      "s          p     sluice.dev/v1alpha1  Audit  INGRESS,EGRESS         3\n");
}

TEST(ObjectTable, ClusterNetworkPolicies) {
  EXPECT_EQ(
      TableOf("scnp", {R"({"resource": {"ref": {"name": "base"},
                                 "policy": {"directions": ["INGRESS"], "selected": 30, "mode": "Enforce"}}})",
                       R"({"resource": {"ref": {"name": "guard"}, "policy": {"selected": 3, "mode": "Audit"}}})"}),
      "NAME   MODE     ISOLATES  SELECTED\n"
      "base   Enforce  INGRESS         30\n"
      "guard  Audit    -                3\n");
}

constexpr const char* kFiles = R"({"resource": {"ref": {"name": "files"}, "tracingPolicy": {
  "state": "enabled", "memoryBytes": 5000, "hooks": [
    {"hook": "the system call openat", "attached": "raw tracepoint sys_enter", "matches": 4,
     "counts": [{"what": "posted", "count": 3}, {"what": "signalled", "count": 1}]},
    {"hook": "nothing", "counts": [{"what": "posted", "count": 2}]}]}}})";

TEST(ObjectTable, TracingPolicies) {
  EXPECT_EQ(
      TableOf("tp", {kFiles, R"({"resource": {"ref": {"name": "bad"}, "tracingPolicy": {
                                       "state": "error", "problem": "there is no such function"}}})"}),
      "NAME   STATE                             HOOKS                                                             "
      "                  MEMORY  MATCHES  ACTIONS\n"
      "files  enabled                           the system call openat by raw tracepoint sys_enter, nothing "
      "(this kernel has none)   5 KiB        4  posted 5, signalled 1\n"
      "bad    error: there is no such function  -                                                                 "
      "                       -        0  -\n");
  EXPECT_THAT(TableOf("tpn", {R"({"resource": {"ref": {"namespace": "shop", "name": "files"},
                                  "tracingPolicy": {"state": "monitor"}}})"}),
              HasSubstr("\nshop       files  monitor"));
}

TEST(DescribeText, TracingPolicy) {
  const auto text = DescribeText(FromJson<v1::Object>(kFiles).resource(), {});
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_THAT(*text,
              HasSubstr("  State:      enabled\n  Memory:     5 KiB in the kernel\nHooks:\n"
                        "  the system call openat by raw tracepoint sys_enter: matches 4, posted 3, signalled 1\n"
                        "  nothing (this kernel has none): matches 0, posted 2\n"));
}

TEST(ObjectTable, IdentitiesRulesetsAndFlows) {
  EXPECT_EQ(TableOf("identities", {R"({"identity": {"id": 259, "namespace": "shop", "description": "shop{app=web}",
                                       "addresses": ["10.1.0.2", "fd00::2"]}})"}),
            "ID   DESCRIPTION    ADDRESSES\n"
            "259  shop{app=web}  10.1.0.2,fd00::2\n");
  EXPECT_EQ(TableOf("rulesets", {R"({"ruleset": {"id": 5, "direction": "EGRESS", "policies": ["shop/a", "shop/b"],
                                     "workloads": "12"}})"}),
            "ID  DIRECTION  WORKLOADS  POLICIES\n"
            "5   EGRESS            12  shop/a, shop/b\n");
  EXPECT_NE(TableOf("flows", {R"({"flow": {"verdict": "AUDIT", "l4": {"protocol": "UDP"}}})"}).find("\nAUDIT    UDP"),
            std::string::npos);
}

TEST(ObjectTable, LongListsAreCut) {
  EXPECT_EQ(TableOf("rulesets", {R"({"ruleset": {"id": 5, "direction": "EGRESS", "workloads": "1", "policies": [
                                     "a/1", "a/2", "a/3", "a/4", "a/5", "a/6", "a/7", "a/8", "a/9", "a/10"]}})"}),
            "ID  DIRECTION  WORKLOADS  POLICIES\n"
            "5   EGRESS             1  a/1, a/2, a/3, a/4, a/5, a/6, a/7, a/8 and 2 more\n");
  EXPECT_EQ(SomeOf(std::vector<int>{1, 2, 3}, ",", 2), "1,2,3") << "as short as 'and 1 more'";
  EXPECT_EQ(SomeOf(std::vector<int>{}, ","), "");
}

TEST(StatusText, SaysWhatIsNotClosed) {
  const auto status = FromJson<v1::AgentStatus>(R"({"ready": true, "unbound": [
      {"namespace": "a", "name": "b", "problem": "no netns", "open": true},
      {"namespace": "a", "name": "c", "problem": "the words NOT closed decide nothing"}]})");
  EXPECT_FALSE(IsInPlace(status));
  EXPECT_EQ(NotInPlaceText(status),
            "1 workload is closed: nothing passes there; 1 workload neither enforced on nor closed; the first is a/b: "
            "no netns");
}

TEST(StatusText, ShowsHookPoliciesAndWhichAreNotInForce) {
  const auto status = FromJson<v1::AgentStatus>(R"({"ready": true, "hookPolicies": [
    {"ref": {"kind": "TracingPolicyNamespaced", "namespace": "shop", "name": "bad"},
     "facts": {"state": "error", "problem": "there is no such function"}},
    {"ref": {"kind": "TracingPolicy", "name": "files"},
     "facts": {"state": "enabled", "memoryBytes": 4096,
               "hooks": [{"hook": "the system call openat", "attached": "kprobe __x64_sys_openat", "matches": 4}]}}]})");
  EXPECT_THAT(
      StatusText(status),
      HasSubstr("HOOK POLICY  STATE    HOOKS                                              MEMORY  MATCHES  ACTIONS\n"
                "shop/bad     error    -                                                       -        0  -\n"
                "files        enabled  the system call openat by kprobe __x64_sys_openat   4 KiB        4  -\n"
                "shop/bad is not in force: there is no such function\n"));
  EXPECT_FALSE(IsInPlace(status));
  EXPECT_EQ(NotInPlaceText(status), "TracingPolicyNamespaced shop/bad is not in force: there is no such function");
}

TEST(StatusText, ShowsWhatDetectionRulesMetAndMissed) {
  const std::string text = StatusText(FromJson<v1::AgentStatus>(R"({"detectionRules": {"inForce": true,
    "problem": "r.yaml:3:1: wrong", "files": ["r.yaml"], "events": "100", "missing": "io_uring",
    "rules": [{"rule": "Key read", "priority": "WARNING", "matches": "7", "lost": "2", "missed": "1"},
              {"rule": "Silent", "priority": "DEBUG"}],
    "outputs": [{"output": "http", "sent": "5", "lost": "1", "queued": "3", "problem": "nobody listens"}]}})"));
  EXPECT_THAT(text, HasSubstr("detection rules in force: 2, of 1 files; events: 100\n"
                              "the newest rules files are not in force: r.yaml:3:1: wrong\nno sensor: io_uring\n"));
  EXPECT_THAT(text, testing::ContainsRegex("Key read +WARNING +7 +2 +1\n"));
  EXPECT_THAT(text, testing::Not(HasSubstr("Silent")));
  EXPECT_THAT(text, testing::ContainsRegex("http +5 +1 +3 +nobody listens\n"));
}

TEST(StatusText, SaysThatAnUplinkCarriesTunnels) {
  EXPECT_THAT(StatusText(FromJson<v1::AgentStatus>(R"({"programs": [
    {"program": "xdp_uplink", "interface": "eth0", "ifindex": 2, "mode": "xdp native",
     "tunnels": ["geneve gn0", "vxlan flannel.1"]},
    {"program": "xdp_uplink", "interface": "eth1", "ifindex": 3, "mode": "xdp native"}]})")),
              HasSubstr("eth1       3        xdp native\n"
                        "eth0 carries geneve gn0, vxlan flannel.1: xdp_uplink sees only the outer packets\n"));
}

TEST(StatusText, EverySection) {
  EXPECT_EQ(StatusText(FromJson<v1::AgentStatus>(R"({
    "ready": true, "version": "0.1.0", "node": "n1", "startTime": "2026-03-04T05:06:07Z", "revision": "7",
    "generation": "9", "workloads": "2", "followers": "1",
    "unbound": [{"namespace": "shop", "name": "db-0", "problem": "no netns"}],
    "closed": [{"interface": "veth1", "ifindex": 7, "problem": "by an earlier agent"}],
    "quarantine": {"workloads": ["shop/bad", "shop/worse"], "allow": ["10.0.0.0/8", "fd00::1/128"]},
    "programs": [{"program": "tc_from_pod", "interface": "v-web", "ifindex": 4, "mode": "tcx"}],
    "maps": [{"name": "flows", "entries": "50", "capacity": "200"}, {"name": "empty"}],
    "lost": [{"cause": "RING_FULL", "count": "3"}],
    "features": [{"name": "tcx", "present": true, "cost": "x"}, {"name": "lsm", "present": false, "cost": "no hooks"}]
    })")),
            "enforcing: policy revision 7, generation 9, workloads 2\n"
            "1 workload and 1 interface are closed: nothing passes there\n"
            "sluiced 0.1.0 on n1 since 2026-03-04T05:06:07.000Z, followers 1\n"
            "\nNOT ENFORCED ON      BECAUSE\nshop/db-0            no netns\ninterface veth1 (7)  by an earlier agent\n"
            "\nIN QUARANTINE\nshop/bad\nshop/worse\nallowed peers: 10.0.0.0/8, fd00::1/128\n"
            "\nPROGRAM      INTERFACE  IFINDEX  MODE\ntc_from_pod  v-web      4        tcx\n"
            "\nMAP    ENTRIES  CAPACITY   FILL  REFUSED\nflows       50       200  25.0%        0\n"
            "empty        0         0   0.0%        0\n"
            "\nLOST EVENTS  COUNT\nRING_FULL        3\n"
            "\nKERNEL FEATURE  PRESENT  WITHOUT IT\ntcx             yes\nlsm             no       no hooks\n");
}

}  // namespace
}  // namespace sluice::client
