// The helper with the one right that the agent lacks: what it does, what it refuses, and when it ends.
#include "ctrl/rights/helper.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <vector>

#include "ctrl/rights/rights.h"
#include "kernel/bpf/hook.h"
#include "kernel/net/netlink.h"
#include "testbed/netns.h"
#include "tests/support/environment.h"

namespace sluice::rights {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::uint32_t kLast = 0x7ffffffe;  // no object has a higher number

std::string ProcField(pid_t pid, const std::string& name) {
  std::ifstream file(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name + ":")) return line.substr(line.find_first_not_of(" \t", name.size() + 1));
  }
  return "";
}

std::uint64_t Capabilities(pid_t pid, const std::string& name) {
  return std::stoull(ProcField(pid, name), nullptr, 16);
}

std::size_t OpenFiles(pid_t pid) {
  const fs::directory_iterator files(fmt::format("/proc/{}/fd", pid));
  return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

Fd PidFd(pid_t pid) { return Fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))); }

bool Happens(int fd, short what, std::chrono::milliseconds patience = 10s) {
  pollfd polled{fd, what, 0};
  return poll(&polled, 1, static_cast<int>(patience.count())) == 1;
}

class HelperTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    auto helper = Helper::Start();
    ASSERT_TRUE(helper.ok()) << helper.status();
    helper_ = *std::move(helper);
  }
  Fd Open(const std::string& path) const {
    Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_TRUE(fd.valid()) << path;
    return fd;
  }
  Status Refusal(int fd) const { return helper_->SocketIn(fd).status(); }

  std::unique_ptr<Helper> helper_;
};

TEST_F(HelperTest, HasTwoRightsAndNothingOfItsParents) {
  const pid_t pid = helper_->pid();
  constexpr std::uint64_t kOnly = std::uint64_t{1} << CAP_SYS_ADMIN | std::uint64_t{1} << CAP_KILL;
  for (const char* set : {"CapEff", "CapPrm", "CapBnd"}) EXPECT_EQ(Capabilities(pid, set), kOnly) << set;
  for (const char* set : {"CapInh", "CapAmb"}) EXPECT_EQ(Capabilities(pid, set), 0U) << set;
  EXPECT_EQ(ProcField(pid, "NoNewPrivs"), "1");
  EXPECT_EQ(ProcField(pid, "Seccomp"), "2");
  EXPECT_EQ(ProcField(pid, "Name"), "sluice-helper");
  EXPECT_EQ(OpenFiles(pid), 6U);  // /dev/null twice, standard error, the socket, its namespace, the root of tracefs
  const auto held = ReadHeld(pid, Whose::kHelper);
  ASSERT_TRUE(held.ok()) << held.status();
  ASSERT_EQ(held->rights.size(), 2U);
  EXPECT_EQ(held->rights[0].name, "CAP_KILL");
  EXPECT_EQ(held->rights[1].name, "CAP_SYS_ADMIN");
  EXPECT_THAT(held->confinement, ElementsAre("no new privileges", "system call filter"));
}

TEST_F(HelperTest, MakesSocketsInTheNamespaceThatItIsGiven) {
  for (const char* name : {"d0", "d1"}) {
    const auto netns = test::TestNetNs::Create(name);
    ASSERT_TRUE(netns.ok()) << netns.status();
    ASSERT_TRUE(netns->Ip(fmt::format("link add {} type bridge\n", name)).ok());
    auto socket = helper_->SocketIn(netns->fd());
    ASSERT_TRUE(socket.ok()) << socket.status();
    auto inside = net::Netlink::Use(*std::move(socket));
    ASSERT_TRUE(inside.ok()) << inside.status();
    EXPECT_TRUE(inside->GetLink(name).ok());
    EXPECT_EQ(inside->DumpLinks()->size(), 2U);
  }
  const auto own = net::NetNs::Open(fmt::format("/proc/{}/ns/net", helper_->pid()));
  ASSERT_TRUE(own.ok()) << own.status();
  EXPECT_EQ(own->identity(), net::NetNs::OfThisThread()->identity()) << "it stays where it was";
}

