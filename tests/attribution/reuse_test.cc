// A program that takes over a port of an allowed program gets none of its rights: with the same five-tuple as the
// allowed flow, each packet is evaluated by its sending socket, and each datagram also by its receiving socket.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <iostream>

#include "tests/attribution/fixture.h"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t kServer = 53, kClient = 5353;

// A program under its own name, whose work is done by Perl.
constexpr char kPrelude[] = R"(
use strict; use warnings; use Socket qw(:all); $SIG{ALRM} = sub { exit 9 }; alarm 60;
sub udp { my ($port, $reuse) = @_; socket(my $s, AF_INET, SOCK_DGRAM, 0) or exit 2;
  setsockopt($s, SOL_SOCKET, SO_REUSEPORT, 1) if $reuse;
  bind($s, sockaddr_in($port, INADDR_ANY)) or exit 3; return $s }
sub to { my ($ip, $port) = @_; return sockaddr_in($port, inet_aton($ip)) }
sub udp_packet { my ($from, $sport, $ip, $dport, $text) = @_;
  my $udp = pack('nnnn', $sport, $dport, 8 + length $text, 0) . $text;
  my $head = pack('CCnnnCCna4a4', 0x45, 0, 20 + length $udp, 0, 0, 64, 17, 0, inet_aton($from), inet_aton($ip));
  my $sum = 0; $sum += $_ for unpack('n*', $head); $sum = ($sum & 0xffff) + ($sum >> 16) for 1 .. 2;
  substr($head, 10, 2) = pack('n', ~$sum & 0xffff); return $head . $udp }
)";

class PortReuse : public AttributionFixture {
 protected:
  void SetUp() override {
    AttributionFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    for (const char* name : {"resolver", "other", "named"}) dir_.Copy("/usr/bin/perl", name);
  }
  std::string Program(const std::string& name) const { return dir_.path() + "/" + name; }
  // Rules for one program at one end of UDP port 53.
  void BeginWith(const std::string& app, const std::string& direction, const std::string& program) {
    Begin(bpf::SocketBackEnd::kAuto,
          fmt::format("apiVersion: sluice.dev/v1alpha1\nkind: NetworkPolicy\nmetadata: {{name: p, namespace: shop}}\n"
                      "spec: {{podSelector: {{matchLabels: {{app: {}}}}}, policyTypes: [{}], {}: [{{ports: [{{port: "
                      "53, protocol: UDP}}], processes: {{binaries: [{}]}}}}]}}\n",
                      app, direction, direction == "Egress" ? "egress" : "ingress", Program(program)));
  }
  // Runs Perl as `program` in a pod; `Reap` returns its exit code << 8.
  pid_t Start(const std::string& pod, const std::string& program, const std::string& script) const {
    const std::string file = Program(program);
    return In(pod, [&] { Exec(file, {program, "-e", kPrelude + script}); });
  }
  void RunProgram(const std::string& pod, const std::string& program, const std::string& script) const {
    EXPECT_EQ(Reap(Start(pod, program, script)), 0) << program << ": " << script;
  }
  // Perl code that sends one datagram from kClient in web to kServer in db.
  std::string Question(const std::string& text, bool reuse = false) const {
    return fmt::format("my $s = udp({}, {}); send($s, '{}', 0, to('{}', {})) or exit 4;", kClient, reuse ? 1 : 0, text,
                       Pod("db").ip4, kServer);
  }
  static std::optional<std::string> Receive(const Fd& fd, std::chrono::milliseconds patience = 2000ms) {
    const timeval timeout{patience / 1s, (patience % 1s) / 1us};
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    char text[64];
    const ssize_t size = recv(fd.get(), text, sizeof(text), 0);
    return size < 0 ? std::nullopt : std::optional(std::string(text, static_cast<std::size_t>(size)));
  }
  // Expects one more denied packet, at any hook.
  void ExpectDenied(std::uint64_t before) const {
    const auto deadline = std::chrono::steady_clock::now() + 3s;
    while (Denied() == before && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    EXPECT_GT(Denied(), before);
  }
  std::uint64_t Denied() const {
    return Packets(SL_HOOK_TC_FROM_POD, SL_DROP_POLICY_DENIED) + Packets(SL_HOOK_TC_TO_POD, SL_DROP_POLICY_DENIED);
  }

  TempDir dir_;
};

TEST_F(PortReuse, AnotherProgramBindsThePortOfTheAllowedOne) {
  BeginWith("web", "Egress", "resolver");
  const Fd server = Open("db", SOCK_DGRAM, kServer);
  for (int round = 0; round < 3; ++round) {
    RunProgram("web", "resolver", Question("allowed"));
    EXPECT_EQ(Receive(server), "allowed") << round;
    const std::uint64_t before = Denied();
    RunProgram("web", "other", Question("stolen"));
    ExpectDenied(before);
    EXPECT_EQ(Receive(server, 50ms), std::nullopt) << round;
  }
  // The allowed program in another instance, and again with a connected socket.
  RunProgram("web", "resolver", Question("again"));
  EXPECT_EQ(Receive(server), "again");
  RunProgram(
      "web", "resolver",
      fmt::format(
          "my $s = udp({}); connect($s, to('{}', {})) or exit 5; for (1 .. 3) {{ send($s, 'connected', 0) or exit 4 }}",
          kClient, Pod("db").ip4, kServer));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Receive(server), "connected");
}

