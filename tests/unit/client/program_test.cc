// The verbs that change and ask: exit codes, requests and output.
#include <sys/socket.h>
#include <sys/un.h>

#include <chrono>

#include "base/fd.h"
#include "tests/unit/client/client_program.h"

namespace sluice::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST_F(ClientProgram, ApplySendsFilesDirectoriesAndStandardInput) {
  agent_.applied = FromJson<v1::ApplyReply>(R"({"revision": "7", "changes": [
    {"resource": {"kind": "NetworkPolicy", "namespace": "shop", "name": "db"}, "change": "CREATED"}]})");
  agent_.Start();
  std::filesystem::create_directory(files_ / "d");
  const std::string one = Write("one.yaml", "a: 1\n"), two = Write("two", "b: 2\n");
  const std::string in_directory = Write("d/three.yml", "c: 3\n");
  Write("d/no-resource.txt", "x");
  const auto result = Run({"apply", "-f", one, two, "-f", files_ / "d", "-f", "-"}, "d: 4\n");
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_EQ(result.output, "NetworkPolicy shop/db created\npolicy revision 7\n");
  std::vector<std::pair<std::string, std::string>> sent;
  const auto request = agent_.Asked<v1::ApplyRequest>();
  for (const auto& document : request.documents()) {
    sent.emplace_back(document.origin(), document.yaml());
  }
  EXPECT_THAT(sent, testing::ElementsAre(std::pair(one, "a: 1\n"), std::pair(two, "b: 2\n"),
                                         std::pair(in_directory, "c: 3\n"), std::pair("stdin", "d: 4\n")));
}

TEST_F(ClientProgram, ApplyTakesTheWaitFlags) {
  agent_.Start();
  EXPECT_EQ(Run({"apply", "--wait", "-f", "-"}).exit_code, 0);
  EXPECT_EQ(Run({"apply", "-f", "-", "--no-wait"}).exit_code, 0);
}

TEST_F(ClientProgram, ApplySendsMoreThanGrpcsFourMegabytes) {
  agent_.Start();
  const std::string large(5 << 20, '#');
  const auto result = Run({"apply", "-f", Write("large.yaml", large)});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_EQ(agent_.Asked<v1::ApplyRequest>().documents(0).yaml().size(), large.size());
}

TEST_F(ClientProgram, WrongDocumentsAreAFailureAndNoErrorOfUsage) {
  agent_.Refuse(grpc::StatusCode::INVALID_ARGUMENT, "x.yaml:3: kind Foo: unknown");
  agent_.Start();
  for (const char* verb : {"apply", "delete"}) {
    const auto result = Run({verb, "-f", "-"}, "x");
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.output, "sluice: x.yaml:3: kind Foo: unknown\n");
  }
}

TEST_F(ClientProgram, FilesThatCannotBeReadAreNotSent) {
  agent_.Start();
  std::filesystem::create_directory(files_ / "empty");
  for (const std::string& path : {files_ / "missing.yaml", files_ / "empty"}) {
    const auto result = Run({"apply", "-f", path});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_THAT(result.output, HasSubstr(path));
  }
  EXPECT_FALSE(agent_.WasAsked());
}

TEST_F(ClientProgram, WhatIsNoTextIsNotSent) {
  agent_.Start();
  for (const char* verb : {"apply", "delete"}) {
    const auto result = Run({verb, "-f", "-"}, "a: 1\nb: \xff\n");
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.output, "sluice: stdin:2: byte 0xff is not UTF-8\n");
  }
  EXPECT_FALSE(agent_.WasAsked());
}

TEST_F(ClientProgram, AnErrorWithoutAMessageIsStillOne) {
  agent_.Refuse(grpc::StatusCode::INTERNAL, "");
  agent_.Start();
  const auto result = Run({"status"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, HasSubstr("gRPC's error 13"));
}

TEST_F(ClientProgram, DeleteByNameAndByFile) {
  agent_.deleted = FromJson<v1::DeleteReply>(R"({"revision": "8", "changes": [
    {"resource": {"kind": "NetworkPolicy", "namespace": "shop", "name": "db"}, "change": "REMOVED"}]})");
  agent_.Start();
  const auto result = Run({"delete", "networkpolicy", "db", "-n", "shop"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.output, "NetworkPolicy shop/db removed\npolicy revision 8\n");
  const auto by_name = agent_.Asked<v1::DeleteRequest>();
  ASSERT_EQ(by_name.targets_size(), 1);
  EXPECT_EQ(by_name.targets(0).kind(), "networkpolicy");
  EXPECT_EQ(by_name.targets(0).namespace_(), "shop");
  EXPECT_EQ(by_name.targets(0).name(), "db");
  EXPECT_EQ(by_name.documents_size(), 0);

  EXPECT_EQ(Run({"delete", "-f", "-"}, "kind: X\n").exit_code, 0);
  EXPECT_EQ(agent_.Asked<v1::DeleteRequest>().documents(0).yaml(), "kind: X\n");
}

