#include "ctrl/web/web_server.h"

#include <arpa/inet.h>

#include <charconv>
#include <chrono>
#include <fstream>

#include "base/log.h"

namespace sluice::web {
namespace {

using namespace std::chrono_literals;

constexpr auto kLookAtTls = 2s;
constexpr std::size_t kMostTlsBytes = 1U << 20U;

struct IpPort {
  std::string ip;
  bool is_loopback = false;
};

// Names are refused: what they mean may change from loopback to another address.
StatusOr<IpPort> ParseAddress(const std::string& address) {
  const Status bad = InvalidError("--web {}: expected IP:PORT, for example 127.0.0.1:9470 or [::1]:9470", address);
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) return bad;
  unsigned port = 0;
  const char* const end = address.data() + address.size();
  const auto parsed = std::from_chars(address.data() + colon + 1, end, port);
  if (parsed.ec != std::errc() || parsed.ptr != end || port == 0 || port > UINT16_MAX) return bad;
  std::string ip = address.substr(0, colon);
  in_addr v4{};
  if (inet_pton(AF_INET, ip.c_str(), &v4) == 1) return IpPort{ip, ntohl(v4.s_addr) >> 24U == 127};
  if (!ip.starts_with('[') || !ip.ends_with(']')) return bad;
  ip = ip.substr(1, ip.size() - 2);
  in6_addr v6{};
  if (inet_pton(AF_INET6, ip.c_str(), &v6) != 1) return bad;
  return IpPort{ip, IN6_IS_ADDR_LOOPBACK(&v6) != 0};
}

StatusOr<std::string> ReadText(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return InvalidError("{}: cannot be opened: {}", path, std::generic_category().message(errno));
  std::string text(kMostTlsBytes, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

Status CheckTlsFiles(const api::TlsFiles& tls) {
  if (tls.empty()) return OkStatus();
  if (tls.certificate.empty() || tls.key.empty()) {
    return InvalidError("--web-tls-cert and --web-tls-key go together, and --web-tls-ca needs both");
  }
  api::TlsFiles files = tls;
  if (files.ca.empty()) files.ca = files.certificate;  // there is nothing to check
  return Annotate(api::CheckTls(files), "--web-tls");
}

Status CheckOptions(const WebOptions& options) {
  SL_ASSIGN_OR_RETURN(const IpPort address, ParseAddress(options.address));
  SL_RETURN_IF_ERROR(CheckTlsFiles(options.tls));
  if (!address.is_loopback && options.tls.empty()) {
    return InvalidError("--web {}: only on loopback without TLS; give --web-tls-cert and --web-tls-key",
                        options.address);
  }
  if (options.access.read_token.empty() && options.access.quarantine_token.empty() && options.tls.ca.empty()) {
    return InvalidError(
        "--web {}: nobody could read it; give --web-read-token or --web-quarantine-token (`openssl rand -hex 32 > "
        "FILE` makes a token), or --web-tls-ca",
        options.address);
  }
  if (!options.access.quarantine_names.empty() && options.tls.ca.empty()) {
    return InvalidError("--web-tls-quarantine-name needs --web-tls-ca");
  }
  return Annotate(Access::Check(options.access), "--web");
}

}  // namespace

Status WebServer::Check(const WebOptions& options) {
  SL_RETURN_IF_ERROR(CheckOptions(options));
  return api::Listener::CheckFree(options.address, "--web");
}

StatusOr<std::unique_ptr<WebServer>> WebServer::Start(const WebOptions& options, api::Service* service) {
  SL_RETURN_IF_ERROR(CheckOptions(options));
  SL_ASSIGN_OR_RETURN(api::Listener listener, api::Listener::Open(options.address, {}, "--web"));
  std::unique_ptr<WebServer> server(new WebServer(options, std::move(listener), service));
  SL_ASSIGN_OR_RETURN(server->tls_, server->ReadTls());
  SL_RETURN_IF_ERROR(Annotate(server->Serve(), "--web " + options.address));
  if (!options.tls.empty()) server->follower_ = std::thread(&WebServer::FollowTls, server.get());
  return server;
}

WebServer::~WebServer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  if (follower_.joinable()) follower_.join();
}

StatusOr<TlsTexts> WebServer::ReadTls() const {
  TlsTexts texts;
  if (options_.tls.empty()) return texts;
  SL_RETURN_IF_ERROR(CheckTlsFiles(options_.tls));
  SL_ASSIGN_OR_RETURN(texts.certificate, ReadText(options_.tls.certificate));
  SL_ASSIGN_OR_RETURN(texts.key, ReadText(options_.tls.key));
  if (!options_.tls.ca.empty()) {
    SL_ASSIGN_OR_RETURN(texts.ca, ReadText(options_.tls.ca));
  }
  return texts;
}

Status WebServer::Serve() {
  SL_ASSIGN_OR_RETURN(auto server, HttpServer::Start(listener_.fd(), tls_, [this](const HttpRequest& request) {
                        return requests_.Answer(request);
                      }));
  server_ = std::move(server);  // ends the one before
  return OkStatus();
}

void WebServer::FollowTls() {
  std::string told;  // problem
  std::unique_lock lock(mutex_);
  while (!stopped_.wait_for(lock, kLookAtTls, [this] { return stopping_; })) {
    const auto texts = ReadTls();
    Status served;
    if (texts.ok() && (texts->certificate != tls_.certificate || texts->key != tls_.key || texts->ca != tls_.ca)) {
      tls_ = *texts;
      served = Serve();
      if (served.ok()) LogInfo("the TLS files of the web page have changed: it is served with them");
    }
    const std::string problem = !texts.ok() ? Message(texts.status()) : Message(served);
    if (!problem.empty() && problem != told) LogError("the TLS files of the web page: {}", problem);
    told = problem;
  }
}

}  // namespace sluice::web
