#include "tests/unit/kube/scripted_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <nghttp2/nghttp2.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace sluice::kube {
namespace {

constexpr std::size_t kPortion = 256U << 10U;

}  // namespace

// Guarded by the server's mutex.
struct Exchange::State {
  Request request;
  int32_t stream = 0;  // of HTTP/2
  int code = 0;        // 0: no response header yet
  Headers headers;
  std::string pending;   // of the body
  std::size_t sent = 0;  // of it
  std::string chunk;     // to follow
  int repetitions = 0;   // of it
  void Refill() {
    if (!pending.empty() || repetitions == 0) return;
    pending = chunk;
    --repetitions;
  }
  bool ended = false;
  bool dropped = false;
  bool goaway = false;
  bool closed = false;
  // Of the connection:
  bool head_sent = false;
  bool end_sent = false;
  std::string received;  // of the request's body
};

const Request& Exchange::request() const { return state_->request; }

void Exchange::Head(int code, Headers headers) const {
  {
    const std::lock_guard lock(server_->mutex_);
    headers.emplace("content-type", "application/json");
    state_->code = code;
    state_->headers = std::move(headers);
  }
  server_->Wake();
}

void Exchange::Body(const std::string& data) const {
  {
    const std::lock_guard lock(server_->mutex_);
    state_->pending += data;
  }
  server_->Wake();
}

void Exchange::Repeat(const std::string& chunk, int times) const {
  {
    const std::lock_guard lock(server_->mutex_);
    state_->chunk = chunk;
    state_->repetitions = times;
  }
  server_->Wake();
}

void Exchange::End() const {
  {
    const std::lock_guard lock(server_->mutex_);
    state_->ended = true;
  }
  server_->Wake();
}

void Exchange::Reply(int code, const std::string& body, Headers headers) const {
  Head(code, std::move(headers));
  Body(body);
  End();
}

void Exchange::Drop() const {
  {
    const std::lock_guard lock(server_->mutex_);
    state_->dropped = true;
  }
  server_->Wake();
}

void Exchange::GoAway() const {
  {
    const std::lock_guard lock(server_->mutex_);
    state_->goaway = true;
  }
  server_->Wake();
}

bool Exchange::closed() const {
  const std::lock_guard lock(server_->mutex_);
  return state_->closed;
}

struct ScriptedServer::Tls {
  explicit Tls(ScriptedServer* owner) : server(owner), context(SSL_CTX_new(TLS_server_method())) {
    SSL_CTX_set_alpn_select_cb(context, &Tls::SelectProtocol, this);
    SSL_CTX_set_tlsext_servername_callback(context, &Tls::SeeName);
    SSL_CTX_set_tlsext_servername_arg(context, this);
  }
  ~Tls() { SSL_CTX_free(context); }
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;

  void Use(const Identity& identity) const {
    BIO* pem = BIO_new_mem_buf(identity.certificate.data(), static_cast<int>(identity.certificate.size()));
    X509* certificate = PEM_read_bio_X509(pem, nullptr, nullptr, nullptr);
    BIO_free(pem);
    BIO* key_pem = BIO_new_mem_buf(identity.key.data(), static_cast<int>(identity.key.size()));
    EVP_PKEY* key = PEM_read_bio_PrivateKey(key_pem, nullptr, nullptr, nullptr);
    BIO_free(key_pem);
    SSL_CTX_use_certificate(context, certificate);
    SSL_CTX_use_PrivateKey(context, key);
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  void Require(const std::string& ca) const {
    BIO* pem = BIO_new_mem_buf(ca.data(), static_cast<int>(ca.size()));
    X509* certificate = PEM_read_bio_X509(pem, nullptr, nullptr, nullptr);
    BIO_free(pem);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate);
    X509_free(certificate);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }

