// Hooks whose programs are loaded for one place: LSM hooks, functions by trampoline, raw tracepoints.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <filesystem>
#include <fstream>

#include "tests/hooks/hook_test.h"

namespace sluice::test {
namespace {

using testing::HasSubstr;

constexpr int kNotPermitted = EPERM, kNoAccess = EACCES;

// Some kernels that have all that trampolines need refuse them.
std::string MissingForTrampolines() {
  auto programs = HookFixture::Create({});
  if (!programs.ok()) return std::string(programs.status().message());
  const Status applied =
      (*programs)->Apply(PolicyText("probe", "{fentries: [{call: security_file_open, syscall: false}]}"));
  EXPECT_TRUE(applied.ok() || absl::IsFailedPrecondition(applied)) << applied;
  return applied.ok() ? "" : std::string(applied.message());
}

class HookedPoint : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_BPF();
    auto made = HookFixture::Create({});
    ASSERT_TRUE(made.ok()) << made.status();
    hooks_ = *std::move(made);
    file_ = directory_.Write("secret", "secret\n", 0644);
    other_ = directory_.Write("other", "other\n", 0644);
  }
  // What a child gets that opens the file: 0 or an errno.
  static int ErrorOfOpen(const std::string& path) {
    const int status = Reap(Fork([&] {
      const int fd = OpenFile(path);
      _exit(fd < 0 ? -fd : 0);
    }));
    return WEXITSTATUS(status);
  }
  std::string Attached() const { return hooks_->tables().List().at(0).hooks.at(0).attached; }
  // A selector on the path of argument 0.
  std::string OnFile(const std::string& actions) const {
    return fmt::format(
        "args: [{{index: 0, type: file}}], selectors: [{{matchArgs: [{{index: 0, operator: Equal, values: "
        "[\"{}\"]}}], matchActions: [{}]}}]",
        file_, actions);
  }

  std::unique_ptr<HookFixture> hooks_;
  TempDir directory_;
  std::string file_, other_;
};

class Trampoline : public HookedPoint {
 protected:
  void SetUp() override {
    HookedPoint::SetUp();
    if (hooks_ == nullptr) return;
    static const std::string missing = MissingForTrampolines();
    if (!missing.empty()) GTEST_SKIP() << "this kernel refuses BPF trampolines: " << missing;
  }
};

TEST_F(Trampoline, AnLsmHookDenies) {
  const Status applied = hooks_->Apply(
      PolicyText("lsm", "{lsmhooks: [{hook: file_open, " + OnFile("{action: Override, argError: -1}") + "}]}"));
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(Attached(), "LSM hook file_open");
  EXPECT_EQ(ErrorOfOpen(file_), kNotPermitted);
  EXPECT_EQ(ErrorOfOpen(other_), 0);
  const auto record = hooks_->WaitFor([](const HookRecord&) { return true; });
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->Text(0), file_);
  EXPECT_TRUE(record->Did(SL_HOOK_ACTION_OVERRIDE));
  EXPECT_EQ(hooks_->Count("lsm", SL_HOOK_COUNT_OVERRIDDEN), 1U);
  ASSERT_TRUE(hooks_->RemoveAll().ok());
  EXPECT_EQ(ErrorOfOpen(file_), 0);
}

TEST_F(Trampoline, AnLsmHookInMonitorModeLetsPass) {
  ASSERT_TRUE(hooks_
                  ->Apply(PolicyText("lsm", "{lsmhooks: [{hook: file_open, " +
                                                OnFile("{action: Override, argError: -1}") + "}]}"),
                          {.monitor = true})
                  .ok());
  EXPECT_EQ(ErrorOfOpen(file_), 0);
  EXPECT_GE(hooks_->Count("lsm", SL_HOOK_COUNT_WOULD_ENFORCE), 1U) << "overlayfs opens the file below, too";
  EXPECT_EQ(hooks_->Count("lsm", SL_HOOK_COUNT_OVERRIDDEN), 0U);
}

TEST_F(Trampoline, AnUnknownLsmHookIsRefused) {
  const Status applied = hooks_->Apply(PolicyText("lsm", "{lsmhooks: [{hook: no_such_hook}]}"));
  EXPECT_TRUE(absl::IsNotFound(applied)) << applied;
  EXPECT_THAT(std::string(applied.message()), HasSubstr("no_such_hook"));
}

TEST_F(Trampoline, OverrideOfASecurityFunctionDenies) {
  const Status applied = hooks_->Apply(PolicyText("function", "{kprobes: [{call: security_file_open, syscall: false, " +
                                                                  OnFile("{action: Override, argError: -13}") + "}]}"));
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(Attached(), "fmod_ret security_file_open");
  EXPECT_EQ(ErrorOfOpen(file_), kNoAccess);
  EXPECT_EQ(ErrorOfOpen(other_), 0);
}

