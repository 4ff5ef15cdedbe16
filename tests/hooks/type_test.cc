// Types of arguments and operators on them, each with a call that a filter is for and one that it is not for: on what
// every kernel can see, system calls and raw tracepoints. Numbers, texts and addresses of random values are compared
// with the reference in reference_test.cc.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>

#include "kernel/bpf/preempt_counter.h"
#include "tests/hooks/hook_test.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;

// A filter that holds for what the test does, and one that does not: "operator: Equal, values: [1]".
struct Pair {
  std::string holds;
  std::string fails;
};

class HookedType : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_BPF();
    auto made = HookFixture::Create({});
    ASSERT_TRUE(made.ok()) << made.status();
    hooks_ = *std::move(made);
  }
  // Applies `spec`, does `act` in a child, and returns the child's record; nothing: there is none.
  std::optional<HookRecord> RecordOf(const std::string& spec, const std::function<void()>& act) {
    const Status applied = hooks_->Apply(PolicyText("type", spec));
    EXPECT_TRUE(applied.ok()) << applied << "\n" << spec;
    hooks_->Take();
    const pid_t child = Fork(act);
    EXPECT_EQ(Reap(child), 0) << spec;
    std::optional<HookRecord> found;
    for (HookRecord& record : hooks_->Take()) {
      if (record.event.pid == static_cast<__u32>(child)) found = std::move(record);
    }
    return found;
  }
  // `hook`: an entry of kprobes or tracepoints up to its selectors, with "$" where the filter's fields belong.
  void Check(const std::string& hook, const std::vector<Pair>& pairs, const std::function<void()>& act) {
    for (const Pair& pair : pairs) {
      EXPECT_TRUE(RecordOf(With(hook, pair.holds), act)) << pair.holds;
      EXPECT_FALSE(RecordOf(With(hook, pair.fails), act)) << pair.fails;
    }
  }
  static std::string With(std::string hook, const std::string& filter) {
    return hook.replace(hook.find('$'), 1, filter);
  }

  std::unique_ptr<HookFixture> hooks_;
  TempDir directory_;
};

// The first argument of the call is of the type, and the filter is on it.
std::string OnCall(const std::string& call, int index, const std::string& type, const std::string& more = "") {
  return fmt::format(
      "{{kprobes: [{{call: {}, args: [{{index: {}, type: {}}}{}], selectors: [{{matchArgs: [{{index: {}, $}}]}}]}}]}}",
      call, index, type, more, index);
}

TEST_F(HookedType, FdIsThePathOfTheOpenFile) {
  const std::string file = directory_.Write("file", "text\n", 0644);
  Check(OnCall("sys_fsync", 0, "fd"),
        {{fmt::format("operator: Equal, values: [\"{}\"]", file), "operator: Equal, values: [\"/etc/passwd\"]"},
         {"operator: Postfix, values: [/file]", "operator: NotPostfix, values: [/file]"},
         {fmt::format("operator: SubString, values: [\"{}\"]", directory_.path().substr(3)),
          "operator: SubString, values: [nowhere]"}},
        [&] {
          const int fd = open(file.c_str(), O_RDONLY);
          (void)fsync(fd);
        });
}

TEST_F(HookedType, SockaddrUnIsThePathOfTheSocket) {
  const std::string path = directory_.path() + "/socket";
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  ASSERT_LT(path.size(), sizeof(address.sun_path));
  std::memcpy(address.sun_path, path.data(), path.size());
  Check(OnCall("sys_connect", 1, "sockaddr_un"),
        {{fmt::format("operator: Equal, values: [\"{}\"]", path), "operator: Equal, values: [\"/run/other\"]"},
         {"operator: NotPrefix, values: [/run]", fmt::format("operator: NotPrefix, values: [\"{}\"]", path)},
         {"operator: Postfix, values: [/socket]", "operator: Postfix, values: [/other]"},
         {"operator: Family, values: [AF_UNIX]", "operator: Family, values: [AF_INET]"}},
        [&] { (void)connect(-1, reinterpret_cast<const sockaddr*>(&address), sizeof(address)); });
}

