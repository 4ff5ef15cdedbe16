// The server by TCP: options, TLS, limits, and clients that are slow or send too much.
#include "ctrl/web/web_server.h"

#include <openssl/ssl.h>

#include <fstream>

#include "tests/unit/api_server/certificates.h"
#include "tests/unit/api_server/free_port.h"
#include "tests/unit/api_server/server_world.h"

namespace sluice::web {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kToken(32, 't');

Fd ConnectTcp(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1))));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience{.tv_sec = 30};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) return {};
  return fd;
}

// Until the server ends the connection.
std::string ReadAll(int fd) {
  std::string text;
  char part[4096];
  for (ssize_t got; (got = recv(fd, part, sizeof(part), 0)) > 0;) text.append(part, static_cast<std::size_t>(got));
  return text;
}

std::string AskTcp(const std::string& address, const std::string& request) {
  const Fd fd = ConnectTcp(address);
  EXPECT_TRUE(fd.valid());
  EXPECT_EQ(send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
  return ReadAll(fd.get());
}

std::string Head(const std::string& path, const std::string& more = "") {
  return "GET " + path + " HTTP/1.1\r\nHost: node\r\nConnection: close\r\nSluice-Page: 1\r\nAuthorization: Bearer " +
         kToken + "\r\n" + more + "\r\n";
}

class Tls {
 public:
  // `certificate`: its files; empty: none is presented.
  explicit Tls(const api::TlsFiles& files, const std::string& ca) : context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX_load_verify_locations(context_, ca.c_str(), nullptr);
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, nullptr);
    if (files.certificate.empty()) return;
    SSL_CTX_use_certificate_chain_file(context_, files.certificate.c_str());
    SSL_CTX_use_PrivateKey_file(context_, files.key.c_str(), SSL_FILETYPE_PEM);
  }
  ~Tls() { SSL_CTX_free(context_); }
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;

  // Empty: no TLS with this server.
  std::string Ask(const std::string& address, const std::string& request, int version = 0) const {
    const Fd fd = ConnectTcp(address);
    SSL* const session = SSL_new(context_);
    if (version != 0) SSL_set_max_proto_version(session, version);
    SSL_set_fd(session, fd.get());
    std::string text;
    if (SSL_connect(session) == 1 && SSL_write(session, request.data(), static_cast<int>(request.size())) > 0) {
      char part[4096];
      for (int got; (got = SSL_read(session, part, sizeof(part))) > 0;)
        text.append(part, static_cast<std::size_t>(got));
    }
    SSL_free(session);
    return text;
  }

 private:
  SSL_CTX* const context_;
};

class WebServerTest : public api::ServerFixture {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Start({}).ok());
    std::ofstream(directory_ + "/token") << kToken;
    options_.address = test::FreeLoopbackAddress();
    options_.access.read_token = directory_ + "/token";
  }
  void TearDown() override { web_.reset(); }

  Status Serve() {
    SL_RETURN_IF_ERROR(WebServer::Check(options_));
    SL_ASSIGN_OR_RETURN(web_, WebServer::Start(options_, service_.get()));
    return OkStatus();
  }
  std::string Problem(WebOptions options) const { return Message(WebServer::Check(options)); }

  WebOptions options_;
  std::unique_ptr<WebServer> web_;
};

