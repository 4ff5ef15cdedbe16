// Rules by process with real programs: copies of bash and perl, named like clients and servers, in real pods.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

using nlohmann::json;

constexpr int kTimedOut = 124;  // exit code of timeout(1): dropped packets get no answer

class ProcessPolicy : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    auto fixture = NodeFixture::Create({.pods = {"web", "db"}, .args = {}, .outside = false});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    programs_ = fixture_->agent().directory() + "/programs";
    std::filesystem::create_directory(programs_);
    for (const char* name : {"psql", "curl", "login"}) std::filesystem::copy_file("/bin/bash", Program(name));
    for (const char* name : {"postgres", "redis", "worker"}) std::filesystem::copy_file("/usr/bin/perl", Program(name));
    db_ = fixture_->ip4("db").ToString();
  }
  void TearDown() override {
    servers_.clear();
    if (!programs_.empty()) std::filesystem::remove_all(programs_);
  }

  std::string Program(const std::string& name) const { return programs_ + "/" + name; }

  // A Sluice policy for `app`: one rule list in one direction, as YAML in flow style.
  static std::string Policy(const std::string& app, const std::string& direction, const std::string& rules,
                            const std::string& more = {}) {
    return fmt::format(
        "apiVersion: sluice.dev/v1alpha1\nkind: NetworkPolicy\nmetadata: {{name: {0}, namespace: shop}}\n"
        "spec: {{podSelector: {{matchLabels: {{app: {0}}}}}, policyTypes: [{1}], {2}: {3}{4}}}\n---\n",
        app, direction, direction == "Egress" ? "egress" : "ingress", rules, more);
  }
  void Apply(const std::string& policies) {
    const Status applied = fixture_->agent().Apply(fixture_->WorkloadYaml("web", "{app: web}") +
                                                   fixture_->WorkloadYaml("db", "{app: db}") + "---\n" + policies);
    ASSERT_TRUE(applied.ok()) << applied;
  }

  // Runs it in a pod until it ends; returns its exit code.
  int RunIn(const std::string& pod, const Arguments& command) {
    int code = -1;
    const Status ran = fixture_->node().netns(fixture_->node().pod(pod)).Run([&]() -> Status {
      SL_ASSIGN_OR_RETURN(const CommandResult result, RunCommand(command));
      code = result.exit_code;
      return OkStatus();
    });
    EXPECT_TRUE(ran.ok()) << ran;
    return code;
  }
  // `program` (a bash) in web connects to db; 0: connected.
  int Connect(const std::string& program, std::uint16_t port) {
    return RunIn("web", {"/usr/bin/timeout", "1.5", program, "-c", fmt::format(": <>/dev/tcp/{}/{}", db_, port)});
  }
  // `program` (a perl) listens in db until the test ends, and prints received data.
  void Serve(const std::string& program, std::uint16_t port, const std::string& protocol = "tcp") {
    static constexpr char kTcp[] =
        "use IO::Socket::INET; $|=1; my $s=IO::Socket::INET->new(Listen=>9,LocalPort=>$ARGV[0],ReuseAddr=>1) or die;"
        "print qq(ready\\n); while (my $c=$s->accept) { while (sysread($c,my $b,99)) { print $b } }";
    static constexpr char kUdp[] =
        "use IO::Socket::INET; $|=1; my $s=IO::Socket::INET->new(Proto=>'udp',LocalPort=>$ARGV[0]) or die;"
        "print qq(ready\\n); while ($s->recv(my $b,99)) { print $b }";
    StatusOr<ChildProcess> child = Status(absl::StatusCode::kInternal, "not started");
    const Status started = fixture_->node().netns(fixture_->node().pod("db")).Run([&] {
      child = ChildProcess::Start({program, "-e", protocol == "tcp" ? kTcp : kUdp, std::to_string(port)});
      return child.status();
    });
    ASSERT_TRUE(started.ok()) << started;
    const auto ready = child->WaitForOutput("ready");
    ASSERT_TRUE(ready.ok()) << ready.status();
    servers_.push_back(*std::move(child));
  }

  // The latest record of a flow of `binary` with this verdict.
  json Flow(const std::string& binary, const std::string& verdict) {
    json found;
    Eventually([&] {
      const auto result = fixture_->agent().Sluice(
          {"observe", "--all", "--type", "flow", "--process", binary, "--verdict", verdict, "-o", "json"});
      std::istringstream lines(result.ok() ? result->out : "");
      for (std::string line; std::getline(lines, line);) found = json::parse(line);
      return !found.is_null();
    });
    return found;
  }

  std::unique_ptr<NodeFixture> fixture_;
  std::string programs_;
  std::string db_;
  std::vector<ChildProcess> servers_;
};

