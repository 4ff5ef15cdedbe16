// Hooks on functions of the kernel by kprobe and kretprobe.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "testbed/netns.h"
#include "tests/hooks/hook_test.h"

namespace sluice::test {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::Gt;
using testing::HasSubstr;

class HookedFunction : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_BPF();
    if (const std::string missing = MissingForKprobes(); !missing.empty()) GTEST_SKIP() << missing;
    auto& shared = Shared();
    if (shared == nullptr) {
      auto made = HookFixture::Create({});
      ASSERT_TRUE(made.ok()) << made.status();
      shared = *std::move(made);
    }
    hooks_ = shared.get();
    file_ = directory_.Write("secret", "secret\n", 0644);
    other_ = directory_.Write("other", "other\n", 0644);
  }
  void TearDown() override {
    if (hooks_ == nullptr) return;
    EXPECT_TRUE(hooks_->RemoveAll().ok());
    hooks_->Take();
  }
  static void TearDownTestSuite() { Shared().reset(); }

  void Apply(const std::string& name, const std::string& spec) {
    const Status applied = hooks_->Apply(PolicyText(name, spec));
    ASSERT_TRUE(applied.ok()) << applied;
  }
  // A hook on security_file_open of the file.
  std::string OnOpen(const std::string& more = "") const {
    return fmt::format(
        "{{call: security_file_open, syscall: false, args: [{{index: 0, type: file}}], selectors: [{{matchArgs: "
        "[{{index: 0, operator: Equal, values: [\"{}\"]}}]{}}}]}}",
        file_, more);
  }
  // The policies and kinds of a child's records, each once: overlayfs opens a file twice.
  std::vector<std::string> Seen(pid_t child) {
    std::vector<std::string> seen;
    for (const HookRecord& record : hooks_->Take()) {
      if (record.event.pid != static_cast<std::uint32_t>(child)) continue;
      const std::string what = hooks_->PolicyOf(record) + (record.event.kind == SL_HOOK_EVENT_RETURN ? " returns" : "");
      if (std::ranges::find(seen, what) == seen.end()) seen.push_back(what);
    }
    return seen;
  }
  static pid_t Open(const std::string& path) {
    const pid_t child = Fork([&] { _exit(OpenFile(path) < 0 ? 1 : 0); });
    EXPECT_EQ(Reap(child), 0);
    return child;
  }

  HookFixture* hooks_ = nullptr;
  TempDir directory_;
  std::string file_, other_;

 private:
  static std::unique_ptr<HookFixture>& Shared() {
    static std::unique_ptr<HookFixture> shared;
    return shared;
  }
};

TEST_F(HookedFunction, PoliciesShareItAndComeAndGo) {
  Apply("one", "{kprobes: [" + OnOpen() + "]}");
  EXPECT_THAT(Seen(Open(other_)), ElementsAre());
  EXPECT_THAT(Seen(Open(file_)), ElementsAre("one"));
  const std::string with_return = OnOpen().replace(1, 0, "return: true, returnArg: {index: 0, type: int}, ");
  Apply("two", "{kprobes: [" + with_return + "]}");
  EXPECT_THAT(Seen(Open(file_)), ElementsAre("one", "two", "two returns"));
  ASSERT_TRUE(hooks_->tables().Remove({.ns = "", .name = "one"}).ok());
  EXPECT_THAT(Seen(Open(file_)), ElementsAre("two", "two returns"));
  Apply("two", "{kprobes: [" + OnOpen() + "]}");
  EXPECT_THAT(Seen(Open(file_)), ElementsAre("two"));
  ASSERT_TRUE(hooks_->RemoveAll().ok());
  EXPECT_THAT(Seen(Open(file_)), ElementsAre());
}

TEST_F(HookedFunction, OneThatIsMissingMayBeIgnored) {
  const std::string missing = "{call: no_such_function_here, syscall: false, ignore: {callNotFound: true}}";
  Apply("partly", "{kprobes: [" + missing + ", " + OnOpen() + "]}");
  const auto list = hooks_->tables().List();
  ASSERT_EQ(list.size(), 1U);
  ASSERT_EQ(list[0].hooks.size(), 2U);
  EXPECT_EQ(list[0].hooks[0].attached, "");
  EXPECT_EQ(list[0].hooks[1].attached, "kprobe security_file_open");
  EXPECT_THAT(Seen(Open(file_)), ElementsAre("partly"));
}