TEST_F(PortReuse, BothAtOnceByAPortThatTheyShare) {
  BeginWith("web", "Egress", "resolver");
  const Fd server = Open("db", SOCK_DGRAM, kServer);
  int turns[2], done[2];
  ASSERT_EQ(pipe(turns) + pipe(done), 0);
  // Sends one datagram for each byte of its standard input, and reports it.
  const auto speaker = [&](const char* program, int in, int out) {
    return In("web", [&, program, in, out] {
      dup2(in, 0);
      dup2(out, 1);
      Exec(Program(program),
           {program, "-e",
            std::string(kPrelude) +
                fmt::format("my $s = udp({}, 1); while (sysread(STDIN, my $b, 1)) {{ send($s, '{}', 0, "
                            "to('{}', {})); syswrite(STDOUT, 'x') }}",
                            kClient, program, Pod("db").ip4, kServer)});
    });
  };
  int other_turns[2];
  ASSERT_EQ(pipe(other_turns), 0);
  for (const int fd : {turns[1], other_turns[1], done[0]}) fcntl(fd, F_SETFD, FD_CLOEXEC);
  const pid_t allowed = speaker("resolver", turns[0], done[1]), other = speaker("other", other_turns[0], done[1]);
  for (const int fd : {turns[0], other_turns[0], done[1]}) close(fd);
  char byte;
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(write(turns[1], "x", 1), 1);
    ASSERT_EQ(read(done[0], &byte, 1), 1);
    EXPECT_EQ(Receive(server), "resolver");
    const std::uint64_t before = Denied();
    ASSERT_EQ(write(other_turns[1], "x", 1), 1);
    ASSERT_EQ(read(done[0], &byte, 1), 1);
    ExpectDenied(before);
  }
  EXPECT_EQ(Receive(server, 50ms), std::nullopt);
  close(turns[1]);
  close(other_turns[1]);
  Reap(allowed);
  Reap(other);
  close(done[0]);
}

// Sockets that can send with any source address: raw sockets and packet sockets.
TEST_F(PortReuse, PacketsMadeByHand) {
  BeginWith("web", "Egress", "resolver");
  const Fd server = Open("db", SOCK_DGRAM, kServer);
  const std::string packet = fmt::format("my $packet = udp_packet('{}', {}, '{}', {}, 'forged');", Pod("web").ip4,
                                         kClient, Pod("db").ip4, kServer);
  for (const std::string& send : {
           std::string("socket(my $s, AF_INET, SOCK_RAW, 255) or exit 2; send($s, $packet, 0, to('") + Pod("db").ip4 +
               "', 0)) or exit 4;",
           std::string("socket(my $s, 17, SOCK_DGRAM, unpack('S', pack('n', 0x0800))) or exit 2; my ($neighbour) = "
                       "map { /lladdr (\\S+)/ ? $1 : () } `ip -4 neigh show dev eth0`; defined $neighbour or exit 6; "
                       "my ($index) = `ip -o link show dev eth0` =~ /^(\\d+)/; "
                       "send($s, $packet, 0, pack('SnlSCCa8', 17, 0x0800, $index, 1, 0, 6, pack('H12', "
                       "$neighbour =~ s/://gr))) or exit 4;"),
       }) {
    RunProgram("web", "resolver", Question("allowed"));
    EXPECT_EQ(Receive(server), "allowed");
    const std::uint64_t before = Denied();
    RunProgram("web", "other", packet + send);
    ExpectDenied(before);
    EXPECT_EQ(Receive(server, 50ms), std::nullopt) << send;
  }
  RunProgram("web", "resolver", Question("after"));
  EXPECT_EQ(Receive(server), "after");
}

