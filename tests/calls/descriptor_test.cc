// What a descriptor means, however the process came to it; and that other threads cannot change what is reported.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <thread>

#include "tests/calls/call_fixture.h"
#include "tests/support/environment.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;

void SendDescriptor(int over, int descriptor) {
  char byte = 0;
  iovec part{.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &descriptor, sizeof(descriptor));
  if (sendmsg(over, &message, 0) < 0) _exit(2);
}

int ReceiveDescriptor(int over) {
  char byte = 0;
  iovec part{.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  if (recvmsg(over, &message, 0) < 0) _exit(3);
  int descriptor = -1;
  std::memcpy(&descriptor, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(descriptor));
  return descriptor;
}

sockaddr_in OnLoopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// A listener, a connection to it, and its other end.
struct Connection {
  int listener = -1, client = -1, server = -1;
  std::uint16_t port = 0;

  Connection() {
    listener = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = OnLoopback(0);
    socklen_t length = sizeof(address);
    EXPECT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(listen(listener, 4), 0);
    getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
    port = ntohs(address.sin_port);
    client = socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    server = accept(listener, nullptr, nullptr);
  }
  ~Connection() {
    for (const int one : {listener, client, server}) close(one);
  }
};

class Descriptors : public CallTest {};

TEST_F(Descriptors, FromBeforeTheSensorsAreKnown) {
  const TempDir directory;
  const std::string file = fs::canonical(directory.Write("secret", "x", 0600));
  const int opened = open(file.c_str(), O_RDONLY);
  const Connection connection;
  int pipes[2];
  ASSERT_EQ(pipe(pipes), 0);
  const std::vector<std::string> fields = {"fd.type", "fd.name", "fd.is_server", "fd.sport"};
  fixture_->Keep(fields);
  ASSERT_TRUE(fixture_->Require({"evt.type = dup2"}).ok());
  const pid_t child = Fork([&] {
    for (const int one : {opened, connection.client, connection.server, connection.listener}) syscall(SYS_dup2, one, 0);
  });
  Reap(child);
  fixture_->Drain();
  const auto lines = fixture_->Lines(child, fields);
  ASSERT_EQ(lines.size(), 4U);
  const std::string port = std::to_string(connection.port);
  EXPECT_EQ(lines[0], "file " + file + " false <NA>");
  EXPECT_TRUE(lines[1].ends_with("->127.0.0.1:" + port + " false " + port)) << lines[1];
  EXPECT_TRUE(lines[2].ends_with("->127.0.0.1:" + port + " true " + port)) << lines[2];
  EXPECT_EQ(lines[3], "ipv4 127.0.0.1:" + port + " true " + port);
  for (const int one : {opened, pipes[0], pipes[1]}) close(one);
}

TEST_F(Descriptors, PassedByAnotherProcessAreKnown) {
  const TempDir directory;
  const std::string file = fs::canonical(directory.Write("secret", "x", 0600));
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  fixture_->Keep({"evt.type", "fd.num", "fd.name"});
  ASSERT_TRUE(fixture_->Require({"evt.type in (dup, fchmod)"}).ok());
  const pid_t child = Fork([&] {
    const int received = ReceiveDescriptor(ends[1]);
    fchmod(received, 0644);
    dup2(dup(received), 77);
  });
  const int opened = open(file.c_str(), O_RDONLY);
  SendDescriptor(ends[0], opened);
  Reap(child);
  fixture_->Drain();
  const auto lines = fixture_->Lines(child, {"evt.type", "fd.name"});
  EXPECT_EQ(lines, (std::vector<std::string>{"fchmod " + file, "dup " + file}));
  for (const int one : {opened, ends[0], ends[1]}) close(one);
}

// One thread opens a path that another one changes all the time. What is reported is what was opened.
TEST_F(Descriptors, PathsAreThoseThatTheKernelResolved) {
  constexpr int kOpens = 3000, kMostOpens = 20000;
  struct Report {
    std::atomic<int> opens;
    std::atomic<pid_t> thread;
    char second[kMostOpens];  // it was the second file
  };
  const Shared<Report> report;
  const TempDir directory;
  const std::string first = fs::canonical(directory.Write("good", "x", 0644));
  const std::string second = fs::canonical(directory.Write("evil", "x", 0644));
  ASSERT_EQ(first.size(), second.size());
  fixture_->Keep({"fd.name", "evt.res"});
  ASSERT_TRUE(fixture_
                  ->Require({"evt.type = openat and evt.is_open_read=true and fd.name startswith " +
                             fs::canonical(directory.path()).string()})
                  .ok());
  const pid_t child = Fork([&] {
    std::string path = first;
    std::atomic<bool> done = false;
    std::thread swapper([&] {
      while (!done) {
        std::memcpy(path.data(), second.data(), path.size());
        std::memcpy(path.data(), first.data(), path.size());
      }
    });
    struct stat of_second {};
    stat(second.c_str(), &of_second);
    report->thread = static_cast<pid_t>(syscall(SYS_gettid));
    int seconds = 0;
    const auto has_both = [&] { return seconds > 0 && seconds < report->opens; };
    for (int i = 0; (i < kOpens || !has_both()) && report->opens < kMostOpens; ++i) {
      if (i % 16 == 0) sched_yield();  // both threads may have one processor
      const long file = syscall(SYS_openat, AT_FDCWD, path.c_str(), O_RDONLY);
      if (file < 0) continue;  // between the two
      struct stat info {};
      fstat(static_cast<int>(file), &info);
      const char is_second = info.st_ino == of_second.st_ino ? 1 : 0;
      report->second[report->opens++] = is_second;
      seconds += is_second;
      close(static_cast<int>(file));
    }
    done = true;
    swapper.join();
  });
  Reap(child);
  fixture_->Drain();
  std::vector<std::string> names;
  for (const SeenCall& call : fixture_->seen()) {
    if (call.tid == report->thread && call.fields.at("evt.res") == "SUCCESS")
      names.push_back(call.fields.at("fd.name"));
  }
  ASSERT_EQ(names.size(), static_cast<std::size_t>(report->opens));
  int seconds = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    ASSERT_EQ(names[i], report->second[i] != 0 ? second : first) << "open " << i;
    seconds += report->second[i];
  }
  EXPECT_GT(seconds, 0);
  EXPECT_LT(seconds, report->opens);
}

