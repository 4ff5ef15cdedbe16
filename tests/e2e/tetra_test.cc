// Tetragon's service of the real agent: what its client `tetra` asks for, with policies on real programs.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "api/tetragon_service.grpc.pb.h"
#include "testbed/command.h"
#include "tests/e2e/constants.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"
#include "tests/support/run_in_pod.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class Client {
 public:
  using Stub = tetragon::FineGuidanceSensors::Stub;
  explicit Client(const std::string& address) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a client made after a restart opens a new connection
    stub_ = tetragon::FineGuidanceSensors::NewStub(
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
  }
  Stub& stub() { return *stub_; }

  template <typename Request, typename Reply>
  std::string Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Reply*), const Request& request,
                   Reply* reply) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    const grpc::Status status = (stub_.get()->*method)(&context, request, reply);
    return status.ok() ? "" : status.error_message();
  }
  // The error's text; empty: it is done.
  std::string Add(const std::string& yaml) {
    tetragon::AddTracingPolicyRequest request;
    tetragon::AddTracingPolicyResponse reply;
    request.set_yaml(yaml);
    return Call(&Stub::AddTracingPolicy, request, &reply);
  }
  std::string Delete(const std::string& name) {
    tetragon::DeleteTracingPolicyRequest request;
    tetragon::DeleteTracingPolicyResponse reply;
    request.set_name(name);
    return Call(&Stub::DeleteTracingPolicy, request, &reply);
  }
  std::string Enable(const std::string& name, bool enable) {
    tetragon::ConfigureTracingPolicyRequest request;
    tetragon::ConfigureTracingPolicyResponse reply;
    request.set_name(name);
    request.set_enable(enable);
    return Call(&Stub::ConfigureTracingPolicy, request, &reply);
  }
  std::string SetMode(const std::string& name, tetragon::TracingPolicyMode mode) {
    tetragon::ConfigureTracingPolicyRequest request;
    tetragon::ConfigureTracingPolicyResponse reply;
    request.set_name(name);
    request.set_mode(mode);
    return Call(&Stub::ConfigureTracingPolicy, request, &reply);
  }
  // The only policy of this name; without a name: there is none.
  tetragon::TracingPolicyStatus Find(const std::string& name) {
    tetragon::ListTracingPoliciesResponse reply;
    EXPECT_EQ(Call(&Stub::ListTracingPolicies, tetragon::ListTracingPoliciesRequest(), &reply), "");
    for (const auto& policy : reply.policies()) {
      if (policy.name() == name) return policy;
    }
    return {};
  }

 private:
  std::unique_ptr<Stub> stub_;
};

// A stream of events that runs when this is made.
class Stream {
 public:
  Stream(Client& client, const tetragon::GetEventsRequest& request) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    reader_ = client.stub().GetEvents(&context_, request);
    reader_->WaitForInitialMetadata();
  }
  ~Stream() {
    context_.TryCancel();
    while (Next()) {
    }
    reader_->Finish();
  }
  // Nothing: the stream has ended, or no event came for a minute.
  std::optional<tetragon::GetEventsResponse> Next() {
    tetragon::GetEventsResponse event;
    return reader_->Read(&event) ? std::optional(event) : std::nullopt;
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<tetragon::GetEventsResponse>> reader_;
};

tetragon::GetEventsRequest Wanted(const std::vector<tetragon::EventType>& types, const std::string& policy = "",
                                  const std::string& binary = "") {
  tetragon::GetEventsRequest request;
  tetragon::Filter& filter = *request.add_allow_list();
  for (const auto type : types) filter.add_event_set(type);
  if (!policy.empty()) filter.add_policy_names(policy);
  if (!binary.empty()) filter.add_binary_regex(binary);
  return request;
}

