#include "perf/kube/api_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <string_view>

namespace sluice::perf {
namespace {

constexpr std::size_t kMaxRequest = 65536;
constexpr std::size_t kPage = 500;
constexpr std::chrono::seconds kBetweenBookmarks{60}, kLongestWatch{1800};

// The number `key` in a query; 0: it is not there.
std::uint64_t NumberOf(const std::string& query, const std::string& key) {
  const std::size_t at = ("&" + query).find("&" + key + "=");
  return at == std::string::npos ? 0 : std::strtoull(query.c_str() + at + key.size() + 1, nullptr, 10);
}

// Of the request with this head, which ends with a line's end.
std::size_t BodyBytes(const std::string& head) {
  constexpr std::string_view kName = "\r\ncontent-length: ";
  const auto same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; };
  const auto at = std::search(head.begin(), head.end(), kName.begin(), kName.end(), same);
  return at == head.end() ? 0 : std::strtoull(&*at + kName.size(), nullptr, 10);
}

std::string Chunk(const std::string& data) { return fmt::format("{:x}\r\n{}\r\n", data.size(), data); }

}  // namespace

StatusOr<std::unique_ptr<ApiServer>> ApiServer::Start() {
  Fd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  socklen_t size = sizeof(address);
  if (!listener.valid() || bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      listen(listener.get(), 64) != 0 ||
      getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return ErrnoError(errno, "listen on 127.0.0.1");
  }
  std::unique_ptr<ApiServer> server(new ApiServer(std::move(listener), ntohs(address.sin_port)));
  server->acceptor_ = std::thread(&ApiServer::Accept, server.get());
  return server;
}

ApiServer::~ApiServer() {
  shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const Connection& connection : connections_) shutdown(connection.socket.get(), SHUT_RDWR);
  }
  changed_.notify_all();
  for (Connection& connection : connections_) connection.thread.join();
}

std::string ApiServer::Kubeconfig() const {
  return fmt::format(
      "apiVersion: v1\nkind: Config\ncurrent-context: bench\n"
      "clusters: [{{name: bench, cluster: {{server: \"http://127.0.0.1:{}\"}}}}]\n"
      "users: [{{name: bench, user: {{token: bench}}}}]\n"
      "contexts: [{{name: bench, context: {{cluster: bench, user: bench}}}}]\n",
      port_);
}

void ApiServer::Serve(const std::string& path) {
  const std::lock_guard lock(mutex_);
  collections_.try_emplace(path);
}

void ApiServer::Put(const std::string& path, const std::string& key,
                    const std::function<std::string(std::uint64_t)>& text) {
  {
    const std::lock_guard lock(mutex_);
    Collection& collection = collections_[path];
    std::string object = text(++version_);
    const char* const type = collection.objects.contains(key) ? "MODIFIED" : "ADDED";
    collection.changes[version_] = fmt::format("{{\"type\":\"{}\",\"object\":{}}}\n", type, object);
    collection.objects[key] = std::move(object);
  }
  changed_.notify_all();
}