TEST_F(ProcessPolicy, SamePortTwoProgramsOneIsAllowed) {
  Serve(Program("postgres"), 5432);
  Apply(Policy("web", "Egress",
               fmt::format("[{{ports: [{{port: 5432}}], processes: {{binaries: [{}]}}}}]", Program("psql"))));
  EXPECT_EQ(Connect(Program("psql"), 5432), 0);
  EXPECT_EQ(Connect(Program("curl"), 5432), kTimedOut);
  EXPECT_EQ(Connect(Program("psql"), 5432), 0);
  const json allowed = Flow(Program("psql"), "FORWARDED"), dropped = Flow(Program("curl"), "DROPPED");
  ASSERT_FALSE(allowed.is_null());
  EXPECT_EQ(allowed["policies"][0]["rule"], "egress[0]") << allowed;
  EXPECT_EQ(allowed["source"]["process"]["binary"], Program("psql"));
  ASSERT_FALSE(dropped.is_null());
  EXPECT_EQ(dropped["dropReason"], "POLICY_DENIED") << dropped;
  EXPECT_EQ(dropped["source"]["process"]["binary"], Program("curl"));
  EXPECT_EQ(dropped["policies"][0]["effect"], "DEFAULT_DENY");
  EXPECT_EQ(dropped["policies"][0]["name"], "web");
}

TEST_F(ProcessPolicy, ADenyRuleForAProgramNamesItself) {
  Serve(Program("postgres"), 5432);
  Apply(
      Policy("web", "Egress", fmt::format("[{{}}, {{action: Deny, processes: {{binaries: ['{}/c*']}}}}]", programs_)));
  EXPECT_EQ(Connect(Program("psql"), 5432), 0);
  EXPECT_EQ(Connect(Program("curl"), 5432), kTimedOut);
  const json dropped = Flow(Program("curl"), "DROPPED");
  ASSERT_FALSE(dropped.is_null());
  EXPECT_EQ(dropped["policies"][0]["rule"], "egress[1]") << dropped;
  EXPECT_EQ(dropped["policies"][0]["effect"], "DENY");
}

TEST_F(ProcessPolicy, TheFirstDatagramOfTheWrongProgramIsDropped) {
  Serve(Program("postgres"), 53, "udp");
  Apply(Policy(
      "web", "Egress",
      fmt::format("[{{ports: [{{port: 53, protocol: UDP}}], processes: {{binaries: [{}]}}}}]", Program("psql"))));
  const auto send = [&](const std::string& program, const std::string& text) {
    RunIn("web", {program, "-c", fmt::format("echo {} >/dev/udp/{}/53", text, db_)});
  };
  for (int i = 0; i < 20; ++i) {
    send(Program("curl"), "wrong");
    send(Program("psql"), fmt::format("right-{}.", i));
  }
  ASSERT_TRUE(servers_[0].WaitForOutput("right-19.").ok());
  EXPECT_EQ(servers_[0].read().find("wrong"), std::string::npos) << servers_[0].read();
}

