// The verbs that list, describe and change resources: the real program against an agent with prepared answers.
#include <gmock/gmock.h>

#include <unistd.h>

#include <csignal>
#include <fstream>

#include "testbed/command.h"
#include "tests/unit/client/fake_agent.h"
#include "tests/unit/client/messages.h"

namespace sluice::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string ResourcesProgram() {
  const char* directory = std::getenv("SLUICE_BIN_DIR");
  return std::string(directory == nullptr ? "build/bin" : directory) + "/sluice";
}

v1::Object Policy(const std::string& more = "") {
  return FromJson<v1::Object>(R"({"resource": {
    "ref": {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "namespace": "shop", "name": "db"},
    "yaml": "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: db\n  namespace: shop\nspec:\n  podSelector: {}\n",
    "json": "{\"metadata\":{\"name\":\"db\",\"namespace\":\"shop\"}}",
    "policy": {"mode": "Enforce", "directions": ["INGRESS"], "selected": 3, "workloads": ["shop/db-0", "shop/db-1"]})" +
                              more + "}}");
}

v1::Object Workload(const std::string& name, const std::string& problem = "") {
  return FromJson<v1::Object>(R"({"resource": {"ref": {"kind": "Workload", "namespace": "shop", "name": ")" + name +
                              R"("}, "json": "{\"metadata\":{\"name\":\")" + name +
                              R"(\"},\"status\":{\"ips\":[\"10.1.0.2\",\"fd00::2\"]}}", "origin": "API",
                              "workload": {"ips": ["10.1.0.2"], "ifindex": 7, "identity": 259,
                              "ingressPolicies": ["NetworkPolicy shop/a", "NetworkPolicy shop/b",
                              "NetworkPolicy shop/c", "NetworkPolicy shop/d"], "problem": ")" +
                              problem + R"("}}})");
}

class Resources : public testing::Test {
 protected:
  CommandResult Run(const Arguments& arguments, const std::string& input = "") { return RunWith({}, arguments, input); }
  // With environment variables: "EDITOR=...".
  CommandResult RunWith(const Arguments& variables, const Arguments& arguments, const std::string& input = "") {
    Arguments all{"env", "HOME=" + (files_ / "home")};
    all.insert(all.end(), variables.begin(), variables.end());
    all.insert(all.end(), {ResourcesProgram(), "--server", agent_.address()});
    all.insert(all.end(), arguments.begin(), arguments.end());
    return RunPlain(all, input);
  }
  static CommandResult RunPlain(const Arguments& all, const std::string& input = "") {
    const auto result = RunCommand(all, input);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : CommandResult{};
  }
  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = files_ / name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  std::string WriteProgram(const std::string& name, const std::string& script) {
    const std::string path = Write(name, "#!/bin/sh\n" + script);
    std::filesystem::permissions(path, std::filesystem::perms(0755));
    return path;
  }

  TemporaryDirectory files_;
  FakeAgent agent_;
};

// ---- changes ----

TEST_F(Resources, ApplySaysWhatTheDirectoryHasToo) {
  agent_.applied = FromJson<v1::ApplyReply>(R"({"revision": "7", "changes": [
    {"resource": {"kind": "NetworkPolicy", "namespace": "shop", "name": "db"}, "change": "REPLACED", "inForce": "API",
     "shadows": true}]})");
  agent_.deleted = FromJson<v1::DeleteReply>(R"({"revision": "8", "changes": [
    {"resource": {"kind": "NetworkPolicy", "namespace": "shop", "name": "db"}, "change": "REMOVED",
     "inForce": "DIRECTORY"}]})");
  agent_.Start();
  EXPECT_EQ(Run({"apply", "-f", "-"}, "x").output,
            "NetworkPolicy shop/db replaced; it counts instead of another source's (resources directory, Kubernetes)\n"
            "policy revision 7\n");
  EXPECT_EQ(Run({"delete", "netpol", "shop/db"}).output,
            "NetworkPolicy shop/db removed; the one in the resources directory is in force now\npolicy revision 8\n");
}

