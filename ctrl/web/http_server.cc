#include "ctrl/web/http_server.h"

#include <absl/strings/ascii.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <microhttpd.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>

#include "base/fd.h"
#include "base/log.h"
#include "base/printable.h"

namespace sluice::web {
namespace {

constexpr char kTlsVersions[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";
constexpr unsigned kMostCertificates = 8;  // in a client's chain

// A request while its body arrives.
struct Pending {
  HttpRequest request;
  bool too_large = false;
};

MHD_Result AddQuery(void* to, MHD_ValueKind, const char* name, const char* value) {
  (*static_cast<std::map<std::string, std::string>*>(to))[name] = value == nullptr ? "" : value;
  return MHD_YES;
}

MHD_Result AddHeader(void* to, MHD_ValueKind, const char* name, const char* value) {
  (*static_cast<std::map<std::string, std::string>*>(to))[absl::AsciiStrToLower(name)] = value == nullptr ? "" : value;
  return MHD_YES;
}

std::string PeerOf(MHD_Connection* connection) {
  const auto* const info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  if (info == nullptr || info->client_addr == nullptr) return "an unknown address";
  char text[INET6_ADDRSTRLEN] = "";
  if (info->client_addr->sa_family == AF_INET) {
    const auto& v4 = *reinterpret_cast<const sockaddr_in*>(info->client_addr);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text));
    return fmt::format("{}:{}", text, ntohs(v4.sin_port));
  }
  const auto& v6 = *reinterpret_cast<const sockaddr_in6*>(info->client_addr);
  inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text));
  return fmt::format("[{}]:{}", text, ntohs(v6.sin6_port));
}

void AddNames(gnutls_x509_crt_t certificate, std::vector<std::string>* names) {
  char text[256];
  std::size_t size = sizeof(text);
  if (gnutls_x509_crt_get_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, 0, text, &size) == 0) {
    names->emplace_back(text, size);
  }
  for (unsigned i = 0;; ++i) {
    size = sizeof(text);
    const int type = gnutls_x509_crt_get_subject_alt_name(certificate, i, text, &size, nullptr);
    if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) return;
    if (type == GNUTLS_SAN_DNSNAME) names->emplace_back(text, size);
  }
}

// Empty: the client has no certificate, or not one for clients that the CA signed.
std::vector<std::string> CertificateNames(MHD_Connection* connection) {
  const auto* const info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
  if (info == nullptr || info->tls_session == nullptr) return {};
  auto* const session = static_cast<gnutls_session_t>(info->tls_session);
  unsigned count = 0;
  const gnutls_datum_t* const chain = gnutls_certificate_get_peers(session, &count);
  if (chain == nullptr || count == 0 || count > kMostCertificates) return {};
  gnutls_typed_vdata_st purpose{};
  purpose.type = GNUTLS_DT_KEY_PURPOSE_OID;
  purpose.data = reinterpret_cast<unsigned char*>(const_cast<char*>(GNUTLS_KP_TLS_WWW_CLIENT));
  unsigned problems = 0;
  if (gnutls_certificate_verify_peers(session, &purpose, 1, &problems) != 0 || problems != 0) return {};
  gnutls_x509_crt_t certificate = nullptr;
  if (gnutls_x509_crt_init(&certificate) != 0) return {};
  std::vector<std::string> names;
  if (gnutls_x509_crt_import(certificate, chain, GNUTLS_X509_FMT_DER) == 0) AddNames(certificate, &names);
  gnutls_x509_crt_deinit(certificate);
  // A certificate without a name is one all the same.
  if (names.empty()) names.emplace_back();
  return names;
}

MHD_Result Send(MHD_Connection* connection, const HttpReply& reply) {
  MHD_Response* const response =
      MHD_create_response_from_buffer(reply.body.size(), const_cast<char*>(reply.body.data()), MHD_RESPMEM_MUST_COPY);
  if (response == nullptr) return MHD_NO;
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply.content_type.c_str());
  for (const auto& [name, value] : reply.headers) MHD_add_response_header(response, name.c_str(), value.c_str());
  const MHD_Result queued = MHD_queue_response(connection, static_cast<unsigned>(reply.code), response);
  MHD_destroy_response(response);
  return queued;
}

// What a client did wrong is no news of the agent.
void LogProblem(void*, const char* format, va_list arguments) {
  char line[512];
  std::vsnprintf(line, sizeof(line), format, arguments);
  std::string text = line;
  while (text.ends_with('\n')) text.pop_back();
  LogDebug("web: {}", Printable(text));
}

}  // namespace