TEST_F(ProcessPolicy, ExecWithTheSocketOpenIsJudgedAnew) {
  Serve(Program("postgres"), 5432);
  Apply(Policy("web", "Egress",
               fmt::format("[{{processes: {{binaries: [{}, {}]}}}}]", Program("psql"), Program("login"))));
  const auto chain = [&](const std::string& second, const std::string& said) {
    const std::string script = fmt::format("exec 3<>/dev/tcp/{}/5432; echo first-of-{} >&3; exec {} -c 'echo {} >&3'",
                                           db_, said, second, said);
    RunIn("web", {"/usr/bin/timeout", "5", Program("psql"), "-c", script});
  };
  chain(Program("login"), "by-login");
  ASSERT_TRUE(servers_[0].WaitForOutput("\nby-login").ok()) << servers_[0].read();
  chain(Program("curl"), "by-curl");
  ASSERT_FALSE(Flow(Program("curl"), "DROPPED").is_null());
  EXPECT_TRUE(servers_[0].WaitForOutput("first-of-by-curl").ok());
  EXPECT_EQ(servers_[0].read().find("\nby-curl"), std::string::npos) << servers_[0].read();
}

TEST_F(ProcessPolicy, ByAncestors) {
  Serve(Program("postgres"), 5432);
  Apply(Policy("web", "Egress",
               fmt::format("[{{processes: {{binaries: [{}], ancestors: [{}]}}}}]", Program("psql"), Program("login"))));
  EXPECT_EQ(Connect(Program("psql"), 5432), kTimedOut);
  const std::string connect = fmt::format("'{} -c \": <>/dev/tcp/{}/5432\"; exit $?'", Program("psql"), db_);
  EXPECT_EQ(RunIn("web", {"/bin/sh", "-c", "timeout 3 " + Program("login") + " -c " + connect}), 0);
}

TEST_F(ProcessPolicy, ScriptsByTheirOwnName) {
  Serve(Program("postgres"), 5432);
  const auto write = [&](const std::string& name) {
    std::ofstream(Program(name)) << "#!" << Program("psql") << "\n: <>/dev/tcp/" << db_ << "/5432\n";
    std::filesystem::permissions(Program(name), std::filesystem::perms::all);
  };
  write("backup");
  write("other");
  Apply(Policy("web", "Egress", fmt::format("[{{processes: {{binaries: [{}]}}}}]", Program("backup"))));
  EXPECT_EQ(RunIn("web", {"/usr/bin/timeout", "1.5", Program("backup")}), 0);
  EXPECT_EQ(RunIn("web", {"/usr/bin/timeout", "1.5", Program("other")}), kTimedOut);
}

TEST_F(ProcessPolicy, IngressByListener) {
  Serve(Program("postgres"), 5432);
  Serve(Program("redis"), 6379);
  Serve(Program("postgres"), 53, "udp");
  Apply(Policy("db", "Ingress", fmt::format("[{{processes: {{binaries: [{}]}}}}]", Program("postgres"))));
  EXPECT_EQ(Connect(Program("psql"), 5432), 0);
  EXPECT_EQ(Connect(Program("psql"), 6379), kTimedOut);
  EXPECT_EQ(Connect(Program("psql"), 81), kTimedOut) << "nobody listens: not known";
  RunIn("web", {Program("psql"), "-c", fmt::format("echo datagram >/dev/udp/{}/53", db_)});
  EXPECT_TRUE(servers_[2].WaitForOutput("datagram").ok());
  // An established connection continues under a new generation, and data passes.
  EXPECT_EQ(RunIn("web", {"/usr/bin/timeout", "5", Program("psql"), "-c",
                          fmt::format("exec 3<>/dev/tcp/{}/5432; echo hello >&3", db_)}),
            0);
  EXPECT_TRUE(servers_[0].WaitForOutput("hello").ok());
}