TEST_F(Resources, ADryRunIsAskedForAndSaid) {
  agent_.applied = FromJson<v1::ApplyReply>(R"({"revision": "7", "changes": [
    {"resource": {"kind": "NetworkPolicy", "namespace": "shop", "name": "db"}, "change": "CREATED"}]})");
  agent_.Start();
  const auto result = Run({"apply", "--dry-run", "-f", "-"}, "x");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.output, "NetworkPolicy shop/db created (dry run)\ndry run: nothing was changed\n");
  EXPECT_TRUE(agent_.Asked<v1::ApplyRequest>().dry_run());
  EXPECT_EQ(Run({"delete", "--dry-run", "pod", "a"}).exit_code, 0);
  EXPECT_TRUE(agent_.Asked<v1::DeleteRequest>().dry_run());
}

TEST_F(Resources, DeleteOfAllIsInOneNamespaceUnlessItIsAskedForEvery) {
  agent_.Start();
  const auto target = [&] { return agent_.Asked<v1::DeleteRequest>().targets(0); };
  EXPECT_EQ(Run({"delete", "pods", "--all"}).exit_code, 0);
  EXPECT_TRUE(target().all());
  EXPECT_EQ(target().namespace_(), "default");
  EXPECT_EQ(Run({"delete", "pods", "--all", "-n", "shop"}).exit_code, 0);
  EXPECT_EQ(target().namespace_(), "shop");
  EXPECT_EQ(Run({"delete", "pods", "--all", "-A"}).exit_code, 0);
  EXPECT_EQ(target().namespace_(), "");
  EXPECT_EQ(Run({"delete", "pods", "shop/a", "--ignore-not-found"}).exit_code, 0);
  EXPECT_TRUE(agent_.Asked<v1::DeleteRequest>().ignore_not_found());
  EXPECT_EQ(target().namespace_(), "shop");
  EXPECT_EQ(target().name(), "a");
  for (const Arguments& wrong : {Arguments{"delete", "pods", "a", "--all"},
                                 {"delete", "pods", "a", "-A"},
                                 {"delete", "pods", "shop/a", "-n", "ops"},
                                 {"delete", "-f", "-", "--all"}}) {
    EXPECT_EQ(Run(wrong).exit_code, 2) << testing::PrintToString(wrong);
  }
}

TEST_F(Resources, ValidateIsAnotherNameOfCheck) {
  const std::string file = Write("p.yaml", Policy().resource().yaml());
  const auto result = Run({"validate", "-f", file});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.output, "1 objects in 1 files: all right\n");
  EXPECT_THAT(Run({"valdate", "-f", file}).output, HasSubstr("did you mean validate?"));
}

TEST_F(Resources, ValidateChecksTracingPoliciesWhole) {
  const auto policy = [](const std::string& type) {
    return "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: p}\nspec:\n  kprobes:\n"
           "  - {call: sys_write, args: [{index: 0, type: " +
           type + "}]}\n";
  };
  const std::string file = Write("p.yaml", policy("fd"));
  const auto right = Run({"validate", "-f", file});
  EXPECT_EQ(right.exit_code, 0);
  EXPECT_EQ(right.output, "1 objects in 1 files: all right\n");
  const auto wrong = Run({"validate", "-f", Write("w.yaml", policy("fdd"))});
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_THAT(wrong.output,
              HasSubstr("w.yaml:6:41: TracingPolicy/p: spec.kprobes[0].args[0].type: unknown type \"fdd\": "
                        "did you mean fd?\n"));
}