class Tetra : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    directory_ = testing::TempDir() + "/sluice-tetra-" + std::to_string(getpid());
    fs::create_directories(directory_);
    for (const char* name : {"secret", "public"}) std::ofstream(File(name)) << name << "\n";
    auto fixture = NodeFixture::Create({.pods = {"web", "db"}, .args = {}, .outside = false});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    const Status applied =
        agent().Apply(fixture_->WorkloadYaml("web", "{app: web}") + fixture_->WorkloadYaml("db", "{app: db}"));
    ASSERT_TRUE(applied.ok()) << applied;
    Connect();
  }
  ~Tetra() override { fs::remove_all(directory_); }

  void Connect() { client_ = std::make_unique<Client>("unix://" + Socket()); }
  void Restart() {
    client_.reset();
    ASSERT_TRUE(agent().Stop().ok());
    ASSERT_TRUE(agent().Restart().ok()) << agent().Log();
    Connect();
  }
  AgentProcess& agent() { return fixture_->agent(); }
  Client& client() { return *client_; }
  std::string File(const std::string& name) const { return directory_ + "/" + name; }
  std::string Socket() { return agent().directory() + "/tetragon.sock"; }

  // Kills who opens the file `secret` in web.
  std::string Policy(const std::string& name = "secret") const {
    return fmt::format(R"(apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {{name: {}}}
spec:
  podSelector: {{matchLabels: {{app: web}}}}
  kprobes:
  - call: sys_openat
    syscall: true
    message: a secret is read
    tags: [files]
    args:
    - {{index: 0, type: int}}
    - {{index: 1, type: string}}
    selectors:
    - label: the secret
      matchArgs: [{{index: 1, operator: Equal, values: [{}]}}]
      matchActions: [{{action: Sigkill}}]
)",
                       name, File("secret"));
  }
  // The exit code of `cat` in a pod.
  int Cat(const std::string& pod, const std::string& name) {
    return ExitCodeIn(*fixture_, pod, {"/bin/cat", File(name)});
  }

  std::string directory_;
  std::unique_ptr<NodeFixture> fixture_;
  std::unique_ptr<Client> client_;
};

TEST_F(Tetra, APolicyIsAddedEnforcedSeenAndDeleted) {
  Stream kprobes(client(), Wanted({tetragon::PROCESS_KPROBE}, "secret"));
  Stream lives(client(), Wanted({tetragon::PROCESS_EXEC, tetragon::PROCESS_EXIT}, "", "/cat$"));
  ASSERT_EQ(client().Add(Policy()), "") << agent().Log();
  EXPECT_THAT(client().Add(Policy()), HasSubstr("TracingPolicy secret exists already"));
  EXPECT_EQ(Cat("web", "public"), 0);
  EXPECT_EQ(Cat("db", "secret"), 0);
  EXPECT_EQ(Cat("web", "secret"), kKilled);

  const auto hit = kprobes.Next();
  ASSERT_TRUE(hit);
  const tetragon::ProcessKprobe& kprobe = hit->process_kprobe();
  EXPECT_THAT(kprobe.function_name(), HasSubstr("sys_openat"));
  EXPECT_EQ(kprobe.action(), tetragon::KPROBE_ACTION_SIGKILL);
  EXPECT_EQ(kprobe.policy_name(), "secret");
  EXPECT_EQ(kprobe.message(), "a secret is read");
  EXPECT_THAT(kprobe.tags(), ElementsAre("files"));
  ASSERT_EQ(kprobe.args_size(), 2);
  EXPECT_EQ(kprobe.args(1).string_arg(), File("secret"));
  EXPECT_THAT(kprobe.process().binary(), HasSubstr("/bin/cat"));
  EXPECT_EQ(kprobe.process().arguments(), File("secret"));
  EXPECT_EQ(kprobe.process().pod().namespace_(), "shop");
  EXPECT_EQ(kprobe.process().pod().name(), "web");
  EXPECT_EQ(kprobe.process().pod().pod_labels().at("app"), "web");
  EXPECT_NE(kprobe.parent().pid().value(), 0U);
  EXPECT_NE(hit->node_name(), "");
  EXPECT_TRUE(hit->has_time());

  // The same life, from its beginning to its end.
  std::string exec_id, signal;
  for (auto event = lives.Next(); event && signal.empty(); event = lives.Next()) {
    if (event->has_process_exec() && event->process_exec().process().exec_id() == kprobe.process().exec_id())
      exec_id = event->process_exec().process().exec_id();
    if (event->has_process_exit() && event->process_exit().process().exec_id() == kprobe.process().exec_id())
      signal = event->process_exit().signal();
    if (!signal.empty()) break;
  }
  EXPECT_EQ(exec_id, kprobe.process().exec_id());
  EXPECT_EQ(signal, "SIGKILL");

  const auto status = client().Find("secret");
  EXPECT_EQ(status.state(), tetragon::TP_STATE_ENABLED);
  EXPECT_EQ(status.mode(), tetragon::TP_MODE_ENFORCE);
  EXPECT_GT(status.kernel_memory_bytes(), 0U);
  EXPECT_EQ(status.stats().action_counters().signal(), 1U);
  EXPECT_EQ(status.stats().action_counters().post(), 1U);
  ASSERT_EQ(status.hook_statuses_size(), 1);
  EXPECT_EQ(status.hook_statuses(0).state(), tetragon::STATUS_LOADED);
  EXPECT_EQ(client().Delete("secret"), "");
  EXPECT_EQ(Cat("web", "secret"), 0);
  EXPECT_EQ(client().Find("secret").name(), "");
  EXPECT_THAT(client().Delete("secret"), HasSubstr("TracingPolicy secret does not exist"));
}

