#include "perf/tcp/traffic.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <string_view>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "perf/cpu.h"
#include "testbed/netns.h"

namespace sluice::perf {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kPatienceSeconds = 5;  // of a send or receive; longer is an error
constexpr std::size_t kBlock = 128 << 10;
// A stream's intervals are longer than it takes to read its full buffers.
constexpr std::chrono::microseconds kSpell{500}, kStreamSpell{50000};
constexpr std::string_view kCongestion = "reno";  // every kernel has it; BBR, a default of some, paces

template <typename... Args>
Status TrafficError(fmt::format_string<Args...> format, Args&&... args) {
  return Status(absl::StatusCode::kInternal, fmt::format(format, std::forward<Args>(args)...));
}

// A rate as the median of short intervals, because other work on this CPU delays everything for longer than one
// interval.
class Pace {
 public:
  explicit Pace(Clock::duration spell) : spell_(spell) {}
  void Add(double amount) {
    amount_ += amount;
    const auto now = Clock::now();
    if (now - begin_ < spell_) return;
    rates_.push_back(amount_ / std::chrono::duration<double>(now - begin_).count());
    amount_ = 0;
    begin_ = now;
  }
  StatusOr<double> per_second() {
    if (rates_.empty()) return TrafficError("nothing was transferred");
    const auto middle = rates_.begin() + static_cast<std::ptrdiff_t>(rates_.size() / 2);
    std::nth_element(rates_.begin(), middle, rates_.end());
    return *middle;
  }

 private:
  const Clock::duration spell_;
  Clock::time_point begin_ = Clock::now();
  double amount_ = 0;
  std::vector<double> rates_;
};

sockaddr_in AddressOf(const std::string& ip, std::uint16_t port) {
  sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, ip.c_str(), &address.sin_addr);
  return address;
}

Status Prepare(int fd) {
  const int on = 1;
  const timeval patience{.tv_sec = kPatienceSeconds};
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
      setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0 ||
      setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0 ||
      setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, kCongestion.data(), kCongestion.size()) != 0)
    return ErrnoError(errno, "set socket options");
  return OkStatus();
}

StatusOr<Fd> Listen(const TcpEnds& ends) {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  const sockaddr_in address = AddressOf("0.0.0.0", ends.listens != 0 ? ends.listens : ends.port);
  if (!fd.valid() || setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 || listen(fd.get(), 64) != 0)
    return ErrnoError(errno, "listen at port {}", ends.port);
  SL_RETURN_IF_ERROR(Prepare(fd.get()));  // inherited by accepted sockets
  return fd;
}

StatusOr<Fd> Connect(const TcpEnds& ends) {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoError(errno, "open a socket");
  SL_RETURN_IF_ERROR(Prepare(fd.get()));
  const sockaddr_in address = AddressOf(ends.server, ends.port);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    return ErrnoError(errno, "connect to {}:{}", ends.server, ends.port);
  return fd;
}

// An accepted socket inherits the listener's options, except its timeouts.
StatusOr<Fd> Accept(int listener) {
  Fd fd(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
  if (!fd.valid()) return ErrnoError(errno, "accept a connection");
  SL_RETURN_IF_ERROR(Prepare(fd.get()));
  return fd;
}

Status Exchange(int fd, char byte) {
  char answer = 0;
  if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1) return ErrnoError(errno, "send a request");
  if (recv(fd, &answer, 1, 0) != 1) return ErrnoError(errno, "receive an answer");
  return answer == byte ? OkStatus() : TrafficError("the answer is {}, expected {}", int{answer}, int{byte});
}

// Answers requests until the peer closes.
void Echo(int fd) {
  for (char byte; recv(fd, &byte, 1, 0) == 1 && send(fd, &byte, 1, MSG_NOSIGNAL) == 1;) {
  }
}

// Runs `serve` and `ask` at the same time, each on its CPU; `ask` in the client's namespace. `serve` gets the listening
// socket, which is shut down after `ask` returns.
Status RunBoth(const TcpEnds& ends, const std::function<Status(int)>& serve, const std::function<Status()>& ask) {
  Fd listener;
  SL_RETURN_IF_ERROR(test::RunIn(ends.server_netns, [&]() -> Status {
    SL_ASSIGN_OR_RETURN(listener, Listen(ends));
    return OkStatus();
  }));
  Status served;
  std::thread server([&] {
    GoFirst();
    served = StayOn(ends.server_cpu);
    if (served.ok()) served = serve(listener.get());
  });
  const Status asked = test::RunIn(ends.client_netns, [&]() -> Status {
    GoFirst();
    SL_RETURN_IF_ERROR(StayOn(ends.client_cpu));
    return ask();
  });
  shutdown(listener.get(), SHUT_RDWR);
  server.join();
  SL_RETURN_IF_ERROR(Annotate(asked, "client"));
  return Annotate(served, "server");
}

}  // namespace