TEST_F(Resources, ValidateChecksKubeArmorPoliciesAndIsLenientOnRequest) {
  const auto policy = [](const std::string& key) {
    return "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\nmetadata: {name: p, namespace: shop}\nspec:\n"
           "  file:\n    matchDirectories:\n    - {dir: /etc/, " +
           key + ": true}\n";
  };
  const std::string file = Write("p.yaml", policy("recursive")), misspelt = Write("m.yaml", policy("recurive"));
  const auto right = Run({"validate", "-f", file});
  EXPECT_EQ(right.exit_code, 0);
  EXPECT_EQ(right.output, "1 objects in 1 files: all right\n");
  const std::string what = "spec.file.matchDirectories[0].recurive: unknown field: did you mean recursive?\n";
  const auto strict = Run({"validate", "-f", misspelt});
  EXPECT_EQ(strict.exit_code, 1);
  EXPECT_THAT(strict.output, HasSubstr("m.yaml:7:20: KubeArmorPolicy/p: " + what));
  const auto lenient = Run({"validate", "--lenient", "-f", misspelt});
  EXPECT_EQ(lenient.exit_code, 0);
  EXPECT_THAT(lenient.output, HasSubstr("m.yaml:7: KubeArmorPolicy/p: warning: " + what));
  agent_.Start();
  for (const bool asks : {false, true}) {
    Arguments arguments = {"apply", "-f", misspelt};
    if (asks) arguments.emplace_back("--lenient");
    EXPECT_EQ(Run(arguments).exit_code, 0) << "the agent decides";
    EXPECT_EQ(agent_.Asked<v1::ApplyRequest>().read().lenient(), asks);
  }
}

TEST_F(Resources, DiffShowsWhatApplyWouldChange) {
  agent_.objects = {Policy()};
  agent_.Start();
  const auto same = Run({"diff", "-f", Write("same.yaml", Policy().resource().yaml())});
  EXPECT_EQ(same.exit_code, 0) << same.output;
  EXPECT_EQ(same.output, "");
  const auto asked = agent_.Asked<v1::GetRequest>();
  EXPECT_EQ(asked.kind(), "networkpolicy.networking.k8s.io");
  EXPECT_EQ(asked.namespace_(), "shop");
  EXPECT_EQ(asked.name(), "db");
  const std::string file =
      Write("other.yaml",
            "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: db, namespace: shop}, "
            "spec: {podSelector: {matchLabels: {app: db}}}}");
  const auto differs = Run({"diff", "-f", file});
  EXPECT_EQ(differs.exit_code, 1);
  EXPECT_THAT(differs.output, AllOf(StartsWith("--- NetworkPolicy shop/db (in force)\n+++ " + file + "\n@@ "),
                                    HasSubstr("\n-  podSelector: {}\n"), HasSubstr("\n+      app: db\n")));
  agent_.List({});
  const auto is_new = Run({"diff", "-f", file});
  EXPECT_EQ(is_new.exit_code, 1);
  EXPECT_THAT(is_new.output, AllOf(StartsWith("--- NetworkPolicy shop/db (not there)\n"), Not(HasSubstr("\n-"))));
}

// `script` gives the program a terminal.
TEST_F(Resources, DiffHasColorsWhereTheTerminalTakesThem) {
  agent_.Start();
  const std::string file = Write("new.yaml", Policy().resource().yaml());
  const auto has_colors = [&](const std::string& environment) {
    const auto result = RunCommand({"bash", "-c",
                                    fmt::format("script -qec 'env -u NO_COLOR {} {} --server {} diff -f {}' /dev/null "
                                                "< /dev/null",
                                                environment, Program(), agent_.address(), file)});
    EXPECT_TRUE(result.ok()) << result.status();
    EXPECT_THAT(result->output, HasSubstr("podSelector"));
    return result->output.find("\x1b[") != std::string::npos;
  };
  EXPECT_TRUE(has_colors("TERM=xterm"));
  EXPECT_TRUE(has_colors("TERM=xterm NO_COLOR=")) << "an empty value asks for nothing";
  EXPECT_FALSE(has_colors("TERM=xterm NO_COLOR=1"));
  EXPECT_FALSE(has_colors("TERM=dumb"));
}

