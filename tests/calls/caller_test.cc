// Calls that come another way: by 32-bit programs, with the numbers of x32, by io_uring, from threads and forks.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <set>
#include <thread>

#include "tests/calls/call_fixture.h"
#include "tests/support/environment.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;

class Callers : public CallTest {};

#ifdef __x86_64__

// A call of a 32-bit program: asm/unistd_32.h.
int Call32(int number, unsigned a = 0, unsigned b = 0, unsigned c = 0, unsigned d = 0) {
  int result = 0;
  asm volatile("int $0x80"
               : "=a"(result)
               : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d)
               : "memory", "r8", "r9", "r10", "r11");
  return result;
}

// Memory that a 32-bit pointer reaches.
class LowMemory {
 public:
  LowMemory()
      : base_(static_cast<char*>(
            mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0))) {}
  ~LowMemory() { munmap(base_, 4096); }
  LowMemory(const LowMemory&) = delete;
  LowMemory& operator=(const LowMemory&) = delete;
  unsigned Put(const void* bytes, std::size_t size) {
    std::memcpy(base_ + used_, bytes, size);
    const auto at = static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(base_ + used_));
    used_ += (size + 15) & ~std::size_t{15};
    return at;
  }
  unsigned Put(const std::string& text) { return Put(text.c_str(), text.size() + 1); }

 private:
  char* base_;
  std::size_t used_ = 0;
};

TEST_F(Callers, Of32BitProgramsAreSeen) {
  const TempDir directory;
  const std::string file = fs::canonical(directory.Write("a", "x", 0600));
  const std::vector<std::string> fields = {"evt.type",        "evt.res",       "fd.name",       "evt.arg.oldpath",
                                           "evt.arg.newpath", "evt.arg.flags", "evt.arg.domain"};
  fixture_->Keep(fields);
  ASSERT_TRUE(fixture_->Require({"evt.type in (open, openat, rename, socket, connect, sendmsg, setuid)"}).ok());
  const pid_t child = Fork([&] {
    LowMemory memory;
    const unsigned name = memory.Put(file), other = memory.Put(file + "2");
    const int opened = Call32(5, name, O_RDWR);                     // open
    Call32(295, static_cast<unsigned>(AT_FDCWD), other, O_RDONLY);  // openat
    Call32(38, name, other);                                        // rename
    const unsigned socket_arguments[3] = {AF_INET, SOCK_DGRAM, 0};
    const int made = Call32(102, 1, memory.Put(socket_arguments, sizeof(socket_arguments)));  // socketcall: socket
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(53);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const unsigned connect_arguments[3] = {static_cast<unsigned>(made), memory.Put(&to, sizeof(to)), sizeof(to)};
    Call32(102, 3, memory.Put(connect_arguments, sizeof(connect_arguments)));  // socketcall: connect
    Call32(359, AF_UNIX, SOCK_STREAM, 0);                                      // socket
    const char data[] = "x";
    const unsigned vector[2] = {memory.Put(data, 1), 1};
    const unsigned message[7] = {0, 0, memory.Put(vector, sizeof(vector)), 1, 0, 0, 0};
    Call32(370, static_cast<unsigned>(opened), memory.Put(message, sizeof(message)), 0);  // sendmsg: no socket
    Call32(213, 0);                                                                       // setuid32
    syscall(SYS_openat, AT_FDCWD, file.c_str(), O_RDONLY);
    // The number of openat for 64-bit programs is another call of 32-bit ones.
    Call32(SYS_openat, 0, 0, 0);
  });
  Reap(child);
  fixture_->Drain();
  const auto lines = fixture_->Lines(child, fields);
  ASSERT_EQ(lines.size(), 9U) << testing::PrintToString(lines);
  EXPECT_EQ(lines[0], "open SUCCESS " + file + " <NA> <NA> O_RDWR <NA>");
  EXPECT_EQ(lines[1], "openat ENOENT " + file + "2 <NA> <NA> O_RDONLY <NA>");
  EXPECT_EQ(lines[2], "rename SUCCESS <NA> " + file + " " + file + "2 <NA> <NA>");
  EXPECT_EQ(lines[3], "socket SUCCESS  <NA> <NA> O_RDONLY AF_INET");
  EXPECT_TRUE(lines[4].starts_with("connect SUCCESS 127.0.0.1:") &&
              lines[4].find("->127.0.0.1:53 ") != std::string::npos)
      << lines[4];
  EXPECT_EQ(lines[5], "socket SUCCESS  <NA> <NA> O_RDONLY AF_UNIX");
  EXPECT_EQ(lines[6], "sendmsg ENOTSOCK " + file + "2 <NA> <NA> <NA> <NA>");
  EXPECT_EQ(lines[7], "setuid SUCCESS <NA> <NA> <NA> <NA> <NA>");
  EXPECT_EQ(lines[8], "openat ENOENT " + file + " <NA> <NA> O_RDONLY <NA>");
}