// Kernel functions that kprobes must not be on, for they serve kprobes themselves.
TEST_F(HookedFunction, OneThatTheKernelDoesNotLetProbeIsRefused) {
  const Status refused =
      hooks_->Apply(PolicyText("refused", "{kprobes: [{call: kprobe_int3_handler, syscall: false}]}"));
  EXPECT_FALSE(refused.ok());
  EXPECT_THAT(Message(refused), AllOf(HasSubstr("kprobe_int3_handler"), HasSubstr("line")));
  EXPECT_TRUE(hooks_->tables().List().empty());
}

TEST_F(HookedFunction, AListHasAHookOnEachOfItsFunctions) {
  Apply("list",
        "{lists: [{name: opens, values: [security_file_open, security_inode_getattr]}], "
        "kprobes: [{call: \"list:opens\", syscall: false}]}");
  std::vector<std::string> attached;
  const auto list = hooks_->tables().List();
  for (const auto& hook : list.at(0).hooks) attached.push_back(hook.attached);
  EXPECT_THAT(attached, ElementsAre("kprobe security_file_open", "kprobe security_inode_getattr"));
  const pid_t child = Open(file_);
  EXPECT_THAT(Seen(child), AllOf(Each("list"), testing::SizeIs(Gt(0U))));
}

TEST_F(HookedFunction, AGeneratedListHasTheFunctionsOfThisKernel) {
  Apply("list",
        "{lists: [{name: opens, type: generated_ftrace, pattern: \"^security_(file_open|inode_getattr)$\"}], kprobes: "
        "[{call: \"list:opens\", syscall: false}]}");
  std::vector<std::string> attached;
  const auto list = hooks_->tables().List();
  for (const auto& hook : list.at(0).hooks) attached.push_back(hook.attached);
  EXPECT_THAT(attached, ElementsAre("kprobe security_file_open", "kprobe security_inode_getattr"));
}

// What a write is about: its file, and the bytes of its first buffer.
TEST_F(HookedFunction, AWriteInProgress) {
  Apply("write",
        "{kprobes: [{call: random_write_iter, syscall: false, args: [{index: 0, type: kiocb}, {index: 1, type: "
        "iov_iter}]}]}");
  const auto written = [&](const std::vector<std::string>& parts) {
    EXPECT_EQ(Reap(Fork([&] {
                const int fd = open("/dev/urandom", O_WRONLY);
                std::vector<iovec> vectors;
                for (const std::string& part : parts)
                  vectors.push_back({.iov_base = const_cast<char*>(part.data()), .iov_len = part.size()});
                const ssize_t size = parts.size() == 1 ? write(fd, parts[0].data(), parts[0].size())
                                                       : writev(fd, vectors.data(), static_cast<int>(vectors.size()));
                _exit(size > 0 ? 0 : 1);
              })),
              0);
    const auto record = hooks_->WaitFor([](const HookRecord&) { return true; });
    EXPECT_TRUE(record.ok()) << record.status();
    return record.ok() ? record->Text(0) + " " + record->Text(1) : "";
  };
  EXPECT_EQ(written({"entropy"}), "/dev/urandom entropy");
  EXPECT_EQ(written({"first", "second"}), "/dev/urandom first");
}

// The type is what the kernel says: a BPF program.
TEST_F(HookedFunction, AnArgumentOfItsOwnType) {
  Apply("program", "{kprobes: [{call: security_bpf_prog, syscall: false, args: [{index: 0, type: auto}]}]}");
  const auto load = [](const char* name, bpf_prog_type type) {
    const bpf_insn instructions[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = 0},
        {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
    const Fd program(bpf_prog_load(type, name, "GPL", instructions, std::size(instructions), nullptr));
    EXPECT_TRUE(program.valid()) << strerror(errno);
  };
  load("sl_named", BPF_PROG_TYPE_SOCKET_FILTER);
  const auto record = hooks_->WaitFor([](const HookRecord& one) { return one.Text(0) == "sl_named"; });
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->event.arguments[0].read, SL_HOOK_READ_BPF_OBJECT);
  EXPECT_EQ(record->event.arguments[0].number, BPF_PROG_TYPE_SOCKET_FILTER);
  const Status refused = hooks_->Apply(
      PolicyText("refused", "{kprobes: [{call: security_bpf_prog, syscall: false, args: [{index: 3, type: auto}]}]}"));
  EXPECT_THAT(Message(refused), HasSubstr("has no argument 3"));
}