TEST_F(HelperTest, RefusesWhatIsNoNetworkNamespace) {
  for (const char* path : {"/dev/null", "/proc/self/ns/mnt", "/proc/self/ns/user", "/proc/self/ns/pid", "/proc"})
    EXPECT_TRUE(absl::IsInvalidArgument(Refusal(Open(path).get()))) << path << Refusal(Open(path).get());
  const Fd process = PidFd(getpid());
  ASSERT_TRUE(process.valid());
  EXPECT_TRUE(absl::IsInvalidArgument(Refusal(process.get()))) << "a process's, which setns would take";
  EXPECT_TRUE(absl::IsInvalidArgument(Refusal(-1)));
  EXPECT_TRUE(helper_->SocketIn(net::NetNs::OfThisThread()->fd()).ok()) << "and goes on";
}

TEST_F(HelperTest, OpensWhatTheKernelNumbers) {
  SL_REQUIRE_BPF();
  const bpf_insn pass[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = 0}, {.code = BPF_JMP | BPF_EXIT}};
  const Fd program(bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "pass", "GPL", pass, std::size(pass), nullptr));
  ASSERT_TRUE(program.valid()) << strerror(errno);
  const auto id = bpf::ProgramId(program.get());
  ASSERT_TRUE(id.ok()) << id.status();
  const auto opened = helper_->OpenProgram(*id);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(*bpf::ProgramId(opened->get()), *id);
  EXPECT_TRUE(helper_->OpenTypes(1).ok()) << "the kernel's own";
  for (const auto& nothing : {helper_->OpenProgram(~0U), helper_->OpenLink(~0U), helper_->OpenTypes(~0U)})
    EXPECT_TRUE(absl::IsNotFound(nothing.status())) << nothing.status();
  EXPECT_TRUE(absl::IsNotFound(helper_->NextLink(kLast).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(helper_->OpenKprobe("do_exit").status())) << "no sensor's";
  if (fs::exists("/sys/bus/event_source/devices/kprobe/type")) {
    const auto kprobe = helper_->OpenKprobe("finalize_exec");
    EXPECT_TRUE(kprobe.ok()) << kprobe.status();
  }
}

TEST_F(HelperTest, EndsAProcessOfAnyUserByItsDescriptor) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    const bool is_other = setgid(65534) == 0 && setuid(65534) == 0;
    if (write(ends[1], is_other ? "y" : "n", 1) != 1) _exit(1);
    while (true) pause();
  }
  char is_other = 0;
  ASSERT_EQ(read(ends[0], &is_other, 1), 1);
  close(ends[0]);
  close(ends[1]);
  EXPECT_EQ(is_other, 'y');
  const Fd process = PidFd(child);
  ASSERT_TRUE(process.valid());
  for (const char* path : {"/dev/null", "/proc/self/ns/net"})
    EXPECT_TRUE(absl::IsInvalidArgument(helper_->Kill(Open(path).get()))) << path;
  EXPECT_TRUE(absl::IsInvalidArgument(helper_->Kill(-1)));
  EXPECT_EQ(kill(child, 0), 0) << "it is alive";
  const Status killed = helper_->Kill(process.get());
  EXPECT_TRUE(killed.ok()) << killed;
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  EXPECT_TRUE(absl::IsNotFound(helper_->Kill(process.get())));
}

TEST_F(HelperTest, LeaksNoFiles) {
  const auto netns = test::TestNetNs::Create("leak");
  ASSERT_TRUE(netns.ok()) << netns.status();
  const Fd other = Open("/dev/null");
  const std::size_t own = OpenFiles(getpid()), helpers = OpenFiles(helper_->pid());
  for (int i = 0; i < 1000; i++) {
    ASSERT_TRUE(helper_->SocketIn(netns->fd()).ok());
    ASSERT_FALSE(helper_->SocketIn(other.get()).ok());
    ASSERT_FALSE(helper_->OpenProgram(~0U).ok());
  }
  EXPECT_EQ(OpenFiles(getpid()), own);
  EXPECT_EQ(OpenFiles(helper_->pid()), helpers);
}

TEST_F(HelperTest, TellsThatThereWasNoRoomForADescriptor) {
  const auto here = net::NetNs::OfThisThread();
  std::vector<Fd> all;
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{3, before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &none);
  const auto full = helper_->SocketIn(here->fd());
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_FALSE(full.ok());
  EXPECT_THAT(Message(full.status()), HasSubstr("Too many open files"));
  EXPECT_TRUE(helper_->SocketIn(here->fd()).ok()) << "and the next one is answered";
}