TEST_F(ClientProgram, DeleteOfWhatIsNotThereFails) {
  agent_.Refuse(grpc::StatusCode::NOT_FOUND, "NetworkPolicy default/db: there is none");
  agent_.Start();
  EXPECT_EQ(Run({"delete", "networkpolicy", "db"}).exit_code, 1);
}

TEST_F(ClientProgram, GetAsTableJsonAndYaml) {
  agent_.objects = {FromJson<v1::Object>(R"({"resource": {"ref": {"name": "shop"}, "json": "{\"kind\":\"Namespace\"}",
                                             "yaml": "kind: Namespace\n", "labels": {"team": "a"}}})"),
                    FromJson<v1::Object>(R"({"resource": {"ref": {"name": "ops"}, "json": "{}", "yaml": "kind: X"}})")};
  agent_.Start();
  const auto table = Run({"get", "namespaces"});
  EXPECT_EQ(table.exit_code, 0);
  EXPECT_EQ(table.output, "NAME  LABELS\nshop  team=a\nops\n");
  EXPECT_FALSE(agent_.Asked<v1::GetRequest>().with_json());

  EXPECT_EQ(Run({"get", "ns", "shop", "-o", "json"}).output, "{\"kind\":\"Namespace\"}\n{}\n");
  EXPECT_TRUE(agent_.Asked<v1::GetRequest>().with_json());
  EXPECT_EQ(agent_.Asked<v1::GetRequest>().name(), "shop");

  EXPECT_EQ(Run({"get", "ns", "-o", "yaml"}).output, "kind: Namespace\n---\nkind: X\n");
  EXPECT_TRUE(agent_.Asked<v1::GetRequest>().with_yaml());
}

TEST_F(ClientProgram, GetOfOtherObjectsIsProtobufsJson) {
  agent_.objects = {FromJson<v1::Object>(R"({"ruleset": {"id": 5, "direction": "EGRESS", "workloads": "2"}})")};
  agent_.Start();
  EXPECT_EQ(Run({"get", "rulesets", "-o", "json"}).output, R"({"id":5,"direction":"EGRESS","workloads":"2"})"
                                                           "\n");
}

TEST_F(ClientProgram, GetOfNothing) {
  agent_.Start();
  EXPECT_EQ(Run({"get", "pods"}).exit_code, 0);
  const auto named = Run({"get", "pods", "a", "-n", "shop"});
  EXPECT_EQ(named.exit_code, 1);
  EXPECT_EQ(named.output, "sluice: pods shop/a: there is none\n");
}