TEST_F(PortReuse, TheAnswerIsNotForWhoTookThePort) {
  BeginWith("web", "Egress", "resolver");
  const Fd server = Open("db", SOCK_DGRAM, kServer);
  sockaddr_in client = Address("web", kClient);
  const auto answer = [&](const char* text) {
    EXPECT_GT(sendto(server.get(), text, strlen(text), 0, reinterpret_cast<sockaddr*>(&client), sizeof(client)), 0);
  };
  RunProgram("web", "resolver", Question("asked"));
  EXPECT_EQ(Receive(server), "asked");
  const auto listener = [&](const char* program) {
    Arrival bound;
    const pid_t pid = In("web", [&, program] {
      dup2(bound.fd(), 1);
      Exec(Program(program), {program, "-e",
                              std::string(kPrelude) + fmt::format("my $s = udp({}); syswrite(STDOUT, 'x'); "
                                                                  "recv($s, my $b, 64, 0); "
                                                                  "exit($b eq 'secret' ? 42 : 1)",
                                                                  kClient)});
    });
    EXPECT_TRUE(bound.Wait()) << program;
    return pid;
  };
  const std::uint64_t before = Denied();
  const pid_t other = listener("other");
  answer("secret");
  ExpectDenied(before);
  kill(other, SIGKILL);
  EXPECT_EQ(Reap(other), SIGKILL) << "nothing came";
  const pid_t resolver = listener("resolver");
  answer("secret");
  EXPECT_EQ(Reap(resolver), 42 << 8) << "the allowed program, by another socket";
}