  static int SelectProtocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                            unsigned in_size, void* user) {
    static const unsigned char kHttp2[] = "\x02h2\x08http/1.1";
    static const unsigned char kHttp1[] = "\x08http/1.1";
    const bool http2 = static_cast<Tls*>(user)->server->options_.http2;
    const auto chosen = SSL_select_next_proto(const_cast<unsigned char**>(out), out_size, http2 ? kHttp2 : kHttp1,
                                              http2 ? sizeof(kHttp2) - 1 : sizeof(kHttp1) - 1, in, in_size);
    return chosen == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
  }
  static int SeeName(SSL* ssl, int*, void* user) {
    const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    ScriptedServer* server = static_cast<Tls*>(user)->server;
    const std::lock_guard lock(server->mutex_);
    server->server_name_ = name == nullptr ? "" : name;
    return SSL_TLSEXT_ERR_OK;
  }

  ScriptedServer* server;
  SSL_CTX* context;
};

// One connection, of the server's thread.
class ScriptedServer::Connection {
 public:
  Connection(ScriptedServer* server, int fd, std::size_t number) : server_(server), fd_(fd), number_(number) {
    if (!server->tls_) return;
    ssl_ = SSL_new(server->tls_->context);
    SSL_set_fd(ssl_, fd_);
    SSL_set_accept_state(ssl_);
  }
  ~Connection() {
    {
      const std::lock_guard lock(server_->mutex_);
      for (const auto& state : states_) state->closed = true;
    }
    if (session_ != nullptr) nghttp2_session_del(session_);
    if (ssl_ != nullptr) SSL_free(ssl_);
    ::close(fd_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int fd() const { return fd_; }
  bool wants_to_write() const { return wants_write_ || !out_.empty(); }

  // Reads what there is, and writes what can be written. False: it is over.
  bool Serve() {
    if (ssl_ != nullptr && !is_ready_) {
      const int done = SSL_do_handshake(ssl_);
      if (done != 1) return WantsMore(done);
      const unsigned char* protocol = nullptr;
      unsigned size = 0;
      SSL_get0_alpn_selected(ssl_, &protocol, &size);
      if (size == 2 && std::memcmp(protocol, "h2", 2) == 0) BeginHttp2();
    }
    is_ready_ = true;
    if (!ReadAll()) return false;
    // HTTP/2 writes in portions.
    do {
      if (session_ != nullptr ? !WriteHttp2() : !WriteHttp1()) return false;
      if (out_.empty()) break;
      if (!Flush()) return false;
    } while (session_ != nullptr && out_.empty());
    return !(over_ && out_.empty());
  }

 private:
  bool WantsMore(int result) {
    const int error = SSL_get_error(ssl_, result);
    wants_write_ = error == SSL_ERROR_WANT_WRITE;
    return error == SSL_ERROR_WANT_READ || wants_write_;
  }

  bool ReadAll() {
    char part[16384];
    while (true) {
      ssize_t got = 0;
      if (ssl_ != nullptr) {
        const int result = SSL_read(ssl_, part, sizeof part);
        if (result <= 0) return WantsMore(result);
        got = result;
      } else {
        got = ::read(fd_, part, sizeof part);
        if (got < 0 && errno == EAGAIN) return true;
        if (got <= 0) return false;
      }
      if (session_ != nullptr) {
        if (nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(part), static_cast<std::size_t>(got)) <
            0) {
          return false;
        }
      } else {
        in_.append(part, static_cast<std::size_t>(got));
        TakeHttp1();
      }
    }
  }

  bool Flush() {
    while (!out_.empty()) {
      ssize_t sent = 0;
      if (ssl_ != nullptr) {
        const int result = SSL_write(ssl_, out_.data(), static_cast<int>(std::min<std::size_t>(out_.size(), 1 << 20)));
        if (result <= 0) return WantsMore(result);
        sent = result;
      } else {
        sent = ::send(fd_, out_.data(), out_.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) return true;
        if (sent <= 0) return false;
      }
      out_.erase(0, static_cast<std::size_t>(sent));
    }
    wants_write_ = false;
    return true;
  }

  std::shared_ptr<Exchange::State> NewState(int http) {
    auto state = std::make_shared<Exchange::State>();
    state->request.http = http;
    state->request.connection = number_;
    const std::lock_guard lock(server_->mutex_);
    states_.push_back(state);
    return state;
  }
  static void SetPath(Request& request, const std::string& target) {
    const std::size_t question = target.find('?');
    request.path = target.substr(0, question);
    request.query = question == std::string::npos ? "" : target.substr(question + 1);
  }

  // HTTP/1.1: one request after the other, with Content-Length.
  void TakeHttp1() {
    while (true) {
      const std::size_t end = in_.find("\r\n\r\n");
      if (end == std::string::npos) return;
      Request request;
      std::size_t at = in_.find("\r\n");
      const std::string first = in_.substr(0, at);
      const std::size_t space = first.find(' ');
      request.method = first.substr(0, space);
      SetPath(request, first.substr(space + 1, first.rfind(' ') - space - 1));
      while (at < end) {
        const std::size_t begin = at + 2;
        at = in_.find("\r\n", begin);
        const std::string line = in_.substr(begin, at - begin);
        const std::size_t colon = line.find(':');
        std::string name = line.substr(0, colon);
        std::transform(name.begin(), name.end(), name.begin(), ::tolower);
        request.headers[name] = line.substr(std::min(line.size(), colon + 2));
      }
      const auto length = request.headers.find("content-length");
      const std::size_t body = length == request.headers.end() ? 0 : std::stoul(length->second);
      if (in_.size() < end + 4 + body) return;
      request.body = in_.substr(end + 4, body);
      in_.erase(0, end + 4 + body);
      const auto state = NewState(1);
      request.http = 1;
      request.connection = number_;
      state->request = std::move(request);
      server_->Dispatch(state);
    }
  }

  bool WriteHttp1() {
    const std::lock_guard lock(server_->mutex_);
    for (const auto& state : states_) {
      if (state->end_sent) continue;
      state->Refill();
      if (state->code != 0 && !std::exchange(state->head_sent, true)) {
        out_ += fmt::format("HTTP/1.1 {} Told\r\n", state->code);
        for (const auto& [name, value] : state->headers) out_ += fmt::format("{}: {}\r\n", name, value);
        out_ += "Transfer-Encoding: chunked\r\n\r\n";
      }
      if (state->head_sent && !state->pending.empty()) {
        out_ += fmt::format("{:x}\r\n{}\r\n", state->pending.size(), state->pending);
        state->pending.clear();
      }
      if (state->head_sent && state->ended) {
        out_ += "0\r\n\r\n";
        state->end_sent = true;
      }
      if (state->dropped) over_ = true;
    }
    return true;
  }

  void BeginHttp2() {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_begin_headers_callback(
        callbacks, [](nghttp2_session* session, const nghttp2_frame* frame, void* user) {
          if (frame->hd.type != NGHTTP2_HEADERS) return 0;
          const auto state = static_cast<Connection*>(user)->NewState(2);
          state->stream = frame->hd.stream_id;
          nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, state.get());
          return 0;
        });
    nghttp2_session_callbacks_set_on_header_callback(
        callbacks, [](nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                      const uint8_t* value, size_t value_size, uint8_t, void*) {
          auto* state = StateOf(session, frame->hd.stream_id);
          if (state == nullptr) return 0;
          const std::string key(reinterpret_cast<const char*>(name), name_size);
          const std::string text(reinterpret_cast<const char*>(value), value_size);
          if (key == ":method") {
            state->request.method = text;
          } else if (key == ":path") {
            SetPath(state->request, text);
          } else {
            state->request.headers[key == ":authority" ? "host" : key] = text;
          }
          return 0;
        });
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        callbacks, [](nghttp2_session* session, uint8_t, int32_t stream, const uint8_t* data, size_t size, void*) {
          if (auto* state = StateOf(session, stream)) {
            state->request.body.append(reinterpret_cast<const char*>(data), size);
          }
          return 0;
        });
    nghttp2_session_callbacks_set_on_frame_recv_callback(
        callbacks, [](nghttp2_session* session, const nghttp2_frame* frame, void* user) {
          const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
          if (!ends || (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)) return 0;
          auto* connection = static_cast<Connection*>(user);
          const auto* state = StateOf(session, frame->hd.stream_id);
          for (const auto& known : connection->states_) {
            if (known.get() == state) return connection->server_->Dispatch(known), 0;
          }
          return 0;
        });
    nghttp2_session_callbacks_set_on_stream_close_callback(
        callbacks, [](nghttp2_session* session, int32_t stream, uint32_t, void* user) {
          auto* connection = static_cast<Connection*>(user);
          if (auto* state = StateOf(session, stream)) {
            const std::lock_guard lock(connection->server_->mutex_);
            state->closed = true;
            state->end_sent = true;
          }
          return 0;
        });
    nghttp2_session_server_new(&session_, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 100}};
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, 1);
  }

  static Exchange::State* StateOf(nghttp2_session* session, int32_t stream) {
    return static_cast<Exchange::State*>(nghttp2_session_get_stream_user_data(session, stream));
  }

  static ssize_t ReadBody(nghttp2_session*, int32_t, uint8_t* to, size_t room, uint32_t* flags,
                          nghttp2_data_source* source, void* user) {
    const std::lock_guard lock(static_cast<Connection*>(user)->server_->mutex_);
    auto* state = static_cast<Exchange::State*>(source->ptr);
    const std::size_t size = std::min(room, state->pending.size() - state->sent);
    if (size == 0 && !state->ended) return NGHTTP2_ERR_DEFERRED;
    std::memcpy(to, state->pending.data() + state->sent, size);
    state->sent += size;
    const bool is_all = state->sent == state->pending.size();
    if (is_all) {
      state->pending.clear();
      state->sent = 0;
      state->Refill();
    }
    if (state->pending.empty() && state->ended) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(size);
  }

  bool WriteHttp2() {
    bool drops = false;
    {
      const std::lock_guard lock(server_->mutex_);
      for (const auto& state : states_) {
        if (state->end_sent) continue;
        state->Refill();
        drops = drops || state->dropped;
        if (std::exchange(state->goaway, false)) {
          nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_),
                                NGHTTP2_NO_ERROR, nullptr, 0);
        }
        if (state->code != 0 && !std::exchange(state->head_sent, true)) {
          std::vector<std::string> texts = {":status", std::to_string(state->code)};
          for (const auto& [name, value] : state->headers) texts.insert(texts.end(), {name, value});
          std::vector<nghttp2_nv> headers;
          for (std::size_t i = 0; i < texts.size(); i += 2) {
            headers.push_back({reinterpret_cast<uint8_t*>(texts[i].data()),
                               reinterpret_cast<uint8_t*>(texts[i + 1].data()), texts[i].size(), texts[i + 1].size(),
                               NGHTTP2_NV_FLAG_NONE});
          }
          nghttp2_data_provider provider{.source = {.ptr = state.get()}, .read_callback = &ReadBody};
          nghttp2_submit_response(session_, state->stream, headers.data(), headers.size(), &provider);
        }
        if (state->head_sent && (!state->pending.empty() || state->ended)) {
          nghttp2_session_resume_data(session_, state->stream);
        }
      }
    }
    // Without the mutex: the callbacks take it.
    while (out_.size() < kPortion) {
      const uint8_t* data = nullptr;
      const ssize_t size = nghttp2_session_mem_send(session_, &data);
      if (size <= 0) break;
      out_.append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
    }
    if (drops) over_ = true;
    return nghttp2_session_want_read(session_) != 0 || nghttp2_session_want_write(session_) != 0 || !out_.empty();
  }

  ScriptedServer* server_;
  int fd_;
  std::size_t number_;
  SSL* ssl_ = nullptr;
  nghttp2_session* session_ = nullptr;
  bool is_ready_ = false;
  bool wants_write_ = false;
  bool over_ = false;
  std::string in_;
  std::string out_;
  std::vector<std::shared_ptr<Exchange::State>> states_;
};