TEST_F(WebServerTest, OptionsThatWouldOpenItAreRefused) {
  WebOptions none = options_;
  none.access = {};
  EXPECT_THAT(Problem(none), HasSubstr("nobody could read it; give --web-read-token"));
  for (const char* const address : {"0.0.0.0:9470", "192.0.2.1:9470", "[::]:9470", "[2001:db8::1]:9470"}) {
    WebOptions open = options_;
    open.address = address;
    EXPECT_THAT(Problem(open), HasSubstr("only on loopback without TLS")) << address;
  }
  for (const char* const address : {"localhost:9470", ":9470", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "::1:80",
                                    "unix:///run/web.sock", "127.0.0.1:80x", "[127.0.0.1]:80", ""}) {
    WebOptions wrong = options_;
    wrong.address = address;
    EXPECT_THAT(Problem(wrong), HasSubstr("expected IP:PORT")) << address;
  }
  WebOptions half = options_;
  half.tls.certificate = "/c.pem";
  EXPECT_THAT(Problem(half), HasSubstr("--web-tls-cert and --web-tls-key go together"));
  WebOptions missing = options_;
  missing.tls = {.certificate = "/none/c.pem", .key = "/none/k.pem", .ca = ""};
  EXPECT_THAT(Problem(missing), HasSubstr("--web-tls: /none/c.pem: cannot be opened"));
  WebOptions name = options_;
  name.access.quarantine_names = {"ops"};
  EXPECT_THAT(Problem(name), HasSubstr("--web-tls-quarantine-name needs --web-tls-ca"));
  WebOptions token = options_;
  token.access.read_token = "/none/token";
  EXPECT_THAT(Problem(token), HasSubstr("--web: /none/token: cannot be opened"));
  EXPECT_TRUE(WebServer::Check(options_).ok());
  ASSERT_TRUE(Serve().ok());
  EXPECT_THAT(Problem(options_), HasSubstr("cannot listen there"));
}

TEST_F(WebServerTest, AnswersByTcp) {
  ASSERT_TRUE(Serve().ok());
  const std::string reply = AskTcp(options_.address, Head("/api/session"));
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(reply, HasSubstr("Content-Security-Policy: default-src 'none'"));
  EXPECT_THAT(reply, HasSubstr("read token, from 127.0.0.1:"));
  EXPECT_THAT(AskTcp(options_.address, Head("/api/map?seconds=5&x%79=1")), HasSubstr("xy: there is no such parameter"));
  EXPECT_THAT(
      AskTcp(options_.address, "GET /api/session HTTP/1.1\r\nHost: a\r\nConnection: close\r\nSluice-Page: 1\r\n\r\n"),
      StartsWith("HTTP/1.1 401"));
}

