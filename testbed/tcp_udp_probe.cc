#include "testbed/tcp_udp_probe.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <functional>
#include <string_view>

namespace sluice::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kRepeat{100};  // between two attempts of a probe
constexpr std::string_view kLine = "sluice\n";
constexpr int kBacklog = 256;
constexpr int kEventBatch = 64;

int SocketType(std::uint8_t protocol) { return protocol == policy::kTcp ? SOCK_STREAM : SOCK_DGRAM; }

// Runs `work` on its own thread, which may change its network namespace freely.
Status OnOwnThread(const std::function<Status()>& work) {
  Status status;
  std::thread([&] { status = work(); }).join();
  return status;
}

// Moves the calling thread between namespaces; -1 is the thread's first namespace.
class NamespaceWalker {
 public:
  Status Enter(int netns_fd) {
    if (netns_fd == current_) return OkStatus();
    if (!home_.valid()) {
      home_ = Fd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
      if (!home_.valid()) return ErrnoError(errno, "open /proc/thread-self/ns/net");
    }
    if (setns(netns_fd < 0 ? home_.get() : netns_fd, CLONE_NEWNET) != 0) {
      return ErrnoError(errno, "enter network namespace of descriptor {}", netns_fd);
    }
    current_ = netns_fd;
    return OkStatus();
  }

 private:
  Fd home_;
  int current_ = -1;
};

// A silent TCP probe holds one descriptor for each attempt, so hundreds of probes need more than the usual 1024.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

StatusOr<Fd> OpenServer(const ServerSpec& spec) {
  Fd fd(socket(AF_INET6, SocketType(spec.protocol) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoError(errno, "socket for server port {}", spec.port);
  const int on = 1;
  const int off = 0;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  if (spec.protocol == policy::kUdp) setsockopt(fd.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  any.sin6_port = htons(spec.port);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&any), sizeof(any)) != 0) {
    return ErrnoError(errno, "bind server to port {}", spec.port);
  }
  if (spec.protocol == policy::kTcp && listen(fd.get(), kBacklog) != 0) {
    return ErrnoError(errno, "listen on port {}", spec.port);
  }
  return fd;
}

StatusOr<std::uint16_t> BoundPort(int fd) {
  sockaddr_in6 bound{};
  socklen_t size = sizeof(bound);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) != 0) return ErrnoError(errno, "getsockname");
  return ntohs(bound.sin6_port);
}

Status Watch(int epoll, int fd, std::uint32_t events, std::uint64_t key, int operation = EPOLL_CTL_ADD) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = key;
  if (epoll_ctl(epoll, operation, fd, &event) != 0) return ErrnoError(errno, "epoll_ctl of descriptor {}", fd);
  return OkStatus();
}

void AnswerTcp(int listener) {
  for (;;) {
    const Fd peer(accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!peer.valid()) return;
    // If the peer has already closed, no answer is needed.
    (void)!send(peer.get(), kLine.data(), kLine.size(), MSG_NOSIGNAL);
  }
}

// Answers from the address that was asked, by any route: the packet info is sent back without its interface.
void AnswerUdp(int fd) {
  std::array<char, 2048> buffer;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(in6_pktinfo))> control{};
  sockaddr_in6 from{};
  for (;;) {
    iovec data{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof(from);
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t got = recvmsg(fd, &message, 0);
    if (got < 0) return;
    data.iov_len = static_cast<std::size_t>(got);
    const unsigned any_interface = 0;
    std::memcpy(control.data() + CMSG_LEN(0) + offsetof(in6_pktinfo, ipi6_ifindex), &any_interface,
                sizeof(any_interface));
    (void)!sendmsg(fd, &message, 0);
  }
}

// One batch of probes, on one thread.
class Prober {
 public:
  explicit Prober(const std::vector<Probe>& probes) : probes_(probes), states_(probes.size()) {}