ScriptedServer::ScriptedServer(Options options) : options_(std::move(options)) {
  if (options_.identity) {
    tls_ = std::make_unique<Tls>(this);
    tls_->Use(*options_.identity);
    if (!options_.client_ca.empty()) tls_->Require(options_.client_ca);
  }
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int one = 1;
  ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(static_cast<uint16_t>(options_.port))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  int wake[2];
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 64) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      ::pipe2(wake, O_CLOEXEC | O_NONBLOCK) != 0) {
    throw std::runtime_error(fmt::format("no server on port {}: {}", options_.port, std::strerror(errno)));
  }
  port_ = ntohs(address.sin_port);
  wake_read_ = wake[0];
  wake_write_ = wake[1];
  thread_ = std::thread([this] { Run(); });
}

ScriptedServer::~ScriptedServer() {
  stop_ = true;
  Wake();
  thread_.join();
  open_.clear();
  for (const int fd : {listener_, wake_read_, wake_write_}) ::close(fd);
}

std::string ScriptedServer::url() const {
  return fmt::format("{}://127.0.0.1:{}", options_.identity ? "https" : "http", port_);
}

void ScriptedServer::On(const std::string& path, Script script) {
  const std::lock_guard lock(mutex_);
  scripts_[path] = std::move(script);
}