StatusOr<double> Stream(const TcpEnds& ends, std::chrono::milliseconds duration) {
  std::uint64_t sent = 0, received = 0;
  Pace pace(kStreamSpell);
  const auto receive = [&](int listener) -> Status {
    SL_ASSIGN_OR_RETURN(const Fd fd, Accept(listener));
    std::vector<char> block(kBlock);
    for (;;) {
      const ssize_t length = recv(fd.get(), block.data(), block.size(), 0);
      if (length < 0) return ErrnoError(errno, "receive a stream");
      if (length == 0) break;
      received += static_cast<std::uint64_t>(length);
      pace.Add(static_cast<double>(length) * 8e-6);
    }
    return OkStatus();
  };
  SL_RETURN_IF_ERROR(RunBoth(ends, receive, [&]() -> Status {
    SL_ASSIGN_OR_RETURN(const Fd fd, Connect(ends));
    const std::vector<char> block(kBlock, 'x');
    for (const auto end = Clock::now() + duration; Clock::now() < end;) {
      const ssize_t length = send(fd.get(), block.data(), block.size(), MSG_NOSIGNAL);
      if (length < 0) return ErrnoError(errno, "send a stream");
      sent += static_cast<std::uint64_t>(length);
    }
    return OkStatus();
  }));
  if (received != sent) return TrafficError("{} bytes of {} came through", received, sent);
  return pace.per_second();
}

StatusOr<RequestFigures> RequestResponse(const TcpEnds& ends, std::chrono::milliseconds duration) {
  std::vector<double> microseconds;
  Pace pace(kSpell);
  const auto answer = [&](int listener) -> Status {
    SL_ASSIGN_OR_RETURN(const Fd fd, Accept(listener));
    Echo(fd.get());
    return OkStatus();
  };
  SL_RETURN_IF_ERROR(RunBoth(ends, answer, [&]() -> Status {
    SL_ASSIGN_OR_RETURN(const Fd fd, Connect(ends));
    auto before = Clock::now();
    for (const auto end = before + duration; before < end;) {
      SL_RETURN_IF_ERROR(Exchange(fd.get(), static_cast<char>(microseconds.size())));
      const auto after = Clock::now();
      microseconds.push_back(std::chrono::duration<double, std::micro>(after - before).count());
      pace.Add(1);
      before = after;
    }
    return OkStatus();
  }));
  std::sort(microseconds.begin(), microseconds.end());
  const auto part = [&](double share) {
    return microseconds[static_cast<std::size_t>(share * static_cast<double>(microseconds.size() - 1))];
  };
  SL_ASSIGN_OR_RETURN(const double per_second, pace.per_second());
  return RequestFigures{per_second, part(0.5), part(0.99)};
}

StatusOr<double> ConnectClose(const TcpEnds& ends, std::chrono::milliseconds duration) {
  Pace pace(kSpell);
  const auto answer = [&](int listener) -> Status {
    for (;;) {
      const StatusOr<Fd> fd = Accept(listener);
      if (!fd.ok()) return absl::IsInvalidArgument(fd.status()) ? OkStatus() : fd.status();  // it was shut down
      Echo(fd->get());
    }
  };
  SL_RETURN_IF_ERROR(RunBoth(ends, answer, [&]() -> Status {
    const linger reset{.l_onoff = 1, .l_linger = 0};
    char byte = 0;
    for (const auto end = Clock::now() + duration; Clock::now() < end; pace.Add(1)) {
      SL_ASSIGN_OR_RETURN(const Fd fd, Connect(ends));
      SL_RETURN_IF_ERROR(Exchange(fd.get(), byte++));
      if (setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) != 0)
        return ErrnoError(errno, "set SO_LINGER");
    }
    return OkStatus();
  }));
  return pace.per_second();
}

StatusOr<std::set<std::string>> ReachedAddresses(const TcpEnds& ends, int connections) {
  std::set<std::string> reached;
  const auto accept = [&](int listener) -> Status {
    for (int i = 0; i < connections; ++i) {
      SL_ASSIGN_OR_RETURN(const Fd fd, Accept(listener));
      sockaddr_in own{};
      socklen_t size = sizeof(own);
      if (getsockname(fd.get(), reinterpret_cast<sockaddr*>(&own), &size) != 0)
        return ErrnoError(errno, "find the address that was reached");
      char text[INET_ADDRSTRLEN] = "";
      inet_ntop(AF_INET, &own.sin_addr, text, sizeof(text));
      reached.insert(text);
      Echo(fd.get());
    }
    return OkStatus();
  };
  SL_RETURN_IF_ERROR(RunBoth(ends, accept, [&]() -> Status {
    for (int i = 0; i < connections; ++i) {
      SL_ASSIGN_OR_RETURN(const Fd fd, Connect(ends));
      SL_RETURN_IF_ERROR(Exchange(fd.get(), 'x'));
    }
    return OkStatus();
  }));
  return reached;
}

StatusOr<TcpFigures> MeasureTcp(TcpEnds ends, const TcpDurations& durations) {
  SL_ASSIGN_OR_RETURN(ends.server_cpu, MeasuredCpu());
  SL_ASSIGN_OR_RETURN(ends.client_cpu, OtherCpu());
  TcpFigures figures;
  SL_ASSIGN_OR_RETURN(figures.stream_mbits, Stream(ends, durations.stream));
  ends.client_cpu = ends.server_cpu;
  SL_ASSIGN_OR_RETURN(figures.requests, RequestResponse(ends, durations.requests));
  SL_ASSIGN_OR_RETURN(figures.connections, ConnectClose(ends, durations.connections));
  return figures;
}

}  // namespace sluice::perf