TEST_F(Resources, DiffReadsAsApplyDoes) {
  agent_.Start();
  const std::string one = Write("one.yaml", Policy().resource().yaml());
  const std::string two = Write("two.yaml", Policy().resource().yaml());
  const auto twice = Run({"diff", "-f", one, two});
  EXPECT_EQ(twice.exit_code, 2);
  EXPECT_THAT(twice.output, HasSubstr("two.yaml:1: NetworkPolicy shop/db: defined twice: " + one + ":1 has it too"));
  const std::string mixed = Write("mixed.yaml",
                                  "{apiVersion: v1, kind: Service, metadata: {name: s}}\n---\n"
                                  "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p}, "
                                  "spec: {podSelector: {}}}\n");
  const auto notices = Run({"diff", "--skip-unknown", "-f", mixed});
  EXPECT_EQ(notices.exit_code, 1);
  EXPECT_THAT(notices.output, AllOf(HasSubstr("mixed.yaml:1: Service/s: left out: "),
                                    HasSubstr("mixed.yaml: 1 object has no namespace: using \"default\"")));
}

TEST_F(Resources, AnErrorOfDiffIsNoDifference) {
  agent_.Start();
  const auto bad = Run({"diff", "-f", Write("bad.yaml", "kind: Nothing\n")});
  EXPECT_EQ(bad.exit_code, 2);
  EXPECT_THAT(bad.output, HasSubstr("bad.yaml:1"));
  EXPECT_EQ(Run({"diff", "-f", files_ / "missing.yaml"}).exit_code, 2);
  agent_.Refuse(grpc::StatusCode::PERMISSION_DENIED, "you may not");
  EXPECT_EQ(Run({"diff", "-f", Write("p.yaml", Policy().resource().yaml())}).exit_code, 2);
}

TEST_F(Resources, EditAppliesWhatWasChanged) {
  agent_.objects = {Policy()};
  agent_.applied = FromJson<v1::ApplyReply>(R"({"revision": "7", "changes": [
    {"resource": {"kind": "NetworkPolicy", "namespace": "shop", "name": "db"}, "change": "REPLACED"}]})");
  agent_.Start();
  const std::string editor =
      WriteProgram("editor", "sed -i 's/podSelector: {}/podSelector: {matchLabels: {a: b}}/' $1");
  const auto result = RunWith({"EDITOR=" + editor}, {"edit", "netpol", "db", "-n", "shop"});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_EQ(result.output, "NetworkPolicy shop/db replaced\npolicy revision 7\n");
  EXPECT_THAT(agent_.Asked<v1::ApplyRequest>().documents(0).yaml(),
              AllOf(StartsWith("apiVersion: "), HasSubstr("matchLabels: {a: b}")));
}

TEST_F(Resources, EditWithoutAChangeAppliesNothing) {
  agent_.objects = {Policy()};
  agent_.Start();
  for (const char* editor : {"true", "cp /dev/null"}) {
    const auto result = RunWith({std::string("VISUAL=") + editor}, {"edit", "netpol", "shop/db"});
    EXPECT_EQ(result.exit_code, 0) << result.output;
    EXPECT_EQ(result.output, "NetworkPolicy shop/db unchanged\n");
    agent_.Asked<v1::GetRequest>();
  }
  EXPECT_EQ(RunWith({"EDITOR=false"}, {"edit", "netpol", "shop/db"}).exit_code, 1);
}

