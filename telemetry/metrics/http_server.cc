#include "telemetry/metrics/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <list>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "telemetry/metrics/http_request.h"

namespace sluice::telemetry {
namespace {

using SteadyClock = std::chrono::steady_clock;
using namespace std::chrono_literals;
using Bytes = std::shared_ptr<const std::string>;

constexpr int kBacklog = 128;
constexpr auto kDrainTime = 1s;
constexpr auto kStopTime = 1s;
// Beyond a limit, a connection that has been receiving its answer for longer than this may be closed too.
constexpr auto kPatience = 1s;
// The pause after accept failed because of missing descriptors or memory.
constexpr auto kAcceptAgain = 100ms;

const char* Reason(int code) {
  switch (code) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    default:
      return "Unknown";
  }
}

std::string Head(const HttpReply& reply) {
  return fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\nConnection: "
      "close\r\n\r\n",
      reply.code, Reason(reply.code), reply.content_type, reply.body.size());
}

// IPv6 addresses need brackets, so that their colons are not mistaken for a port's.
bool IsAddress(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon + 1 == address.size() || address.size() - colon > 6) return false;
  if (address.find_first_not_of("0123456789", colon + 1) != std::string::npos) return false;
  if (std::stoul(address.substr(colon + 1)) > UINT16_MAX) return false;
  const std::string host = address.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  return host.empty() || bracketed || host.find_first_not_of("0123456789.") == std::string::npos;
}

StatusOr<Fd> Listen(const std::string& address) {
  const Status bad = InvalidError("metrics address {}: expected IP:PORT, e.g. 127.0.0.1:9464 or [::1]:9464", address);
  if (!IsAddress(address)) return bad;
  const std::size_t colon = address.rfind(':');
  const std::string host = address.substr(0, colon);
  const auto port = htons(static_cast<std::uint16_t>(std::stoul(address.substr(colon + 1))));
  const bool v6 = host.starts_with('[');
  sockaddr_in6 at6{};
  sockaddr_in at4{};
  at6.sin6_family = AF_INET6;
  at4.sin_family = AF_INET;
  at6.sin6_port = at4.sin_port = port;
  if (v6 && inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &at6.sin6_addr) != 1) return bad;
  if (!v6 && !host.empty() && inet_pton(AF_INET, host.c_str(), &at4.sin_addr) != 1) return bad;
  Fd fd(socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const auto* at = v6 ? reinterpret_cast<const sockaddr*>(&at6) : reinterpret_cast<const sockaddr*>(&at4);
  constexpr int kOn = 1;
  if (!fd.valid() || setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &kOn, sizeof kOn) != 0 ||
      bind(fd.get(), at, v6 ? sizeof(at6) : sizeof(at4)) != 0 || listen(fd.get(), kBacklog) != 0) {
    return MakeError(absl::StatusCode::kUnavailable,
                     "cannot listen on {} for metrics ({}): does another program use it?", address,
                     std::generic_category().message(errno));
  }
  return fd;
}

// The key for a client's share of the connections: its IPv4 address, or its IPv6 /64 prefix (a host chooses the rest).
std::string ClientOf(const sockaddr_storage& peer) {
  const auto bytes = [](const void* data, std::size_t size) {
    return std::string(static_cast<const char*>(data), size);
  };
  if (peer.ss_family == AF_INET) return bytes(&reinterpret_cast<const sockaddr_in&>(peer).sin_addr, 4);
  const in6_addr& address = reinterpret_cast<const sockaddr_in6&>(peer).sin6_addr;
  return IN6_IS_ADDR_V4MAPPED(&address) ? bytes(&address.s6_addr[12], 4) : bytes(&address, 8);
}

std::size_t ThreeQuartersOf(std::size_t places) { return std::max<std::size_t>(1, places * 3 / 4); }

// One path. Its thread makes one answer for all requests that came before it began.
class Answerer {
 public:
  using Done = std::function<void(Bytes head, Bytes body, std::uint64_t round)>;