// Most kernels do not serve x32: then the attempt is seen as one that failed.
TEST_F(Callers, WithNumbersOfX32AreSeen) {
  fixture_->Keep({"evt.type", "evt.res"});
  ASSERT_TRUE(fixture_->Require({"evt.type in (openat, execve, recvfrom)"}).ok());
  constexpr long kX32 = 0x40000000;
  long results[3] = {};
  const pid_t child = Fork([&] {
    errno = 0;
    syscall(kX32 | SYS_openat, AT_FDCWD, "/none", O_RDONLY);
    const int opened = errno;
    syscall(kX32 | 520, "/none", nullptr, nullptr);  // execve of x32
    syscall(kX32 | 517, -1, nullptr, 0, 0, nullptr, nullptr);
    _exit(opened == ENOSYS ? 1 : 0);
  });
  const bool served = Reap(child) == 0;
  (void)results;
  fixture_->Drain();
  const std::vector<std::string> expected =
      served ? std::vector<std::string>{"openat ENOENT", "execve ENOENT", "recvfrom EBADF"}
             : std::vector<std::string>{"openat ENOSYS", "execve ENOSYS", "recvfrom ENOSYS"};
  EXPECT_EQ(fixture_->Lines(child, {"evt.type", "evt.res"}), expected);
}

#endif

// One request at a time, by the kernel's interface itself.
class Ring {
 public:
  Ring() {
    io_uring_params parameters{};
    fd_ = static_cast<int>(syscall(SYS_io_uring_setup, 4, &parameters));
    if (fd_ < 0) _exit(9);
    const std::size_t size = parameters.sq_off.array + parameters.sq_entries * sizeof(unsigned) +
                             parameters.cq_off.cqes + parameters.cq_entries * sizeof(io_uring_cqe);
    ring_ = static_cast<char*>(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, IORING_OFF_SQ_RING));
    entries_ = static_cast<io_uring_sqe*>(mmap(nullptr, parameters.sq_entries * sizeof(io_uring_sqe),
                                               PROT_READ | PROT_WRITE, MAP_SHARED, fd_, IORING_OFF_SQES));
    parameters_ = parameters;
  }
  int fd() const { return fd_; }

  // Returns its result; 1: it was told to report nothing.
  int Do(const io_uring_sqe& request) {
    auto* const tail = At(parameters_.sq_off.tail);
    const unsigned at = *tail & *At(parameters_.sq_off.ring_mask);
    entries_[at] = request;
    At(parameters_.sq_off.array)[at] = at;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    const bool silent = (request.flags & IOSQE_CQE_SKIP_SUCCESS) != 0;
    syscall(SYS_io_uring_enter, fd_, 1, silent ? 0 : 1, IORING_ENTER_GETEVENTS, nullptr, 0);
    auto* const head = At(parameters_.cq_off.head);
    if (silent && __atomic_load_n(At(parameters_.cq_off.tail), __ATOMIC_ACQUIRE) == *head) return 1;
    const auto* const done = reinterpret_cast<io_uring_cqe*>(ring_ + parameters_.cq_off.cqes);
    const int result = done[*head & *At(parameters_.cq_off.ring_mask)].res;
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    return result;
  }

 private:
  unsigned* At(unsigned offset) const { return reinterpret_cast<unsigned*>(ring_ + offset); }

  int fd_ = -1;
  char* ring_ = nullptr;
  io_uring_sqe* entries_ = nullptr;
  io_uring_params parameters_{};
};

