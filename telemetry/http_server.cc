#include "telemetry/http_server.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include "ctrl/base/fd.h"

namespace sluice::telemetry {
namespace {

HttpReply ReplyTo(const mg_request_info& request, const HttpServer::Handlers& handlers) {
  const std::string method = request.request_method;
  if (method != "GET" && method != "HEAD") return {.code = 405, .body = "only GET is served here\n"};
  const auto handler = handlers.find(request.local_uri ? request.local_uri : "");
  if (handler != handlers.end()) return handler->second();
  std::string paths;
  for (const auto& [path, unused] : handlers) paths += " " + path;
  return {.code = 404, .body = "nothing here; served are" + paths + "\n"};
}

int Answer(mg_connection* connection, void* data) {
  const mg_request_info& request = *mg_get_request_info(connection);
  const HttpReply reply = ReplyTo(request, *static_cast<const HttpServer::Handlers*>(data));
  mg_printf(connection,
            "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n"
            "Connection: close\r\n\r\n",
            reply.code, mg_get_response_code_text(connection, reply.code), reply.content_type.c_str(),
            reply.body.size());
  if (std::strcmp(request.request_method, "HEAD") != 0) {
    mg_write(connection, reply.body.data(), reply.body.size());
  }
  return reply.code;
}

// civetweb's own lines (a peer that hung up, and the like) stay out of the agent's log.
int DropMessage(const mg_connection*, const char*) { return 1; }

// Port numbers must be told from the colons of an IPv6 address.
bool IsAddress(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon + 1 == address.size() || address.size() - colon > 6) return false;
  if (address.find_first_not_of("0123456789", colon + 1) != std::string::npos) return false;
  if (std::stoul(address.substr(colon + 1)) > UINT16_MAX) return false;
  const std::string host = address.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  return host.empty() || bracketed || host.find_first_not_of("0123456789.") == std::string::npos;
}

// Connects and hangs up. The unspecified address leads to the loopback interface.
void Knock(const std::string& address, int port) {
  const std::string host = address.substr(0, address.rfind(':'));
  sockaddr_in6 to6{};
  sockaddr_in to4{};
  const bool v6 = !host.empty() && host.front() == '[';
  to6.sin6_family = AF_INET6;
  to4.sin_family = AF_INET;
  to6.sin6_port = to4.sin_port = htons(static_cast<std::uint16_t>(port));
  if (v6 && inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &to6.sin6_addr) != 1) return;
  if (!v6 && !host.empty() && inet_pton(AF_INET, host.c_str(), &to4.sin_addr) != 1) return;
  const Fd knocking(socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const auto* to = v6 ? reinterpret_cast<const sockaddr*>(&to6) : reinterpret_cast<const sockaddr*>(&to4);
  // A failure only means that stopping takes longer.
  static_cast<void>(connect(knocking.get(), to, v6 ? sizeof(to6) : sizeof(to4)));
}

}  // namespace

StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const std::string& address, Handlers handlers) {
  if (!IsAddress(address)) {
    return InvalidError("metrics address {}: expected IP:PORT, e.g. 127.0.0.1:9464 or [::1]:9464", address);
  }
  std::unique_ptr<HttpServer> server(new HttpServer(address, std::move(handlers)));
  const std::string ports = address.front() == ':' ? address.substr(1) : address;
  const char* options[] = {"listening_ports",    ports.c_str(), "num_threads", "4",
                           "request_timeout_ms", "10000",       nullptr};
  mg_callbacks callbacks{};
  callbacks.log_message = DropMessage;
  mg_init_data init{.callbacks = &callbacks, .user_data = nullptr, .configuration_options = options};
  char why[256] = "";
  mg_error_data error{.code = nullptr, .text = why, .text_buffer_size = sizeof why};
  server->context_ = mg_start2(&init, &error);
  if (!server->context_) {
    return MakeError(absl::StatusCode::kUnavailable, "cannot listen on {} for metrics ({}): is another program there?",
                     address, why);
  }
  mg_set_request_handler(server->context_, "**", Answer, const_cast<Handlers*>(&server->handlers_));
  return server;
}

HttpServer::~HttpServer() {
  if (!context_) return;
  const int own_port = port();
  std::atomic<bool> stopped = false;
  std::thread stopper([&] {
    mg_stop(context_);
    stopped = true;
  });
  // civetweb looks whether it shall stop only every two seconds, or when somebody connects.
  while (!stopped) {
    Knock(address_, own_port);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  stopper.join();
}

int HttpServer::port() const {
  mg_server_port port{};
  return mg_get_server_ports(context_, 1, &port) > 0 ? port.port : 0;
}

}  // namespace sluice::telemetry