  // `done` is called from the path's thread.
  Answerer(const HttpServer::Handler& handler, Done done)
      : handler_(handler), done_(std::move(done)), thread_(&Answerer::Run, this) {}
  ~Answerer() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    asked_.notify_all();
    thread_.join();
  }
  Answerer(const Answerer&) = delete;
  Answerer& operator=(const Answerer&) = delete;

  // Returns the number of the answer for a request that comes now: the next one that begins.
  std::uint64_t Ask() {
    const std::lock_guard lock(mutex_);
    wanted_ = begun_ + 1;
    asked_.notify_all();
    return wanted_;
  }

 private:
  void Run() {
    std::unique_lock lock(mutex_);
    while (true) {
      asked_.wait(lock, [this] { return stopping_ || wanted_ > begun_; });
      if (stopping_) return;
      const std::uint64_t round = ++begun_;
      lock.unlock();
      HttpReply reply = handler_();
      auto head = std::make_shared<const std::string>(Head(reply));
      done_(std::move(head), std::make_shared<const std::string>(std::move(reply.body)), round);
      lock.lock();
    }
  }

  const HttpServer::Handler& handler_;
  const Done done_;
  std::mutex mutex_;
  std::condition_variable asked_;
  std::uint64_t wanted_ = 0;
  std::uint64_t begun_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

struct Connection {
  enum class State { kAsking, kWaiting, kSending, kDraining };

  Fd fd;
  std::string client;
  State state = State::kAsking;
  SteadyClock::time_point since;     // when the state began
  SteadyClock::time_point deadline;  // the connection is closed then, unless the state changes
  std::string request;
  bool head_only = false;
  std::string path;
  std::uint64_t round = 0;  // number of the answer that it waits for
  Bytes head;
  Bytes body;
  std::size_t sent = 0;
};

}  // namespace

