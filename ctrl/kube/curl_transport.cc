#include "ctrl/kube/curl_transport.h"

#include <absl/strings/ascii.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <csignal>
#include <thread>
#include <utility>
#include <vector>

#include "base/printable.h"

namespace sluice::kube {
namespace {

constexpr long kKeepaliveIdle = 30;      // seconds
constexpr long kKeepaliveInterval = 10;  // seconds
constexpr int kKeepaliveProbes = 3;
constexpr unsigned kUserTimeout = 60'000;  // milliseconds
constexpr long kBufferBytes = 256L << 10;  // of one read
constexpr char kUserAgent[] = "sluiced";

bool InitCurl() {
  static const bool kDone = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return kDone;
}

template <typename Value>
void Set(CURL* easy, CURLoption option, Value value) {
  // Fails only for options that this libcurl does not know, which the tests would show, and for want of memory.
  curl_easy_setopt(easy, option, value);
}

// The blob is copied.
void SetBlob(CURL* easy, CURLoption option, const std::string& text) {
  curl_blob blob{.data = const_cast<char*>(text.data()), .len = text.size(), .flags = CURL_BLOB_COPY};
  curl_easy_setopt(easy, option, &blob);
}

// No SIGPIPE from this thread while it lives: OpenSSL writes to connections that the server has closed, and a library
// may not change what the signal does to the process.
class SigpipeBlock {
 public:
  SigpipeBlock() {
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    sigemptyset(&sigpipe_);
    sigaddset(&sigpipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
  }
  ~SigpipeBlock() {
    const timespec now{};
    if (!was_pending_) sigtimedwait(&sigpipe_, nullptr, &now);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  SigpipeBlock(const SigpipeBlock&) = delete;
  SigpipeBlock& operator=(const SigpipeBlock&) = delete;

 private:
  sigset_t sigpipe_;
  sigset_t before_;
  bool was_pending_ = false;
};

int OnSocket(void*, curl_socket_t fd, curlsocktype) {
  // A kernel that refuses these notices a dead connection later.
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &kKeepaliveProbes, sizeof(kKeepaliveProbes));
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUserTimeout, sizeof(kUserTimeout));
  return CURL_SOCKOPT_OK;
}

// "https://HOST:PORT/path" -> HOST:PORT, as the URL has it.
std::string Authority(const std::string& url) {
  const std::size_t begin = url.find("://") + 3;
  return url.substr(begin, url.find('/', begin) - begin);
}

struct HostPort {
  std::string host;
  std::string port;
};
HostPort Split(const std::string& authority, bool is_tls) {
  const std::size_t colon = authority.rfind(':');
  const std::size_t bracket = authority.rfind(']');
  const bool has_port = colon != std::string::npos && (bracket == std::string::npos || colon > bracket);
  if (!has_port) return {authority, is_tls ? "443" : "80"};
  return {authority.substr(0, colon), authority.substr(colon + 1)};
}

Status ToStatus(CURLcode code, const char* detail) {
  const std::string text = Printable(*detail != 0 ? detail : curl_easy_strerror(code));
  switch (code) {
    case CURLE_OK:
      return OkStatus();
    case CURLE_OPERATION_TIMEDOUT:
      return MakeError(absl::StatusCode::kDeadlineExceeded, "{}", text);
    case CURLE_SSL_CONNECT_ERROR:  // its detail may be an error of OpenSSL without a word about TLS
      return MakeError(absl::StatusCode::kUnavailable, "{}: {}", curl_easy_strerror(code), text);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
      return MakeError(absl::StatusCode::kUnauthenticated, "{}", text);
    case CURLE_WRITE_ERROR:
      return MakeError(absl::StatusCode::kCancelled, "given up by its reader");
    default:
      return MakeError(absl::StatusCode::kUnavailable, "{}", text);
  }
}

}  // namespace

struct CurlTransport::Multi {
  Multi() : handle(curl_multi_init()) {}
  ~Multi() { curl_multi_cleanup(handle); }
  Multi(const Multi&) = delete;
  Multi& operator=(const Multi&) = delete;
  CURLM* handle;
};

struct CurlTransport::Exchange {
  Exchange(std::uint64_t number, CURLM* all, HttpHandler* its_handler)
      : id(number), handler(its_handler), multi(all), easy(curl_easy_init()) {}
  ~Exchange() {
    curl_multi_remove_handle(multi, easy);
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
    curl_slist_free_all(connect_to);
  }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  void AddHeader(const std::string& line) { headers = curl_slist_append(headers, line.c_str()); }