TEST_F(ProcessPolicy, APolicyForProgramsThatRunAlready) {
  Serve(Program("postgres"), 5432);
  Apply("");
  StatusOr<ChildProcess> client = Status(absl::StatusCode::kInternal, "not started");
  const std::string pipe = programs_ + "/go";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const std::string script = fmt::format(
      "exec 3<>/dev/tcp/{0}/5432 4<>{1}; echo one >&3; echo connected; while read -u 4 word; do echo $word >&3; done",
      db_, pipe);  // the pipe stays open: no end of file between two words
  ASSERT_TRUE(fixture_->node()
                  .netns(fixture_->node().pod("web"))
                  .Run([&] {
                    client = ChildProcess::Start({Program("curl"), "-c", script});
                    return client.status();
                  })
                  .ok());
  ASSERT_TRUE(client->WaitForOutput("connected").ok());
  ASSERT_TRUE(servers_[0].WaitForOutput("one").ok());
  const auto say = [&](const char* word) { std::ofstream(pipe) << word << "\n"; };
  Apply(Policy("web", "Egress", fmt::format("[{{processes: {{binaries: ['{}/c?rl']}}}}]", programs_)));
  say("two");
  EXPECT_TRUE(servers_[0].WaitForOutput("two").ok()) << "it was matched by the pattern that came later";
  Apply(Policy("web", "Egress", fmt::format("[{{processes: {{binaries: [{}]}}}}]", Program("psql"))));
  say("three");
  ASSERT_FALSE(Flow(Program("curl"), "DROPPED").is_null());
  EXPECT_EQ(servers_[0].read().find("three"), std::string::npos);
}

TEST_F(ProcessPolicy, ItHoldsAcrossARestart) {
  Serve(Program("postgres"), 5432);
  Apply(Policy("web", "Egress",
               fmt::format("[{{ports: [{{port: 5432}}], processes: {{binaries: [{}]}}}}]", Program("psql"))));
  ASSERT_EQ(Connect(Program("psql"), 5432), 0);
  ASSERT_TRUE(fixture_->agent().Kill().ok());
  EXPECT_EQ(Connect(Program("curl"), 5432), kTimedOut) << "while no agent runs";
  EXPECT_EQ(Connect(Program("psql"), 5432), 0) << "while no agent runs";
  const std::string become = fmt::format("exec {} -c ': <>/dev/tcp/{}/5432'", Program("curl"), db_);
  EXPECT_EQ(RunIn("web", {"/usr/bin/timeout", "1.5", Program("psql"), "-c", become}), kTimedOut);
  ASSERT_TRUE(fixture_->agent().Restart().ok());
  EXPECT_EQ(Connect(Program("curl"), 5432), kTimedOut);
  EXPECT_EQ(Connect(Program("psql"), 5432), 0);
}

// Process data would become stale: without sensors, a process may have executed another program.
TEST_F(ProcessPolicy, WithoutSensorsNobodyIsKnown) {
  Serve(Program("postgres"), 5432);
  Apply(Policy("web", "Egress", fmt::format("[{{processes: {{binaries: [{}]}}}}]", Program("psql"))));
  ASSERT_EQ(Connect(Program("psql"), 5432), 0);
  ASSERT_TRUE(fixture_->agent().Kill().ok());
  ASSERT_TRUE(fixture_->agent().Restart({"--process-sensors", "off"}).ok());
  EXPECT_EQ(Connect(Program("psql"), 5432), kTimedOut);
  ASSERT_TRUE(fixture_->agent().Kill().ok());
  ASSERT_TRUE(fixture_->agent().Restart().ok());
  EXPECT_EQ(Connect(Program("psql"), 5432), 0);
}