struct HttpServer::Callbacks {
  static MHD_Result Answer(void* self, MHD_Connection* connection, const char* url, const char* method, const char*,
                           const char* upload, std::size_t* upload_size, void** state) {
    const auto& server = *static_cast<HttpServer*>(self);
    auto* pending = static_cast<Pending*>(*state);
    if (pending == nullptr) {
      pending = new Pending;  // End deletes it
      *state = pending;
      HttpRequest& request = pending->request;
      request.method = method;
      request.path = url;
      MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, AddQuery, &request.query);
      MHD_get_connection_values(connection, MHD_HEADER_KIND, AddHeader, &request.headers);
      return MHD_YES;
    }
    if (*upload_size != 0) {
      std::string& body = pending->request.body;
      pending->too_large = pending->too_large || body.size() + *upload_size > server.limits_.body_bytes;
      if (!pending->too_large) body.append(upload, *upload_size);
      *upload_size = 0;
      return MHD_YES;
    }
    if (pending->too_large) {
      return Send(connection, {.code = MHD_HTTP_CONTENT_TOO_LARGE,
                               .body = fmt::format("{{\"error\":\"a request's body may have {} bytes\"}}",
                                                   server.limits_.body_bytes)});
    }
    pending->request.peer = PeerOf(connection);
    pending->request.tls = !server.tls_.certificate.empty();
    if (!server.tls_.ca.empty()) pending->request.certificate_names = CertificateNames(connection);
    return Send(connection, server.handler_(pending->request));
  }

  static void End(void*, MHD_Connection*, void** state, MHD_RequestTerminationCode) {
    delete static_cast<Pending*>(*state);
    *state = nullptr;
  }
};

StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(int listener, TlsTexts tls, HttpHandler handler,
                                                        HttpLimits limits) {
  std::unique_ptr<HttpServer> server(new HttpServer(std::move(tls), std::move(handler), limits));
  std::vector<MHD_OptionItem> options{
      {MHD_OPTION_NOTIFY_COMPLETED, reinterpret_cast<intptr_t>(&Callbacks::End), nullptr},
      {MHD_OPTION_THREAD_POOL_SIZE, static_cast<intptr_t>(limits.threads), nullptr},
      {MHD_OPTION_CONNECTION_LIMIT, static_cast<intptr_t>(limits.connections), nullptr},
      {MHD_OPTION_PER_IP_CONNECTION_LIMIT, static_cast<intptr_t>(limits.connections_of_one), nullptr},
      {MHD_OPTION_CONNECTION_TIMEOUT, static_cast<intptr_t>(limits.idle.count()), nullptr},
      {MHD_OPTION_CONNECTION_MEMORY_LIMIT, static_cast<intptr_t>(limits.head_bytes), nullptr}};
  unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG;
  const auto text = [](const std::string& pem) { return const_cast<char*>(pem.c_str()); };
  if (!server->tls_.certificate.empty()) {
    flags |= MHD_USE_TLS;
    options.push_back({MHD_OPTION_HTTPS_MEM_CERT, 0, text(server->tls_.certificate)});
    options.push_back({MHD_OPTION_HTTPS_MEM_KEY, 0, text(server->tls_.key)});
    options.push_back({MHD_OPTION_HTTPS_PRIORITIES, 0, const_cast<char*>(kTlsVersions)});
    if (!server->tls_.ca.empty()) options.push_back({MHD_OPTION_HTTPS_MEM_TRUST, 0, text(server->tls_.ca)});
  }
  options.push_back({MHD_OPTION_END, 0, nullptr});
  // The library takes the descriptor that it gets.
  const int own = fcntl(listener, F_DUPFD_CLOEXEC, 0);
  if (own < 0) return ErrnoError(errno, "duplicate the listening socket");
  server->daemon_ = MHD_start_daemon(flags, 0, nullptr, nullptr, &Callbacks::Answer, server.get(),
                                     MHD_OPTION_EXTERNAL_LOGGER, &LogProblem, nullptr, MHD_OPTION_LISTEN_SOCKET, own,
                                     MHD_OPTION_ARRAY, options.data(), MHD_OPTION_END);
  if (server->daemon_ == nullptr) {
    return MakeError(absl::StatusCode::kUnavailable,
                     "the web server does not start: out of memory or descriptors, or the TLS files are not usable");
  }
  return server;
}

HttpServer::~HttpServer() {
  if (daemon_ == nullptr) return;
  // Takes the listening socket back first: the library would shut it down for its next user too.
  const Fd own(MHD_quiesce_daemon(daemon_));
  MHD_stop_daemon(daemon_);
}

}  // namespace sluice::web