// Needs more than trampolines: the kernel must let system calls return errors that programs make.
TEST_F(Trampoline, OverrideOfASystemCallDeniesOrNamesWhatIsMissing) {
  const Status applied = hooks_->Apply(PolicyText(
      "call",
      fmt::format("{{kprobes: [{{call: sys_openat, syscall: true, args: [{{index: 1, type: string}}], selectors: "
                  "[{{matchArgs: [{{index: 1, operator: Equal, values: [\"{}\"]}}], matchActions: [{{action: "
                  "Override, argError: -13}}]}}]}}]}}",
                  file_)));
  if (!applied.ok()) {
    EXPECT_TRUE(absl::IsFailedPrecondition(applied)) << applied;
    EXPECT_THAT(std::string(applied.message()), HasSubstr("CONFIG_FUNCTION_ERROR_INJECTION"));
    EXPECT_TRUE(hooks_->tables().List().empty());
    return;
  }
  EXPECT_THAT(Attached(), HasSubstr("fmod_ret"));
  EXPECT_EQ(ErrorOfOpen(file_), kNoAccess);
  EXPECT_EQ(ErrorOfOpen(other_), 0);
}

TEST_F(Trampoline, AnEnforcerDeniesAFunction) {
  const Status applied = hooks_->Apply(
      PolicyText("enforcer",
                 "{enforcers: [{calls: [security_file_open]}], fentries: [{call: security_inode_permission, syscall: "
                 "false, args: [{index: 1, type: int}], selectors: [{matchPIDs: [{operator: In, followForks: true, "
                 "values: [" +
                     std::to_string(getpid()) +
                     "]}], matchActions: [{action: NotifyEnforcer, argError: "
                     "-13}]}]}]}"));
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(ErrorOfOpen(file_), kNoAccess);
  ASSERT_TRUE(hooks_->RemoveAll().ok());
  EXPECT_EQ(ErrorOfOpen(file_), 0);
}

TEST_F(Trampoline, TheReturnOfADeniedCallIsSeen) {
  const Status applied = hooks_->Apply(PolicyText(
      "function",
      "{kprobes: [{call: security_file_open, syscall: false, return: true, returnArg: {index: 0, type: int}, " +
          OnFile("{action: Override, argError: -13}") + "}]}"));
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(ErrorOfOpen(file_), kNoAccess);
  const auto record = hooks_->WaitFor([](const HookRecord& one) { return one.event.kind == SL_HOOK_EVENT_RETURN; });
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->event.return_value, -kNoAccess);
}

TEST_F(Trampoline, FentryAndFexit) {
  const Status applied = hooks_->Apply(PolicyText(
      "fentry",
      "{fentries: [{call: security_file_open, syscall: false, return: true, returnArg: {index: 0, type: int}, " +
          OnFile("{action: Post}") + "}]}"));
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(Attached(), "fentry security_file_open");
  EXPECT_EQ(ErrorOfOpen(other_), 0);
  EXPECT_EQ(ErrorOfOpen(file_), 0);
  const auto enter = hooks_->WaitFor([](const HookRecord&) { return true; });
  ASSERT_TRUE(enter.ok()) << enter.status();
  EXPECT_EQ(enter->event.kind, SL_HOOK_EVENT_ENTER);
  EXPECT_EQ(enter->Text(0), file_);
  const auto left = hooks_->WaitFor([](const HookRecord&) { return true; });
  ASSERT_TRUE(left.ok()) << left.status();
  EXPECT_EQ(left->event.kind, SL_HOOK_EVENT_RETURN);
  EXPECT_EQ(left->event.call, enter->event.call);
  EXPECT_EQ(left->event.return_value, 0);
}

// The program's path as its own root sees it, and a field of the structure by its name in the kernel.
TEST_F(HookedPoint, ARawTracepointHasTheKernelsArguments) {
  const std::string program = directory_.path() + "/program";
  std::filesystem::copy_file("/bin/true", program);
  const Status applied = hooks_->Apply(PolicyText(
      "exec",
      fmt::format("{{tracepoints: [{{subsystem: sched, event: sched_process_exec, raw: true, args: [{{index: 2, "
                  "type: linux_binprm}}, {{index: 2, type: string, resolve: filename}}, {{index: 0, type: string, "
                  "resolve: comm}}], selectors: [{{matchArgs: [{{index: 2, operator: Equal, values: "
                  "[\"{}\"]}}]}}]}}]}}",
                  program)));
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(Attached(), "raw tracepoint sched_process_exec");
  Reap(Fork([] { Exec("/bin/true", {"true"}); }));
  const pid_t child = Fork([&] { Exec(program, {"program"}); });
  Reap(child);
  const auto record = hooks_->WaitFor([](const HookRecord&) { return true; });
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->event.pid, static_cast<__u32>(child));
  EXPECT_EQ(record->Text(0), program);
  EXPECT_EQ(record->Text(1), program);
  EXPECT_EQ(record->Text(2), "program");
}