TEST_F(WebServerTest, LargeRequestsAreRefused) {
  ASSERT_TRUE(Serve().ok());
  const std::string body((1U << 20U) + 1, 'x');
  const std::string post =
      "POST /api/preview HTTP/1.1\r\nHost: a\r\nConnection: close\r\nSluice-Page: 1\r\nAuthorization: Bearer " +
      kToken + "\r\nContent-Type: application/json\r\nContent-Length: ";
  EXPECT_THAT(AskTcp(options_.address, post + std::to_string(body.size()) + "\r\n\r\n" + body),
              StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(AskTcp(options_.address, post + "2\r\n\r\n{}"), StartsWith("HTTP/1.1 400"));
  const std::string large = AskTcp(options_.address, Head("/", "X-Large: " + std::string(40000, 'x') + "\r\n"));
  EXPECT_THAT(large, testing::AnyOf(StartsWith("HTTP/1.1 431"), StartsWith("HTTP/1.1 413"))) << large.substr(0, 100);
  EXPECT_THAT(AskTcp(options_.address, Head("/api/session")), StartsWith("HTTP/1.1 200")) << "it still answers";
}

TEST_F(WebServerTest, ConnectionsAreLimitedAndIdleOrWrongOnesEnd) {
  auto listener = api::Listener::Open(options_.address, {}, "--web");
  ASSERT_TRUE(listener.ok()) << listener.status();
  Requests requests(service_.get(), options_.access);
  auto server =
      HttpServer::Start(listener->fd(), {}, [&](const HttpRequest& request) { return requests.Answer(request); },
                        {.connections = 16, .connections_of_one = 4, .threads = 2, .idle = 1s});
  ASSERT_TRUE(server.ok()) << server.status();
  std::vector<Fd> held;
  for (int i = 0; i < 4; ++i) {
    held.push_back(ConnectTcp(options_.address));
    send(held.back().get(), "GET / HT", 8, MSG_NOSIGNAL);
  }
  std::this_thread::sleep_for(200ms);
  EXPECT_EQ(AskTcp(options_.address, Head("/api/session")), "") << "one client has four connections";
  for (const Fd& fd : held) EXPECT_THAT(ReadAll(fd.get()), testing::Not(StartsWith("HTTP/1.1 200"))) << "ended as idle";
  for (const char* const garbage : {"\r\n\r\n\r\n", "GET\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
                                    "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"}) {
    const Fd fd = ConnectTcp(options_.address);
    send(fd.get(), garbage, strlen(garbage), MSG_NOSIGNAL);
    shutdown(fd.get(), SHUT_WR);
    EXPECT_THAT(ReadAll(fd.get()), testing::Not(StartsWith("HTTP/1.1 200")));
  }
  EXPECT_THAT(AskTcp(options_.address, Head("/api/session")), StartsWith("HTTP/1.1 200"));
}

TEST_F(WebServerTest, TlsWithTokensAndCertificates) {
  const test::Certificates certificates(directory_);
  certificates.MakeCa("ca");
  certificates.MakeCa("other");
  for (const char* const name : {"node", "ops", "carl"}) certificates.Issue(name, "ca");
  certificates.Issue("stranger", "other");
  options_.tls = certificates.FilesOf("node");
  options_.access.quarantine_names = {"ops"};
  const Status served = Serve();
  ASSERT_TRUE(served.ok()) << served;
  const std::string ca = certificates.File("ca.crt");
  const Tls nobody({}, ca);
  const std::string by_token = nobody.Ask(options_.address, Head("/api/session"));
  EXPECT_THAT(by_token, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(by_token, HasSubstr("Strict-Transport-Security"));
  const std::string bare = "GET /api/session HTTP/1.1\r\nHost: a\r\nConnection: close\r\nSluice-Page: 1\r\n\r\n";
  EXPECT_THAT(nobody.Ask(options_.address, bare), StartsWith("HTTP/1.1 401"));
  const std::string ops = Tls(certificates.FilesOf("ops"), ca).Ask(options_.address, bare);
  EXPECT_THAT(ops, HasSubstr("certificate ops by the web page, from 127.0.0.1:"));
  EXPECT_THAT(ops, HasSubstr("mayQuarantine"));
  const std::string carl = Tls(certificates.FilesOf("carl"), ca).Ask(options_.address, bare);
  EXPECT_THAT(carl, HasSubstr("certificate carl"));
  EXPECT_EQ(carl.find("mayQuarantine"), std::string::npos);
  const std::string stranger = Tls(certificates.FilesOf("stranger"), ca).Ask(options_.address, bare);
  EXPECT_EQ(stranger.find("HTTP/1.1 200"), std::string::npos) << stranger;
  EXPECT_EQ(nobody.Ask(options_.address, Head("/"), TLS1_1_VERSION), "") << "an old version of TLS";
  EXPECT_THAT(AskTcp(options_.address, Head("/api/session")), testing::Not(HasSubstr("200"))) << "without TLS";
}

TEST_F(WebServerTest, FollowsNewTlsFiles) {
  const test::Certificates certificates(directory_);
  certificates.MakeCa("ca");
  certificates.MakeCa("next");
  certificates.Issue("node", "ca");
  options_.tls = certificates.FilesOf("node");
  options_.tls.ca.clear();
  ASSERT_TRUE(Serve().ok());
  const Tls before({}, certificates.File("ca.crt")), after({}, certificates.File("next.crt"));
  EXPECT_THAT(before.Ask(options_.address, Head("/api/session")), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(after.Ask(options_.address, Head("/api/session")), "");
  certificates.Issue("node", "next");
  std::string reply;
  for (int i = 0; i < 100 && reply.empty(); ++i) {
    std::this_thread::sleep_for(100ms);
    reply = after.Ask(options_.address, Head("/api/session"));
  }
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(before.Ask(options_.address, Head("/api/session")), "");
  // What cannot be used is told, and the last good files stay.
  std::ofstream(options_.tls.key) << "no key";
  for (int i = 0; i < 100 && log().find("no private key") == std::string::npos; ++i) std::this_thread::sleep_for(100ms);
  EXPECT_THAT(log(), HasSubstr("no private key"));
  EXPECT_THAT(after.Ask(options_.address, Head("/api/session")), StartsWith("HTTP/1.1 200"));
}

}  // namespace
}  // namespace sluice::web