TEST_F(ClientProgram, GetProcessesSaysWhatTheAgentSays) {
  agent_.Refuse(grpc::StatusCode::UNIMPLEMENTED, "this agent does not know processes");
  agent_.Start();
  const auto result = Run({"get", "processes"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.output, "sluice: this agent does not know processes\n");
}

TEST_F(ClientProgram, GetOfFlowsIsLimitedByTheAgent) {
  agent_.Start();
  EXPECT_EQ(Run({"get", "flows", "--limit", "20"}).exit_code, 0);
  EXPECT_EQ(agent_.Asked<v1::GetRequest>().limit(), 20U);
  EXPECT_EQ(Run({"get", "pods", "--limit", "20"}).exit_code, 2);
}

TEST_F(ClientProgram, ExplainExitsWithTheAnswer) {
  agent_.explanation.set_allowed(true);
  agent_.Start();
  const Arguments question{"explain", "--from", "shop/web-0", "--to", "10.1.0.3", "--port", "53/UDP"};
  const auto allowed = Run(question);
  EXPECT_EQ(allowed.exit_code, 0);
  EXPECT_THAT(allowed.output, StartsWith("allowed\n"));
  const auto asked = agent_.Asked<v1::ExplainRequest>();
  EXPECT_EQ(asked.from(), "shop/web-0");
  EXPECT_EQ(asked.to(), "10.1.0.3");
  EXPECT_EQ(asked.protocol(), "UDP");
  EXPECT_EQ(asked.port(), 53U);
}

TEST_F(ClientProgram, ExplainAsksForProcesses) {
  agent_.explanation.set_allowed(true);
  agent_.Start();
  Arguments question{"explain", "--from", "a/b", "--to", "c/d", "--port", "80"};
  EXPECT_EQ(Run(question).exit_code, 0);
  EXPECT_EQ(agent_.Asked<v1::ExplainRequest>().process(), "");
  question.insert(question.end(), {"--process", "/bin/psql", "--ancestor", "/bin/bash", "--ancestor", "/sbin/sshd",
                                   "--listener", "/bin/postgres"});
  const auto result = Run(question);
  EXPECT_EQ(result.exit_code, 0) << result.output;
  const auto asked = agent_.Asked<v1::ExplainRequest>();
  EXPECT_EQ(asked.process(), "/bin/psql");
  EXPECT_EQ(asked.listener(), "/bin/postgres");
  EXPECT_THAT(asked.ancestors(), testing::ElementsAre("/bin/bash", "/sbin/sshd"));
}

TEST_F(ClientProgram, QuarantineAndRelease) {
  agent_.quarantined.set_revision(7);
  agent_.Start();
  const auto cut = Run({"quarantine", "shop/web-0"});
  EXPECT_EQ(cut.exit_code, 0) << cut.output;
  EXPECT_EQ(cut.output, "Workload shop/web-0 quarantined\npolicy revision 7\n");
  auto asked = agent_.Asked<v1::QuarantineRequest>();
  EXPECT_EQ(asked.namespace_(), "shop");
  EXPECT_EQ(asked.name(), "web-0");
  EXPECT_FALSE(asked.release());
  const auto released = Run({"quarantine", "--release", "shop/web-0"});
  EXPECT_EQ(released.output, "Workload shop/web-0 released\npolicy revision 7\n");
  EXPECT_TRUE(agent_.Asked<v1::QuarantineRequest>().release());
  agent_.Refuse(grpc::StatusCode::NOT_FOUND, "Workload shop/x: there is none");
  const auto refused = Run({"quarantine", "shop/x"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_EQ(refused.output, "sluice: Workload shop/x: there is none\n");
}

TEST_F(ClientProgram, QuarantineWantsANamespaceAndAName) {
  agent_.Start();
  for (const char* workload : {"web-0", "/web-0", "shop/", "shop/web/0"}) {
    const auto wrong = Run({"quarantine", workload});
    EXPECT_EQ(wrong.exit_code, 2);
    EXPECT_THAT(wrong.output, HasSubstr("expected namespace/name"));
  }
  EXPECT_EQ(Run({"quarantine"}).exit_code, 2);
  EXPECT_FALSE(agent_.WasAsked());
}

TEST_F(ClientProgram, ExplainDenied) {
  agent_.explanation.set_allowed(false);
  agent_.Start();
  Arguments question{"explain", "--from", "a/b", "--to", "c/d", "--port", "ICMP"};
  const auto text = Run(question);
  EXPECT_EQ(text.exit_code, 3);
  EXPECT_THAT(text.output, StartsWith("denied\n"));
  question.insert(question.end(), {"-o", "json"});
  const auto json = Run(question);
  EXPECT_EQ(json.exit_code, 3);
  EXPECT_EQ(json.output, "{\"allowed\":false}\n");
}

TEST_F(ClientProgram, WhatTheAgentRefusesOfTheCommandLineIsUsage) {
  agent_.Refuse(grpc::StatusCode::INVALID_ARGUMENT, "web: expected namespace/name or an IP address");
  agent_.Start();
  EXPECT_EQ(Run({"explain", "--from", "web", "--to", "c/d", "--port", "1"}).exit_code, 2);
  agent_.Refuse(grpc::StatusCode::NOT_FOUND, "a/b: no such workload or pod");
  EXPECT_EQ(Run({"explain", "--from", "a/b", "--to", "c/d", "--port", "1"}).exit_code, 1);
}

TEST_F(ClientProgram, StatusIsZeroOnlyWhenReady) {
  agent_.state.set_ready(true);
  agent_.Start();
  const auto ready = Run({"status"});
  EXPECT_EQ(ready.exit_code, 0);
  EXPECT_THAT(ready.output, StartsWith("enforcing: "));
  EXPECT_EQ(Run({"status", "-o", "json"}).output, "{\"ready\":true}\n");
}

v1::AgentStatus WithAClosedWorkload(bool ready) {
  v1::AgentStatus status;
  status.set_ready(ready);
  auto& unbound = *status.add_unbound();
  unbound.set_namespace_("shop");
  unbound.set_name("db-0");
  unbound.set_problem("no netns");
  return status;
}

TEST_F(ClientProgram, StatusSaysWhyItIsNotReady) {
  agent_.state = WithAClosedWorkload(false);
  agent_.Start();
  const auto result = Run({"status"});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.output, HasSubstr("not ready: "));
  EXPECT_THAT(result.output, HasSubstr("shop/db-0: no netns"));
  EXPECT_EQ(Run({"status", "-o", "json"}).exit_code, 4);
}

TEST_F(ClientProgram, StatusOfAnAgentThatEnforcesSaysWhatIsClosed) {
  agent_.state = WithAClosedWorkload(true);
  agent_.Start();
  const auto result = Run({"status"});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.output, HasSubstr("enforcing: "));
  EXPECT_THAT(result.output, HasSubstr("\n1 workload is closed: nothing passes there\n"));
  EXPECT_THAT(result.output, HasSubstr("the first is shop/db-0: no netns\n"));
}

TEST_F(ClientProgram, StatusWaitsUntilEverythingIsInPlace) {
  agent_.state = WithAClosedWorkload(true);
  agent_.Start();
  EXPECT_EQ(Run({"status", "--wait", "0.6"}).exit_code, 4);
  v1::AgentStatus ready;
  ready.set_ready(true);
  agent_.SetStates({WithAClosedWorkload(false), WithAClosedWorkload(true)}, ready);
  EXPECT_EQ(Run({"status", "--wait"}).exit_code, 0);
  EXPECT_EQ(Run({"status", "--wait=1"}).exit_code, 0);
  EXPECT_EQ(Run({"status", "--wait", "soon"}).exit_code, 2);
  EXPECT_EQ(RunAt("unix://" + files_ / "nobody.sock", {"status", "--wait", "0.1"}).exit_code, 1);
}

TEST_F(ClientProgram, StatusSaysWhatOthersChanged) {
  agent_.state.set_ready(false);
  agent_.state.set_integrity_problem("xdp_uplink at eth0: another program is attached there");
  auto& repair = *agent_.state.add_repairs();
  repair.set_what("settings");
  repair.set_count(2);
  agent_.Start();
  const auto result = Run({"status"});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.output, HasSubstr("NOT PUT BACK YET: xdp_uplink at eth0: another program is attached there"));
  EXPECT_THAT(result.output, HasSubstr("settings"));
  EXPECT_THAT(result.output, HasSubstr("it cannot be put back: xdp_uplink at eth0"));
}