TEST_F(Resources, EditShowsARefusalInTheFileAndEndsWhenItIsLeftSo) {
  agent_.objects = {Policy()};
  agent_.Start();
  // The first run makes an error, the second keeps a copy and gives up.
  const std::string editor = WriteProgram(
      "editor", "if grep -q 'It was refused' $1; then cp $1 " + (files_ / "seen") + "; else echo 'x: 1' >> $1; fi\n");
  const auto result = RunWith({"EDITOR=" + editor}, {"edit", "netpol", "shop/db"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, HasSubstr("unknown field"));
  std::ifstream file(files_ / "seen");
  const std::string seen{std::istreambuf_iterator<char>(file), {}};
  EXPECT_THAT(seen, AllOf(StartsWith("# NetworkPolicy shop/db: save and end"),
                          HasSubstr("\n# It was refused:\n# edit:"), HasSubstr("\nx: 1\n")));
  agent_.Asked<v1::GetRequest>();
}

TEST_F(Resources, EditKeepsTheName) {
  agent_.objects = {Policy()};
  agent_.Start();
  const std::string editor = WriteProgram("editor", "sed -i 's/name: db/name: other/' $1");
  const auto result = RunWith({"EDITOR=" + editor}, {"edit", "netpol", "shop/db"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, HasSubstr("has to stay the one document networking.k8s.io/v1 NetworkPolicy shop/db"));
}

// ---- get ----

TEST_F(Resources, GetShowsTheOriginWhereADirectoryIsInvolved) {
  agent_.objects = {Policy()};
  agent_.Start();
  EXPECT_THAT(Run({"get", "netpol"}).output, Not(HasSubstr("ORIGIN")));
  agent_.List({Policy(R"(, "origin": "API", "shadows": true)"), Policy(R"(, "origin": "DIRECTORY")")});
  EXPECT_THAT(Run({"get", "netpol"}).output,
              AllOf(HasSubstr("SELECTED  ORIGIN\n"), HasSubstr("3  api, shadows another source\n"),
                    HasSubstr("3  directory\n")));
}

TEST_F(Resources, GetWideShowsWhatIsBehind) {
  agent_.objects = {Workload("web-0")};
  agent_.Start();
  EXPECT_THAT(Run({"get", "workloads", "-o", "wide"}).output,
              AllOf(HasSubstr("ORIGIN  OWNER  INGRESS-POLICIES"),
                    HasSubstr("NetworkPolicy shop/a, NetworkPolicy shop/b, NetworkPolicy shop/c and 1 more  -\n")));
  agent_.List({Policy()});
  EXPECT_THAT(Run({"get", "netpol", "-o", "wide"}).output, HasSubstr("shop/db-0, shop/db-1\n"));
}

TEST_F(Resources, GetPicksValuesByJsonPathAndCustomColumns) {
  agent_.objects = {Workload("web-0"), Workload("web-1")};
  agent_.Start();
  EXPECT_EQ(Run({"get", "workloads", "-o", R"(jsonpath={.items[*].metadata.name}{"\n"})"}).output, "web-0 web-1\n");
  EXPECT_TRUE(agent_.Asked<v1::GetRequest>().with_json());
  EXPECT_EQ(Run({"get", "workloads", "-o", "custom-columns=NAME:.metadata.name,IPS:.status.ips[*],X:.x"}).output,
            "NAME   IPS               X\nweb-0  10.1.0.2,fd00::2  <none>\nweb-1  10.1.0.2,fd00::2  <none>\n");
  agent_.List({Workload("web-0")});
  EXPECT_EQ(Run({"get", "workload", "web-0", "-o", "jsonpath={.metadata.name}"}).output, "web-0")
      << "the object itself";
  for (const char* form : {"jsonpath={.a", "jsonpath={..a}", "custom-columns=", "custom-columns=NAME", "xml"}) {
    EXPECT_EQ(Run({"get", "workloads", "-o", form}).exit_code, 2) << form;
  }
}

TEST_F(Resources, GetTakesSeveralKinds) {
  agent_.objects = {Policy()};
  agent_.Start();
  const auto result = Run({"get", "networkpolicies,namespaces"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, AllOf(StartsWith("NAMESPACE  NAME"), HasSubstr("\n\nNAME  LABELS\ndb\n")));
  EXPECT_EQ(Run({"get", "netpol,ns", "-o", "json"}).output,
            Policy().resource().json() + "\n" + Policy().resource().json() + "\n");
  EXPECT_EQ(Run({"get", "netpol,frobs"}).exit_code, 2);
  EXPECT_EQ(Run({"get", "netpol,"}).exit_code, 2);
  agent_.List({});
  EXPECT_EQ(Run({"get", "netpol,pods", "-n", "shop"}).output, "no netpol,pods found in namespace shop\n");
  const auto missing = Run({"get", "netpol,pods", "x"});
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_EQ(missing.output, "sluice: netpol x: there is none\npods x: there is none\n");
}

TEST_F(Resources, GetWatchPrintsWhatChangesAgain) {
  agent_.objects = {Workload("web-0"), Workload("web-1")};
  agent_.Start();
  auto watching = ChildProcess::Start({ResourcesProgram(), "--server", agent_.address(), "get", "workloads", "-w"});
  ASSERT_TRUE(watching.ok()) << watching.status();
  ASSERT_TRUE(watching->WaitForOutput("web-1").ok());
  agent_.List({Workload("web-0"), Workload("web-1", "its interface has gone")});
  ASSERT_TRUE(watching->WaitForOutput("its interface has gone").ok());
  agent_.List({Workload("web-1", "its interface has gone")});
  ASSERT_TRUE(watching->WaitForOutput("web-0: it has been removed").ok());
  ASSERT_TRUE(watching->Signal(SIGINT).ok());
  const auto result = watching->Wait();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 0);
  const auto count = [&](const std::string& text) {
    int found = 0;
    for (std::size_t at = 0; (at = result->output.find(text, at)) != std::string::npos; ++at) found++;
    return found;
  };
  EXPECT_EQ(count("NAMESPACE"), 1) << result->output;
  EXPECT_EQ(count("shop       web-0"), 1) << result->output;
  EXPECT_EQ(count("shop       web-1"), 2) << result->output;
}

TEST_F(Resources, GetWatchIsForOneKindThatDoesNotPass) {
  agent_.Start();
  EXPECT_EQ(Run({"get", "netpol,pods", "-w"}).exit_code, 2);
  const auto flows = Run({"get", "flows", "-w"});
  EXPECT_EQ(flows.exit_code, 2);
  EXPECT_THAT(flows.output, HasSubstr("observe -f"));
}

// ---- describe ----

v1::Event FlowOf(const std::string& policy) {
  return FromJson<v1::Event>(R"({"flow": {"time": "2026-03-04T05:06:07Z", "type": "flow", "event": "NEW",
    "verdict": "DROPPED", "source": {"namespace": "shop", "workload": "web-0"}, "ip": {"destination": "10.1.0.3"},
    "policies": [{"kind": "NetworkPolicy", "namespace": "shop", "name": ")" +
                             policy + R"(", "effect": "DEFAULT_DENY"}]}})");
}