  Status Run() {
    epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
    if (!epoll_.valid()) return ErrnoError(errno, "epoll_create1");
    const Clock::time_point start = Clock::now();
    for (std::size_t i = 0; i < probes_.size(); ++i) {
      states_[i].next = start;
      states_[i].deadline = start + probes_[i].timeout;
    }
    for (;;) {
      SL_ASSIGN_OR_RETURN(const int wait_ms, Advance());
      if (wait_ms < 0) return OkStatus();
      std::array<epoll_event, kEventBatch> events;
      const int count = epoll_wait(epoll_.get(), events.data(), kEventBatch, wait_ms);
      if (count < 0 && errno != EINTR) return ErrnoError(errno, "epoll_wait");
      for (int i = 0; i < count; ++i) Handle(events[static_cast<std::size_t>(i)]);
    }
  }

  std::vector<ProbeResult> TakeResults() {
    std::vector<ProbeResult> results;
    for (State& state : states_) results.push_back(std::move(state.result));
    return results;
  }

 private:
  struct State {
    std::vector<Fd> attempts;  // all of them stay open until one is answered
    Clock::time_point next;
    Clock::time_point deadline;
    bool done = false;
    bool connected = false;
    ProbeResult result;
  };

  static std::uint64_t Key(std::size_t probe, std::size_t attempt) { return std::uint64_t{probe} << 32U | attempt; }

  // Starts attempts that are due and ends those that are over. Returns the milliseconds to wait for events, or -1 when
  // all are decided.
  StatusOr<int> Advance() {
    const Clock::time_point now = Clock::now();
    Clock::time_point wake = Clock::time_point::max();
    for (std::size_t i = 0; i < states_.size(); ++i) {
      State& state = states_[i];
      if (!state.done && now >= state.deadline) Expire(state);
      if (!state.done && !state.connected && now >= state.next) {
        SL_RETURN_IF_ERROR(walker_.Enter(probes_[i].netns_fd));
        Attempt(i);
        state.next = now + kRepeat;
      }
      if (!state.done) wake = std::min({wake, state.deadline, state.connected ? state.deadline : state.next});
    }
    if (wake == Clock::time_point::max()) return -1;
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(wake - Clock::now()).count();
    return static_cast<int>(std::max<std::int64_t>(wait, 0));
  }

  void Attempt(std::size_t i) {
    const Probe& probe = probes_[i];
    State& state = states_[i];
    if (probe.protocol == policy::kUdp && !state.attempts.empty()) {
      SendUdp(state, state.attempts.front().get());
      return;
    }
    Fd fd(socket(probe.destination.is_v4() ? AF_INET : AF_INET6,
                 SocketType(probe.protocol) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd.valid()) return Finish(state, errno, "socket");
    const bool udp = probe.protocol == policy::kUdp;
    const Status watched = Watch(epoll_.get(), fd.get(), udp ? EPOLLIN : EPOLLOUT, Key(i, state.attempts.size()));
    if (!watched.ok()) return Finish(state, EIO, Message(watched));
    const int raw = fd.get();
    state.attempts.push_back(std::move(fd));
    if (Connect(raw, probe) != 0 && errno != EINPROGRESS) return Finish(state, errno, "connect");
    if (udp) SendUdp(state, raw);
  }

  static int Connect(int fd, const Probe& probe) {
    const auto& bytes = probe.destination.bytes();
    if (probe.destination.is_v4()) {
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_port = htons(probe.port);
      std::memcpy(&to.sin_addr, bytes.data() + 12, sizeof(to.sin_addr));
      return connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to));
    }
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(probe.port);
    std::memcpy(&to.sin6_addr, bytes.data(), sizeof(to.sin6_addr));
    return connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to));
  }

  static void SendUdp(State& state, int fd) {
    if (send(fd, kLine.data(), kLine.size(), MSG_NOSIGNAL) < 0 && errno != EAGAIN) Finish(state, errno, "send");
  }

  void Handle(const epoll_event& event) {
    const std::size_t i = event.data.u64 >> 32U;
    const std::size_t attempt = event.data.u64 & 0xffffffffU;
    State& state = states_[i];
    if (state.done) return;
    const int fd = state.attempts[attempt].get();
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return Finish(state, error, state.connected ? "after connect" : "connect");
    if ((event.events & EPOLLIN) != 0) return Receive(state, fd);
    if ((event.events & EPOLLOUT) != 0) {
      state.connected = true;
      const Status watched = Watch(epoll_.get(), fd, EPOLLIN, event.data.u64, EPOLL_CTL_MOD);
      if (!watched.ok()) Finish(state, EIO, Message(watched));
    }
  }

  static void Receive(State& state, int fd) {
    std::array<char, 64> buffer;
    const ssize_t got = recv(fd, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got < 0) return Finish(state, errno, "receive");
    if (std::string_view(buffer.data(), static_cast<std::size_t>(got)) != kLine) {
      return Finish(state, EPROTO, fmt::format("{} bytes that are not the server's answer", got));
    }
    End(state, ProbeOutcome::kAllowed, "");
  }

  static void Expire(State& state) {
    if (state.connected) return End(state, ProbeOutcome::kError, "connected, but no answer came");
    End(state, ProbeOutcome::kTimeout, "");
  }

  static void Finish(State& state, int error, const std::string& doing) {
    const ProbeOutcome outcome = error == ECONNREFUSED ? ProbeOutcome::kRefused
                                 : error == ETIMEDOUT  ? ProbeOutcome::kTimeout
                                                       : ProbeOutcome::kError;
    End(state, outcome, fmt::format("{}: {}", doing, std::strerror(error)));
  }

  static void End(State& state, ProbeOutcome outcome, std::string detail) {
    state.done = true;
    state.result = {outcome, std::move(detail)};
    state.attempts.clear();
  }

  const std::vector<Probe>& probes_;
  std::vector<State> states_;
  NamespaceWalker walker_;
  Fd epoll_;
};

}  // namespace