// The same on the listening side, first for received datagrams, then for answers.
TEST_F(PortReuse, AnotherProgramListensWhereTheAllowedOneDid) {
  BeginWith("db", "Ingress", "named");
  const Fd client = Open("web", SOCK_DGRAM, kClient);
  const sockaddr_in to = Address("db", kServer);
  const auto ask = [&](const char* text) {
    EXPECT_GT(sendto(client.get(), text, strlen(text), 0, reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 0);
  };
  const auto serve = [&](const char* program, const std::string& script) {
    Arrival bound;
    const pid_t pid = In("db", [&, program] {
      dup2(bound.fd(), 1);
      Exec(Program(program),
           {program, "-e",
            std::string(kPrelude) + fmt::format("my $s = udp({}); syswrite(STDOUT, 'x');", kServer) + script});
    });
    EXPECT_TRUE(bound.Wait()) << program;
    return pid;
  };
  const std::string answers = "my $from = recv($s, my $b, 64, 0) or exit 5; send($s, 'yes', 0, $from) or exit 4;";
  for (int round = 0; round < 2; ++round) {
    pid_t pid = serve("named", answers);
    ask("for named");
    EXPECT_EQ(Reap(pid), 0);
    EXPECT_EQ(Receive(client), "yes");
    const std::uint64_t before = Denied();
    pid = serve("other", answers);
    ask("for whom?");
    ExpectDenied(before);
    kill(pid, SIGKILL);
    EXPECT_EQ(Reap(pid), SIGKILL) << "it must not get the datagram of the flow that named answered";
    pid = serve("other", fmt::format("send($s, 'forged', 0, to('{}', {})) or exit 4;", Pod("web").ip4, kClient));
    EXPECT_EQ(Reap(pid), 0);
    EXPECT_EQ(Receive(client, 50ms), std::nullopt) << "nor answer in its place";
  }
}

// Workers that share the server's socket are evaluated by the socket: a datagram for one of them is for all.
TEST_F(PortReuse, WorkersOfOneSocketGoOn) {
  BeginWith("db", "Ingress", "named");
  const Fd client = Open("web", SOCK_DGRAM, kClient);
  const sockaddr_in to = Address("db", kServer);
  Arrival bound;
  const pid_t server = In("db", [&] {
    dup2(bound.fd(), 1);
    Exec(Program("named"),
         {"named", "-e",
          std::string(kPrelude) +
              fmt::format("setpgrp(0, 0); my $s = udp({}); for (1 .. 3) {{ next if fork; $SIG{{ALRM}} = 'DEFAULT'; "
                          "alarm 20; while (my $from = recv($s, my $b, 64, 0)) {{ send($s, $$, 0, "
                          "$from) }} }} syswrite(STDOUT, 'x'); sleep 20;",
                          kServer)});
  });
  ASSERT_TRUE(bound.Wait());
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(sendto(client.get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 1);
    EXPECT_TRUE(Receive(client)) << i;
  }
  EXPECT_EQ(Denied(), 0U);
  kill(-server, SIGKILL);
  kill(server, SIGKILL);
  Reap(server);
}

// Two programs send on one socket: the sender for each destination is known, whatever others send, and however long a
// queue holds the datagrams between the socket and the pod's end.
class SharedSocket : public PortReuse {
 protected:
  void SetUp() override {
    PortReuse::SetUp();
    setenv("PRELUDE", kPrelude, 1);
  }
  static std::string Shared(const std::string& script) {
    return R"($^F = 99; # sockets stay open across an exec
sub as { my ($program, $s, $code) = @_; my $pid = fork; return $pid if $pid; exec($program, '-e', $ENV{PRELUDE} .
  'open(my $s, "+<&=", ' . fileno($s) . ') or exit 7;' . $code); exit 8 }
sub done { waitpid(shift, 0); exit($? >> 8) if $? } )" +
           script;
  }
  // A destination as Perl code: this port of the pod.
  std::string To(const std::string& pod, int port) const { return fmt::format("to('{}', {})", Pod(pod).ip4, port); }
  std::string As(const std::string& program, const std::string& code) const {
    return fmt::format("as('{}', $s, q[{}])", Program(program), code);
  }
  // From now on web's datagrams wait in web's own queue.
  void Hold() {
    Run("web",
        {"tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", "8kbit", "burst", "2000", "limit", "1mb"});
  }
  std::string Fill() const { return "send($s, 'x' x 1400, 0, " + To("db", 9) + ") or exit 4 for 1 .. 3;"; }
  void Release() const {
    const auto changed = node_->RunCommandIn(Pod("web"), {"tc", "qdisc", "change", "dev", "eth0", "root", "tbf", "rate",
                                                          "10gbit", "burst", "1mb", "limit", "1mb"});
    ASSERT_TRUE(changed.ok()) << changed.status();
    RunProgram("web", "other", "my $s = udp(0); send($s, 'x', 0, " + To("db", 9) + ") or exit 4;");  // wakes the queue
  }
  // A socket of another pod sends to more destinations than any table for all pods ever held.
  void FloodFromAnotherPod() const {
    RunProgram(
        "other", "other",
        Shared("my $s = udp(0); send($s, 'x', 0, " + To("db", 9) + ") or exit 4; my $pid = fork; unless ($pid) { " +
               "send($s, 'x', 0, " + fmt::format("to('{}', $_ % 60000 + 1000)", Pod("db").ip4) +
               ") for 1 .. 50000; exit 0 } done($pid);"));
  }
};

TEST_F(SharedSocket, WhatAnotherPodSendsTakesNobodysName) {
  BeginWith("web", "Egress", "resolver");
  const Fd server = Open("db", SOCK_DGRAM, kServer);
  const auto send_by = [&](const std::string& program, const std::string& text) {
    return As(program, "send($s, '" + text + "', 0, " + To("db", kServer) + ") or exit 4");
  };
  const std::string open = fmt::format("my $s = udp({}); ", kClient);
  Hold();
  RunProgram("web", "other", Shared(open + Fill() + "done(" + send_by("resolver", "of resolver") + ")"));
  FloodFromAnotherPod();
  Release();
  EXPECT_EQ(Receive(server, 10s), "of resolver");

  Hold();
  RunProgram("web", "resolver", Shared(open + Fill() + "done(" + send_by("other", "of other") + ")"));
  FloodFromAnotherPod();
  RunProgram("web", "resolver", "my $s = udp(0); send($s, 'after', 0, " + To("db", kServer) + ") or exit 4");
  Release();
  EXPECT_EQ(Receive(server, 10s), "after") << "nor is who sent first taken for who did";
}