void ScriptedServer::SetIdentity(const Identity& identity) {
  const std::lock_guard lock(mutex_);
  next_identity_ = identity;
}

void ScriptedServer::DropConnections() {
  drop_ = true;
  Wake();
}

std::vector<Request> ScriptedServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

std::string ScriptedServer::server_name() const {
  const std::lock_guard lock(mutex_);
  return server_name_;
}

void ScriptedServer::Wake() const {
  [[maybe_unused]] const ssize_t written = ::write(wake_write_, "x", 1);  // a full pipe wakes, too
}

void ScriptedServer::Accept() {
  while (true) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    {
      const std::lock_guard lock(mutex_);
      if (const auto next = std::exchange(next_identity_, std::nullopt)) tls_->Use(*next);
    }
    open_.push_back(std::make_unique<Connection>(this, fd, ++connections_));
  }
}

void ScriptedServer::Dispatch(const std::shared_ptr<Exchange::State>& state) {
  Script script;
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(state->request);
    const auto found = scripts_.find(state->request.path);
    if (found != scripts_.end()) script = found->second;
  }
  const Exchange exchange(this, state);
  if (script) {
    script(exchange);
  } else {
    exchange.Reply(404, "404 page not found\n", {{"content-type", "text/plain"}});
  }
}

void ScriptedServer::Run() {
  sigset_t sigpipe;  // the client closes connections
  sigemptyset(&sigpipe);
  sigaddset(&sigpipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &sigpipe, nullptr);
  while (!stop_) {
    std::vector<pollfd> fds = {{listener_, POLLIN, 0}, {wake_read_, POLLIN, 0}};
    for (const auto& connection : open_) {
      fds.push_back({connection->fd(), static_cast<short>(POLLIN | (connection->wants_to_write() ? POLLOUT : 0)), 0});
    }
    ::poll(fds.data(), fds.size(), 1000);
    char drain[256];
    while (::read(wake_read_, drain, sizeof drain) > 0) {
    }
    if (drop_.exchange(false)) open_.clear();
    Accept();
    std::erase_if(open_, [](const auto& connection) { return !connection->Serve(); });
  }
}

}  // namespace sluice::kube