TEST_F(HookedType, CharIovecIsTheFirstBuffer) {
  char hello[] = "hello", world[] = "world";
  const iovec buffers[] = {{hello, 5}, {world, 5}};
  const auto record = RecordOf(
      "{kprobes: [{call: sys_writev, args: [{index: 0, type: int}, {index: 1, type: char_iovec, sizeArgIndex: 3}], "
      "selectors: [{matchArgs: [{index: 0, operator: Equal, values: [\"-7\"]}]}]}]}",
      [&] { (void)writev(-7, buffers, 2); });
  ASSERT_TRUE(record);
  EXPECT_EQ(record->Text(1), "hello");
}

TEST_F(HookedType, BpfCommandAndAttributes) {
  const auto record = RecordOf(
      "{kprobes: [{call: sys_bpf, args: [{index: 0, type: bpf_cmd}, {index: 1, type: bpf_attr}], selectors: "
      "[{matchArgs: [{index: 0, operator: Equal, values: [\"5\"]}]}]}]}",  // BPF_PROG_LOAD
      [] {
        union bpf_attr attributes = {};
        attributes.prog_type = BPF_PROG_TYPE_XDP;
        std::memcpy(attributes.prog_name, "sluice_type", sizeof("sluice_type"));
        (void)syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof(attributes));
      });
  ASSERT_TRUE(record);
  EXPECT_EQ(record->Text(1), "sluice_type");
  EXPECT_EQ(record->event.arguments[1].number, static_cast<__u64>(BPF_PROG_TYPE_XDP));
  Check(OnCall("sys_bpf", 0, "bpf_cmd"),
        {{"operator: InRange, values: [\"4:6\"]", "operator: InRange, values: [\"6:9\"]"}},
        [] { (void)syscall(SYS_bpf, BPF_PROG_LOAD, nullptr, 0); });
}

TEST_F(HookedType, CapabilitiesHaveNames) {
  Check(OnCall("sys_prctl", 1, "capability"),
        {{"operator: Equal, values: [CAP_KILL]", "operator: Equal, values: [CAP_CHOWN]"},
         {"operator: NotEqual, values: [CAP_CHOWN]", "operator: NotEqual, values: [CAP_KILL]"}},
        [] { (void)prctl(PR_CAPBSET_READ, 5, 0, 0, 0); });
}

TEST_F(HookedType, Syscall64IsTheNumberOfTheCall) {
  const auto hook = [](const char* list, const char* op) {
    return fmt::format(
        "{{lists: [{{name: calls, type: syscalls, values: [{}]}}], tracepoints: [{{subsystem: raw_syscalls, event: "
        "sys_enter, args: [{{index: 4, type: syscall64}}], selectors: [{{matchArgs: [{{index: 0, operator: {}, values: "
        "[\"list:calls\"]}}, {{index: 0, operator: InRange, values: [\"{}:{}\"]}}]}}]}}]}}",
        list, op, SYS_getpriority, SYS_getpriority);
  };
  const auto act = [] { (void)syscall(SYS_getpriority, 0, 0); };
  EXPECT_TRUE(RecordOf(hook("sys_getpriority, sys_dup", "InMap"), act));
  EXPECT_FALSE(RecordOf(hook("sys_dup", "InMap"), act));
  EXPECT_TRUE(RecordOf(hook("sys_dup", "NotInMap"), act));
  EXPECT_FALSE(RecordOf(hook("sys_getpriority", "NotInMap"), act));
}

TEST_F(HookedType, SockaddrHasAddressPortAndFamily) {
  sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(443), .sin_addr = {.s_addr = htonl(0x0a010203)}};
  Check(OnCall("sys_connect", 1, "sockaddr"),
        {{"operator: SAddr, values: [10.1.0.0/16]", "operator: SAddr, values: [10.2.0.0/16]"},
         {"operator: NotSAddr, values: [10.2.0.0/16]", "operator: NotSAddr, values: [10.1.0.0/16]"},
         {"operator: SPort, values: [\"440:443\"]", "operator: SPort, values: [\"80\"]"},
         {"operator: NotSPort, values: [\"80\"]", "operator: NotSPort, values: [\"443\"]"},
         {"operator: SPortPriv", "operator: NotSPortPriv"},
         {"operator: Family, values: [AF_INET]", "operator: Family, values: [AF_INET6]"}},
        [&] { (void)connect(-1, reinterpret_cast<const sockaddr*>(&address), sizeof(address)); });
}