// An overflow of the socket's own table affects only its users: even then one is not taken for the other.
TEST_F(SharedSocket, ItsOwnFloodIsOfNobody) {
  BeginWith("web", "Egress", "resolver");
  const Fd server = Open("db", SOCK_DGRAM, kServer);
  Hold();
  RunProgram("web", "resolver",
             Shared(fmt::format("my $s = udp({}); ", kClient) + Fill() + "done(" +
                    As("other", "send($s, 'from other', 0, " + To("db", kServer) + ") or exit 4; " +
                                    fmt::format("send($s, 'x', 0, to(qq{{10.1.9.$_}}, {})) for 1 .. 250", kServer)) +
                    ")"));
  RunProgram("web", "resolver", "my $s = udp(0); send($s, 'after', 0, " + To("db", kServer) + ") or exit 4");
  Release();
  EXPECT_EQ(Receive(server, 10s), "after");
}

// Workers of one program have one class, so it is known however many datagrams wait.
TEST_F(SharedSocket, WorkersOfOneProgramMayHaveAnyNumberOfAnswersWaiting) {
  constexpr int kEach = 200;
  Begin(bpf::SocketBackEnd::kAuto,
        fmt::format("apiVersion: sluice.dev/v1alpha1\nkind: NetworkPolicy\nmetadata: {{name: p, namespace: shop}}\n"
                    "spec: {{podSelector: {{matchLabels: {{app: web}}}}, policyTypes: [Egress], egress: [{{processes: "
                    "{{binaries: [{}]}}}}]}}\n",
                    Program("resolver")));
  Hold();
  RunProgram("web", "resolver",
             Shared(fmt::format("my $s = udp({}); my @workers; for my $first (1, 1001) {{ my $pid = fork; if ($pid) {{ "
                                "push @workers, $pid; next }} send($s, 'x', 0, to('{}', $_)) or exit 4 for $first .. "
                                "$first + {} - 1; exit 0 }} done($_) for @workers;",
                                kClient, Pod("db").ip4, kEach)));
  const std::uint64_t before = Denied();
  Release();
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (Packets(SL_HOOK_TC_FROM_POD, SL_DROP_NONE) < 2 * kEach && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  EXPECT_GE(Packets(SL_HOOK_TC_FROM_POD, SL_DROP_NONE), 2U * kEach);
  EXPECT_LE(Denied() - before, 1U) << "what Release sends";
}

// Both send continuously, on two CPUs, while the packet path looks up the sender.
TEST_F(SharedSocket, TwoThatSendAtOnceNeverHaveEachOthersName) {
  BeginWith("web", "Egress", "resolver");
  const Fd server = Open("db", SOCK_DGRAM, kServer), nobody = Open("other", SOCK_DGRAM, kServer);
  constexpr int kEach = 30000;
  const auto sends = [&](const std::string& to, int count) {
    return fmt::format("send($s, 'x', 0, {}) or exit 4 for 1 .. {};", to, count);
  };
  const std::string by_other = sends(To("other", kServer), 1);
  const std::uint64_t denied = Denied(), passed = Packets(SL_HOOK_TC_FROM_POD, SL_DROP_NONE);
  RunProgram("web", "resolver",
             Shared(fmt::format("my $s = udp({}); ", kClient) + sends(To("db", kServer), 1) + "done(" +
                    As("other", by_other) + "); my $pid = " + As("other", sends(To("other", kServer), kEach)) + "; " +
                    sends(To("db", kServer), kEach) + " done($pid);"));
  EXPECT_EQ(Denied() - denied, 1U + kEach);
  EXPECT_EQ(Packets(SL_HOOK_TC_FROM_POD, SL_DROP_NONE) - passed, 1U + kEach);
  EXPECT_EQ(Receive(nobody, 50ms), std::nullopt);
  EXPECT_EQ(Receive(server), "x");
}

// A process can use up the memory that the kernel allows for such socket data.
TEST_F(SharedSocket, WithoutRoomForATableNobodyIsKnown) {
  BeginWith("web", "Egress", "resolver");
  const Fd server = Open("db", SOCK_DGRAM, kServer);
  const std::string send = "send($s, $$, 0, pack_sockaddr_in6(" + std::to_string(kServer) +
                           ", inet_pton(AF_INET6, \"::ffff:" + Pod("db").ip4 + "\"))) or exit 4; ";
  const std::uint64_t before = Denied();
  RunProgram(
      "web", "resolver",
      Shared("socket(my $s, AF_INET6, SOCK_DGRAM, 0) or exit 2; " + send + "done(" +
             As("other",
                "my ($index) = `ip -o link show dev eth0` =~ /^(\\d+)/; my $groups = 0; "
                "$groups++ while setsockopt($s, 41, 20, pack(q{a16I}, inet_pton(AF_INET6, sprintf(q{ff02::1:%x}, "
                "$groups)), $index)); $groups > 100 or exit 5; " +
                    send) +
             ")"));
  EXPECT_TRUE(Receive(server)) << "of the only sender";
  ExpectDenied(before);
  EXPECT_EQ(Receive(server, 50ms), std::nullopt);
}

// The cost of a process-dependent verdict for each later datagram: mean run time of a program, as counted by the
// kernel. Prints it and checks no limit: a benchmark, run on request.
TEST_F(PortReuse, DISABLED_WhatItCosts) {
  const int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
  if (stats < 0) GTEST_SKIP() << "this kernel has no BPF_ENABLE_STATS: " << strerror(errno);
  const Fd counting(stats);
  const std::string self = std::filesystem::canonical("/proc/self/exe");
  Begin(bpf::SocketBackEnd::kAuto);
  const Fd server = Open("db", SOCK_DGRAM, kServer);
  constexpr int kDatagrams = 100000;
  const auto measure = [&](const char* what, const std::string& app, const std::string& direction) {
    Enforce(app.empty()
                ? ""
                : fmt::format("apiVersion: sluice.dev/v1alpha1\nkind: NetworkPolicy\nmetadata: {{name: p, "
                              "namespace: shop}}\nspec: {{podSelector: {{matchLabels: {{app: {}}}}}, policyTypes: "
                              "[{}], {}: [{{processes: {{binaries: [{}]}}}}]}}\n",
                              app, direction, direction == "Egress" ? "egress" : "ingress", self));
    std::map<std::string, bpf::ProgramRuns> before;
    const auto read = [&] {
      std::map<std::string, bpf::ProgramRuns> runs;
      for (const char* program : {"tc_from_pod", "tc_to_pod"}) {
        const auto one = bpf::ReadProgramRuns(datapath_->object().program_fd(program));
        EXPECT_TRUE(one.ok()) << one.status();
        if (one.ok()) runs[program] = *one;
      }
      return runs;
    };
    const auto send_all = [&](int datagrams) {
      EXPECT_EQ(Reap(In("web",
                        [&] {
                          const int fd = Connected(Address("db", kServer), SOCK_DGRAM);
                          for (int i = 0; i < datagrams; ++i) Require(send(fd, "x", 1, 0) == 1);
                        })),
                0);
    };
    send_all(1000);
    before = read();
    send_all(kDatagrams);
    const auto after = read();
    for (const char* program : {"tc_from_pod", "tc_to_pod"}) {
      const double count = static_cast<double>(after.at(program).count - before[program].count);
      std::cout << what << ": " << program << " "
                << static_cast<double>(after.at(program).nanoseconds - before[program].nanoseconds) / count << " ns of "
                << count << " runs\n";
      EXPECT_GE(count, kDatagrams);
    }
    EXPECT_EQ(Denied(), 0U);
  };
  for (int round = 0; round < 3; ++round) {
    measure("no rule", "", "");
    measure("egress by process", "web", "Egress");
    measure("ingress by process", "db", "Ingress");
  }
}

}  // namespace
}  // namespace sluice::test