TEST_F(HelperTest, LeavesAStopToItsParent) {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT}) ASSERT_EQ(kill(helper_->pid(), signal), 0);
  EXPECT_TRUE(helper_->SocketIn(net::NetNs::OfThisThread()->fd()).ok());
}

TEST_F(HelperTest, WhenItIsKilledNothingIsAnAnswer) {
  EXPECT_FALSE(Happens(helper_->fd(), 0, 0ms));
  ASSERT_EQ(kill(helper_->pid(), SIGKILL), 0);
  ASSERT_TRUE(Happens(helper_->fd(), 0));
  EXPECT_THAT(Message(helper_->WhyGone()), HasSubstr("signal 9"));
  for (const Status& asked : {Refusal(net::NetNs::OfThisThread()->fd()), helper_->NextLink(0).status()})
    EXPECT_TRUE(absl::IsInternal(asked)) << asked;
}

// A late answer would be taken for the answer to the next question.
TEST_F(HelperTest, OneThatIsSilentIsGone) {
  auto helper = Helper::Start(100ms);
  ASSERT_TRUE(helper.ok()) << helper.status();
  ASSERT_EQ(kill((*helper)->pid(), SIGSTOP), 0);
  EXPECT_TRUE(absl::IsInternal((*helper)->NextLink(0).status()));
  EXPECT_TRUE(Happens((*helper)->fd(), 0));
  ASSERT_EQ(kill((*helper)->pid(), SIGCONT), 0);
  EXPECT_TRUE(absl::IsInternal((*helper)->NextLink(0).status()));
  EXPECT_TRUE(Happens(PidFd((*helper)->pid()).get(), POLLIN)) << "and ends";
}

// It is given only the questions.
class Questions : public ::testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    auto process = StartHelperProcess();
    ASSERT_TRUE(process.ok()) << process.status();
    process_ = *std::move(process);
    EXPECT_EQ(Answer(), 0) << "it is ready";
  }
  void TearDown() override {
    if (process_.pid < 0) return;
    const Fd process = PidFd(process_.pid);
    process_.socket = Fd();
    EXPECT_TRUE(Happens(process.get(), POLLIN)) << "it ends with the socket";
    int how = -1;
    EXPECT_EQ(waitpid(process_.pid, &how, 0), process_.pid);
#ifndef __SANITIZE_ADDRESS__  // its leak check at the end needs calls that are forbidden to the helper
    EXPECT_EQ(how, 0);
#endif
  }
  int Answer(bool* with_fd = nullptr) {
    HelperAnswer answer;
    int fd = -1;
    if (!ReceivePacket(process_.socket.get(), &answer, sizeof(answer), &fd)) return -1;
    if (with_fd != nullptr) *with_fd = fd >= 0;
    const Fd close_it(fd);
    return answer.error;
  }
  // The errno in the answer.
  int Ask(const HelperQuestion& question, const std::vector<int>& fds = {}) {
    std::vector<std::uint32_t> words(sizeof(question) / sizeof(std::uint32_t));
    std::memcpy(words.data(), &question, sizeof(question));
    return AskWords(words, fds);
  }
  int AskFor(const std::string& function, std::uint32_t at_return) {
    HelperQuestion question{.kind = static_cast<std::uint32_t>(bpf::AdminCall::kOpenFunction), .argument = at_return};
    std::copy(function.begin(), function.end(), question.function);
    return Ask(question);
  }
  int AskWords(const std::vector<std::uint32_t>& words, const std::vector<int>& fds = {}) {
    iovec part{.iov_base = const_cast<std::uint32_t*>(words.data()), .iov_len = words.size() * sizeof(words[0])};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(8 * sizeof(int))] = {};
    if (!fds.empty()) {
      message.msg_control = control;
      message.msg_controllen = CMSG_LEN(fds.size() * sizeof(int));
      cmsghdr* const header = CMSG_FIRSTHDR(&message);
      *header = {.cmsg_len = message.msg_controllen, .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
      std::memcpy(CMSG_DATA(header), fds.data(), fds.size() * sizeof(int));
    }
    EXPECT_GT(sendmsg(process_.socket.get(), &message, 0), 0) << strerror(errno);
    return Answer(&has_fd_);
  }

  HelperProcess process_;
  bool has_fd_ = false;
};