TEST_F(Resources, DescribeOfAWorkload) {
  agent_.objects = {Workload("web-0")};
  agent_.events = {FlowOf("a")};
  agent_.Start();
  const auto result = Run({"describe", "workload", "shop/web-0", "--flows", "3"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, AllOf(StartsWith("Workload shop/web-0\n  Origin:     api\n  Addresses:  10.1.0.2\n"),
                                   HasSubstr("  State:      enforced\n  Quarantine: no\n"),
                                   HasSubstr("Ingress policies:\n  NetworkPolicy shop/a\n"),
                                   HasSubstr("Egress policies:\n  none: it is not isolated, and may talk to all\n"),
                                   HasSubstr("Last flows:\n  2026-03-04T05:06:07.000Z NEW    DROPPED")));
  const auto asked = agent_.Asked<v1::ObserveRequest>();
  EXPECT_EQ(asked.last(), 3U);
  EXPECT_EQ(asked.filter().workload(), "web-0");
  EXPECT_EQ(asked.filter().type(), "flow");
}

TEST_F(Resources, DescribeOfAPolicy) {
  agent_.objects = {Policy()};
  agent_.events = {FlowOf("db"), FlowOf("another")};
  agent_.Start();
  const auto result = Run({"describe", "networkpolicy", "db", "-n", "shop"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, AllOf(HasSubstr("Selects:    all workloads and pods of its namespace\n"),
                                   HasSubstr("Ingress:\n  no rules: nothing is allowed by this policy\n"),
                                   HasSubstr("Egress:\n  not isolated by this policy\n"),
                                   HasSubstr("selects:\n  shop/db-0\n  shop/db-1\n  and 1 more\n"),
                                   HasSubstr("shop/db DEFAULT_DENY"), Not(HasSubstr("shop/another"))));
  EXPECT_EQ(agent_.Asked<v1::ObserveRequest>().filter().policies(0), "shop/db");
}

TEST_F(Resources, DescribeOfAClusterNetworkPolicy) {
  agent_.objects = {FromJson<v1::Object>(R"({"resource": {
    "ref": {"apiVersion": "sluice.dev/v1alpha1", "kind": "ClusterNetworkPolicy", "name": "guard"},
    "yaml": "apiVersion: sluice.dev/v1alpha1\nkind: ClusterNetworkPolicy\nmetadata:\n  name: guard\nspec:\n  namespaceSelector:\n    matchLabels:\n      team: a\n  defaultDeny: false\n",
    "policy": {"mode": "Enforce", "selected": 1, "workloads": ["shop/db-0"]}}})")};
  agent_.events = {FlowOf("guard")};
  agent_.Start();
  const auto result = Run({"describe", "scnp", "guard"});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, AllOf(StartsWith("ClusterNetworkPolicy guard\n"),
                                   HasSubstr("Isolates:   no: a flow that no rule matches is left to other policies\n"),
                                   HasSubstr("Selects:    all workloads and pods, of namespaces with team=a\n"),
                                   HasSubstr("Ingress:\n  no rules\n"), Not(HasSubstr("shop/guard"))));
  EXPECT_EQ(agent_.Asked<v1::ObserveRequest>().filter().policies(0), "guard");
}