TEST_F(Tetra, APolicyIsDisabledEnabledAndSetToAModeAndThatLasts) {
  ASSERT_EQ(client().Add(Policy()), "") << agent().Log();
  ASSERT_EQ(client().Enable("secret", false), "");
  for (const bool again : {false, true}) {
    if (again) Restart();
    EXPECT_EQ(Cat("web", "secret"), 0);
    EXPECT_EQ(client().Find("secret").state(), tetragon::TP_STATE_DISABLED);
    EXPECT_EQ(client().Find("secret").kernel_memory_bytes(), 0U);
  }
  Stream kprobes(client(), Wanted({tetragon::PROCESS_KPROBE}, "secret"));
  ASSERT_EQ(client().Enable("secret", true), "");
  EXPECT_EQ(Cat("web", "secret"), kKilled);
  const auto killed = kprobes.Next();
  ASSERT_TRUE(killed);
  EXPECT_EQ(killed->process_kprobe().action(), tetragon::KPROBE_ACTION_SIGKILL);

  ASSERT_EQ(client().SetMode("secret", tetragon::TP_MODE_MONITOR), "");
  EXPECT_EQ(Cat("web", "secret"), 0);
  const auto seen = kprobes.Next();
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->process_kprobe().action(), tetragon::KPROBE_ACTION_POST);
  const auto counters = client().Find("secret").stats().action_counters();
  EXPECT_EQ(counters.signal(), 1U) << "the counts go on";
  EXPECT_EQ(counters.monitor_signal(), 1U);
  EXPECT_EQ(client().Find("secret").mode(), tetragon::TP_MODE_MONITOR);
}

TEST_F(Tetra, MonitorModeLastsOverARestart) {
  ASSERT_EQ(client().Add(Policy()), "") << agent().Log();
  ASSERT_EQ(client().SetMode("secret", tetragon::TP_MODE_MONITOR), "");
  Restart();
  EXPECT_EQ(Cat("web", "secret"), 0);
  EXPECT_EQ(client().Find("secret").mode(), tetragon::TP_MODE_MONITOR);
  ASSERT_EQ(client().SetMode("secret", tetragon::TP_MODE_ENFORCE), "");
  EXPECT_EQ(Cat("web", "secret"), kKilled);
  // `sluice` sees and says the same.
  ASSERT_EQ(client().Enable("secret", false), "");
  const auto status = agent().Sluice({"get", "tracingpolicies"});
  ASSERT_TRUE(status.ok());
  EXPECT_THAT(status->out, HasSubstr("disabled"));
}