  static std::size_t OnHeader(const char* data, std::size_t size, std::size_t count, void* user) {
    static_cast<Exchange*>(user)->TakeHeader(std::string_view(data, size * count));
    return size * count;
  }
  static std::size_t OnData(const char* data, std::size_t size, std::size_t count, void* user) {
    const std::string_view text(data, size * count);
    return static_cast<Exchange*>(user)->handler->OnBody(text) ? text.size() : 0;
  }

  void TakeHeader(std::string_view line) {
    if (line.starts_with("HTTP/")) {
      head = {};
      const std::size_t space = line.find(' ');
      if (space != std::string_view::npos) head.code = std::atoi(std::string(line.substr(space + 1, 3)).c_str());
      return;
    }
    if (line == "\r\n" || line == "\n") {
      if (head.code >= 200 && !std::exchange(head_reported, true)) handler->OnHead(head);  // trailers end so too
      return;
    }
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    const std::string name = absl::AsciiStrToLower(std::string(line.substr(0, colon)));
    const std::string value(absl::StripAsciiWhitespace(std::string(line.substr(colon + 1))));
    if (name == "content-type") head.content_type = absl::AsciiStrToLower(value);
    if (name == "retry-after") head.retry_after = value;
  }

  const std::uint64_t id;
  HttpHandler* const handler;
  CURLM* const multi;
  CURL* const easy;
  curl_slist* headers = nullptr;
  curl_slist* connect_to = nullptr;
  std::string body;
  HttpHead head;
  bool head_reported = false;
  std::array<char, CURL_ERROR_SIZE> error{};
};

StatusOr<std::unique_ptr<CurlTransport>> CurlTransport::Create(ApiConfig config, const Timing& timing,
                                                               const Environment& environment) {
  if (!InitCurl()) return MakeError(absl::StatusCode::kInternal, "libcurl cannot be initialised");
  std::unique_ptr<CurlTransport> transport(new CurlTransport(std::move(config), timing, environment));
  if (transport->multi_->handle == nullptr) return MakeError(absl::StatusCode::kResourceExhausted, "no memory");
  transport->RefreshCredentials();
  SL_RETURN_IF_ERROR(transport->credentials_status());
  return transport;
}

CurlTransport::CurlTransport(ApiConfig config, const Timing& timing, const Environment& environment)
    : config_(std::move(config)),
      timing_(timing),
      environment_(environment),
      credentials_(config_, timing),
      multi_(std::make_unique<Multi>()) {
  if (multi_->handle != nullptr) curl_multi_setopt(multi_->handle, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
}

CurlTransport::~CurlTransport() {
  const SigpipeBlock block;
  exchanges_.clear();
  multi_.reset();
}

std::uint64_t CurlTransport::Start(const HttpRequest& request, HttpHandler* handler) {
  auto exchange = std::make_unique<Exchange>(++last_id_, multi_->handle, handler);
  SetUp(*exchange, request);
  curl_multi_add_handle(multi_->handle, exchange->easy);
  exchanges_[last_id_] = std::move(exchange);
  return last_id_;
}

void CurlTransport::Cancel(std::uint64_t id) {
  const SigpipeBlock block;
  exchanges_.erase(id);
}

bool CurlTransport::RereadCredentials() { return credentials_.Reread(environment_.now()); }

void CurlTransport::RefreshCredentials() { credentials_.Refresh(environment_.now()); }

void CurlTransport::Wake() { curl_multi_wakeup(multi_->handle); }

void CurlTransport::SetUp(Exchange& exchange, const HttpRequest& request) const {
  CURL* const easy = exchange.easy;
  Set(easy, CURLOPT_PRIVATE, &exchange);
  Set(easy, CURLOPT_NOSIGNAL, 1L);
  Set(easy, CURLOPT_ERRORBUFFER, exchange.error.data());
  Set(easy, CURLOPT_HEADERFUNCTION, &Exchange::OnHeader);
  Set(easy, CURLOPT_HEADERDATA, &exchange);
  Set(easy, CURLOPT_WRITEFUNCTION, &Exchange::OnData);
  Set(easy, CURLOPT_WRITEDATA, &exchange);
  Set(easy, CURLOPT_BUFFERSIZE, kBufferBytes);
  Set(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  Set(easy, CURLOPT_USERAGENT, kUserAgent);
  Set(easy, CURLOPT_PROTOCOLS_STR, "http,https");

  Set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  Set(easy, CURLOPT_PIPEWAIT, 1L);  // for the connection that is being made, rather than make another
  if (request.fresh_connection) Set(easy, CURLOPT_FRESH_CONNECT, 1L);
  Set(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(timing_.connect_timeout.count()));
  if (request.timeout.count() > 0) Set(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
  if (request.low_speed_limit) {
    Set(easy, CURLOPT_LOW_SPEED_LIMIT, static_cast<long>(timing_.low_speed_bytes));
    Set(easy, CURLOPT_LOW_SPEED_TIME, static_cast<long>(timing_.low_speed_time.count()));
  }
  Set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  Set(easy, CURLOPT_TCP_KEEPIDLE, kKeepaliveIdle);
  Set(easy, CURLOPT_TCP_KEEPINTVL, kKeepaliveInterval);
  Set(easy, CURLOPT_SOCKOPTFUNCTION, &OnSocket);
  if (!config_.proxy_url.empty()) Set(easy, CURLOPT_PROXY, config_.proxy_url.c_str());

  Set(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  if (!request.content_type.empty()) {
    exchange.body = request.body;
    Set(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(exchange.body.size()));
    Set(easy, CURLOPT_POSTFIELDS, exchange.body.data());
    exchange.AddHeader("Content-Type: " + request.content_type);
    exchange.AddHeader("Expect:");
  }
  if (request.compressed) Set(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
  exchange.AddHeader("Accept: application/json");

  const Credentials::Values& values = credentials_.values();
  if (!values.token.empty()) {
    exchange.AddHeader("Authorization: Bearer " + values.token);
  } else if (!config_.username.empty()) {
    Set(easy, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
    Set(easy, CURLOPT_USERNAME, config_.username.c_str());
    Set(easy, CURLOPT_PASSWORD, config_.password.c_str());
  }
  const bool is_tls = config_.server.starts_with("https://");
  std::string server = config_.server;
  if (is_tls && !config_.tls_server_name.empty()) {
    // libcurl takes the name for TLS from the URL: the URL gets that name, and the connection goes to the real host.
    const std::string authority = Authority(server);
    const HostPort real = Split(authority, is_tls);
    const std::string named = fmt::format("{}:{}", config_.tls_server_name, real.port);
    server.replace(server.find("://") + 3, authority.size(), named);
    exchange.connect_to = curl_slist_append(nullptr, fmt::format("{}:{}:{}", named, real.host, real.port).c_str());
    Set(easy, CURLOPT_CONNECT_TO, exchange.connect_to);
    exchange.AddHeader("Host: " + authority);
  }
  Set(easy, CURLOPT_URL, (server + request.path).c_str());
  Set(easy, CURLOPT_HTTPHEADER, exchange.headers);
  if (is_tls) SetUpTls(exchange);
}

void CurlTransport::SetUpTls(Exchange& exchange) const {
  CURL* const easy = exchange.easy;
  const Credentials::Values& values = credentials_.values();
  Set(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  Set(easy, CURLOPT_SSL_VERIFYPEER, config_.insecure_skip_tls_verify ? 0L : 1L);
  Set(easy, CURLOPT_SSL_VERIFYHOST, config_.insecure_skip_tls_verify ? 0L : 2L);
  // A connection is used again only by requests with the same CA and certificate, so a change makes a new one.
  if (!values.ca.empty()) {
    SetBlob(easy, CURLOPT_CAINFO_BLOB, values.ca);
    Set(easy, CURLOPT_CAPATH, static_cast<const char*>(nullptr));  // the system's CAs are not trusted beside it
  }
  if (values.client_certificate.empty()) return;
  Set(easy, CURLOPT_SSLCERTTYPE, "PEM");
  Set(easy, CURLOPT_SSLKEYTYPE, "PEM");
  SetBlob(easy, CURLOPT_SSLCERT_BLOB, values.client_certificate);
  SetBlob(easy, CURLOPT_SSLKEY_BLOB, values.client_key);
}

void CurlTransport::Run(std::chrono::milliseconds longest) {
  const SigpipeBlock block;
  // libcurl's own timers end the wait, too; a request that was just added has one that is due.
  int ready = 0;
  const int timeout = static_cast<int>(std::min<std::int64_t>(longest.count(), 600'000));
  if (curl_multi_poll(multi_->handle, nullptr, 0, timeout, &ready) != CURLM_OK) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // for want of memory or files
  }
  int running = 0;
  curl_multi_perform(multi_->handle, &running);
  TakeEnded();
}

void CurlTransport::TakeEnded() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_->handle, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    Exchange* ended = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &ended);
    const auto found = exchanges_.find(ended->id);
    const std::unique_ptr<Exchange> exchange = std::move(found->second);
    exchanges_.erase(found);
    // The CA may have been replaced. By one of the same name, the error is that a signature is wrong.
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CONNECT_ERROR) RereadCredentials();
    exchange->handler->OnEnd(ToStatus(code, exchange->error.data()));
  }
}

}  // namespace sluice::kube