TEST_F(HookedPoint, AnEventHasTheStacksThatItsSelectorWants) {
  const auto policy = [](const char* fields) {
    return PolicyText("exec", fmt::format("{{tracepoints: [{{subsystem: sched, event: sched_process_fork, raw: true, "
                                          "selectors: [{{matchActions: [{{action: Post{}}}]}}]}}]}}",
                                          fields));
  };
  Status applied = hooks_->Apply(policy(", kernelStackTrace: true, userStackTrace: true"));
  ASSERT_TRUE(applied.ok()) << applied;
  const auto fork_of_this = [&] {
    Reap(Fork([] { _exit(0); }));
    return hooks_->WaitFor([](const HookRecord& one) { return one.event.pid == static_cast<__u32>(getpid()); });
  };
  auto record = fork_of_this();
  ASSERT_TRUE(record.ok()) << record.status();
  ASSERT_GE(record->event.kernel_stack, 0);
  ASSERT_GE(record->event.user_stack, 0);
  const auto kernel = hooks_->programs().ReadStack(record->event.kernel_stack);
  ASSERT_GT(kernel.size(), 2U);
  EXPECT_GT(kernel[0], std::uint64_t{1} << 63U) << "no address of the kernel";
  const auto user = hooks_->programs().ReadStack(record->event.user_stack);
  ASSERT_GT(user.size(), 0U);
  EXPECT_LT(user[0], std::uint64_t{1} << 63U);
  applied = hooks_->Apply(policy(""));
  ASSERT_TRUE(applied.ok()) << applied;
  hooks_->Take();
  record = fork_of_this();
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_LT(record->event.kernel_stack, 0);
  EXPECT_LT(record->event.user_stack, 0);
}

TEST_F(HookedPoint, AFieldThatTheKernelHasNotIsRefused) {
  const Status applied = hooks_->Apply(PolicyText(
      "exec",
      "{tracepoints: [{subsystem: sched, event: sched_process_exec, raw: true, args: [{index: 2, type: string, "
      "resolve: no_such_field}]}]}"));
  EXPECT_FALSE(applied.ok());
  EXPECT_THAT(std::string(applied.message()), HasSubstr("no_such_field"));
}

// A UDP or TCP socket of this process that connects to itself; returns the port.
class Listener {
 public:
  Listener() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    if (bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(fd_.get(), 8) != 0) return;
    getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    address_ = address;
  }
  std::uint16_t port() const { return ntohs(address_.sin_port); }
  int Connect() const {
    const Fd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return connect(client.get(), reinterpret_cast<const sockaddr*>(&address_), sizeof(address_));
  }

 private:
  Fd fd_;
  sockaddr_in address_{};
};

TEST_F(HookedPoint, ASocketHasItsAddresses) {
  const Listener wanted, negative;
  const auto policy = [&](const std::string& op, const std::string& value) {
    return PolicyText("sock", fmt::format("{{tracepoints: [{{subsystem: sock, event: inet_sock_set_state, raw: true, "
                                          "args: [{{index: 0, type: sock}}, {{index: 2, type: int}}], selectors: "
                                          "[{{matchArgs: [{{index: 0, operator: DPort, values: [\"{}\"]}}, {{index: 0, "
                                          "operator: {}, values: [\"{}\"]}}, {{index: 1, operator: Equal, values: "
                                          "[\"2\"]}}]}}]}}]}}",  // TCP_SYN_SENT
                                          wanted.port(), op, value));
  };
  for (const auto& [op, value] :
       {std::pair{"DAddr", "127.0.0.0/8"}, std::pair{"NotDAddr", "10.0.0.0/8"}, std::pair{"SAddr", "127.0.0.1"},
        std::pair{"Protocol", "IPPROTO_TCP"}, std::pair{"Family", "AF_INET"}, std::pair{"NotDPortPriv", ""}}) {
    std::string text = policy(op, value);
    if (std::string(value).empty()) text.replace(text.find(", values: [\"\"]"), 14, "");
    const Status applied = hooks_->Apply(text);
    ASSERT_TRUE(applied.ok()) << op << ": " << applied;
    hooks_->Take();
    ASSERT_EQ(negative.Connect(), 0);
    ASSERT_EQ(wanted.Connect(), 0);
    const auto record = hooks_->WaitFor([](const HookRecord&) { return true; });
    ASSERT_TRUE(record.ok()) << op << ": " << record.status();
    ASSERT_EQ(record->event.arguments[0].length, sizeof(sl_hook_socket));
    sl_hook_socket socket{};
    std::memcpy(&socket, record->data.data() + record->event.arguments[0].offset, sizeof(socket));
    EXPECT_EQ(socket.destination_port, wanted.port()) << op;
    EXPECT_EQ(socket.family, AF_INET);
    EXPECT_EQ(socket.protocol, IPPROTO_TCP);
    EXPECT_EQ(record->event.arguments[0].number, 0U) << "no address of the kernel";
  }
  for (const auto& [op, value] : {std::pair{"DAddr", "10.0.0.0/8"}, std::pair{"NotDAddr", "127.0.0.0/8"}}) {
    ASSERT_TRUE(hooks_->Apply(policy(op, value)).ok());
    hooks_->Take();
    ASSERT_EQ(wanted.Connect(), 0);
    EXPECT_TRUE(hooks_->Take().empty()) << op << " " << value;
  }
}

}  // namespace
}  // namespace sluice::test