io_uring_sqe Request(int operation, int fd, const void* address, unsigned length = 0) {
  io_uring_sqe made{};
  made.opcode = static_cast<std::uint8_t>(operation);
  made.fd = fd;
  made.addr = reinterpret_cast<std::uintptr_t>(address);
  made.len = length;
  return made;
}

TEST_F(Callers, OfIoUringAreSeen) {
  const TempDir directory;
  const std::string at = fs::canonical(directory.path()), file = directory.Write("a", "x", 0600);
  const std::vector<std::string> fields = {"evt.type",        "evt.res",          "fd.name",      "evt.arg.oldpath",
                                           "evt.arg.newpath", "evt.arg.linkpath", "evt.arg.path", "evt.arg.flags"};
  fixture_->Keep(fields);
  ASSERT_TRUE(fixture_
                  ->Require({"evt.type in (openat, connect, socket, unlinkat, renameat2, linkat, symlinkat, mkdirat, "
                             "sendto, sendmsg)"})
                  .ok());
  if (const std::string missing = fixture_->store().missing(); !missing.empty()) GTEST_SKIP() << missing;
  const pid_t child = Fork([&] {
    if (chdir(at.c_str()) != 0) _exit(1);
    Ring ring;
    io_uring_sqe one = Request(IORING_OP_OPENAT, AT_FDCWD, "a");
    one.open_flags = O_RDWR;
    ring.Do(one);
    one = Request(IORING_OP_OPENAT, AT_FDCWD, "none");
    ring.Do(one);
    one = Request(IORING_OP_OPENAT, AT_FDCWD, "a");
    one.flags = IOSQE_CQE_SKIP_SUCCESS;  // and nothing is told of it
    ring.Do(one);
    ring.Do(Request(IORING_OP_MKDIRAT, AT_FDCWD, "dir", 0700));
    one = Request(IORING_OP_SYMLINKAT, AT_FDCWD, "/etc/shadow");
    one.addr2 = reinterpret_cast<std::uintptr_t>("link");
    ring.Do(one);
    one = Request(IORING_OP_LINKAT, AT_FDCWD, "a", static_cast<unsigned>(AT_FDCWD));
    one.addr2 = reinterpret_cast<std::uintptr_t>("dir/b");
    ring.Do(one);
    one = Request(IORING_OP_RENAMEAT, AT_FDCWD, "a", static_cast<unsigned>(AT_FDCWD));
    one.addr2 = reinterpret_cast<std::uintptr_t>("c");
    ring.Do(one);
    one = Request(IORING_OP_UNLINKAT, AT_FDCWD, "c");
    ring.Do(one);
    io_uring_sqe make = Request(45, AF_INET, nullptr, 0);  // IORING_OP_SOCKET
    make.off = SOCK_DGRAM;
    const int made = ring.Do(make);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(4003);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    one = Request(IORING_OP_CONNECT, made, &to);
    one.off = sizeof(to);
    ring.Do(one);
    ring.Do(Request(IORING_OP_SEND, made, "x", 1));
  });
  ASSERT_EQ(Reap(child), 0);
  fixture_->Drain();
  auto lines = fixture_->Lines(child, fields);
  for (std::string& line : lines) {
    for (std::size_t found = line.find(at); found != std::string::npos; found = line.find(at))
      line.replace(found, at.size(), "$D");
  }
  ASSERT_EQ(lines.size(), 11U) << testing::PrintToString(lines);
  EXPECT_EQ(lines[0], "openat SUCCESS $D/a <NA> <NA> <NA> <NA> O_RDWR");
  EXPECT_EQ(lines[1], "openat ENOENT $D/none <NA> <NA> <NA> <NA> O_RDONLY");
  EXPECT_EQ(lines[2], "openat SUCCESS $D/a <NA> <NA> <NA> <NA> O_RDONLY");
  EXPECT_EQ(lines[3], "mkdirat SUCCESS <NA> <NA> <NA> <NA> $D/dir <NA>");
  EXPECT_EQ(lines[4], "symlinkat SUCCESS <NA> <NA> <NA> $D/link <NA> <NA>");
  EXPECT_EQ(lines[5], "linkat SUCCESS <NA> $D/a $D/dir/b <NA> <NA> 0");
  EXPECT_EQ(lines[6], "renameat2 SUCCESS <NA> $D/a $D/c <NA> <NA> 0");
  EXPECT_EQ(lines[7], "unlinkat SUCCESS <NA> <NA> <NA> <NA> <NA> 0");
  EXPECT_EQ(lines[8], "socket SUCCESS  <NA> <NA> <NA> <NA> O_RDONLY");
  EXPECT_TRUE(lines[9].starts_with("connect SUCCESS 127.0.0.1:") &&
              lines[9].find("->127.0.0.1:4003 ") != std::string::npos)
      << lines[9];
  EXPECT_TRUE(lines[10].starts_with("sendto SUCCESS 127.0.0.1:")) << lines[10];
}