class HttpServer::Loop {
 public:
  Loop(Fd listener, Fd wake, Handlers handlers, HttpLimits limits)
      : listener_(std::move(listener)), wake_(std::move(wake)), handlers_(std::move(handlers)), limits_(limits) {
    for (const auto& [path, handler] : handlers_) {
      answerers_[path] =
          std::make_unique<Answerer>(handler, [this, &path = path](Bytes head, Bytes body, std::uint64_t round) {
            const std::lock_guard lock(mutex_);
            answers_.push_back({path, std::move(head), std::move(body), round});
            static_cast<void>(eventfd_write(wake_.get(), 1));
          });
    }
    thread_ = std::thread(&Loop::Run, this);
  }
  ~Loop() {
    stopping_ = true;
    static_cast<void>(eventfd_write(wake_.get(), 1));
    thread_.join();
    answerers_.clear();
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  int listener() const { return listener_.get(); }
  std::uint64_t dropped() const { return dropped_; }

 private:
  using State = Connection::State;
  struct Answer {
    const std::string& path;
    Bytes head;
    Bytes body;
    std::uint64_t round;
  };

  void Run() {
    std::optional<SteadyClock::time_point> stop_at;
    while (true) {
      if (stopping_ && !stop_at) stop_at = SteadyClock::now() + kStopTime;
      if (stop_at && (SteadyClock::now() >= *stop_at || !Answering())) return;
      WaitForSomething(stop_at);
      TakeAnswers();
      const auto now = SteadyClock::now();
      for (auto it = connections_.begin(); it != connections_.end();) {
        if (now >= it->deadline && it->state != State::kDraining) dropped_++;
        it = now >= it->deadline || !Move(*it) ? connections_.erase(it) : std::next(it);
      }
      if (!stop_at && now >= accept_from_) AcceptAll();
    }
  }

  bool Answering() const {
    return std::any_of(connections_.begin(), connections_.end(),
                       [](const auto& c) { return c.state == State::kWaiting || c.state == State::kSending; });
  }

  void WaitForSomething(const std::optional<SteadyClock::time_point>& stop_at) {
    const auto now = SteadyClock::now();
    const bool accepting = !stop_at && now >= accept_from_;
    std::vector<pollfd> polled{{wake_.get(), POLLIN, 0}, {accepting ? listener_.get() : -1, POLLIN, 0}};
    auto until = stop_at ? *stop_at : now + 10s;
    if (!accepting && !stop_at) until = std::min(until, accept_from_);
    for (const Connection& connection : connections_) {
      // A connection that waits for its answer is not polled, even if its client has gone.
      const int fd = connection.state == State::kWaiting ? -1 : connection.fd.get();
      polled.push_back({fd, static_cast<short>(connection.state == State::kSending ? POLLOUT : POLLIN), 0});
      until = std::min(until, connection.deadline);
    }
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(until - now).count();
    poll(polled.data(), polled.size(), static_cast<int>(std::max<std::int64_t>(0, wait)));
    eventfd_t ignored = 0;
    if (polled[0].revents != 0) static_cast<void>(eventfd_read(wake_.get(), &ignored));
  }

  void TakeAnswers() {
    std::vector<Answer> answers;
    {
      const std::lock_guard lock(mutex_);
      answers.swap(answers_);
    }
    for (const Answer& answer : answers) {
      for (Connection& connection : connections_) {
        if (connection.state == State::kWaiting && connection.path == answer.path && connection.round == answer.round) {
          Send(connection, answer.head, answer.body);
        }
      }
    }
  }

  void AcceptAll() {
    while (true) {
      sockaddr_storage peer{};
      socklen_t size = sizeof(peer);
      Fd fd(accept4(listener_.get(), reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!fd.valid()) {
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (errno != EAGAIN) accept_from_ = SteadyClock::now() + kAcceptAgain;
        return;
      }
      std::string client = ClientOf(peer);
      if (!MakeRoomFor(client)) {
        dropped_++;
        continue;
      }
      Connection& connection = connections_.emplace_back();
      connection.fd = std::move(fd);
      connection.client = std::move(client);
      Enter(connection, State::kAsking, limits_.request_time);
      if (!Move(connection)) connections_.pop_back();
    }
  }

  // The number of connections for which `counts` is true, by client.
  template <typename Counts>
  std::map<std::string, std::size_t> CountByClient(const Counts& counts) const {
    std::map<std::string, std::size_t> clients;
    for (const Connection& connection : connections_) {
      if (counts(connection)) clients[connection.client]++;
    }
    return clients;
  }
  static const std::string& Most(const std::map<std::string, std::size_t>& clients) {
    return std::max_element(clients.begin(), clients.end(),
                            [](const auto& a, const auto& b) { return a.second < b.second; })
        ->first;
  }

  bool MakeRoomFor(const std::string& client) {
    auto clients = CountByClient([](const Connection&) { return true; });
    if (clients[client] >= ThreeQuartersOf(limits_.connections)) return GiveWay(client);
    return connections_.size() < limits_.connections || GiveWay(Most(clients)) || GiveWay("");
  }

  // Closes the oldest connection that has no request yet, or else the oldest that does not take its answer. `client`
  // empty: of any client. False: there is none.
  bool GiveWay(const std::string& client) {
    const auto now = SteadyClock::now();
    for (const auto gives : {+[](const Connection&c, SteadyClock::time_point) { return c.state == State::kDraining; },
                             +[](const Connection&c, SteadyClock::time_point) { return c.state == State::kAsking; },
                             +[](const Connection&c, SteadyClock::time_point at) {
                               return c.state == State::kSending && at - c.since > kPatience;
                             }}) {
      const auto found = std::find_if(connections_.begin(), connections_.end(), [&](const Connection& connection) {
        return (client.empty() || connection.client == client) && gives(connection, now);
      });
      if (found == connections_.end()) continue;
      if (found->state != State::kDraining) dropped_++;
      connections_.erase(found);
      return true;
    }
    return false;
  }

  // One path may have half of the connections, so that the other paths stay usable. False: all of them wait for it.
  bool MakeRoomAt(const std::string& path, const std::string& client) {
    auto clients = CountByClient([&](const Connection& connection) { return IsAt(path, connection); });
    const std::size_t places = std::max<std::size_t>(1, limits_.connections / 2);
    if (clients[client] >= ThreeQuartersOf(places)) return GiveWayAt(path, client);
    std::size_t all = 0;
    for (const auto& [one, count] : clients) all += count;
    return all < places || GiveWayAt(path, Most(clients)) || GiveWayAt(path, "");
  }

  static bool IsAt(const std::string& path, const Connection& connection) {
    return connection.path == path && connection.state != State::kDraining;
  }

  // Closes the path's oldest connection that does not take its answer. False: there is none.
  bool GiveWayAt(const std::string& path, const std::string& client) {
    const auto found = std::find_if(connections_.begin(), connections_.end(), [&](const Connection& connection) {
      return (client.empty() || connection.client == client) && IsAt(path, connection) &&
             connection.state == State::kSending;
    });
    if (found == connections_.end()) return false;
    dropped_++;
    connections_.erase(found);
    return true;
  }

  static void Enter(Connection& connection, State state, std::chrono::milliseconds time) {
    connection.state = state;
    connection.since = SteadyClock::now();
    connection.deadline = connection.since + time;
  }

  void Send(Connection& connection, Bytes head, Bytes body) const {
    connection.head = std::move(head);
    connection.body = std::move(body);
    const auto deadline = connection.deadline;  // the answer's time includes the waiting
    const bool waited = connection.state == State::kWaiting;
    Enter(connection, State::kSending, limits_.answer_time);
    if (waited) connection.deadline = deadline;
  }

  void Reply(Connection& connection, const HttpReply& reply) const {
    Send(connection, std::make_shared<const std::string>(Head(reply)), std::make_shared<const std::string>(reply.body));
  }

  // Moves what can be moved without blocking. False: close the connection.
  bool Move(Connection& connection) {
    if (connection.state == State::kAsking && !ReadRequest(connection)) return false;
    if (connection.state == State::kSending && !WriteAnswer(connection)) return false;
    return connection.state != State::kDraining || Drain(connection);
  }

  bool ReadRequest(Connection& connection) {
    char buffer[4096];
    while (connection.state == State::kAsking) {
      const ssize_t got = recv(connection.fd.get(), buffer, sizeof buffer, 0);
      if (got == 0) return false;
      if (got < 0) return errno == EAGAIN || errno == EINTR;
      connection.request.append(buffer, static_cast<std::size_t>(got));
      if (IsWholeHead(connection.request)) {
        Ask(connection);
      } else if (connection.request.size() > limits_.request_bytes) {
        Reply(connection, {.code = 431, .body = "too many headers\n"});
      }
    }
    return true;
  }

  void Ask(Connection& connection) {
    const auto request = ParseRequest(connection.request);
    if (!request) return Reply(connection, {.code = 400, .body = "not an HTTP/1.1 request\n"});
    connection.head_only = request->method == "HEAD";
    if (request->method != "GET" && !connection.head_only) {
      return Reply(connection, {.code = 405, .body = "only GET and HEAD are allowed\n"});
    }
    const auto answerer = answerers_.find(request->path);
    if (answerer == answerers_.end()) {
      std::string paths;
      for (const auto& [path, unused] : answerers_) paths += " " + path;
      return Reply(connection, {.code = 404, .body = "not found; this server has" + paths + "\n"});
    }
    if (!MakeRoomAt(request->path, connection.client))
      return Reply(connection, {.code = 503, .body = "too many requests for this path\n"});
    connection.path = request->path;
    Enter(connection, State::kWaiting, limits_.answer_time);
    connection.round = answerer->second->Ask();
  }

  bool WriteAnswer(Connection& connection) {
    while (true) {
      const std::size_t head = connection.head->size();
      const std::size_t all = head + (connection.head_only ? 0 : connection.body->size());
      if (connection.sent >= all) break;
      const std::string& part = connection.sent < head ? *connection.head : *connection.body;
      const std::size_t at = connection.sent < head ? connection.sent : connection.sent - head;
      const ssize_t sent = send(connection.fd.get(), part.data() + at, part.size() - at, MSG_NOSIGNAL);
      if (sent < 0) return errno == EAGAIN || errno == EINTR;
      connection.sent += static_cast<std::size_t>(sent);
    }
    // Closing with unread bytes would reset the connection, and the client could lose the answer.
    shutdown(connection.fd.get(), SHUT_WR);
    Enter(connection, State::kDraining, kDrainTime);
    return true;
  }

  static bool Drain(const Connection& connection) {
    char buffer[4096];
    ssize_t got = 0;
    while ((got = recv(connection.fd.get(), buffer, sizeof buffer, 0)) > 0) {
    }
    return got < 0 && (errno == EAGAIN || errno == EINTR);
  }

  const Fd listener_;
  const Fd wake_;  // eventfd
  const Handlers handlers_;
  const HttpLimits limits_;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::uint64_t> dropped_ = 0;
  std::mutex mutex_;
  std::vector<Answer> answers_;        // by mutex_
  std::list<Connection> connections_;  // oldest first; this and the next two: used by the thread only
  std::map<std::string, std::unique_ptr<Answerer>> answerers_;
  SteadyClock::time_point accept_from_{};
  std::thread thread_;
};

StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const std::string& address, Handlers handlers,
                                                        HttpLimits limits) {
  SL_ASSIGN_OR_RETURN(Fd listener, Listen(address));
  Fd wake(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!wake.valid()) return ErrnoError(errno, "eventfd");
  auto loop = std::make_unique<Loop>(std::move(listener), std::move(wake), std::move(handlers), limits);
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(loop)));
}

HttpServer::HttpServer(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}

HttpServer::~HttpServer() = default;

std::uint64_t HttpServer::dropped() const { return loop_->dropped(); }

int HttpServer::port() const {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getsockname(loop_->listener(), reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  return ntohs(address.ss_family == AF_INET ? reinterpret_cast<sockaddr_in&>(address).sin_port
                                            : reinterpret_cast<sockaddr_in6&>(address).sin6_port);
}

}  // namespace sluice::telemetry