TEST_F(Questions, OthersAreRefusedAndTheNextIsAnswered) {
  const auto here = net::NetNs::OfThisThread();
  const int netns = here->fd();
  const auto next_link = static_cast<std::uint32_t>(bpf::AdminCall::kNextLink);
  const std::size_t files = OpenFiles(process_.pid);
  EXPECT_EQ(Ask({kSocketIn, 0}), EINVAL) << "where?";
  EXPECT_EQ(Ask({kSocketIn, 1}, {netns}), EINVAL);
  EXPECT_EQ(Ask({kSocketIn, NETLINK_NETFILTER}, {netns}), EINVAL);
  EXPECT_EQ(Ask({kSocketIn, NETLINK_SOCK_DIAG}, {netns}), 0);
  EXPECT_EQ(Ask({kSocketIn, 0}, {netns, netns}), EINVAL) << "where of both?";
  EXPECT_EQ(Ask({next_link, kLast}, {netns}), EINVAL) << "what for?";
  const auto open_iterator = static_cast<std::uint32_t>(bpf::AdminCall::kOpenIterator);
  EXPECT_EQ(Ask({open_iterator, 1}), EINVAL) << "where?";
  EXPECT_EQ(Ask({open_iterator, kLast}, {netns}), ENOENT);
  EXPECT_EQ(Ask({bpf::kAdminCalls, 0}), EINVAL);
  EXPECT_EQ(Ask({~0U, ~0U}), EINVAL);
  EXPECT_EQ(Ask({static_cast<std::uint32_t>(bpf::AdminCall::kOpenKprobe), 77}), EINVAL);
  EXPECT_EQ(AskFor("", 0), EINVAL);
  EXPECT_EQ(AskFor("no_such_function", 2), EINVAL) << "where in it?";
  EXPECT_EQ(AskFor(std::string(bpf::kFunctionNameSize, 'a'), 0), EINVAL) << "without an end";
  EXPECT_EQ(AskFor("no_such_function", 0), ENOENT);
  const auto uprobe = static_cast<std::uint32_t>(bpf::AdminCall::kOpenUprobe);
  EXPECT_EQ(Ask({uprobe, 0}), EINVAL) << "in which file?";
  EXPECT_NE(Ask({uprobe, 0}, {netns}), 0) << "it is no program";
  EXPECT_EQ(Ask({static_cast<std::uint32_t>(bpf::AdminCall::kOpenTracing), 0}), 0);
  EXPECT_TRUE(has_fd_);
  EXPECT_EQ(AskWords({next_link, kLast}), EINVAL) << "too short";
  EXPECT_EQ(AskWords(std::vector<std::uint32_t>(sizeof(HelperQuestion) / 4 + 1)), EINVAL) << "too long";
  EXPECT_EQ(AskWords(std::vector<std::uint32_t>(10000, kSocketIn), {netns}), EINVAL);
  EXPECT_EQ(Ask({kSocketIn, 0}, {netns}), 0);
  EXPECT_TRUE(has_fd_);
  EXPECT_EQ(Ask({next_link, kLast}), ENOENT);
  EXPECT_FALSE(has_fd_);
  EXPECT_EQ(OpenFiles(process_.pid), files);
}

// A killed parent cannot send a message.
TEST(HelperProcess, EndsWithItsParent) {
  SL_REQUIRE_NETNS();
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const Fd read_end(ends[0]), write_end(ends[1]);
  const pid_t parent = fork();
  ASSERT_GE(parent, 0);
  if (parent == 0) {
    const auto process = StartHelperProcess();
    const pid_t pid = process.ok() ? process->pid : -1;
    fcntl(process->socket.get(), F_SETFD, 0);
    if (write(ends[1], &pid, sizeof(pid)) != sizeof(pid)) _exit(1);
    pause();
    _exit(0);
  }
  pid_t pid = -1;
  ASSERT_EQ(read(read_end.get(), &pid, sizeof(pid)), static_cast<ssize_t>(sizeof(pid)));
  const Fd helper = PidFd(pid);
  ASSERT_TRUE(helper.valid());
  EXPECT_FALSE(Happens(helper.get(), POLLIN, 50ms));
  ASSERT_EQ(kill(parent, SIGKILL), 0);
  EXPECT_TRUE(Happens(helper.get(), POLLIN));
  waitpid(parent, nullptr, 0);
}

}  // namespace
}  // namespace sluice::rights