// In a container, which has its own file system, a client is a symbolic link.
class ProgramLinks : public ProcessPolicy {
 protected:
  void SetUp() override {
    ProcessPolicy::SetUp();
    if (HasFatalFailure() || IsSkipped()) return;
    files_ = programs_ + "/container";
    std::filesystem::create_directory(files_);
    const std::string script = fmt::format(
        "mount -t tmpfs none {0} && cp /bin/bash {0}/client-3.11 && ln -s client-3.11 {0}/client && echo ready && "
        "exec sleep 1000",
        files_);
    const Status started = fixture_->node().netns(fixture_->node().pod("web")).Run([&]() -> Status {
      SL_ASSIGN_OR_RETURN(auto container, ChildProcess::Start({"/usr/bin/unshare", "-m", "/bin/sh", "-c", script}));
      SL_RETURN_IF_ERROR(container.WaitForOutput("ready").status());
      container_ = std::to_string(container.pid());
      servers_.push_back(std::move(container));
      return OkStatus();
    });
    ASSERT_TRUE(started.ok()) << started;
  }
  // The warnings of `apply` for one Deny rule beside a rule that allows everything.
  std::string ApplyDeny(const std::string& binary) {
    const auto applied = fixture_->agent().Sluice(
        {"apply", "-f", "-"},
        fixture_->WorkloadYaml("web", "{app: web}") + fixture_->WorkloadYaml("db", "{app: db}") + "---\n" +
            Policy("web", "Egress", fmt::format("[{{}}, {{action: Deny, processes: {{binaries: [{}]}}}}]", binary)));
    EXPECT_TRUE(applied.ok() && applied->exit_code == 0) << (applied.ok() ? applied->err : "");
    return applied.ok() ? applied->err : "";
  }
  json Explain(const std::string& process) {
    const auto explained = fixture_->agent().Sluice(
        {"explain", "--from", "shop/web", "--to", "shop/db", "--port", "5432", "--process", process, "-o", "json"});
    EXPECT_TRUE(explained.ok());
    return json::parse(explained.ok() ? explained->out : "{}");
  }
  int ConnectInContainer(const std::string& program) {
    return RunIn("web", {"/usr/bin/timeout", "1.5", "/usr/bin/nsenter", "-m", "-t", container_, program, "-c",
                         fmt::format(": <>/dev/tcp/{}/5432", db_)});
  }

  std::string files_;
  std::string container_;  // its pid
};

TEST_F(ProgramLinks, ARuleThatNamesOneIsNotSilent) {
  Serve(Program("postgres"), 5432);
  const std::string link = files_ + "/client", target = files_ + "/client-3.11";
  const std::string warning = ApplyDeny(link);
  EXPECT_NE(warning.find(fmt::format("warning: shop/web egress[1]: in shop/web {} is a symbolic link", link)),
            std::string::npos)
      << warning;
  EXPECT_NE(warning.find("name " + target), std::string::npos) << warning;
  EXPECT_NE(fixture_->agent().Log().find(fmt::format("in shop/web {} is a symbolic link", link)), std::string::npos);
  EXPECT_EQ(ConnectInContainer(link), 0) << "it denies nobody";
  const json explained = Explain(link);
  EXPECT_EQ(explained["allowed"], true) << explained << ": and nothing says that it does";
  EXPECT_EQ(explained["egress"]["process"], target);
  ASSERT_EQ(explained["links"].size(), 2U) << explained;
  EXPECT_EQ(explained["links"][1]["policy"]["rule"], "egress[1]");
  EXPECT_EQ(explained["links"][1]["path"], link);
  EXPECT_EQ(explained["links"][1]["target"], target);
}

TEST_F(ProgramLinks, ARuleThatNamesTheProgramIsNotWarnedOf) {
  Serve(Program("postgres"), 5432);
  const std::string link = files_ + "/client", target = files_ + "/client-3.11";
  EXPECT_EQ(ApplyDeny(target), "");
  EXPECT_EQ(ConnectInContainer(link), kTimedOut);
  const json explained = Explain(target);
  EXPECT_EQ(explained["allowed"], false) << explained;
  EXPECT_FALSE(explained.contains("links")) << explained;
  const json by_link = Explain(link);
  EXPECT_EQ(by_link["allowed"], false) << by_link << ": whoever starts it by the link is that program";
  EXPECT_EQ(by_link["links"].size(), 1U);
}

}  // namespace
}  // namespace sluice::test