const std::vector<Arguments>& EveryAgentVerb() {
  static const std::vector<Arguments> verbs = {
      {"apply", "-f", "-"}, {"delete", "pod", "a"},
      {"get", "pods"},      {"explain", "--from", "a/b", "--to", "c/d", "--port", "1"},
      {"observe"},          {"observe", "-f"},
      {"status"},
  };
  return verbs;
}

TEST_F(ClientProgram, WithoutAnAgentEveryVerbFailsAtOnceAndNamesTheSocket) {
  for (const Arguments& verb : EveryAgentVerb()) {
    const auto result = Run(verb);
    EXPECT_EQ(result.exit_code, 1) << verb.front();
    EXPECT_THAT(result.output, HasSubstr(agent_.address()));
    EXPECT_THAT(result.output, HasSubstr("is sluiced running"));
  }
}

TEST_F(ClientProgram, ASocketThatNobodyServesFailsWithinSeconds) {
  const std::string path = files_ / "silent.sock";
  const Fd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  ASSERT_LT(path.size(), sizeof(address.sun_path));
  path.copy(address.sun_path, path.size());
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(listener.get(), 8), 0);
  const auto begin = std::chrono::steady_clock::now();
  const auto result = RunAt("unix://" + path, {"status"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, HasSubstr("is sluiced running"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
}

TEST_F(ClientProgram, ServerIsAlsoTakenAfterTheVerb) {
  agent_.state.set_ready(true);
  agent_.Start();
  const auto result = RunCommand({Program(), "status", "--server", agent_.address()});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 0) << result->output;
}

TEST_F(ClientProgram, UninstallWhereAnAgentAnswersNamesItsDirectories) {
  agent_.state.set_bpf_root("/sys/fs/bpf/mine");
  agent_.state.set_state_dir("/var/lib/mine");
  agent_.Start();
  for (const Arguments& arguments : {Arguments{"uninstall"}, {"uninstall", "--bpf-root", "/sys/fs/bpf/other"}}) {
    const auto result = Run(arguments);
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_THAT(result.output, testing::HasSubstr("--bpf-root /sys/fs/bpf/mine --state-dir /var/lib/mine"));
  }
}

TEST_F(ClientProgram, UninstallOfAnAgentThatDoesNotAnswerTakesNoDirectoriesOfAnother) {
  const auto result = Run({"uninstall"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.output, testing::HasSubstr("name them by --bpf-root and --state-dir"));
}

// ---- selection by `get` ----

v1::Object Labelled(const std::string& name, const std::string& app) {
  return FromJson<v1::Object>(R"({"resource": {"ref": {"kind": "Pod", "namespace": "shop", "name": ")" + name +
                              R"("}, "labels": {"app": ")" + app + R"("}, "pod": {}}})");
}