TEST_F(Callers, ThreadsAreSeenInTheirOrder) {
  constexpr int kThreads = 4, kCalls = 200;
  fixture_->Keep({"evt.arg.sig"});
  ASSERT_TRUE(fixture_->Require({"evt.type = kill"}).ok());
  const pid_t child = Fork([] {
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([] {
        for (int call = 0; call < kCalls; ++call) kill(0x7ffffff0, call % 2 == 0 ? SIGUSR1 : SIGUSR2);
      });
    }
    for (std::thread& one : threads) one.join();
  });
  Reap(child);
  fixture_->Drain();
  std::map<std::int64_t, std::vector<std::string>> by_thread;
  for (const SeenCall& call : fixture_->seen()) {
    if (call.pid == child) by_thread[call.tid].push_back(call.fields.at("evt.arg.sig"));
  }
  ASSERT_EQ(by_thread.size(), static_cast<std::size_t>(kThreads));
  for (const auto& [thread, signals] : by_thread) {
    ASSERT_EQ(signals.size(), static_cast<std::size_t>(kCalls));
    for (int i = 0; i < kCalls; ++i) ASSERT_EQ(signals[i], i % 2 == 0 ? "SIGUSR1" : "SIGUSR2");
  }
}

// A call right after a fork or an exec finds its process, with its parent.
TEST_F(Callers, ForkedAndExecutedProcessesAreKnownAtOnce) {
  constexpr int kChildren = 100;
  fixture_->Keep({"evt.type", "proc.name", "proc.pname", "proc.cmdline", "proc.ppid"});
  ASSERT_TRUE(fixture_->Require({"evt.type = kill", "evt.type = execve and evt.rawres = 0"}).ok());
  const pid_t parent = Fork([] {
    for (int i = 0; i < kChildren; ++i) {
      const pid_t child = Fork([i] {
        kill(0x7ffffff0, SIGUSR1);
        if (i % 2 == 0) Exec("/bin/true", {"true", std::to_string(i)});
      });
      Reap(child);
    }
  });
  Reap(parent);
  fixture_->Drain();
  std::set<std::int64_t> killed;
  int executed = 0;
  for (const SeenCall& call : fixture_->seen()) {
    if (call.fields.at("proc.ppid") != std::to_string(parent)) continue;
    EXPECT_TRUE(call.process_known);
    EXPECT_EQ(call.fields.at("proc.pname"), "system_calls");
    if (call.fields.at("evt.type") == "kill") {
      killed.insert(call.pid);
      EXPECT_EQ(call.fields.at("proc.name"), "system_calls");
    } else {
      EXPECT_EQ(call.fields.at("proc.name"), "true");
      EXPECT_TRUE(call.fields.at("proc.cmdline").starts_with("true ")) << call.fields.at("proc.cmdline");
      ++executed;
    }
  }
  EXPECT_EQ(killed.size(), static_cast<std::size_t>(kChildren));
  EXPECT_EQ(executed, kChildren / 2);
}

}  // namespace
}  // namespace sluice::test