// What a program is executed from, by the fields of the kernel's structures.
class HookedExec : public HookedType {
 protected:
  void SetUp() override {
    HookedType::SetUp();
    program_ = directory_.path() + "/program";
    fs::copy_file("/bin/true", program_);
  }
  // An argument of the tracepoint's, and a filter on it.
  void OnExec(int index, const std::string& type, const std::string& resolve, const std::vector<Pair>& pairs) {
    Check(fmt::format("{{tracepoints: [{{subsystem: sched, event: sched_process_exec, raw: true, args: [{{index: {}, "
                      "type: {}{}}}], selectors: [{{matchArgs: [{{args: [0], $}}]}}]}}]}}",
                      index, type, resolve.empty() ? "" : ", resolve: " + resolve),
          pairs, [&] { Exec(program_, {"program"}); });
  }
  std::vector<Pair> OnPath() const {
    return {
        {fmt::format("operator: Equal, values: [\"{}\"]", program_), "operator: Equal, values: [\"/bin/true\"]"},
        {"operator: NotEqual, values: [\"/bin/true\"]", fmt::format("operator: NotEqual, values: [\"{}\"]", program_)},
        {fmt::format("operator: Prefix, values: [\"{}\"]", directory_.path()), "operator: Prefix, values: [/bin/]"},
        {"operator: Postfix, values: [/program]", "operator: Postfix, values: [/true]"}};
  }

  std::string program_;
};

TEST_F(HookedExec, LinuxBinprmIsThePathOfTheProgram) { OnExec(2, "linux_binprm", "", OnPath()); }

TEST_F(HookedExec, FileHasPathAndType) {
  std::vector<Pair> pairs = OnPath();
  pairs.push_back({"operator: FileType, values: [reg]", "operator: FileType, values: [dir]"});
  pairs.push_back({"operator: NotFileType, values: [dir, lnk]", "operator: NotFileType, values: [reg]"});
  OnExec(2, "file", "file", pairs);
}

TEST_F(HookedExec, PathHasPathAndType) {
  std::vector<Pair> pairs = OnPath();
  pairs.push_back({"operator: FileType, values: [reg]", "operator: FileType, values: [dir]"});
  OnExec(2, "path", "file.f_path", pairs);
}

// Only the path in its file system is known.
TEST_F(HookedExec, DentryEndsWithTheNamesOfTheFile) {
  OnExec(2, "dentry", "file.f_path.dentry",
         {{"operator: Postfix, values: [/program]", "operator: Postfix, values: [/true]"},
          {"operator: SubStringIgnCase, values: [/PROGRAM]", "operator: SubStringIgnCase, values: [nowhere]"}});
}

TEST_F(HookedExec, StringIsTextUpToItsNul) { OnExec(2, "string", "filename", OnPath()); }

// This test has every capability, and no inheritable one.
TEST_F(HookedExec, SetsOfCapabilities) {
  for (const char* const type : {"kernel_cap_t", "cap_effective", "cap_permitted"}) {
    OnExec(0, type, "cred.cap_effective",
           {{"operator: Mask, values: [CAP_SYS_ADMIN]", "operator: Equal, values: [CAP_SYS_ADMIN]"},
            {"operator: NotEqual, values: [CAP_SYS_ADMIN]", "operator: Equal, values: [CAP_CHOWN]"}});
  }
  OnExec(0, "cap_inheritable", "cred.cap_inheritable",
         {{"operator: NotEqual, values: [CAP_CHOWN]", "operator: Mask, values: [CAP_CHOWN]"}});
  const auto gained = [](const char* order) {
    return fmt::format(
        "{{tracepoints: [{{subsystem: sched, event: sched_process_exec, raw: true, args: [{{index: 0, type: "
        "kernel_cap_t, resolve: cred.cap_effective}}, {{index: 0, type: kernel_cap_t, resolve: "
        "cred.cap_inheritable}}], "
        "selectors: [{{matchArgs: [{{args: {}, operator: CapabilitiesGained}}]}}]}}]}}",
        order);
  };
  const auto act = [&] { Exec(program_, {"program"}); };
  EXPECT_TRUE(RecordOf(gained("[0, 1]"), act));
  EXPECT_FALSE(RecordOf(gained("[1, 0]"), act));
}