// What `tetra policytest run` asks of an agent, in its order; the trigger it runs itself.
TEST_F(Tetra, ThePolicyTestsOfTheClientGetWhatTheyAskFor) {
  tetragon::GetInfoResponse info;
  ASSERT_EQ(client().Call(&Client::Stub::GetInfo, tetragon::GetInfoRequest(), &info), "");
  EXPECT_TRUE(info.has_build());
  Stream events(client(), tetragon::GetEventsRequest());
  for (const bool monitor : {false, true}) {
    ASSERT_EQ(client().Add(Policy("test")), "");
    if (monitor) {
      ASSERT_EQ(client().SetMode("test", tetragon::TP_MODE_MONITOR), "");
    }
    const auto before = client().Find("test").stats().action_counters();
    EXPECT_EQ(Cat("web", "secret"), monitor ? 0 : kKilled);
    const auto after = client().Find("test").stats().action_counters();
    EXPECT_EQ(after.post() - before.post(), 1U);
    EXPECT_EQ(after.signal() - before.signal(), monitor ? 0U : 1U);
    EXPECT_EQ(after.monitor_signal() - before.monitor_signal(), monitor ? 1U : 0U);
    auto event = events.Next();
    while (event && !event->has_process_kprobe()) event = events.Next();
    ASSERT_TRUE(event);
    EXPECT_EQ(event->process_kprobe().args(1).string_arg(), File("secret"));
    ASSERT_EQ(client().Delete("test"), "");
  }
}

TEST_F(Tetra, TheProcessesAreDumped) {
  tetragon::GetDebugRequest request;
  request.set_flag(tetragon::CONFIG_FLAG_DUMP_PROCESS_CACHE);
  tetragon::GetDebugResponse reply;
  ASSERT_EQ(client().Call(&Client::Stub::GetDebug, request, &reply), "");
  const auto& processes = reply.processes().processes();
  const auto agents = std::count_if(processes.begin(), processes.end(), [&](const auto& one) {
    return one.process().pid().value() == static_cast<std::uint32_t>(agent().pid()) &&
           one.process().binary().ends_with("/sluiced");
  });
  EXPECT_EQ(agents, 1);
}

TEST_F(Tetra, ATracepointIsAnEventOfItsOwnKind) {
  Stream events(client(), Wanted({tetragon::PROCESS_TRACEPOINT}));
  ASSERT_EQ(client().Add(R"(apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: execs}
spec:
  podSelector: {matchLabels: {app: web}}
  tracepoints:
  - subsystem: sched
    event: sched_process_exec
    raw: true
    args: [{index: 2, type: linux_binprm}]
    selectors:
    - matchArgs: [{index: 0, operator: Postfix, values: [/cat]}]
)"),
            "")
      << agent().Log();
  EXPECT_EQ(Cat("db", "public"), 0);
  EXPECT_EQ(Cat("web", "public"), 0);
  const auto event = events.Next();
  ASSERT_TRUE(event);
  const tetragon::ProcessTracepoint& tracepoint = event->process_tracepoint();
  EXPECT_EQ(tracepoint.subsys(), "sched");
  EXPECT_EQ(tracepoint.event(), "sched_process_exec");
  EXPECT_EQ(tracepoint.policy_name(), "execs");
  EXPECT_EQ(tracepoint.process().pod().name(), "web");
  ASSERT_EQ(tracepoint.args_size(), 1);
  EXPECT_THAT(tracepoint.args(0).linux_binprm_arg().path(), HasSubstr("/cat"));
}

TEST_F(Tetra, TheSocketIsPrivateAndGoesWithTheAgent) {
  struct stat facts {};
  ASSERT_EQ(stat(Socket().c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600U);
  // Asked for by name, an address in use is an error; by default it is not.
  const auto busy = RunCommand({BinDirectory() + "/sluiced", "--api", "unix://" + directory_ + "/api.sock",
                                "--bpf-root", agent().bpf_root() + "-other", "--state-dir", directory_ + "/state",
                                "--metrics", "", "--tetragon-api", "unix://" + Socket()});
  ASSERT_TRUE(busy.ok()) << busy.status();
  EXPECT_NE(busy->exit_code, 0);
  EXPECT_THAT(busy->output, HasSubstr("its own --tetragon-api"));
  ASSERT_TRUE(agent().Stop().ok());
  EXPECT_FALSE(fs::exists(Socket()));
  ASSERT_TRUE(agent().Restart({"--tetragon-api", ""}).ok()) << agent().Log();
  EXPECT_FALSE(fs::exists(Socket()));
}

}  // namespace
}  // namespace sluice::test