void ApiServer::Accept() {
  while (true) {
    Fd accepted(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!accepted.valid()) return;
    const int on = 1;
    setsockopt(accepted.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    const std::lock_guard lock(mutex_);
    Connection& connection = connections_.emplace_back();
    connection.socket = std::move(accepted);
    connection.thread = std::thread(&ApiServer::Answer, this, connection.socket.get());
  }
}

bool ApiServer::Send(int socket, const std::string& bytes) {
  for (std::size_t sent = 0; sent < bytes.size();) {
    const ssize_t now = send(socket, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (now < 0 && errno == EINTR) continue;
    if (now <= 0) return false;
    sent += static_cast<std::size_t>(now);
  }
  bytes_sent_ += bytes.size();
  return true;
}

bool ApiServer::Receive(int socket, std::string* read) {
  char buffer[4096];
  const ssize_t size = recv(socket, buffer, sizeof(buffer), 0);
  if (size <= 0) return false;
  bytes_received_ += static_cast<std::uint64_t>(size);
  read->append(buffer, static_cast<std::size_t>(size));
  return true;
}

// One request after another until the client has gone.
void ApiServer::Answer(int socket) {
  std::string read;
  while (read.size() < kMaxRequest) {
    const std::size_t end = read.find("\r\n\r\n");
    if (end == std::string::npos) {
      if (!Receive(socket, &read)) return;
      continue;
    }
    const std::string head = read.substr(0, end + 2);
    const std::size_t whole = end + 4 + BodyBytes(head);
    while (read.size() < std::min(whole, kMaxRequest)) {
      if (!Receive(socket, &read)) return;
    }
    read.erase(0, whole);
    ++requests_;
    const std::size_t path_begin = head.find(' ') + 1;
    const std::string target = head.substr(path_begin, head.find(' ', path_begin) - path_begin);
    const std::size_t question = target.find('?');
    const std::string path = head.starts_with("GET ") ? target.substr(0, question) : "";
    const std::string query = question == std::string::npos ? "" : target.substr(question + 1);
    if (query.find("watch=true") == std::string::npos)
      List(socket, path, query);
    else if (!Watch(socket, path, query))
      return;
  }
}

void ApiServer::List(int socket, const std::string& path, const std::string& query) {
  const std::size_t first = NumberOf(query, "continue");
  std::string body;
  {
    const std::lock_guard lock(mutex_);
    const auto collection = collections_.find(path);
    if (collection != collections_.end()) {
      const auto& objects = collection->second.objects;
      const std::size_t last = std::min(first + kPage, objects.size());
      const std::string more = last < objects.size() ? fmt::format(",\"continue\":\"{}\"", last) : "";
      body =
          fmt::format("{{\"kind\":\"List\",\"metadata\":{{\"resourceVersion\":\"{}\"{}}},\"items\":[", version_, more);
      auto object = std::next(objects.begin(), static_cast<std::ptrdiff_t>(std::min(first, objects.size())));
      for (std::size_t i = first; i < last; ++i, ++object) body += (i == first ? "" : ",") + object->second;
      body += "]}";
    }
  }
  const char* const status = body.empty() ? "404 Not Found" : "200 OK";
  if (body.empty()) body = R"({"kind":"Status","status":"Failure","reason":"NotFound","code":404})";
  Send(socket,
       fmt::format("HTTP/1.1 {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", status, body.size()) +
           body);
}

bool ApiServer::Watch(int socket, const std::string& path, const std::string& query) {
  std::uint64_t version = NumberOf(query, "resourceVersion");
  const std::uint64_t seconds = NumberOf(query, "timeoutSeconds");
  const auto now = std::chrono::steady_clock::now();
  const auto end = now + (seconds == 0 ? kLongestWatch : std::chrono::seconds(seconds));
  auto bookmark = now + kBetweenBookmarks;
  if (!Send(socket, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"))
    return false;
  std::unique_lock lock(mutex_);
  const auto& changes = collections_[path].changes;
  const auto is_behind = [&] { return !changes.empty() && changes.rbegin()->first > version; };
  while (true) {
    changed_.wait_until(lock, std::min(bookmark, end), [&] { return stopping_ || is_behind(); });
    if (stopping_) return false;
    std::string lines;
    if (is_behind()) {
      for (auto change = changes.upper_bound(version); change != changes.end(); ++change) lines += change->second;
      version = changes.rbegin()->first;
    }
    const auto woken = std::chrono::steady_clock::now();
    if (woken >= bookmark) {
      bookmark = woken + kBetweenBookmarks;
      version = version_;
      lines += fmt::format(R"({{"type":"BOOKMARK","object":{{"metadata":{{"resourceVersion":"{}"}}}}}})"
                           "\n",
                           version);
    }
    lock.unlock();
    if (!lines.empty() && !Send(socket, Chunk(lines))) return false;
    if (woken >= end) return Send(socket, Chunk(""));
    lock.lock();
  }
}

}  // namespace sluice::perf