TEST_F(HookedExec, CredentialsUserNamespaceAndWhatIsLeftOut) {
  struct stat facts {};
  ASSERT_EQ(stat("/proc/self/ns/user", &facts), 0);
  const auto record = RecordOf(
      "{tracepoints: [{subsystem: sched, event: sched_process_exec, raw: true, args: [{index: 0, type: cred, resolve: "
      "cred}, {index: 0, type: user_namespace, resolve: cred.user_ns}, {index: 1, type: nop}]}]}",
      [&] { Exec(program_, {"program"}); });
  ASSERT_TRUE(record);
  ASSERT_EQ(record->event.arguments[0].length, sizeof(sl_hook_cred));
  sl_hook_cred cred{};
  std::memcpy(&cred, record->data.data() + record->event.arguments[0].offset, sizeof(cred));
  EXPECT_EQ(cred.uid, getuid());
  EXPECT_EQ(cred.euid, geteuid());
  EXPECT_EQ(record->event.arguments[1].number, facts.st_ino);
  EXPECT_EQ(record->event.arguments[2].number, 0U);
  EXPECT_EQ(record->event.arguments[2].length, 0U);
}

// In a network namespace of its own, whose loopback is up.
class HookedPacket : public HookedType {
 protected:
  static constexpr std::uint16_t kPort = 700;
  static void Up() {
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP;
    const int control = socket(AF_INET, SOCK_DGRAM, 0);
    if (ioctl(control, SIOCSIFFLAGS, &request) != 0) _exit(3);
    close(control);
  }
  static sockaddr_in Loopback(std::uint16_t port) {
    return {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  }
  // One datagram from port 701 to 700 of the loopback.
  void Send() const {
    netns_.Enter();
    Up();
    const int from = socket(AF_INET, SOCK_DGRAM, 0), to = socket(AF_INET, SOCK_DGRAM, 0);
    const sockaddr_in source = Loopback(kPort + 1), destination = Loopback(kPort);
    if (bind(from, reinterpret_cast<const sockaddr*>(&source), sizeof(source)) != 0 ||
        bind(to, reinterpret_cast<const sockaddr*>(&destination), sizeof(destination)) != 0 ||
        sendto(from, "x", 1, 0, reinterpret_cast<const sockaddr*>(&destination), sizeof(destination)) != 1)
      _exit(4);
  }
  static std::string OnXmit(int index, const std::string& type) {
    return fmt::format(
        "{{tracepoints: [{{subsystem: net, event: net_dev_start_xmit, raw: true, args: [{{index: {}, "
        "type: {}}}], selectors: [{{matchArgs: [{{index: {}, $}}]}}]}}]}}",
        index, type, index);
  }

  const Netns netns_;
};

TEST_F(HookedPacket, SkbHasAddressesPortsAndProtocol) {
  Check(OnXmit(0, "skb"),
        {{"operator: DPort, values: [\"700\"]", "operator: DPort, values: [\"701\"]"},
         {"operator: NotDPort, values: [\"701\"]", "operator: NotDPort, values: [\"700\"]"},
         {"operator: DPortPriv", "operator: NotDPortPriv"},
         {"operator: SPort, values: [\"701\"]", "operator: NotSPort, values: [\"701\"]"},
         {"operator: SPortPriv", "operator: NotSPortPriv"},
         {"operator: SAddr, values: [127.0.0.0/8]", "operator: NotSAddr, values: [127.0.0.1]"},
         {"operator: DAddr, values: [127.0.0.1]", "operator: DAddr, values: [127.0.0.2]"},
         {"operator: NotDAddr, values: [10.0.0.0/8]", "operator: NotDAddr, values: [127.0.0.0/8]"},
         {"operator: Protocol, values: [IPPROTO_UDP]", "operator: Protocol, values: [IPPROTO_TCP]"},
         {"operator: Family, values: [AF_INET]", "operator: Family, values: [AF_INET6]"}},
        [&] { Send(); });
}

TEST_F(HookedPacket, NetDeviceIsItsName) {
  Check(OnXmit(1, "net_device"),
        {{"operator: Equal, values: [lo]", "operator: Equal, values: [eth0]"},
         {"operator: NotEqual, values: [eth0]", "operator: NotEqual, values: [lo]"},
         {"operator: Prefix, values: [l]", "operator: NotPrefix, values: [l]"}},
        [&] { Send(); });
}

// A connection to a port where nobody listens: the client's socket goes to SYN_SENT.
TEST_F(HookedPacket, SockAndSocketHaveAddressesPortsAndState) {
  const auto act = [&] {
    netns_.Enter();
    Up();
    const int client = socket(AF_INET, SOCK_STREAM, 0);
    const sockaddr_in source = Loopback(1025), destination = Loopback(kPort);
    if (bind(client, reinterpret_cast<const sockaddr*>(&source), sizeof(source)) != 0) _exit(4);
    (void)connect(client, reinterpret_cast<const sockaddr*>(&destination), sizeof(destination));
  };
  for (const auto& [type, resolve] : {std::pair{"sock", ""}, std::pair{"socket", ", resolve: sk_socket"}}) {
    Check(
        fmt::format("{{tracepoints: [{{subsystem: sock, event: inet_sock_set_state, raw: true, args: [{{index: 0, "
                    "type: {}{}}}, {{index: 2, type: int}}], selectors: [{{matchArgs: [{{args: [0], $}}, {{args: [1], "
                    "operator: Equal, values: [\"2\"]}}]}}]}}]}}",  // TCP_SYN_SENT
                    type, resolve),
        {{"operator: DPort, values: [\"700\"]", "operator: NotDPort, values: [\"700\"]"},
         {"operator: DPortPriv", "operator: NotDPortPriv"},
         {"operator: SPort, values: [\"1025\"]", "operator: SPort, values: [\"700\"]"},
         {"operator: NotSPortPriv", "operator: SPortPriv"},
         {"operator: NotSAddr, values: [10.0.0.0/8]", "operator: NotSAddr, values: [127.0.0.1]"},
         {"operator: Protocol, values: [IPPROTO_TCP]", "operator: Protocol, values: [IPPROTO_UDP]"},
         // The tracepoint is before the change.
         {"operator: State, values: [TCP_CLOSE]", "operator: State, values: [TCP_LISTEN]"}},
        act);
  }
}

// What is received through the loopback runs in a soft interrupt, which borrows the process that sends.
TEST_F(HookedPacket, AnInterruptIsNotTheProcessThatItBorrows) {
  if (!bpf::FindPreemptCounter().known())
    GTEST_SKIP() << "this kernel does not list its data in /proc/kallsyms (CONFIG_KALLSYMS_ALL)";
  const auto policy = [](const std::string& event, const std::string& spec, const std::string& selector) {
    return fmt::format(
        "{{{}tracepoints: [{{subsystem: net, event: {}, raw: true, args: [{{index: 0, type: skb}}], "
        "selectors: [{{matchArgs: [{{index: 0, operator: DPort, values: [\"700\"]}}]{}}}]}}]}}",
        spec, event, selector);
  };
  const auto status = [&](const std::string& spec) {
    const Status applied = hooks_->Apply(PolicyText("type", spec));
    EXPECT_TRUE(applied.ok()) << applied;
    hooks_->Take();
    return Reap(Fork([&] { Send(); }));
  };
  hooks::Subject pod{.key = "shop/web"};
  pod.facts.ns = "shop";
  pod.facts.labels = {{"app", "web"}};
  pod.netns = {netns_.inode()};
  ASSERT_TRUE(hooks_->tables().SetSubjects({pod}).ok());
  const std::string kill = ", matchActions: [{action: Sigkill}]", web = "podSelector: {matchLabels: {app: web}}, ";
  EXPECT_EQ(status(policy("net_dev_start_xmit", web, kill)), kKilled) << "the process itself";
  EXPECT_EQ(status(policy("netif_receive_skb", web, kill)), 0);
  EXPECT_TRUE(hooks_->Take().empty()) << "it is in no pod";
  EXPECT_EQ(status(policy("netif_receive_skb", "hostSelector: {}, ", kill)), 0);
  EXPECT_TRUE(hooks_->Take().empty()) << "nor a process of the host";
  // A policy for everything sees it, and kills nobody.
  EXPECT_EQ(status(policy("netif_receive_skb", "", kill)), 0);
  const auto record = hooks_->WaitFor([](const HookRecord&) { return true; });
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->event.pid, 0U);
  EXPECT_EQ(record->event.tid, 0U);
  EXPECT_EQ(record->event.subject, 0U);
  EXPECT_FALSE(record->Did(SL_HOOK_ACTION_SIGNAL));
  EXPECT_EQ(hooks_->Count("type", SL_HOOK_COUNT_FAILED), 1U);
  // Filters on the process do not hold, and negated ones do.
  const std::string pid_one = "matchPIDs: [{operator: NotIn, values: [1]}]",
                    pids = ", matchPIDs: [{operator: In, values: [0]}]";
  EXPECT_EQ(status(policy("netif_receive_skb", "", pids)), 0);
  EXPECT_TRUE(hooks_->Take().empty());
  EXPECT_EQ(status(policy("netif_receive_skb", "", ", " + pid_one)), 0);
  EXPECT_FALSE(hooks_->Take().empty());
}