TEST_F(ClientProgram, GetTakesSeveralNamesAndNamespaces) {
  agent_.objects = {Labelled("a", "web")};
  agent_.Start();
  EXPECT_EQ(Run({"get", "pods", "shop/a", "b", "-o", "name"}).output, "pod/a\npod/a\n") << "one call for each";
  const auto last = agent_.Asked<v1::GetRequest>();
  EXPECT_EQ(last.name(), "b");
  EXPECT_EQ(last.namespace_(), "");
  EXPECT_EQ(Run({"get", "pods", "shop/a"}).exit_code, 0);
  EXPECT_EQ(agent_.Asked<v1::GetRequest>().namespace_(), "shop");
  EXPECT_EQ(agent_.Asked<v1::GetRequest>().name(), "a");
  EXPECT_EQ(Run({"get", "pods", "-A"}).exit_code, 0);
  EXPECT_EQ(Run({"get", "pods", "-A", "-n", "shop"}).exit_code, 2);
  EXPECT_EQ(Run({"get", "pods", "shop/a", "-n", "ops"}).exit_code, 2);
}

TEST_F(ClientProgram, GetSelectsByLabels) {
  agent_.objects = {Labelled("a", "web"), Labelled("b", "db"), Labelled("c", "web")};
  agent_.Start();
  const auto names = [&](const std::string& selector) {
    return Run({"get", "pods", "-o", "name", "-l", selector}).output;
  };
  EXPECT_EQ(names("app=web"), "pod/a\npod/c\n");
  EXPECT_EQ(names("app==web,app"), "pod/a\npod/c\n");
  EXPECT_EQ(names("app!=web"), "pod/b\n");
  EXPECT_EQ(names("app in (db, cache)"), "pod/b\n");
  EXPECT_EQ(names("app notin (db),!old"), "pod/a\npod/c\n");
  EXPECT_EQ(names("old"), "");
  EXPECT_EQ(Run({"get", "pods", "-l", "=x"}).exit_code, 2);
  EXPECT_EQ(Run({"get", "flows", "-l", "a=b"}).exit_code, 2);
}

TEST_F(ClientProgram, GetOfNothingSaysSo) {
  agent_.Start();
  const auto result = Run({"get", "pods", "-n", "shop"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.output, "no pods found in namespace shop\n");
  EXPECT_EQ(Run({"get", "pods", "-o", "json"}).output, "");
  EXPECT_EQ(Run({"get", "pods", "x"}).exit_code, 1);
}

}  // namespace
}  // namespace sluice::test