StatusOr<std::unique_ptr<ProbeServers>> ProbeServers::Start(const std::vector<ServerSpec>& specs) {
  std::unique_ptr<ProbeServers> servers(new ProbeServers());
  SL_RETURN_IF_ERROR(OnOwnThread([&]() -> Status {
    NamespaceWalker walker;
    for (const ServerSpec& spec : specs) {
      SL_RETURN_IF_ERROR(walker.Enter(spec.netns_fd));
      SL_ASSIGN_OR_RETURN(Fd socket, OpenServer(spec));
      SL_ASSIGN_OR_RETURN(const std::uint16_t port, BoundPort(socket.get()));
      servers->sockets_.push_back(std::move(socket));
      servers->protocols_.push_back(spec.protocol);
      servers->ports_.push_back(port);
    }
    return OkStatus();
  }));
  servers->epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
  servers->stop_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!servers->epoll_.valid() || !servers->stop_.valid()) return ErrnoError(errno, "epoll and eventfd of the servers");
  for (std::size_t i = 0; i < specs.size(); ++i) {
    SL_RETURN_IF_ERROR(Watch(servers->epoll_.get(), servers->sockets_[i].get(), EPOLLIN, i));
  }
  SL_RETURN_IF_ERROR(Watch(servers->epoll_.get(), servers->stop_.get(), EPOLLIN, specs.size()));
  servers->thread_ = std::thread([raw = servers.get()] { raw->Serve(); });
  return servers;
}

ProbeServers::~ProbeServers() {
  if (!thread_.joinable()) return;
  eventfd_write(stop_.get(), 1);
  thread_.join();
}

void ProbeServers::Serve() {
  for (;;) {
    std::array<epoll_event, kEventBatch> events;
    const int count = epoll_wait(epoll_.get(), events.data(), kEventBatch, -1);
    for (int e = 0; e < count; ++e) {
      const std::size_t i = events[static_cast<std::size_t>(e)].data.u64;
      if (i == sockets_.size()) return;
      if (protocols_[i] == policy::kTcp) {
        AnswerTcp(sockets_[i].get());
      } else {
        AnswerUdp(sockets_[i].get());
      }
    }
  }
}

const char* ProbeOutcomeName(ProbeOutcome outcome) {
  switch (outcome) {
    case ProbeOutcome::kAllowed:
      return "allowed";
    case ProbeOutcome::kTimeout:
      return "timeout";
    case ProbeOutcome::kRefused:
      return "refused";
    case ProbeOutcome::kError:
      return "error";
  }
  return "unknown";
}

StatusOr<std::vector<ProbeResult>> RunProbes(const std::vector<Probe>& probes) {
  RaiseDescriptorLimit();
  Prober prober(probes);
  SL_RETURN_IF_ERROR(OnOwnThread([&] { return prober.Run(); }));
  return prober.TakeResults();
}

}  // namespace sluice::test