// The process that connects is remembered, whoever uses the socket afterwards.
TEST_F(HookedPacket, TrackSockNamesTheOwnerUntilUntrackSock) {
  // From one state of the socket to another. A close may also go from TCP_FIN_WAIT1 to itself.
  const auto on_state = [](const char* from, const char* to, const char* action) {
    return fmt::format(
        "{{matchArgs: [{{index: 0, operator: DPort, values: [\"700\"]}}, {{index: 1, operator: Equal, values: "
        "[\"{}\"]}}, {{index: 2, operator: Equal, values: [\"{}\"]}}], matchActions: [{}]}}",
        from, to, action);
  };
  const auto policy = [&](const std::string& selectors) {
    return PolicyText("track",
                      fmt::format("{{tracepoints: [{{subsystem: sock, event: inet_sock_set_state, raw: true, "
                                  "args: [{{index: 0, type: sock}}, {{index: 1, type: int}}, {{index: 2, type: int}}], "
                                  "selectors: [{}]}}]}}",
                                  selectors));
  };
  // To TCP_SYN_SENT by the one that connects, to TCP_ESTABLISHED, and to TCP_FIN_WAIT1 by the one that closes, its
  // child.
  const std::string connects = on_state("7", "2", "{action: Post}"),
                    track = on_state("7", "2", "{action: TrackSock, argSock: 0}, {action: Post}"),
                    closes = on_state("1", "4", "{action: Post}"),
                    forgets = on_state("2", "1", "{action: UntrackSock, argSock: 0}, {action: NoPost}");
  const auto closer_is_named = [&](const std::string& selectors) {
    const Status applied = hooks_->Apply(policy(selectors));
    EXPECT_TRUE(applied.ok()) << applied;
    hooks_->Take();
    const pid_t owner = Fork([&] {
      netns_.Enter();
      Up();
      const int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
      const sockaddr_in address = Loopback(kPort);
      if (bind(server, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 || listen(server, 1) != 0 ||
          connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
        _exit(4);
      const pid_t child = fork();
      if (child == 0) {
        shutdown(client, SHUT_WR);
        _exit(0);
      }
      _exit(Reap(child));
    });
    EXPECT_EQ(Reap(owner), 0);
    std::vector<std::uint32_t> named;
    std::string seen;
    for (const HookRecord& record : hooks_->Take()) {
      named.push_back(record.event.pid);
      seen += fmt::format("{} to state {}, actions {}; ", record.event.pid, record.event.arguments[2].number,
                          record.event.actions);
    }
    EXPECT_EQ(named.size(), 2U) << "owner " << owner << ": " << seen;
    return named.size() == 2 && named[0] == static_cast<std::uint32_t>(owner) && named[1] != named[0];
  };
  EXPECT_FALSE(closer_is_named(track + ", " + closes)) << "the owner is named instead";
  EXPECT_TRUE(closer_is_named(connects + ", " + closes)) << "nothing is remembered";
  EXPECT_TRUE(closer_is_named(track + ", " + forgets + ", " + closes)) << "forgotten in TCP_ESTABLISHED";
}

}  // namespace
}  // namespace sluice::test
