#include "ctrl/api/connections.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/file_limit.h"

namespace sluice::api {
namespace {

// Above the agent's other descriptors, so that most numbers are free.
constexpr int kFirstNumber = 1024;
constexpr std::uint64_t kNumbers = 65536;

}  // namespace

StatusOr<std::unique_ptr<Connections>> Connections::Make(ConnectionLimits limits) {
  Fd ended(epoll_create1(EPOLL_CLOEXEC));
  if (!ended.valid()) return ErrnoError(errno, "epoll_create1");
  // The limit of open files also ends the descriptors' numbers.
  const int end = static_cast<int>(std::min(RaiseFileLimit().value_or(kFirstNumber), kNumbers));
  return std::unique_ptr<Connections>(new Connections(limits, std::move(ended), end));
}

int Connections::NumberFor(const Fd& socket) {
  const int first = std::min(kFirstNumber, numbers_end_ / 2);
  for (int wraps = 0; wraps < 2;) {
    if (next_number_ < first || next_number_ >= numbers_end_) next_number_ = first;
    const int number = fcntl(socket.get(), F_DUPFD_CLOEXEC, next_number_);
    if (number < 0) {
      wraps++;
      next_number_ = first;
      continue;
    }
    if (number < next_number_) wraps++;
    next_number_ = number + 1;
    if (!by_peer_.contains("fd:" + std::to_string(number))) return number;
    close(number);
    if (next_number_ >= numbers_end_) wraps++;
  }
  return -1;
}

StatusOr<int> Connections::TakeIn(Fd socket, Caller caller, std::string peer) {
  const std::lock_guard lock(mutex_);
  if (!MakeRoom(caller)) {
    return MakeError(absl::StatusCode::kResourceExhausted, "{}: all connections have calls under way", caller.name);
  }
  Fd watch(fcntl(socket.get(), F_DUPFD_CLOEXEC, 0));
  const int handed = peer.empty() ? NumberFor(socket) : fcntl(socket.get(), F_DUPFD_CLOEXEC, 0);
  if (!watch.valid() || handed < 0) {
    const Fd unused(handed);
    return MakeError(absl::StatusCode::kResourceExhausted, "{}: no descriptor is free", caller.name);
  }
  if (peer.empty()) peer = "fd:" + std::to_string(handed);
  const std::uint64_t id = ++arrived_;
  epoll_event event{.events = EPOLLRDHUP, .data = {.u64 = id}};
  if (epoll_ctl(ended_.get(), EPOLL_CTL_ADD, watch.get(), &event) != 0) {
    const Fd unused(handed);
    return ErrnoError(errno, "watch a connection");
  }
  open_total_++;
  open_[caller.share]++;
  by_peer_[peer] = id;
  table_[id] = {.watch = std::move(watch), .peer = std::move(peer), .caller = std::move(caller), .calls = 0};
  return handed;
}

bool Connections::MakeRoom(const Caller& caller) {
  const auto own = open_.find(caller.share);
  if (!caller.root && own != open_.end() && own->second >= limits_.of_one) return EndOldest(caller.share);
  if (open_total_ < limits_.total) return true;
  // First of the caller with the most connections; if none of these is idle, of any caller.
  const auto most =
      std::max_element(open_.begin(), open_.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return EndOldest(most->first) || EndOldest("");
}

// `share` empty: of any caller.
bool Connections::EndOldest(const std::string& share) {
  const auto idle = std::find_if(table_.begin(), table_.end(), [&](const auto& entry) {
    const Connection& connection = entry.second;
    return connection.watch.valid() && connection.calls == 0 && (share.empty() || connection.caller.share == share);
  });
  if (idle == table_.end()) return false;
  End(idle->first, idle->second);
  return true;
}

// gRPC notices, and closes its descriptor.
void Connections::End(std::uint64_t id, Connection& connection) {
  shutdown(connection.watch.get(), SHUT_RDWR);
  epoll_ctl(ended_.get(), EPOLL_CTL_DEL, connection.watch.get(), nullptr);
  connection.watch = Fd();
  ended_ones_.emplace_back(Clock::now(), id);
  open_total_--;
  const auto own = open_.find(connection.caller.share);
  if (--own->second == 0) open_.erase(own);
}

std::optional<Connections::Begun> Connections::BeginCall(const std::string& peer) {
  const std::lock_guard lock(mutex_);
  const auto id = by_peer_.find(peer);
  if (id == by_peer_.end()) return std::nullopt;
  Connection& connection = table_.at(id->second);
  connection.calls++;
  return Begun{.connection = id->second, .caller = connection.caller};
}

void Connections::EndCall(std::uint64_t connection) {
  const std::lock_guard lock(mutex_);
  table_.at(connection).calls--;
}

void Connections::Tend(Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  std::array<epoll_event, 64> events{};
  for (int found = 64; found == static_cast<int>(events.size());) {
    found = epoll_wait(ended_.get(), events.data(), static_cast<int>(events.size()), 0);
    for (int i = 0; i < found; ++i) {
      const auto entry = table_.find(events[static_cast<std::size_t>(i)].data.u64);
      if (entry != table_.end() && entry->second.watch.valid()) End(entry->first, entry->second);
    }
  }
  Forget(now);
}

void Connections::Forget(Clock::time_point now) {
  while (!ended_ones_.empty() && now - ended_ones_.front().first >= kNumberRest) {
    const std::uint64_t id = ended_ones_.front().second;
    ended_ones_.pop_front();
    const auto entry = table_.find(id);
    if (entry->second.calls != 0) {
      ended_ones_.emplace_back(now, id);
      continue;
    }
    // By TCP another connection may have the name by now.
    if (const auto named = by_peer_.find(entry->second.peer); named != by_peer_.end() && named->second == id) {
      by_peer_.erase(named);
    }
    table_.erase(entry);
  }
}

std::size_t Connections::open() const {
  const std::lock_guard lock(mutex_);
  return open_total_;
}

}  // namespace sluice::api