// The program, its loader and its libraries; not a file that is only read.
TEST_F(HookedFunction, TheLoaderSeesProgramsAndLibraries) {
  Apply("loader", "{loader: true}");
  const pid_t child = Fork([&] { Exec("/bin/cat", {"cat", file_}); });
  EXPECT_EQ(Reap(child), 0);
  std::vector<std::string> loaded;
  for (const HookRecord& record : hooks_->Take()) {
    if (record.event.pid == static_cast<__u32>(child)) loaded.push_back(record.Text(0));
  }
  EXPECT_THAT(loaded, AllOf(testing::Contains(HasSubstr("/libc.so")), testing::Contains(HasSubstr("/cat"))));
  EXPECT_THAT(loaded, Each(testing::Not(file_)));
}

TEST_F(HookedFunction, ASocketsDestination) {
  const auto netns = TestNetNs::Create("hooks");
  ASSERT_TRUE(netns.ok()) << netns.status();
  int listeners[2];
  std::uint16_t ports[2];
  const Status listening = netns->Run([&]() -> Status {
    for (int i = 0; i < 2; ++i) {
      sockaddr_in any{};
      any.sin_family = AF_INET;
      socklen_t size = sizeof(any);
      listeners[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      if (bind(listeners[i], reinterpret_cast<sockaddr*>(&any), size) != 0 || listen(listeners[i], 8) != 0 ||
          getsockname(listeners[i], reinterpret_cast<sockaddr*>(&any), &size) != 0)
        return ErrnoError(errno, "listen");
      ports[i] = ntohs(any.sin_port);
    }
    return OkStatus();
  });
  ASSERT_TRUE(listening.ok()) << listening;
  const auto connect_to = [&](const char* address, std::uint16_t port) {
    const pid_t child = Fork([&] {
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_port = htons(port);
      inet_pton(AF_INET, address, &to.sin_addr);
      if (setns(netns->fd(), CLONE_NEWNET) != 0) _exit(1);
      const int client = socket(AF_INET, SOCK_STREAM, 0);
      if (connect(client, reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) _exit(2);
    });
    EXPECT_EQ(Reap(child), 0);
    return child;
  };
  Apply("connect",
        fmt::format("{{kprobes: [{{call: tcp_connect, syscall: false, args: [{{index: 0, type: sock}}], selectors: "
                    "[{{matchArgs: [{{index: 0, operator: DAddr, values: [\"127.0.0.0/30\"]}}, {{index: 0, operator: "
                    "DPort, values: [\"{}\"]}}]}}]}}]}}",
                    ports[0]));
  EXPECT_THAT(Seen(connect_to("127.0.0.1", ports[1])), ElementsAre());
  EXPECT_THAT(Seen(connect_to("127.0.0.5", ports[0])), ElementsAre());
  const pid_t child = connect_to("127.0.0.1", ports[0]);
  const auto record =
      hooks_->WaitFor([&](const HookRecord& one) { return one.event.pid == static_cast<__u32>(child); });
  ASSERT_TRUE(record.ok()) << record.status();
  const sl_hook_value& value = record->event.arguments[0];
  sl_hook_socket seen{};
  ASSERT_EQ(value.length, sizeof(seen));
  ASSERT_LE(value.offset + sizeof(seen), record->data.size());
  std::memcpy(&seen, record->data.data() + value.offset, sizeof(seen));
  EXPECT_EQ(seen.destination_port, ports[0]);
  EXPECT_EQ(seen.family, AF_INET);
  EXPECT_EQ(seen.protocol, IPPROTO_TCP);
  EXPECT_EQ(seen.type, SOCK_STREAM);
  for (const int listener : listeners) close(listener);
}

// The types that only functions of the kernel have.
TEST_F(HookedFunction, AFilenameIsThePathAsItWasGiven) {
  const auto policy = [&](const char* op, const std::string& value) {
    return fmt::format(
        "{{kprobes: [{{call: do_filp_open, syscall: false, args: [{{index: 1, type: filename}}], selectors: "
        "[{{matchArgs: [{{index: 1, operator: {}, values: [\"{}\"]}}]}}]}}]}}",
        op, value);
  };
  Apply("name", policy("Equal", file_));
  EXPECT_THAT(Seen(Open(other_)), ElementsAre());
  EXPECT_THAT(Seen(Open(file_)), ElementsAre("name"));
  Apply("name", policy("Postfix", "/secret"));
  EXPECT_THAT(Seen(Open(other_)), ElementsAre());
  EXPECT_THAT(Seen(Open(file_)), ElementsAre("name"));
}

TEST_F(HookedFunction, AMapAndAPerfEventHaveTypes) {
  Apply("map", "{kprobes: [{call: security_bpf_map, syscall: false, args: [{index: 0, type: bpf_map}]}]}");
  const auto record_of = [&](pid_t child) {
    return hooks_->WaitFor([&](const HookRecord& one) { return one.event.pid == static_cast<__u32>(child); });
  };
  const pid_t maker = Fork([] {
    union bpf_attr attributes = {};
    attributes.map_type = BPF_MAP_TYPE_ARRAY;
    attributes.key_size = attributes.value_size = 4;
    attributes.max_entries = 1;
    std::memcpy(attributes.map_name, "sluice_kind", sizeof("sluice_kind"));
    _exit(syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof(attributes)) < 0 ? 1 : 0);
  });
  ASSERT_EQ(Reap(maker), 0);
  const auto map = record_of(maker);
  ASSERT_TRUE(map.ok()) << map.status();
  EXPECT_EQ(map->Text(0), "sluice_kind");
  EXPECT_EQ(map->event.arguments[0].number, static_cast<__u64>(BPF_MAP_TYPE_ARRAY));
  ASSERT_TRUE(hooks_->RemoveAll().ok());
  Apply("perf", "{kprobes: [{call: security_perf_event_alloc, syscall: false, args: [{index: 0, type: perf_event}]}]}");
  const pid_t counter = Fork([] {
    perf_event_attr attributes{};
    attributes.size = sizeof(attributes);
    attributes.type = PERF_TYPE_SOFTWARE;
    attributes.config = PERF_COUNT_SW_TASK_CLOCK;
    _exit(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0) < 0 ? 1 : 0);
  });
  ASSERT_EQ(Reap(counter), 0);
  const auto event = record_of(counter);
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_EQ(event->event.arguments[0].number, static_cast<__u64>(PERF_TYPE_SOFTWARE));
}