TEST_F(Descriptors, AddressesAreThoseThatTheKernelTook) {
  constexpr int kConnects = 3000;
  struct Report {
    std::uint16_t ports[kConnects];
  };
  const Shared<Report> report;
  fixture_->Keep({"fd.sport"});
  ASSERT_TRUE(fixture_->Require({"evt.type = connect"}).ok());
  const pid_t child = Fork([&] {
    sockaddr_in address = OnLoopback(4001);
    std::atomic<bool> done = false;
    std::thread swapper([&] {
      while (!done) {
        __atomic_store_n(&address.sin_port, htons(4002), __ATOMIC_RELAXED);
        __atomic_store_n(&address.sin_port, htons(4001), __ATOMIC_RELAXED);
      }
    });
    const int one = socket(AF_INET, SOCK_DGRAM, 0);  // connects without a packet
    for (std::uint16_t& port : report->ports) {
      connect(one, reinterpret_cast<sockaddr*>(&address), sizeof(address));
      sockaddr_in peer{};
      socklen_t length = sizeof(peer);
      getpeername(one, reinterpret_cast<sockaddr*>(&peer), &length);
      port = ntohs(peer.sin_port);
    }
    done = true;
    swapper.join();
  });
  Reap(child);
  fixture_->Drain();
  const auto lines = fixture_->Lines(child, {"fd.sport"});
  ASSERT_EQ(lines.size(), static_cast<std::size_t>(kConnects));
  int others = 0;
  for (int i = 0; i < kConnects; ++i) {
    ASSERT_EQ(lines[i], std::to_string(report->ports[i])) << "connect " << i;
    others += report->ports[i] == 4002 ? 1 : 0;
  }
  EXPECT_GT(others, 0);
  EXPECT_LT(others, kConnects);
}

}  // namespace
}  // namespace sluice::test