TEST_F(Resources, DescribeOfWhatIsNotThere) {
  agent_.Start();
  const auto result = Run({"describe", "workload", "web-0"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.output, "sluice: workload default/web-0: there is none; `sluice get workload` lists them\n");
  EXPECT_EQ(Run({"describe", "flows", "x"}).exit_code, 2);
  EXPECT_EQ(Run({"describe", "workload"}).exit_code, 2);
}

// ---- the configuration file ----

class Config : public Resources {
 protected:
  void Write(const std::string& text) { Resources::Write("home/.config/sluice/config", text); }
  CommandResult RunBare(const Arguments& arguments, const Arguments& variables = {}) {
    Arguments all{"env", "-u", "XDG_CONFIG_HOME", "HOME=" + (files_ / "home")};
    all.insert(all.end(), variables.begin(), variables.end());
    all.push_back(ResourcesProgram());
    all.insert(all.end(), arguments.begin(), arguments.end());
    return RunPlain(all);
  }
};

TEST_F(Config, SetsServerOutputAndNamespace) {
  agent_.objects = {Policy()};
  agent_.Start();
  Write("# mine\nserver = " + agent_.address() + "\noutput = json\nnamespace = shop\n");
  const auto result = RunBare({"get", "netpol"});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_EQ(result.output, Policy().resource().json() + "\n");
  EXPECT_EQ(agent_.Asked<v1::GetRequest>().namespace_(), "shop");
  EXPECT_EQ(RunBare({"delete", "pod", "a"}).exit_code, 0);
  EXPECT_EQ(agent_.Asked<v1::DeleteRequest>().targets(0).namespace_(), "shop");
  EXPECT_THAT(RunBare({"status"}).output, StartsWith("{}\n"));
}

TEST_F(Config, WhatIsTypedAndTheEnvironmentCountMore) {
  agent_.objects = {Policy()};
  agent_.Start();
  Write("server = /nowhere\noutput = json\nnamespace = shop\n");
  const std::string server = "SLUICE_SERVER=" + agent_.address();
  EXPECT_EQ(RunBare({"get", "netpol"}).exit_code, 1);
  EXPECT_EQ(RunBare({"--server", agent_.address(), "get", "netpol"}).exit_code, 0);
  EXPECT_THAT(RunBare({"get", "netpol", "-o", "table", "-n", "ops"}, {server}).output, StartsWith("NAMESPACE"));
  EXPECT_EQ(agent_.Asked<v1::GetRequest>().namespace_(), "ops");
  EXPECT_EQ(RunBare({"get", "netpol", "-A"}, {server}).exit_code, 0);
  EXPECT_EQ(agent_.Asked<v1::GetRequest>().namespace_(), "");
  EXPECT_EQ(RunBare({"get", "netpol", "ops/x"}, {server}).exit_code, 0);
  EXPECT_EQ(agent_.Asked<v1::GetRequest>().namespace_(), "ops");
  EXPECT_EQ(RunBare({"get", "identities"}, {server}).exit_code, 0) << "they are in no namespace";
}

// In a mount namespace, which has an /etc of its own.
Arguments WithMachinesFile(const std::string& text, const Arguments& command) {
  Arguments all{"unshare",
                geteuid() == 0 ? "-m" : "-rm",
                "bash",
                "-ec",
                "mount -t tmpfs none /etc; mkdir /etc/sluice; printf %s \"$1\" >/etc/sluice/client.conf; shift; "
                "exec \"$@\"",
                "bash",
                text};
  all.insert(all.end(), command.begin(), command.end());
  return all;
}

TEST_F(Config, TheCommandLineThenTheEnvironmentThenTheUsersFileThenTheMachines) {
  agent_.objects = {Policy()};
  agent_.Start();
  const std::string here = "server = " + agent_.address() + "\n", nowhere = "server = /nowhere\n";
  const auto run = [&](const std::string& machines, const std::string& users, const Arguments& variables = {},
                       const Arguments& typed = {}) {
    Write(users);
    Arguments command{"env", "-u", "XDG_CONFIG_HOME", "HOME=" + (files_ / "home")};
    command.insert(command.end(), variables.begin(), variables.end());
    command.push_back(Program());
    command.insert(command.end(), typed.begin(), typed.end());
    command.insert(command.end(), {"get", "netpol"});
    return RunPlain(WithMachinesFile(machines, command));
  };
  const std::string environment = "SLUICE_SERVER=" + agent_.address();
  const auto by_machine = run(here + "namespace = ops\n", "");
  EXPECT_EQ(by_machine.exit_code, 0) << by_machine.output;
  EXPECT_EQ(agent_.Asked<v1::GetRequest>().namespace_(), "ops");
  EXPECT_EQ(run(here, nowhere).exit_code, 1);
  EXPECT_EQ(run(nowhere, here).exit_code, 0);
  EXPECT_EQ(run(nowhere, nowhere, {environment}).exit_code, 0);
  EXPECT_EQ(run(here, here, {"SLUICE_SERVER=/nowhere"}).exit_code, 1);
  EXPECT_EQ(run(nowhere, nowhere, {"SLUICE_SERVER=/nowhere"}, {"--server", agent_.address()}).exit_code, 0);
  const auto wrong = run("colour = blue\n", here);
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.output, HasSubstr("/etc/sluice/client.conf: colour: unknown setting"));
}

TEST_F(Config, AWrongSettingIsNamedWithItsFile) {
  for (const char* text : {"colour = blue\n", "output = xml-of-a-kind\n[get]\noutput = json\n", "namespace =\n"}) {
    Write(text);
    const auto result = RunBare({"version", "--client"});
    EXPECT_EQ(result.exit_code, 2) << text;
    EXPECT_THAT(result.output, HasSubstr("home/.config/sluice/config: ")) << text;
  }
}

}  // namespace
}  // namespace sluice::test