// By modprobe, of a module that needs no hardware.
TEST_F(HookedFunction, AModuleHasItsNameWhenItIsLoaded) {
  const auto run = [](const char* command) { return std::system(command) == 0; };  // NOLINT(concurrency-mt-unsafe)
  if (!run("modprobe --dry-run --quiet dummy")) GTEST_SKIP() << "there is no module `dummy` for this kernel (kmod)";
  run("modprobe --remove --quiet dummy");
  Apply("load",
        "{kprobes: [{call: find_module_sections, syscall: false, ignore: {callNotFound: true}, args: [{index: 0, type: "
        "module}, {index: 1, type: load_info}]}]}");
  Apply("loaded",
        "{tracepoints: [{subsystem: module, event: module_load, raw: true, args: [{index: 0, type: module}]}]}");
  ASSERT_TRUE(run("modprobe dummy"));
  std::map<std::string, std::vector<std::string>> texts;
  for (const HookRecord& record : hooks_->Take()) {
    texts[hooks_->PolicyOf(record)].push_back(record.Text(0));
    if (hooks_->PolicyOf(record) == "load") texts["info"].push_back(record.Text(1));
  }
  run("modprobe --remove --quiet dummy");
  EXPECT_THAT(texts["loaded"], ElementsAre("dummy"));
  EXPECT_THAT(texts["load"], ElementsAre("dummy"));
  EXPECT_THAT(texts["info"], ElementsAre("dummy"));
}

}  // namespace
}  // namespace sluice::test
